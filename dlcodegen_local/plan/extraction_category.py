"""Guess the task category and the preprocessing of code from its names, texts and layers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcodegen_local.plan.categories import CATEGORIES

_TEXT_LAYERS = r"\b(?:Embedding\(|TextVectorization|\w*(?:Token|Position|Positional)Embedding|TFBert\w*)"
_IMAGE_LAYERS = (
    r"\b(?:\w*Conv2D|Convolution2D|VGG|ResNet|EfficientNet|MobileNet|DenseNet|Inception|Xception|"
    r"ConvNeXt|NASNet|RandomFlip)"
)
_IMAGE_WORDS = r"\bimages?\b|\brgb\b|\bpixels?\b|\bimread\b|\bimg\b"
_IMAGE_SETS = r"mnist\b|\bcifar ?1|\bimagenet\b|\bsvhn\b|\bceleb ?a\b|\bimage folder\b|\blsun\b"
_PAIRED = r"cycle ?gan|pix2pix|super resolution|srgan|colou?ri[sz]|style transfer|inpaint|deblur|dehaz"
_GENERATIVE = (
    r"\bgan\b|dcgan|wgan|discriminator|diffusion|variational|\bvae\b|reparam|\bfixed noise\b|generative"
)

# category -> (pattern, weight) pairs, searched in the code's words (lower-case, split at capitals).
_WORDS: dict[str, tuple[tuple[str, float], ...]] = {
    "Image Classification": ((r"classify images|image classif", 1.5),),
    "Image Segmentation": ((r"segment|u ?net\b|\bmasks?\b", 2), (r"dice|\biou\b|jaccard|tversky", 1.5)),
    "Object Detection": ((r"object detect|yolo|anchor box|\banchors\b|bounding box|bbox|\bboxes\b", 2.5),),
    "Image-to-Image": (
        (r"super resolution|srgan|\bpsnr\b|denois|dehaz|colou?ri[sz]|deblur|inpaint|restoration", 4),
        (r"cycle ?gan|pix2pix|style transfer|high resolution", 3),
        (r"autoencoder", 1),
    ),
    "Image Generation": ((r"\bgan\b|dcgan|wgan|discriminator|diffusion|latent dim|\bvae\b", 2),),
    "Image-to-Text": ((r"caption|\bocr\b|license plate|text recogn|captcha|handwrit\w+ recog", 4),),
    "Image Regression": (
        (r"keypoint|landmark|age estimat|localiz|head pose|regression", 1.5),
        (r"\bcrowd|\bdensity\b|count people", 3),
    ),
    "Text Classification": (
        (r"sentiment|text class|spam|toxic|review|fake news|tweet|intent\b|injection", 2),
        (r"\breuters\b|\bimdb\b|newsgroups|ag news|\byelp\b", 2),
    ),
    "Text Generation": (
        (r"text generat|language model|next token|next word|poem|lyrics|chat ?bot|char rnn", 3),
    ),
    "Text Summarization": ((r"summar(?:iz|is)|headline generat|abstractive|\brouge\b", 3.5),),
    "Translation": (
        (r"translat|\bnmt\b|bilingual|english (?:to )?\w+ sentence|seq2seq|sequence to sequence", 3),
        (r"\b(?:src|trg|source|target) vocab|(?:en|de)coder inputs?", 1),
    ),
    "Question Answering": (
        (r"question answer|\bsquad\b|answer start|start (?:position|logit)", 4),
        (r"\bquestions?\b", 1.5),
    ),
    "Token Classification": (
        (
            r"named entit|\bner\b|pos tag|token class|sequence label|\btaggers?\b|\bbio tags?\b",
            4,
        ),
    ),
    "Tabular Classification": (
        (r"tabular|customer|churn|\bcsv\b|intrusion|diagnos|\bpca\b|network traffic", 1),
        (r"fault|income|categorical columns", 0.7),
    ),
    "Tabular Regression": ((r"house|price|regress|tabular|\bcsv\b|demand|sales", 1),),
    "Time Series Forecasting": ((r"forecast|time series|window size|look ?back|horizon|stock", 2),),
    "Time Series Classification": (
        (r"\becg\b|\beeg\b|\bhar\b|activity recog|sensor|time series class|signal", 2),
    ),
    "Audio Classification": (
        (r"audio|sound|spectrogram|mfcc|\bmel\b|\bwav\b|librosa|genre|speaker|keyword spot", 2),
    ),
    "Speech Recognition": (
        (r"speech recog|transcrib|transcription|speech to text|\basr\b", 4),
        (r"\bspoken\b|\btranscripts?\b", 0.7),
        (r"\bword error|character error|listen attend", 3),
    ),
    "Video Classification": ((r"\bvideos?\b|action recog|optical flow", 2.5), (r"\bclips\b", 1)),
    "Recommendation": (
        (r"recommend|collaborative|two tower|user (?:id|embedding)|item (?:id|embedding)|movie ?lens", 3),
        (r"\bbpr\b|\bndcg\b|\bhit (?:rate|ratio)\b|matrix factori[sz]|next item|\bsession based\b", 3),
        (r"gru4rec|\bclicks?\b|click through|\bratings?\b", 1.5),
    ),
    "Anomaly Detection": (
        (r"anomal(?:y|ies|ous) (?:detect|score)|novelty|reconstruction error", 3),
        (r"\bfraud", 2),
        (r"anomal(?:y|ies|ous)\b|\boutliers?\b|\bdefects?\b", 2),
    ),
    "Reinforcement Learning": (
        (r"reinforcement|q learning|\bdqn\b|replay buffer|epsilon greedy|\bagent\b|policy|\bgym\b|reward", 2),
        (r"\benv (?:step|reset)\b|action space|select action", 2),
        (r"\brewards?\b|\bepisodes?\b|actor critic", 1.5),
    ),
    "Graph Learning": (
        (r"\bgraphs?\b (?:conv|neural|attention|net)|\bgcn\b|\bgat\b|adjacency|node class|\bgnn\b", 4),
        (r"graph ?sage|message passing", 3),
        (r"\bedges?\b|\bneighbou?rs?\b", 1),
    ),
}

# Heads of pretrained models, by the end of their name.
_HEADS = {
    "ForSequenceClassification": "Text Classification",
    "ForTokenClassification": "Token Classification",
    "ForQuestionAnswering": "Question Answering",
    "ForCausalLM": "Text Generation",
    "LMHeadModel": "Text Generation",
    "ForImageClassification": "Image Classification",
    "ForAudioClassification": "Audio Classification",
    "ForCTC": "Speech Recognition",
    "ForSemanticSegmentation": "Image Segmentation",
    "ForObjectDetection": "Object Detection",
}
_STEPS = (
    (r"Rescaling\(|/ ?255|/ ?127\.5|rescale ?=|preprocess_input", "Pixel values are rescaled", "image"),
    (r"image_size ?=|target_size ?=|resize\(|Resizing\(", "images are resized", "image"),
    (
        r"RandomFlip|RandomRotation|RandomZoom|random_flip|horizontal_flip|rotation_range|zoom_range",
        "data augmentation is applied to the training set",
        "",
    ),
    (r"TextVectorization|Tokenizer|tokenize\(|texts_to_sequences", "texts are tokenised", ""),
    (r"pad_sequences|padded_batch|output_sequence_length", "sequences are padded to one length", ""),
    (
        r"StandardScaler|\.std\(axis|Normalization\((?!\))|standardi[sz]e",
        "numeric values are standardised",
        "",
    ),
    (r"MinMaxScaler|min_max|minmax", "values are scaled to [0, 1]", ""),
    (r"LabelEncoder|OneHotEncoder|to_categorical|get_dummies|one_hot\(", "categories are encoded", ""),
    (r"fillna|dropna|SimpleImputer|interpolate\(", "missing values are filled", ""),
    (r"[sS]pectrogram|stft\(|mfcc", "audio is turned into spectrograms", ""),
    (r"window_size|look_?back|timeseries_dataset_from_array|TimeseriesGenerator", "windows are cut", ""),
    (r"shuffle\(|\.permutation\(|shuffle=True", "samples are shuffled", ""),
    (
        r"train_test_split|validation_split|subset=|0\.8\d? ?\*|0\.7\d? ?\*",
        "data is split into train/val/test sets",
        "",
    ),
)


@dataclass(frozen=True)
class Evidence:
    """Hold what speaks for a category.

    `prose` is the text written for people (docstrings, comments), its beginning counts most;
    `output_axes` counts the axes of the model's output after the batch, 0 where it is unknown.
    """

    source: str
    prose: str
    layers: Sequence[str]
    loss: str
    metric: str = ""
    output_axes: int = 0


def guess_category(evidence: Evidence) -> str:
    """Return the category that names, layers and loss speak for; ties go by the list's order."""
    texts = (
        (_plain(evidence.source), 1.0),
        (_plain(evidence.prose), 1.0),
        (_plain(evidence.prose)[:160], 3.0),
    )
    scores = dict.fromkeys(CATEGORIES, 0.0)
    for category, patterns in _WORDS.items():
        for pattern, weight in patterns:
            for text, factor in texts:
                count = len(re.findall(pattern, text))
                scores[category] += factor * weight * min(count, 6) / 3
    layers = " ".join(evidence.layers)
    for head, category in _HEADS.items():
        scores[category] += 8 if head in layers else 0
    if (
        has_images(evidence.layers)
        or re.search(_IMAGE_SETS, texts[0][0])
        or len(re.findall(_IMAGE_WORDS, texts[0][0])) > 8
    ):
        _score_images(scores, evidence, layers)
    else:
        _score_other(scores, evidence, layers)
    if re.search(r"Conv3D|ConvLSTM2D|TimeDistributed\(\w*Conv2D", layers):
        scores["Video Classification"] += 6
    return max(CATEGORIES, key=lambda category: (scores[category], -CATEGORIES.index(category)))


