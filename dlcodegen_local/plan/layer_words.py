"""The words that name layers: Keras' spellings, their variants, and the prose that means them."""

import re

BASES = (
    "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2",
    "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet", "MobileNetV2", "MobileNetV3Small",
    "MobileNetV3Large", "DenseNet121", "DenseNet169", "DenseNet201", "NASNetMobile", "NASNetLarge",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1",
    "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L",
    "ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge",
)  # fmt: skip
LAYERS = (
    "Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
    "SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D", "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "Flatten", "Dropout", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "BatchNormalization",
    "LayerNormalization", "GroupNormalization", "UnitNormalization", "InstanceNormalization", "Activation",
    "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Embedding", "LSTM", "GRU", "SimpleRNN", "ConvLSTM1D",
    "ConvLSTM2D", "Bidirectional", "TimeDistributed", "RepeatVector", "Reshape", "Permute", "Masking",
    "Attention", "AdditiveAttention", "MultiHeadAttention", "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D",
    "Concatenate", "Add", "Multiply", "Average", "Maximum", "Subtract", "Dot", "Input", "Lambda", "Rescaling",
    "Resizing", "CenterCrop", "Normalization", "RandomFlip", "RandomRotation", "RandomZoom",
    "RandomContrast", "RandomBrightness", "RandomTranslation", "RandomCrop", "TextVectorization",
    "Discretization",
    "StringLookup", "IntegerLookup", "CategoryEncoding", "Hashing", "ActivityRegularization",
)  # fmt: skip
_VARIANTS = {
    "maxpool1d": "MaxPooling1D", "maxpool2d": "MaxPooling2D", "maxpool3d": "MaxPooling3D",
    "avgpool1d": "AveragePooling1D", "avgpool2d": "AveragePooling2D", "averagepool2d": "AveragePooling2D",
    "avgpooling2d": "AveragePooling2D", "globalavgpool1d": "GlobalAveragePooling1D",
    "globalavgpool2d": "GlobalAveragePooling2D", "globalaveragepool2d": "GlobalAveragePooling2D",
    "globalavgpooling2d": "GlobalAveragePooling2D", "globalmaxpool1d": "GlobalMaxPooling1D",
    "globalmaxpool2d": "GlobalMaxPooling2D", "globalaveragepooling": "GlobalAveragePooling2D",
    "globalmaxpooling": "GlobalMaxPooling2D", "maxpooling": "MaxPooling2D",
    "averagepooling": "AveragePooling2D",
    "maxpool": "MaxPooling2D", "convolution2d": "Conv2D", "convolution1d": "Conv1D",
    "convolution3d": "Conv3D",
    "deconv2d": "Conv2DTranspose", "convolution2dtranspose": "Conv2DTranspose",
    "deconvolution2d": "Conv2DTranspose",
    "separableconvolution2d": "SeparableConv2D", "batchnorm": "BatchNormalization",
    "batchnorm2d": "BatchNormalization", "batchnorm1d": "BatchNormalization",
    "layernorm": "LayerNormalization",
    "cudnnlstm": "LSTM", "cudnngru": "GRU", "rnn": "SimpleRNN", "linear": "Dense", "inputlayer": "Input",
    "merge": "Concatenate", "upsample2d": "UpSampling2D", "dropout2d": "SpatialDropout2D", "conv": "Conv2D",
    "upsample": "UpSampling2D", "upsampling": "UpSampling2D", "randomheight": "RandomZoom",
    "swish": "Activation",
    "resnet": "ResNet50", "vgg": "VGG16", "inception": "InceptionV3", "densenet": "DenseNet121",
    "mobilenetv3": "MobileNetV3Small", "nasnet": "NASNetMobile", "efficientnet": "EfficientNetB0",
    "effnetb0": "EfficientNetB0", "resnext50": "ResNet50V2", "resnet18": "ResNet50", "resnet34": "ResNet50",
    "flat": "Flatten", "layernormalisation": "LayerNormalization", "batchnormalisation": "BatchNormalization",
    "inceptionresnet": "InceptionResNetV2", "efficientnetv2": "EfficientNetV2B0", "convnext": "ConvNeXtTiny",
}  # fmt: skip
SPELLINGS = {name.lower(): name for name in (*LAYERS, *BASES)} | _VARIANTS
POSITIONAL_UNITS = frozenset(
    name
    for name in LAYERS
    if name in ("Dense", "LSTM", "GRU", "SimpleRNN", "Embedding", "Add")
    or ("Conv" in name and "Depthwise" not in name)
) - {"Add", "Embedding"}

