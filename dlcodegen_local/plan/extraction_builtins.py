"""Python's own functions on known values, as far as building a model uses them."""

import math
from collections.abc import Callable

from dlcodegen_local.plan.extraction_values import Function, Model, Symbol, Value, is_known

_MAX_RANGE = 4096


def _range(*args: int) -> list[int] | None:
    span = range(*args)
    return list(span) if len(span) <= _MAX_RANGE else None


_NUMERIC: dict[str, Callable[..., Value]] = {
    "abs": abs,
    "bool": bool,
    "float": float,
    "int": int,
    "len": len,
    "max": max,
    "min": min,
    "range": _range,
    "round": round,
    "str": str,
    "sum": sum,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.log": math.log,
    "math.log2": math.log2,
    "math.pow": math.pow,
    "math.prod": math.prod,
    "math.sqrt": math.sqrt,
    "numpy.ceil": math.ceil,
    "numpy.floor": math.floor,
    "numpy.log2": math.log2,
    "numpy.prod": math.prod,
    "numpy.sqrt": math.sqrt,
    "numpy.array": list,
    "sorted": sorted,
}
_CONTAINERS = {
    "list",
    "tuple",
    "reversed",
    "enumerate",
    "zip",
    "collections.OrderedDict",
    "copy.copy",
    "copy.deepcopy",
    "dict",
    "filter",
    "itertools.chain",
    "OrderedDict",
    "set",
    "isinstance",
    "vars",
    "type",
}


def is_builtin(name: str) -> bool:
    """Say whether a name is one of the functions known here."""
    return name in _NUMERIC or name in _CONTAINERS


def builtin_call(name: str, args: list[Value], kwargs: dict[str, Value], text: str) -> Value:
    """Return what the function yields, a `Symbol` of `text` where it cannot be known."""
    if name in _CONTAINERS:
        result = _container(name, args, kwargs)
        return Symbol(text) if result is None else result
    if name == "len" and len(args) == 1 and isinstance(args[0], list | tuple | dict):
        return len(args[0])
    if not args or kwargs or not all(is_known(arg) for arg in args):
        return Symbol(text)
    try:
        result = _NUMERIC[name](*args)
    except (TypeError, ValueError, ArithmeticError):
        return Symbol(text)
    return Symbol(text) if result is None else result


def _container(name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if name == "dict" and not args:
        return dict(kwargs)
    if name in ("collections.OrderedDict", "OrderedDict", "dict") and len(args) == 1:
        return _table(args[0], kwargs)
    if name in ("filter", "map") and len(args) == 2:
        return args[1] if name == "filter" else None
    if name in ("itertools.chain", "copy.deepcopy", "copy.copy"):
        return list(args) if name == "itertools.chain" else args[0] if args else None
    if name == "zip" and args and all(isinstance(arg, list | tuple) for arg in args):
        return [tuple(items) for items in zip(*args, strict=False)]
    if name == "isinstance" and args and isinstance(args[0], Model | Function):
        return None
    if len(args) != 1 or not isinstance(args[0], list | tuple | dict):
        return [] if name in ("list", "tuple") and not args else None
    items = list(args[0])
    if name == "enumerate":
        start = kwargs.get("start", 0)
        return [(index, item) for index, item in enumerate(items, start if isinstance(start, int) else 0)]
    plain = {"list": items, "tuple": tuple(items), "reversed": items[::-1], "set": items}
    return args[0] if name == "dict" else plain.get(name)


def _table(value: Value, kwargs: dict[str, Value]) -> dict[Value, Value] | None:
    """Return the dict that a dict or a list of pairs makes, None where keys are not known."""
    if isinstance(value, dict):
        return {**value, **kwargs}
    if not isinstance(value, list | tuple):
        return None
    pairs = [(item[0], item[1]) for item in value if isinstance(item, list | tuple) and len(item) == 2]
    if len(pairs) != len(value) or not all(isinstance(key, str | int) for key, _ in pairs):
        return None
    table: dict[Value, Value] = dict(pairs)
    return table | kwargs