def describe_preprocessing(source: str, is_image: bool) -> str:
    """Return one sentence on the steps that are seen in the code, "" where there is none."""
    steps = [
        text
        for pattern, text, needs in _STEPS
        if re.search(pattern, source) and not (needs == "image" and not is_image)
    ]
    if not steps:
        return ""
    sentence = ", ".join(steps)
    return sentence[0].upper() + sentence[1:] + "."


def has_images(layers: Sequence[str]) -> bool:
    """Say whether layers work on images."""
    return bool(re.search(_IMAGE_LAYERS, " ".join(layers)))


def _score_images(scores: dict[str, float], evidence: Evidence, layers: str) -> None:
    last = evidence.layers[-1] if evidence.layers else ""
    ends_dense = evidence.output_axes == 1 or (evidence.output_axes == 0 and "Dense(" in layers[-120:])
    is_generative = len(re.findall(_GENERATIVE, _plain(evidence.source))) > 2
    is_map = not ends_dense and last.startswith(("Conv2D", "Activation", "Subtract", "Add", "Rescaling"))
    regression = _is_regression(evidence.loss) or _is_regression(evidence.metric)
    if ends_dense and len(re.findall(r"autoencoder|auto encoder|reconstruct", _plain(evidence.source))) > 1:
        scores["Image-to-Image"] += 4
    elif ends_dense:
        scores["Image Regression" if regression else "Image Classification"] += 6
        scores["Image Regression"] -= 0 if regression else 2
        scores["Image-to-Text"] += 3 if re.search(_TEXT_LAYERS, layers) else 0
    if is_map:
        is_picture = regression or "tanh" in last or is_generative
        scores["Image-to-Image" if is_picture else "Image Segmentation"] += 4
    if re.search(_PAIRED, _plain(evidence.source)):
        scores["Image Generation"] /= 2
    elif is_generative:
        scores["Image Generation"] += 9
    scores["Image-to-Text"] += 5 if "ctc" in evidence.loss or "ctc_" in evidence.source else 0
    scores["Image Generation"] += 2 if "Conv2DTranspose" in layers and "LeakyReLU" in layers else -1
    if not re.search(r"audio|\bwav\b|speech|spectrogram", _plain(evidence.source)):
        scores["Speech Recognition"] -= 6
    for category in ("Text Classification", "Text Generation", "Translation", "Tabular Classification"):
        scores[category] -= 3
    scores["Time Series Forecasting"] -= 3
    scores["Time Series Classification"] -= 3