# Ordered: the first pattern that is found decides.
ACTIVATIONS = (
    (r"leaky[ _-]?relu", "leaky_relu"),
    (r"log[ _-]?softmax", "log_softmax"),
    (r"softmax", "softmax"),
    (r"hard[ _-]?sigmoid", "hard_sigmoid"),
    (r"sigmoid", "sigmoid"),
    (r"tanh", "tanh"),
    (r"\brelu6\b", "relu6"),
    (r"\bselu\b", "selu"),
    (r"\bgelu\b", "gelu"),
    (r"\bsilu\b", "silu"),
    (r"\bswish\b", "swish"),
    (r"\bmish\b", "mish"),
    (r"\belu\b", "elu"),
    (r"relu|rectified linear", "relu"),
    (r"softplus", "softplus"),
    (r"softsign", "softsign"),
    (r"\blinear\b", "linear"),
)


def _spelled(name: str) -> str:
    """Return a pattern for a Keras name written as one word or as several: "Max Pooling 2D"."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+D?", name)
    return r"[\s_-]*".join(re.escape(part) for part in parts)


_PROSE = (
    ("Bidirectional:LSTM", r"bi[- ]?directional[\s(:]*lstm(?:/gru)?|\bbi-?lstm"),
    ("Bidirectional:GRU", r"bi[- ]?directional[\s(:]*gru|\bbi-?gru"),
    ("Bidirectional:LSTM", r"bi[- ]?directional(?: rnn| recurrent)?"),
    ("ConvLSTM2D", r"conv[- ]?lstm"),
    ("Conv2DTranspose", r"transposed? conv\w*|conv\w*[ -]transposed?|deconv\w*|up[- ]?conv\w*"),
    ("SeparableConv2D", r"(?:depthwise )?separable conv\w*(?: ?2d)?"),
    ("DepthwiseConv2D", r"depth-?wise conv\w*(?: ?2d)?"),
    ("Conv1D", r"1[- ]?d[- ]conv\w*|conv(?:olution\w*)? ?1 ?d\b|temporal conv\w*"),
    ("Conv3D", r"3[- ]?d[- ]conv\w*|conv(?:olution\w*)? ?3 ?d\b"),
    ("Conv2D", r"(?:2[- ]?d[- ])?conv(?:olution(?:al)?)?s?(?:[ -]?2 ?d|\b)|\bcnn\b"),
    ("GlobalAveragePooling2D", r"global[ -]?(?:average|avg)[ -]?pool(?:ing)?(?: ?2d)?"),
    ("GlobalMaxPooling2D", r"global[ -]?max[ -]?pool(?:ing)?(?: ?2d)?"),
    ("MaxPooling1D", r"max[ -]?pool(?:ing)? ?1d"),
    ("MaxPooling2D", r"max[ -]?pool(?:ing)?s?(?: ?2d)?|\bpooling\b"),
    ("AveragePooling2D", r"(?:average|avg)[ -]?pool(?:ing)?(?: ?2d)?"),
    ("BatchNormalization", r"batch[ -]?norm(?:ali[sz]ation)?s?"),
    ("LayerNormalization", r"layer[ -]?norm(?:ali[sz]ation)?s?"),
    ("SpatialDropout1D", r"spatial[ -]?dropout"),
    ("GaussianNoise", r"gaussian[ -]?noise"),
    ("Dropout", r"drop-?outs?"),
    ("Embedding", r"embeddings?"),
    ("MultiHeadAttention", r"multi[- ]?head(?:ed)?[- ](?:self[- ])?attention|self[- ]attention|transformer"),
    ("Attention", r"attention"),
    ("TimeDistributed", r"time[ -]?distributed"),
    ("Flatten", r"flatten(?:ing)?"),
    ("UpSampling2D", r"up[- ]?sampl\w*(?: ?2d)?"),
    ("ZeroPadding2D", r"zero[ -]?padding"),
    ("Concatenate", r"concat\w*|skip connections?"),
    ("LSTM", r"\blstms?\b(?:/gru)?|long short[- ]term memory"),
    ("GRU", r"\bgrus?\b|gated recurrent units?"),
    ("SimpleRNN", r"\brnns?\b|recurrent"),
    ("LeakyReLU", r"leaky[ _-]?relu(?! activation)"),
    ("PReLU", r"\bprelu\b"),
    ("RepeatVector", r"repeat[ -]?vector"),
    ("Input", r"^input(?:[ _-]?layers?)?\b"),
    ("Dense", r"dense(?:ly)?(?:[ -]connected)?|fully[- ]?connected|\bfc\b|\blinear layers?|output layers?"),
    (
        "Dense",
        r"^output\b|^(?:softmax|sigmoid|linear|relu|hidden)(?: output| activation)? layers?|hidden layers?",
    ),
    ("Activation", r"^(?:relu|softmax|sigmoid|tanh|swish|elu|selu|gelu)\b(?: activation)?|^activation"),
    ("Rescaling", r"rescal\w*"),
    ("RandomFlip", r"random[ -]?flip"),
    ("Add", r"^add\b|residual connections?|\badd layer"),
)
_BASE_PROSE = (
    ("InceptionResNetV2", r"inception[ -]?res-?net(?:[ -]?v2)?"),
    ("EfficientNetV2B0", r"efficient-?net[ -]?v2\b"),
    ("EfficientNetB0", r"efficient-?nets?\b"),
    ("InceptionV3", r"inception(?:[ -]?v?3)?"),
    ("VGG16", r"vgg(?:[ -]?16)?|\bvggface"),
    ("VGG19", r"vgg[ -]?19"),
    ("MobileNetV2", r"mobile-?net[ -]?v2"),
    ("MobileNet", r"mobile-?net"),
    ("DenseNet121", r"dense-?net(?:[ -]?121)?"),
    ("ResNet50", r"res-?net(?:[ -]?50)?\b|\bresnext\w*"),
    ("Xception", r"xception"),
)


def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    exact = [(name, rf"\b{_spelled(name)}\b") for name in sorted(BASES, key=lambda name: (-len(name), name))]
    exact += [(name, pattern) for name, pattern in _BASE_PROSE]
    prose = [(name, pattern) for name, pattern in _PROSE if name.startswith("Bidirectional")]
    plain = sorted((name for name in LAYERS if name not in _LOOSE), key=lambda name: (-len(name), name))
    exact_layers = [(name, rf"\b{_spelled(name)}s?\b") for name in plain]
    rest = [(name, pattern) for name, pattern in _PROSE if not name.startswith("Bidirectional")]
    return tuple(
        (name, re.compile(pattern, re.IGNORECASE)) for name, pattern in [*exact, *prose, *exact_layers, *rest]
    )


# Names that are also plain English words: only their own prose patterns count.
_LOOSE = frozenset(
    ("Add", "Average", "Dot", "Multiply", "Maximum", "Subtract", "Input", "Lambda", "Activation", "Attention")
) | {"Normalization", "ReLU", "LeakyReLU", "ELU", "Softmax", "Resizing", "Bidirectional", "Dense", "Hashing"}
LAYER_PATTERNS = _compiled()
