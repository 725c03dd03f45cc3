"""Shapes of what layers put out, as far as the common layers allow; None where it is not known.

Shapes leave the batch axis out. An axis is a whole number, or None or a `Symbol` where it is unknown.
"""

import re

from dlcodegen_local.plan.extraction_values import Layer, Value, number_of

Shape = tuple[Value, ...]
_SAME_NAMES = """
Activation ActivityRegularization Add AlphaDropout Average BatchNormalization Dropout ELU GaussianDropout
GaussianNoise GroupNormalization InputLayer InstanceNormalization LayerNormalization LeakyReLU Masking
Maximum Minimum MultiHeadAttention Multiply Normalization PReLU RandomBrightness RandomContrast RandomFlip
RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom ReLU Rescaling Softmax
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization Subtract ThresholdedReLU
UnitNormalization
"""
_SAME = frozenset(_SAME_NAMES.split())
_MERGES = {"Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"}


def argument(layer: Layer, position: int, *names: str, default: Value = None) -> Value:
    """Return an argument by position or by any of its names."""
    for name in names:
        if name in layer.kwargs:
            return layer.kwargs[name]
    return layer.args[position] if position < len(layer.args) else default


def layer_shape(layer: Layer, shapes: list[Shape | None]) -> Shape | None:
    """Return the shape that a layer puts out for the shapes that it takes in."""
    name = layer.name
    shape = shapes[0] if shapes else None
    declared = layer.kwargs.get("input_shape")
    if shape is None and isinstance(declared, tuple | list):
        shape = tuple(declared)
    if name == "Dense" or name == "EinsumDense":
        units = argument(layer, 0, "units")
        return (*shape[:-1], units) if shape else (units,)
    if name in _SAME:
        return shape
    if name in ("Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling2D") or (
        name.startswith("Global")
    ):
        return _flat(name, shape)
    if name == "Embedding":
        return (*shape, argument(layer, 1, "output_dim")) if shape is not None else None
    if name in ("LSTM", "GRU", "SimpleRNN"):
        return _recurrent(layer, shape, 1)
    if name == "Bidirectional" and layer.args and isinstance(layer.args[0], Layer):
        return _recurrent(
            layer.args[0], shape, 1 if layer.kwargs.get("merge_mode") in ("sum", "ave", "mul") else 2
        )
    if name == "TimeDistributed" and layer.args and isinstance(layer.args[0], Layer):
        inner = layer_shape(layer.args[0], [shape[1:] if shape else None])
        return (shape[0], *inner) if shape and inner else None
    if name == "Reshape":
        target = argument(layer, 0, "target_shape")
        return tuple(target) if isinstance(target, tuple | list) and -1 not in target else None
    if name == "Resizing" and shape and len(shape) == 3:
        return (argument(layer, 0, "height"), argument(layer, 1, "width"), shape[2])
    if name == "RepeatVector" and shape:
        return (argument(layer, 0, "n"), *shape)
    if name == "Concatenate" and all(item is not None for item in shapes) and shape:
        return _concatenated([item for item in shapes if item is not None])
    return _spatial(layer, shape) if shape is not None else None


def _flat(name: str, shape: Shape | None) -> Shape | None:
    if not shape:
        return None
    if name != "Flatten":
        return (shape[-1],)
    size = 1
    for axis in shape:
        if not isinstance(axis, int):
            return (None,)
        size *= axis
    return (size,)


def _recurrent(layer: Layer, shape: Shape | None, factor: int) -> Shape | None:
    units = number_of(argument(layer, 0, "units"))
    width = units * factor if units is not None else None
    if layer.kwargs.get("return_sequences") is True:
        return (*shape[:-1], width) if shape else None
    return (width,)


def _concatenated(shapes: list[Shape]) -> Shape | None:
    axes = [number_of(shape[-1]) for shape in shapes if shape]
    known = [axis for axis in axes if axis is not None]
    return (*shapes[0][:-1], sum(known) if len(known) == len(shapes) else None)


def _spatial(layer: Layer, shape: Shape) -> Shape | None:
    """Follow convolution, pooling and up-sampling along the spatial axes."""
    name, dims = layer.name, len(shape) - 1
    if dims < 1:
        return None
    if name == f"Conv{dims}DTranspose":
        return _transposed(layer, shape)
    if re.fullmatch(r"(?:Separable|Depthwise)?Conv[123]D|Convolution[12]D", name):
        first = 0 if name.startswith("Depthwise") else 1
        kernel = _axes(argument(layer, first, "kernel_size"), dims, None)
        strides = _axes(argument(layer, first + 1, "strides", default=1), dims, 1)
        filters = shape[-1] if first == 0 else argument(layer, 0, "filters")
        return (*_slid(shape[:-1], kernel, strides, layer), filters)
    if name.startswith(("MaxPool", "AveragePooling", "AvgPool")):
        pool = _axes(argument(layer, 0, "pool_size", default=2), dims, 2)
        strides = _axes(argument(layer, 1, "strides") or pool, dims, None)
        return (*_slid(shape[:-1], pool, strides, layer), shape[-1])
    if name.startswith("UpSampling"):
        factors = _axes(argument(layer, 0, "size", default=2), dims, 2)
        return (*map(_times, shape[:-1], factors), shape[-1])
    return None


def _transposed(layer: Layer, shape: Shape) -> Shape:
    dims = len(shape) - 1
    kernel = _axes(argument(layer, 1, "kernel_size"), dims, None)
    strides = _axes(argument(layer, 2, "strides", default=1), dims, 1)
    sizes = list(map(_times, shape[:-1], strides))
    if layer.kwargs.get("padding", "valid") != "same":
        sizes = [
            None if size is None or width is None or step is None else size + max(width - step, 0)
            for size, width, step in zip(sizes, kernel, strides, strict=True)
        ]
    return (*sizes, argument(layer, 0, "filters"))


def _times(size: Value, factor: int | None) -> int | None:
    return size * factor if isinstance(size, int) and factor is not None else None


def _axes(value: Value, dims: int, default: int | None) -> list[int | None]:
    if isinstance(value, int):
        return [value] * dims
    if isinstance(value, tuple | list) and len(value) == dims:
        return [item if isinstance(item, int) else None for item in value]
    return [default] * dims


def _slid(sizes: Shape, windows: list[int | None], steps: list[int | None], layer: Layer) -> list[int | None]:
    """Return the sizes after a window has slid over them."""
    is_padded = layer.kwargs.get("padding", "valid") in ("same", "causal")
    slid: list[int | None] = []
    for size, window, step in zip(sizes, windows, steps, strict=True):
        if not isinstance(size, int) or not step or not (is_padded or window):
            slid.append(None)
        elif is_padded or window is None:
            slid.append(-(-size // step))
        else:
            slid.append(max((size - window) // step + 1, 1))
    return slid
