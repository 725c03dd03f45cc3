"""PyTorch's layers in Keras' words: which layers a module stands for, with which arguments.

Sizes that PyTorch asks for and Keras infers (`in_features`) are left out of the arguments and kept as the
shape that a layer takes. A padding that keeps the size, or divides it by the stride, is "same".
"""

from collections.abc import Callable

from dlcodegen_local.plan.extraction_values import Layer, Value, number_of

Bound = dict[str, Value]

_CONV = "in_channels out_channels kernel_size stride padding dilation groups bias"
_TRANSPOSED = "in_channels out_channels kernel_size stride padding output_padding groups bias dilation"
_RNN = "input_size hidden_size num_layers bias batch_first dropout bidirectional"
_BLOCK = "d_model nhead dim_feedforward dropout activation"
_PROBABILITY = "p inplace"
_SIGNATURES = {
    "Linear": "in_features out_features bias",
    "Bilinear": "in1_features in2_features out_features",
    "Embedding": "num_embeddings embedding_dim padding_idx",
    "EmbeddingBag": "num_embeddings embedding_dim",
    "MaxPool": "kernel_size stride padding",
    "AvgPool": "kernel_size stride padding",
    "AdaptivePool": "output_size",
    "LeakyReLU": "negative_slope inplace",
    "ELU": "alpha inplace",
    "PReLU": "num_parameters",
    "Softmax": "dim",
    "Dropout": _PROBABILITY,
    "GroupNorm": "num_groups num_channels",
    "MultiheadAttention": "embed_dim num_heads dropout",
    "Transformer": "d_model nhead num_encoder_layers num_decoder_layers dim_feedforward",
    "Upsample": "size scale_factor mode",
    "UpsamplingNearest2d": "size scale_factor",
    "UpsamplingBilinear2d": "size scale_factor",
    "PixelShuffle": "upscale_factor",
    "Unflatten": "dim unflattened_size",
    "Pad": "padding value",
}
_ACTIVATIONS = {
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "GELU": "gelu",
    "SiLU": "silu",
    "Mish": "mish",
    "SELU": "selu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Hardswish": "hard_swish",
    "Hardsigmoid": "hard_sigmoid",
    "ReLU6": "relu6",
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
    "Hardtanh": "hard_tanh",
    "GLU": "glu",
    "CELU": "celu",
}
_NORMALISATIONS = {
    "BatchNorm1d": "BatchNormalization",
    "BatchNorm2d": "BatchNormalization",
    "BatchNorm3d": "BatchNormalization",
    "SyncBatchNorm": "BatchNormalization",
    "LazyBatchNorm1d": "BatchNormalization",
    "LazyBatchNorm2d": "BatchNormalization",
    "InstanceNorm1d": "InstanceNormalization",
    "InstanceNorm2d": "InstanceNormalization",
    "InstanceNorm3d": "InstanceNormalization",
    "LayerNorm": "LayerNormalization",
    "RMSNorm": "RMSNormalization",
    "LocalResponseNorm": "LocalResponseNormalization",
}
_DROPOUTS = {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"}
_WITHOUT_WEIGHTS = (
    "Activation",
    "Add",
    "Adaptive",
    "Average",
    "Concatenate",
    "Dropout",
    "ELU",
    "Flatten",
    "Global",
    "LeakyReLU",
    "Max",
    "Pixel",
    "ReLU",
    "Reshape",
    "Softmax",
    "UpSampling",
    "ZeroPadding",
)


def has_no_weights(layer: Layer) -> bool:
    """Say whether a layer learns nothing, so that each of its uses is a layer of its own."""
    return layer.name.startswith(_WITHOUT_WEIGHTS)


def translate_layer(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer] | None:
    """Return the layers that a module of `torch.nn` stands for, None for a name that is no such module."""
    if name in ("Identity", "ParameterList"):
        return []
    if name == "Flatten":
        return [Layer("Flatten")]
    if name == "ReLU":
        return [Layer("ReLU")]
    if name in _ACTIVATIONS:
        return [Layer("Activation", (_ACTIVATIONS[name],))]
    if name in _NORMALISATIONS:
        return [Layer(_NORMALISATIONS[name])]
    if name in _DROPOUTS:
        bound = _bind(_PROBABILITY, args, kwargs)
        return [Layer("AlphaDropout" if "Alpha" in name else "Dropout", (bound.get("p", 0.5),))]
    for kind, translate in _TRANSLATIONS:
        if name.startswith(kind):
            return translate(name, args, kwargs)
    return None


def _bind(signature: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Bound:
    return dict(zip(signature.split(), args, strict=False)) | kwargs


def _bound(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Bound:
    return _bind(_SIGNATURES[name], args, kwargs)


def _dims(name: str) -> int:
    return next((int(char) for char in name if char in "123"), 2)


def _sized(value: Value, dims: int) -> Value:
    """Write a size as Keras code does: a number along one axis, else a tuple."""
    if dims > 1 and not isinstance(value, tuple | list):
        return (value,) * dims
    if dims == 1 and isinstance(value, tuple | list) and len(value) == 1:
        return value[0]
    return tuple(value) if isinstance(value, list) else value


def _first(value: Value, default: int) -> int | None:
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    return default if value is None else value if isinstance(value, int) else None


def _linear(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    if name.startswith("Lazy"):
        args = (None, *args)
    bound = _bound("Linear", args, kwargs)
    options = {"use_bias": False} if bound.get("bias") is False else {}
    return [Layer("Dense", (bound.get("out_features"),), options, takes=(bound.get("in_features"),))]


def _convolution(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer] | None:
    if name.startswith("Lazy"):
        name, args = name.removeprefix("Lazy"), (None, *args)
    if not name.startswith("Conv"):
        return None
    dims, is_transposed = _dims(name), "Transpose" in name
    bound = _bind(_TRANSPOSED if is_transposed else _CONV, args, kwargs)
    channels, filters = bound.get("in_channels"), bound.get("out_channels")
    kernel, stride = bound.get("kernel_size"), bound.get("stride", 1)
    groups, dilation = bound.get("groups", 1), bound.get("dilation", 1)
    options: dict[str, Value] = {}
    if _sized(stride, dims) != _sized(1, dims):
        options["strides"] = _sized(stride, dims)
    if _is_same(bound, is_transposed):
        options["padding"] = "same"
    if _sized(dilation, dims) != _sized(1, dims):
        options["dilation_rate"] = _sized(dilation, dims)
    if bound.get("bias") is False:
        options["use_bias"] = False
    takes = (*(None,) * dims, channels)
    if groups != 1 and groups == channels and not is_transposed and dims < 3:
        return [Layer(f"DepthwiseConv{dims}D", (_sized(kernel, dims),), options, takes=takes)]
    if groups != 1:
        options["groups"] = groups
    ending = f"{dims}D" + ("Transpose" if is_transposed else "")
    return [Layer(f"Conv{ending}", (filters, _sized(kernel, dims)), options, takes=takes)]


def _is_same(bound: Bound, is_transposed: bool) -> bool:
    """Say whether a padding keeps the size, up to the stride."""
    padding = bound.get("padding", 0)
    if isinstance(padding, str):
        return padding == "same"
    width, step = _first(bound.get("kernel_size"), 1), _first(bound.get("stride"), 1)
    pad, dilation = _first(padding, 0), _first(bound.get("dilation"), 1)
    if width is None or dilation is None or not pad or not step or pad < 0 or step < 0:
        # A kernel that only has a name is padded to keep the size, as a rule.
        return width is None and padding != 0 and pad != 0
    reach = dilation * (width - 1) + 1
    if is_transposed:
        extra = _first(bound.get("output_padding"), 0)
        return extra is not None and reach + extra - 2 * pad == step
    return (2 * pad - reach) // step + 1 == 0


def _pool(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer] | None:
    dims, bound = _dims(name), _bound("MaxPool", args, kwargs)
    kind = "MaxPooling" if name.startswith("Max") else "AveragePooling"
    if "Pool" not in name or "Unpool" in name:
        return None
    size, stride = bound.get("kernel_size"), bound.get("stride")
    options: dict[str, Value] = {}
    if stride is not None and _sized(stride, dims) != _sized(size, dims):
        options["strides"] = _sized(stride, dims)
    if _first(bound.get("padding"), 0) != 0:
        options["padding"] = "same"
    return [Layer(f"{kind}{dims}D", (_sized(size, dims),), options)]


def _adaptive(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    dims, size = _dims(name), _bound("AdaptivePool", args, kwargs).get("output_size")
    kind = "Max" if "Max" in name else "Average"
    if _sized(size, dims) in (_sized(1, dims), (1,) * dims, 1):
        return [Layer(f"Global{kind}Pooling{dims}D")]
    return [Layer(f"Adaptive{kind}Pooling{dims}D", (_sized(size, dims),))]


def _leaky(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    return [Layer("LeakyReLU", (_bound("LeakyReLU", args, kwargs).get("negative_slope", 0.01),))]


def _softmax(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    return [Layer("Softmax")]


def _own_name(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    return [Layer(name)]


def _embedding(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    bound = _bound("Embedding", args, kwargs)
    return [Layer("Embedding", (bound.get("num_embeddings"), bound.get("embedding_dim")), takes=(None,))]


def _recurrent(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    bound = _bind(_RNN, args, kwargs)
    keras_name = "SimpleRNN" if name.startswith("RNN") else name.removesuffix("Cell")
    units, width = bound.get("hidden_size"), bound.get("input_size")
    if name.endswith("Cell"):
        return [Layer(f"{keras_name}Cell", (units,), takes=(width,))]
    both, depth = bound.get("bidirectional") is True, bound.get("num_layers", 1)
    layers: list[Layer] = []
    for _ in range(min(depth, 64) if isinstance(depth, int) else 1):
        inner = Layer(keras_name, (units,), {"return_sequences": True}, takes=(None, width))
        layers.append(Layer("Bidirectional", (inner,), takes=(None, width)) if both else inner)
    return layers


def _group_norm(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    return [Layer("GroupNormalization", (_bound("GroupNorm", args, kwargs).get("num_groups"),))]


def _attention(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    bound = _bound("MultiheadAttention", args, kwargs)
    heads, width = bound.get("num_heads"), bound.get("embed_dim")
    options: dict[str, Value] = {"num_heads": heads}
    if isinstance(heads, int) and isinstance(width, int) and heads:
        options["key_dim"] = width // heads
    return [Layer("MultiHeadAttention", (), options, takes=(None, width))]


def _transformer(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer] | None:
    if name in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
        bound = _bind(_BLOCK, args, kwargs)
        options = {
            "d_model": bound.get("d_model"),
            "num_heads": bound.get("nhead"),
            "dim_feedforward": bound.get("dim_feedforward", 2048),
        }
        return [Layer(name, (), options, takes=(None, bound.get("d_model")))]
    if name in ("TransformerEncoder", "TransformerDecoder"):
        inner = kwargs.get("encoder_layer", kwargs.get("decoder_layer", args[0] if args else None))
        depth = kwargs.get("num_layers", args[1] if len(args) > 1 else 1)
        if not isinstance(inner, Layer):
            return [Layer(name)]
        return [_copy(inner) for _ in range(min(depth, 64) if isinstance(depth, int) else 1)]
    bound = _bound("Transformer", args, kwargs)
    layers: list[Layer] = []
    for half in ("encoder", "decoder"):
        depth = bound.get(f"num_{half}_layers", 6)
        width, heads = bound.get("d_model", 512), bound.get("nhead", 8)
        block = f"Transformer{half.capitalize()}Layer"
        for _ in range(min(depth, 64) if isinstance(depth, int) else 1):
            made = _transformer(
                block, (width, heads), {"dim_feedforward": bound.get("dim_feedforward", 2048)}
            )
            layers += made or []
    return layers


def _copy(layer: Layer) -> Layer:
    return Layer(layer.name, layer.args, layer.kwargs, takes=layer.takes)


def _upsample(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    bound = _bound("Upsample", args, kwargs)
    factor = bound.get("scale_factor")
    if factor is None:
        return [Layer("Resizing", tuple(_sized(bound.get("size"), 2)))]
    plain = int(factor) if isinstance(factor, float) and factor.is_integer() else factor
    options = {"interpolation": "bilinear"} if "ilinear" in f"{name}{bound.get('mode')}" else {}
    return [Layer("UpSampling2D", (_sized(plain, 2),), options)]


def _pixel_shuffle(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    return [Layer(name, (next(iter(_bound("PixelShuffle", args, kwargs).values()), None),))]


def _unflatten(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    return [Layer("Reshape", (last_channels(_bound("Unflatten", args, kwargs).get("unflattened_size")),))]


def last_channels(shape: Value) -> Value:
    """Return a shape with its first axis, the channels, moved to the end."""
    if isinstance(shape, tuple | list) and len(shape) > 1:
        return (*shape[1:], shape[0])
    return shape


def _padding(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer] | None:
    if "Pad" not in name:
        return None
    width = _bound("Pad", args, kwargs).get("padding")
    sizes = list(width) if isinstance(width, tuple | list) else [width]
    return [Layer(f"ZeroPadding{_dims(name)}D", (sizes[0] if len(set(map(str, sizes))) == 1 else width,))]


def _elu(name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> list[Layer]:
    alpha = _bound("ELU", args, kwargs).get("alpha", 1.0)
    return [Layer("ELU", (alpha,) if number_of(alpha) not in (1, None) else ())]


# Ordered: the first beginning of a name that yields something decides.
_TRANSLATIONS: tuple[
    tuple[str, Callable[[str, tuple[Value, ...], dict[str, Value]], list[Layer] | None]], ...
] = (
    ("Linear", _linear),
    ("LazyLinear", _linear),
    ("LazyConv", _convolution),
    ("Conv", _convolution),
    ("MaxPool", _pool),
    ("AvgPool", _pool),
    ("LPPool", _own_name),
    ("Adaptive", _adaptive),
    ("LeakyReLU", _leaky),
    ("RReLU", _own_name),
    ("PReLU", _own_name),
    ("ELU", _elu),
    ("Softmax", _softmax),
    ("Softmin", _own_name),
    ("Embedding", _embedding),
    ("LSTM", _recurrent),
    ("GRU", _recurrent),
    ("RNN", _recurrent),
    ("GroupNorm", _group_norm),
    ("MultiheadAttention", _attention),
    ("Transformer", _transformer),
    ("Upsampl", _upsample),
    ("PixelShuffle", _pixel_shuffle),
    ("PixelUnshuffle", _pixel_shuffle),
    ("Unflatten", _unflatten),
    ("ZeroPad", _padding),
    ("ReflectionPad", _padding),
    ("ReplicationPad", _padding),
    ("ConstantPad", _padding),
    ("Bilinear", _own_name),
)
