"""Functions and tensor methods of PyTorch that stand for layers where a model's `forward` uses them.

Outside of `forward` they only carry tensors on: a softmax over predictions is no layer of the model.
"""

import ast

from dlcodegen_local.plan.extraction_shapes import layer_shape
from dlcodegen_local.plan.extraction_torch_names import last_channels, translate_layer
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import Layer, Symbol, Tensor, Value, tensors_in

# function -> the module that does the same.
_FUNCTIONS = {
    "relu": "ReLU",
    "relu_": "ReLU",
    "leaky_relu": "LeakyReLU",
    "leaky_relu_": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "mish": "Mish",
    "relu6": "ReLU6",
    "tanh": "Tanh",
    "tanh_": "Tanh",
    "sigmoid": "Sigmoid",
    "sigmoid_": "Sigmoid",
    "softplus": "Softplus",
    "hardswish": "Hardswish",
    "hardtanh": "Hardtanh",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "dropout": "Dropout",
    "dropout1d": "Dropout",
    "dropout2d": "Dropout",
    "dropout3d": "Dropout",
    "alpha_dropout": "AlphaDropout",
    "max_pool1d": "MaxPool1d",
    "max_pool2d": "MaxPool2d",
    "max_pool3d": "MaxPool3d",
    "avg_pool1d": "AvgPool1d",
    "avg_pool2d": "AvgPool2d",
    "avg_pool3d": "AvgPool3d",
    "adaptive_avg_pool1d": "AdaptiveAvgPool1d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
    "adaptive_avg_pool3d": "AdaptiveAvgPool3d",
    "adaptive_max_pool1d": "AdaptiveMaxPool1d",
    "adaptive_max_pool2d": "AdaptiveMaxPool2d",
    "pixel_shuffle": "PixelShuffle",
}
# Of these a second tensor or number is no argument of the module.
_POINTLESS = {"softmax", "log_softmax", "dim"}
_JOINS = {"cat", "concat", "concatenate", "hstack"}
_VIEWS = {
    "unsqueeze",
    "squeeze",
    "permute",
    "transpose",
    "expand",
    "expand_as",
    "view",
    "reshape",
    "movedim",
    "t",
}
_UNKNOWN_AFTER = {"size", "dim", "numel", "item", "tolist", "stride", "nelement", "ndimension", "get_device"}
_SAME_SHAPE = {
    "to", "cuda", "cpu", "float", "half", "double", "long", "contiguous", "clone", "detach", "bool", "int",
    "type_as", "requires_grad_", "clamp", "masked_fill",
}  # fmt: skip


