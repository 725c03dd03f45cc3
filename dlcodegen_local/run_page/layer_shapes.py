"""The output shape of a planned layer, as far as its call and what goes in tell it.

Guarantees nothing about code: shapes are those of the plan's own words, batch axis left out. None is a shape
that is not known; it stays unknown until a layer says its shape by itself.
"""

from dlcodegen_local.compiler.arguments import Bound, bind, plain
from dlcodegen_local.compiler.catalog import BASE_FACTS, MERGES, RECURRENT, SPECS, TRANSPARENT
from dlcodegen_local.compiler.sizes import Shape, convolved, padded, pooled, scaled
from dlcodegen_local.plan.layers import LayerCall, Name

_MAX_SIDE = 10**7
_UNCHANGED = TRANSPARENT | {
    "Normalization",
    "Rescaling",
    "Masking",
    "MultiHeadAttention",
    "Attention",
    "AdditiveAttention",
    "InstanceNormalization",
    "SpectralNormalization",
}


def output_shape(call: LayerCall, inputs: tuple[Shape | None, ...]) -> Shape | None:
    """Return the shape that a layer puts out, given those that go in (the main one last)."""
    try:
        shape = _shape(call, inputs)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):  # arguments that no layer takes
        return None
    if shape is None or any(size is not None and not 0 < size <= _MAX_SIDE for size in shape):
        return None
    return shape


def _shape(call: LayerCall, inputs: tuple[Shape | None, ...]) -> Shape | None:
    name, shape = call.name, inputs[-1] if inputs else None
    if name in ("Input", "InputLayer"):
        return _stated(call.get("shape", 0))
    if name == "Reshape" and shape is not None:
        return _reshaped(shape, call.get("target_shape", 0))
    if shape is None:
        return None
    if name in _UNCHANGED or name.startswith("Random"):
        return shape
    if name in MERGES:
        return _merged(name, inputs)
    if name in BASE_FACTS and len(shape) == 3:
        _, shrink, channels = BASE_FACTS[name]
        sides = tuple(None if side is None else -(-side // shrink) for side in shape[:2])
        return (channels,) if call.get("pooling") else (*sides, channels)
    if name in ("TimeDistributed", "Bidirectional"):
        return _wrapped(call, shape)
    return _of_known(bind(call, {}), shape) if name in SPECS else None


def _of_known(bound: Bound, shape: Shape) -> Shape | None:
    """Return the shape after a layer of the catalogue; None where its rank does not fit."""
    name, rank = bound.name, SPECS[bound.name].rank
    if rank is not None and len(shape) != rank and name != "Embedding":
        return None
    if name == "Dense":
        return (*shape[:-1], bound.number("units", 0))
    if name == "Embedding":
        return (*shape, bound.number("output_dim", 0))
    if name == "Flatten":
        return None if None in shape else (_product(shape),)
    if name == "RepeatVector":
        return (bound.number("n", 0), *shape)
    if name in RECURRENT:
        units = bound.number("units", 0)
        return (shape[0], units) if plain(bound.values.get("return_sequences")) is True else (units,)
    return _of_windows(bound, shape)


def _of_windows(bound: Bound, shape: Shape) -> Shape | None:
    name = bound.name
    if name.startswith("Global"):
        return (shape[-1],)
    if "LSTM" in name:
        return None
    if "Conv" in name:
        return convolved(bound, shape)
    if "Pooling" in name:
        return pooled(bound, shape)
    if name.startswith("UpSampling"):
        return scaled(bound, shape)
    if name.startswith("ZeroPadding"):
        return padded(bound, shape, "padding")
    if name.startswith("Cropping"):
        return padded(bound, shape, "cropping")
    if name in ("Resizing", "CenterCrop"):
        return (bound.number("height", 0), bound.number("width", 0), shape[-1])
    if name == "Permute":
        dims = plain(bound.values.get("dims"))
        return tuple(shape[int(axis) - 1] for axis in dims) if isinstance(dims, tuple) else None
    return None


def _wrapped(call: LayerCall, shape: Shape) -> Shape | None:
    inner = call.get("layer", 0)
    if not isinstance(inner, LayerCall) or len(shape) < 2:
        return None
    if call.name == "TimeDistributed":
        step = _shape(inner, (shape[1:],))
        return None if step is None else (shape[0], *step)
    found = _shape(inner, (shape,))
    if found is None:
        return None
    mode = call.get("merge_mode", 1, "concat")
    doubled = None if found[-1] is None else found[-1] * 2
    return (*found[:-1], doubled) if mode == "concat" else found


def _merged(name: str, inputs: tuple[Shape | None, ...]) -> Shape | None:
    shape = inputs[-1]
    assert shape is not None
    if name != "Concatenate":
        return shape
    others = inputs[:-1]
    if not others or any(other is None or other[:-1] != shape[:-1] for other in others):
        return None
    channels = [found[-1] for found in inputs if found is not None]
    if any(count is None for count in channels):
        return None
    return (*shape[:-1], sum(count for count in channels if count is not None))


def _stated(value: object) -> Shape | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if not isinstance(value, tuple | list):
        return None
    sizes: list[int | None] = []
    for size in value:
        if size is None or isinstance(size, Name):
            sizes.append(None)
        elif isinstance(size, int) and not isinstance(size, bool):
            sizes.append(size)
        else:
            return None
    return tuple(sizes)


def _reshaped(shape: Shape, target: object) -> Shape | None:
    stated = _stated(target)
    if stated is None or None in stated:
        return None
    if -1 not in stated:
        return stated
    if None in shape:
        return tuple(None if size == -1 else size for size in stated)
    known = _product(tuple(size for size in stated if size != -1))
    rest, left = divmod(_product(shape), known or 1)
    return None if left else tuple(rest if size == -1 else size for size in stated)


def _product(shape: Shape) -> int:
    total = 1
    for size in shape:
        total *= size or 0
    return total
