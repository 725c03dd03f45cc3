"""Output shapes of bound layers, batch axis left out; None is an axis of unknown length."""

import math

from dlcodegen_local.compiler.arguments import Bound, plain

Shape = tuple[int | None, ...]


def volume(shape: Shape) -> int:
    """Return the number of values in a shape; an unknown axis counts as 64."""
    return math.prod(64 if size is None else size for size in shape)


def window(size: int | None, kernel: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """Return an axis' length after a sliding window; 0 where the window does not fit."""
    if size is None:
        return None
    if padding in ("same", "causal"):
        return -(-size // stride)
    return max(0, (size - dilation * (kernel - 1) - 1) // stride + 1)


def convolved(bound: Bound, shape: Shape) -> Shape:
    """Return the shape after a convolution; an axis is 0 where the kernel does not fit."""
    axes = len(shape) - 1
    kernel, stride = bound.grid("kernel_size", axes, 1), bound.grid("strides", axes, 1)
    dilation = bound.grid("dilation_rate", axes, 1)
    padding = str(bound.values.get("padding", "valid"))
    if bound.name.startswith("Depthwise"):
        channels = (shape[-1] or 1) * bound.number("depth_multiplier", 1)
    else:
        channels = bound.number("filters", 1)
    if bound.name.endswith("Transpose"):
        sizes = tuple(_transposed(*axis, padding) for axis in zip(shape[:-1], kernel, stride, strict=True))
        return (*sizes, channels)
    sizes = tuple(
        window(size, k, s, padding, d)
        for size, k, s, d in zip(shape[:-1], kernel, stride, dilation, strict=True)
    )
    return (*sizes, channels)


def _transposed(size: int | None, kernel: int, stride: int, padding: str) -> int | None:
    if size is None:
        return None
    return size * stride if padding == "same" else size * stride + max(kernel - stride, 0)


def pooled(bound: Bound, shape: Shape) -> Shape:
    """Return the shape after a pooling; an axis is 0 where the window does not fit."""
    axes = len(shape) - 1
    size = bound.grid("pool_size", axes, 2)
    stride = size if plain(bound.values.get("strides")) is None else bound.grid("strides", axes, 2)
    padding = str(bound.values.get("padding", "valid"))
    return (*(window(n, k, s, padding) for n, k, s in zip(shape[:-1], size, stride, strict=True)), shape[-1])


def padded(bound: Bound, shape: Shape, key: str) -> Shape:
    """Return the shape after zero padding or cropping (`key` names the argument)."""
    sign = 1 if key == "padding" else -1
    value = plain(bound.values.get(key, 1))
    pairs = value if isinstance(value, tuple) else (value,) * (len(shape) - 1)
    sizes = []
    for size, pair in zip(shape[:-1], pairs, strict=False):
        extra = sum(pair) if isinstance(pair, tuple) else 2 * int(pair)
        sizes.append(None if size is None else size + sign * extra)
    return (*sizes, shape[-1])


def scaled(bound: Bound, shape: Shape) -> Shape:
    """Return the shape after up-sampling."""
    factors = bound.grid("size", len(shape) - 1, 2)
    return (*(None if n is None else n * f for n, f in zip(shape[:-1], factors, strict=True)), shape[-1])