def use_function(trace: Trace, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value | None:
    """Return what a function of `torch` or `torch.nn.functional` yields, None where it takes no tensor."""
    tensors = tensors_in([*args, *kwargs.values()])
    if not tensors:
        return None
    plain = Tensor(parents=tuple(tensors), is_torch=True)
    if name in ("save", "onnx", "no_grad") or not trace.in_forward:
        return plain
    if name in _JOINS and any(_is_output(tensor) for tensor in tensors):
        return _used(trace, Layer("Concatenate"), tensors)
    if name in ("add", "sum") and len(tensors) > 1:
        return added(trace, tensors[0], tensors[1]) or plain
    if name == "scaled_dot_product_attention":
        return _used(trace, Layer("Attention"), tensors)
    if name in ("interpolate", "upsample"):
        return _interpolated(trace, tensors, args, kwargs)
    if not isinstance(args[0] if args else tensors[0], Tensor):
        return plain
    if name in _FUNCTIONS:
        given = () if name in _POINTLESS else tuple(arg for arg in args[1:] if not isinstance(arg, Tensor))
        options = {key: item for key, item in kwargs.items() if not isinstance(item, Tensor)}
        made = translate_layer(_FUNCTIONS[name], given, options)
        return _used(trace, made[0], tensors[:1]) if made else plain
    method = _tensor_layer(name, tensors[0], args[1:], kwargs)
    return _used(trace, method, tensors[:1]) if method is not None else plain


def tensor_method(
    trace: Trace, owner: Tensor, name: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Return what a method of a tensor yields."""
    if name == "backward":
        trace.record("backward", owner)
        return None
    if name in _UNKNOWN_AFTER:
        return Symbol(text)
    plain = Tensor(parents=tuple(tensors_in([owner, *args])), is_torch=owner.is_torch)
    if name in _SAME_SHAPE:
        plain.shape = owner.shape
    if name in _SAME_SHAPE or name in _VIEWS:
        plain.producer = owner.producer
    if not trace.in_forward:
        return plain
    if name in _FUNCTIONS and name != "dropout":
        return use_function(trace, name, (owner, *args), kwargs)
    if name in ("add", "add_") and args and isinstance(args[0], Tensor):
        return added(trace, owner, args[0]) or plain
    layer = _tensor_layer(name, owner, args, kwargs)
    return _used(trace, layer, [owner]) if layer is not None else plain


def added(trace: Trace, left: Tensor, right: Tensor) -> Tensor | None:
    """Return the sum of two tensors as a layer puts it out, None where one of them is no layer's output."""
    if not trace.in_forward or not (_is_output(left) and _is_output(right)):
        return None
    return _used(trace, Layer("Add"), [left, right])


def _is_output(tensor: Tensor) -> bool:
    """Say whether a tensor comes from a layer as it is, or is an input of the model."""
    return tensor.producer is not None or not tensor.parents


def _used(trace: Trace, layer: Layer, tensors: list[Tensor]) -> Tensor:
    layer.is_torch = True
    used = trace.use_of(layer, *tensors)
    if used is layer:
        trace.new_layer(layer)
    output = trace.used(used, *tensors)
    output.shape = layer_shape(used, [tensor.shape for tensor in tensors])
    return output


def _interpolated(
    trace: Trace, tensors: list[Tensor], args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Tensor:
    given = tuple(arg for arg in args if not isinstance(arg, Tensor))
    options = {key: item for key, item in kwargs.items() if not isinstance(item, Tensor)}
    if options.get("scale_factor") is None and not (given or isinstance(options.get("size"), int | tuple)):
        return _used(trace, Layer("Resizing"), tensors[:1])
    made = translate_layer("Upsample", given, options)
    return _used(trace, made[0] if made else Layer("UpSampling2D"), tensors[:1])


def _tensor_layer(
    name: str, tensor: Tensor, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Layer | None:
    """Return the layer that flattens, reshapes or pools a tensor as the call does."""
    rank = len(tensor.shape) if tensor.shape is not None else None
    if name == "flatten":
        start = kwargs.get("start_dim", args[0] if args else 0)
        return Layer("Flatten") if start == 1 and len(args) < 2 and "end_dim" not in kwargs else None
    if name in ("view", "reshape"):
        sizes = list(args[0]) if len(args) == 1 and isinstance(args[0], tuple | list) else list(args)
        return _viewed(sizes, tensor.shape)
    if name in ("mean", "amax", "max"):
        return _pooled("Average" if name == "mean" else "Max", rank, args, kwargs)
    return None


def _viewed(sizes: list[Value], shape: tuple[Value, ...] | None) -> Layer | None:
    """Return what a view stands for: flattening what is not flat, or giving a vector axes."""
    rank = len(shape) if shape is not None else None
    if len(sizes) == 2:
        merges = isinstance(sizes[0], Symbol) and "*" in sizes[0].text
        keeps_last = shape is not None and rank == 2 and sizes[1] == shape[-1]
        return None if rank == 1 or sizes[1] == 1 or merges or keeps_last else Layer("Flatten")
    if rank == 1 and len(sizes) in (3, 4) and all(isinstance(size, int) for size in sizes[1:]):
        return Layer("Reshape", (last_channels(tuple(sizes[1:])),))
    return None


def _pooled(kind: str, rank: int | None, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Layer | None:
    axes = kwargs.get("dim", kwargs.get("axis", args[0] if args else None))
    several = sorted(axis for axis in axes if isinstance(axis, int)) if isinstance(axes, tuple | list) else []
    if several in ([2, 3], [-2, -1]):
        return Layer(f"Global{kind}Pooling2D")
    if several in ([2, 3, 4], [-3, -2, -1]):
        return Layer(f"Global{kind}Pooling3D")
    if isinstance(axes, int) and rank == 2 and axes in (1, 2, -1, -2):
        return Layer(f"Global{kind}Pooling1D")
    return None


def keep_last_step(output: Tensor, key: ast.expr) -> None:
    """Note what `[:, -1]` says of a recurrent layer's output: of its steps only the last is used."""
    layer = output.producer
    if not _is_last_step(key) or not isinstance(layer, Layer):
        return
    inner = layer.args[0] if layer.name == "Bidirectional" else layer
    if isinstance(inner, Layer) and inner.name in ("LSTM", "GRU", "SimpleRNN"):
        inner.kwargs.pop("return_sequences", None)


def _is_last_step(key: ast.expr) -> bool:
    parts = key.elts if isinstance(key, ast.Tuple) else []
    if len(parts) not in (2, 3) or ast.unparse(parts[1]) != "-1":
        return False
    return all(isinstance(part, ast.Slice) and part.lower is part.upper is None for part in parts[::2])
