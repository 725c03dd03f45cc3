"""What the compiler knows of Keras 3's layers: their arguments, the rank they take, safe defaults.

Ranks leave the batch axis out: an image is rank 3, a sequence of vectors rank 2, a vector rank 1.
"""

from dataclasses import dataclass

_KERNEL = (
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
)
_CONV = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups")
_CONV_REST = ("activation", "use_bias", *_KERNEL, "name")
_RNN = (
    "units",
    "activation",
    "recurrent_activation",
    "use_bias",
    "return_sequences",
    "return_state",
    "dropout",
    "recurrent_dropout",
    "go_backwards",
    "kernel_regularizer",
    "recurrent_regularizer",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "unroll",
    "name",
)
_POOL = ("pool_size", "strides", "padding", "name")


@dataclass(frozen=True)
class LayerSpec:
    """Describe one layer: its arguments in Keras' order and the rank that it takes (None: any)."""

    params: tuple[str, ...]
    rank: int | None = None


def _conv(rank: int) -> LayerSpec:
    return LayerSpec((*_CONV, *_CONV_REST), rank)


SPECS: dict[str, LayerSpec] = {
    "Dense": LayerSpec(("units", "activation", "use_bias", *_KERNEL, "name")),
    "Conv1D": _conv(2),
    "Conv2D": _conv(3),
    "Conv3D": _conv(4),
    "SeparableConv1D": LayerSpec(("filters", "kernel_size", "strides", "padding", *_CONV_REST), 2),
    "SeparableConv2D": LayerSpec(("filters", "kernel_size", "strides", "padding", *_CONV_REST), 3),
    "DepthwiseConv1D": LayerSpec(("kernel_size", "strides", "padding", "depth_multiplier", *_CONV_REST), 2),
    "DepthwiseConv2D": LayerSpec(("kernel_size", "strides", "padding", "depth_multiplier", *_CONV_REST), 3),
    "Conv1DTranspose": LayerSpec(("filters", "kernel_size", "strides", "padding", *_CONV_REST), 2),
    "Conv2DTranspose": LayerSpec(("filters", "kernel_size", "strides", "padding", *_CONV_REST), 3),
    "Conv3DTranspose": LayerSpec(("filters", "kernel_size", "strides", "padding", *_CONV_REST), 4),
    "ConvLSTM2D": LayerSpec(("filters", "kernel_size", "strides", "padding", *_RNN[1:]), 4),
    "ConvLSTM1D": LayerSpec(("filters", "kernel_size", "strides", "padding", *_RNN[1:]), 3),
    "LSTM": LayerSpec(_RNN, 2),
    "GRU": LayerSpec((*_RNN, "reset_after"), 2),
    "SimpleRNN": LayerSpec(_RNN, 2),
    "Embedding": LayerSpec(("input_dim", "output_dim", "mask_zero", "embeddings_regularizer", "name"), 1),
    "Flatten": LayerSpec(("name",)),
    "Dropout": LayerSpec(("rate", "noise_shape", "seed", "name")),
    "SpatialDropout1D": LayerSpec(("rate", "name"), 2),
    "SpatialDropout2D": LayerSpec(("rate", "name"), 3),
    "SpatialDropout3D": LayerSpec(("rate", "name"), 4),
    "GaussianDropout": LayerSpec(("rate", "name")),
    "AlphaDropout": LayerSpec(("rate", "name")),
    "GaussianNoise": LayerSpec(("stddev", "name")),
    "BatchNormalization": LayerSpec(("axis", "momentum", "epsilon", "center", "scale", "name")),
    "LayerNormalization": LayerSpec(("axis", "epsilon", "center", "scale", "name")),
    "GroupNormalization": LayerSpec(("groups", "axis", "epsilon", "name")),
    "UnitNormalization": LayerSpec(("axis", "name")),
    "Activation": LayerSpec(("activation", "name")),
    "ReLU": LayerSpec(("max_value", "negative_slope", "threshold", "name")),
    "LeakyReLU": LayerSpec(("negative_slope", "name")),
    "PReLU": LayerSpec(("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes", "name")),
    "ELU": LayerSpec(("alpha", "name")),
    "Softmax": LayerSpec(("axis", "name")),
    "RepeatVector": LayerSpec(("n", "name"), 1),
    "Reshape": LayerSpec(("target_shape", "name")),
    "Permute": LayerSpec(("dims", "name")),
    "Masking": LayerSpec(("mask_value", "name"), 2),
    "Attention": LayerSpec(("use_scale", "score_mode", "dropout", "name"), 2),
    "AdditiveAttention": LayerSpec(("use_scale", "dropout", "name"), 2),
    "MultiHeadAttention": LayerSpec(("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "name"), 2),
    "UpSampling1D": LayerSpec(("size", "name"), 2),
    "UpSampling2D": LayerSpec(("size", "data_format", "interpolation", "name"), 3),
    "UpSampling3D": LayerSpec(("size", "name"), 4),
    "ZeroPadding1D": LayerSpec(("padding", "name"), 2),
    "ZeroPadding2D": LayerSpec(("padding", "name"), 3),
    "ZeroPadding3D": LayerSpec(("padding", "name"), 4),
    "Cropping1D": LayerSpec(("cropping", "name"), 2),
    "Cropping2D": LayerSpec(("cropping", "name"), 3),
    "Concatenate": LayerSpec(("axis", "name")),
    "Add": LayerSpec(("name",)),
    "Multiply": LayerSpec(("name",)),
    "Average": LayerSpec(("name",)),
    "Maximum": LayerSpec(("name",)),
    "Subtract": LayerSpec(("name",)),
    "Rescaling": LayerSpec(("scale", "offset", "name")),
    "Resizing": LayerSpec(("height", "width", "interpolation", "name"), 3),
    "CenterCrop": LayerSpec(("height", "width", "name"), 3),
    "RandomFlip": LayerSpec(("mode", "seed", "name"), 3),
    "RandomRotation": LayerSpec(("factor", "fill_mode", "interpolation", "seed", "name"), 3),
    "RandomZoom": LayerSpec(("height_factor", "width_factor", "fill_mode", "seed", "name"), 3),
    "RandomContrast": LayerSpec(("factor", "seed", "name"), 3),
    "RandomBrightness": LayerSpec(("factor", "value_range", "seed", "name"), 3),
    "RandomTranslation": LayerSpec(("height_factor", "width_factor", "fill_mode", "seed", "name"), 3),
}
for _rank in (1, 2, 3):
    for _kind in ("MaxPooling", "AveragePooling"):
        SPECS[f"{_kind}{_rank}D"] = LayerSpec(_POOL, _rank + 1)
        SPECS[f"Global{_kind}{_rank}D"] = LayerSpec(("data_format", "keepdims", "name"), _rank + 1)

MERGES = frozenset({"Concatenate", "Add", "Multiply", "Average", "Maximum", "Subtract"})
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})
# Layers that leave rank and meaning alone: looked through when asking what comes next.
TRANSPARENT = frozenset(
    {
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "GaussianDropout",
        "GaussianNoise",
        "AlphaDropout",
        "BatchNormalization",
        "LayerNormalization",
        "UnitNormalization",
        "GroupNormalization",
        "Activation",
        "ReLU",
        "LeakyReLU",
        "PReLU",
        "ELU",
        "Softmax",
    }
)
ACTIVATION_LAYERS = frozenset({"Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"})
ACTIVATIONS = frozenset(
    {
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "swish",
        "mish",
        "tanh",
        "sigmoid",
        "hard_sigmoid",
        "softmax",
        "log_softmax",
        "softplus",
        "softsign",
        "linear",
        "exponential",
    }
)
INITIALIZERS = frozenset(
    {
        "glorot_uniform",
        "glorot_normal",
        "he_normal",
        "he_uniform",
        "lecun_normal",
        "lecun_uniform",
        "random_normal",
        "random_uniform",
        "truncated_normal",
        "orthogonal",
        "zeros",
        "ones",
        "uniform",
        "normal",
    }
)
# Activations that belong inside a network: a last layer with one of them is hardly the output.
HIDDEN_ACTIVATIONS = frozenset(
    {"relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "mish", "tanh", "softplus"}
)
# Pretrained networks: smallest image side they take, factor by which they shrink it, channels they give.
BASE_FACTS: dict[str, tuple[int, int, int]] = {
    "VGG16": (32, 32, 512),
    "VGG19": (32, 32, 512),
    "InceptionV3": (75, 32, 2048),
    "InceptionResNetV2": (75, 32, 1536),
    "Xception": (71, 32, 2048),
    "MobileNet": (32, 32, 1024),
    "MobileNetV2": (32, 32, 1280),
    "MobileNetV3Small": (32, 32, 576),
    "MobileNetV3Large": (32, 32, 960),
    "DenseNet121": (32, 32, 1024),
    "DenseNet169": (32, 32, 1664),
    "DenseNet201": (32, 32, 1920),
    "NASNetMobile": (32, 32, 1056),
    "NASNetLarge": (32, 32, 4032),
    "EfficientNetB0": (32, 32, 1280),
    "EfficientNetB1": (32, 32, 1280),
    "EfficientNetB2": (32, 32, 1408),
    "EfficientNetB3": (32, 32, 1536),
    "EfficientNetB4": (32, 32, 1792),
    "EfficientNetB5": (32, 32, 2048),
    "EfficientNetB6": (32, 32, 2304),
    "EfficientNetB7": (32, 32, 2560),
    "EfficientNetV2B0": (32, 32, 1280),
    "EfficientNetV2B1": (32, 32, 1280),
    "EfficientNetV2B2": (32, 32, 1408),
    "EfficientNetV2B3": (32, 32, 1536),
    "EfficientNetV2S": (32, 32, 1280),
    "EfficientNetV2M": (32, 32, 1280),
    "EfficientNetV2L": (32, 32, 1280),
    "ConvNeXtTiny": (32, 32, 768),
    "ConvNeXtSmall": (32, 32, 768),
    "ConvNeXtBase": (32, 32, 1024),
    "ConvNeXtLarge": (32, 32, 1536),
    "ConvNeXtXLarge": (32, 32, 2048),
} | {f"ResNet{depth}{version}": (32, 32, 2048) for depth in (50, 101, 152) for version in ("", "V2")}