def _score_other(scores: dict[str, float], evidence: Evidence, layers: str) -> None:
    words = bool(re.search(_TEXT_LAYERS, layers))
    is_series = scores["Time Series Forecasting"] >= 6
    recurrent = is_series or bool(re.search(r"\b(?:LSTM|GRU|SimpleRNN|Conv1D)\(", layers))
    regression = _is_regression(evidence.loss)
    for category in CATEGORIES[:7]:
        scores[category] -= 3
    scores["Image Generation"] += 7 if len(re.findall(_GENERATIVE, _plain(evidence.source))) > 2 else 0
    is_text = words and bool(re.search(r"token|text|sentence|\bwords?\b|vocab", _plain(evidence.source)))
    writes = evidence.output_axes >= 2 or bool(
        re.search(r"decoder|seq2seq|translat", evidence.source.lower())
    )
    for category in ("Text Generation", "Translation", "Text Summarization"):
        scores[category] += (1.5 if is_text and writes else 0) if words else -2
    if is_text and not writes:
        scores["Text Classification"] += 0 if regression else 4
        scores["Tabular Classification"] -= 0 if "StringLookup" in layers else 2
    elif not words:
        scores["Text Classification"] -= 1
        if recurrent:
            scores["Time Series Forecasting" if regression else "Time Series Classification"] += 2.5
    if not recurrent and not (is_text and "StringLookup" not in layers):
        scores["Tabular Regression" if regression else "Tabular Classification"] += 4
        scores["Tabular Classification" if regression else "Tabular Regression"] -= 3


def _is_regression(loss: str) -> bool:
    return bool(re.search(r"mean_(?:squared|absolute)|huber|log_cosh|rmse|smape|_mae\b|_mse\b", loss))


def _plain(text: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return re.sub(r"[^a-z0-9]+", " ", spaced.lower())
