"""The closed list of task categories, their aliases and their neighbours."""

import difflib
import re

CATEGORIES = (
    "Image Classification",
    "Image Segmentation",
    "Object Detection",
    "Image-to-Image",
    "Image Generation",
    "Image-to-Text",
    "Image Regression",
    "Text Classification",
    "Text Generation",
    "Text Summarization",
    "Translation",
    "Question Answering",
    "Token Classification",
    "Tabular Classification",
    "Tabular Regression",
    "Time Series Forecasting",
    "Time Series Classification",
    "Audio Classification",
    "Speech Recognition",
    "Video Classification",
    "Recommendation",
    "Anomaly Detection",
    "Reinforcement Learning",
    "Graph Learning",
)

# Ordered: the first pattern that is found in the normalised spelling decides.
_ALIASES = (
    ("Image-to-Text", r"image to text|caption|text recognition|\bocr\b"),
    ("Video Classification", r"video|action recognition"),
    ("Speech Recognition", r"speech recog|speech to text|transcri|\basr\b"),
    ("Audio Classification", r"audio|sound|speech|music"),
    ("Reinforcement Learning", r"reinforcement|q learning|\brl\b"),
    ("Graph Learning", r"graph|node classification|link prediction"),
    ("Recommendation", r"recommend|collaborative filtering"),
    ("Anomaly Detection", r"anomal|outlier|novelty|fraud detection"),
    ("Question Answering", r"question answer|\bqa\b|reading comprehension"),
    ("Text Summarization", r"summari"),
    ("Token Classification", r"token class|named entity|\bner\b|pos tag|sequence label|part of speech"),
    ("Object Detection", r"object detection|detection and text|image detection|image object|bounding"),
    ("Image Segmentation", r"segment"),
    ("Time Series Classification", r"time series class|signal class|\beeg\b|\becg\b|sequence classification"),
    (
        "Time Series Forecasting",
        r"time series|forecast|sequence prediction|trajectory|motion prediction|sequential",
    ),
    (
        "Image Generation",
        r"image generation|text to image|shape generation|generative|\bgan\b|image synthesis",
    ),
    (
        "Image-to-Image",
        r"image to image|image processing|denois|image reconstruction|super resolution|"
        r"style transfer|image restoration|image enhancement|dehaz|colori[sz]ation|image manipulation",
    ),
    ("Translation", r"translation|text to text"),
    ("Text Generation", r"text generation|language model|chatbot|dialogue"),
    (
        "Image Regression",
        r"image regress|image localization|keypoint|image and tabular regress|multimodal regress|"
        r"image data fusion for regress",
    ),
    ("Image Classification", r"image|medical|vision|face"),
    ("Text Classification", r"text|sentiment|sentence|intent|spam"),
    ("Tabular Classification", r"tabular class|tabular clust|cluster|data analysis|multi label|classif"),
    ("Tabular Regression", r"regress|tabular|prediction|price"),
)

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "Image Classification": ("Image Regression", "Image Segmentation", "Video Classification"),
    "Image Segmentation": ("Image-to-Image", "Image Classification", "Object Detection"),
    "Object Detection": ("Image Regression", "Image Classification", "Image Segmentation"),
    "Image-to-Image": ("Image Segmentation", "Image Generation"),
    "Image Generation": ("Image-to-Image", "Image Classification"),
    "Image-to-Text": ("Translation", "Image Classification", "Text Generation"),
    "Image Regression": ("Image Classification", "Object Detection"),
    "Text Classification": ("Token Classification", "Question Answering"),
    "Text Generation": ("Translation", "Text Summarization", "Text Classification"),
    "Text Summarization": ("Translation", "Text Generation"),
    "Translation": ("Text Summarization", "Text Generation"),
    "Question Answering": ("Text Classification", "Token Classification"),
    "Token Classification": ("Text Classification", "Question Answering"),
    "Tabular Classification": ("Tabular Regression", "Anomaly Detection"),
    "Tabular Regression": ("Tabular Classification", "Time Series Forecasting"),
    "Time Series Forecasting": ("Time Series Classification", "Tabular Regression"),
    "Time Series Classification": ("Time Series Forecasting", "Audio Classification"),
    "Audio Classification": ("Time Series Classification", "Speech Recognition"),
    "Speech Recognition": ("Audio Classification", "Translation"),
    "Video Classification": ("Image Classification", "Time Series Classification"),
    "Recommendation": ("Tabular Regression", "Tabular Classification"),
    "Anomaly Detection": ("Tabular Classification", "Time Series Forecasting"),
    "Reinforcement Learning": ("Tabular Regression", "Time Series Forecasting"),
    "Graph Learning": ("Tabular Classification", "Recommendation"),
}


def canonical_category(text: str) -> str | None:
    """Return the category that a spelling means, or None where nothing fits.

    An exact name (letters and digits compared, case ignored) wins; of several tasks in one
    spelling the more specific one does.
    """
    plain = _plain(text)
    for category in CATEGORIES:
        if plain == _plain(category):
            return category
    for category, pattern in _ALIASES:
        if re.search(pattern, plain):
            return category
    return None


def near_categories(text: str) -> tuple[str, ...]:
    """Return at most three categories that an unknown spelling may mean, the likeliest first."""
    names = {_plain(category): category for category in CATEGORIES}
    close = [names[name] for name in difflib.get_close_matches(_plain(text), names, n=3)]
    found = canonical_category(text)
    return tuple(dict.fromkeys([*close, *([found] if found else [])]))[:3]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


# Predictions of these tasks are decoded from what the model puts out: the two shapes need not be the same.
DECODED = frozenset(
    {
        "Anomaly Detection",
        "Image-to-Text",
        "Object Detection",
        "Question Answering",
        "Reinforcement Learning",
        "Speech Recognition",
        "Text Generation",
        "Text Summarization",
        "Translation",
    }
)
