"""Bind a plan's layer to Keras' signature: keep what is valid, resolve names, drop the rest with a note.

Guarantees that every value of a `Bound` is one that Keras accepts for its argument. Which required
arguments are missing, and whether shapes fit, is `chain`'s part.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dlcodegen_local.compiler.catalog import ACTIVATIONS, INITIALIZERS, SPECS
from dlcodegen_local.plan.layers import LayerCall, Name

MAX_UNITS = 20_000
_SYNONYMS = {
    "alpha": "negative_slope",
    "nb_filter": "filters",
    "num_filters": "filters",
    "filter_size": "kernel_size",
    "kernal_size": "kernel_size",
    "kernel": "kernel_size",
    "border_mode": "padding",
    "subsample": "strides",
    "stride": "strides",
    "dilation": "dilation_rate",
    "neurons": "units",
    "num_units": "units",
    "output_size": "units",
    "dropout_rate": "rate",
    "p": "rate",
    "act": "activation",
    "return_sequence": "return_sequences",
    "head_size": "key_dim",
    "heads": "num_heads",
    "recurrent_regulariser": "recurrent_regularizer",
}
_WHOLE = frozenset(
    ("filters", "units", "n", "num_heads", "key_dim", "value_dim", "input_dim", "output_dim", "groups")
) | {"depth_multiplier", "height", "width"}
_GRIDS = frozenset(["kernel_size", "strides", "pool_size", "size", "dilation_rate", "cropping"])
_RATES = frozenset(["rate", "dropout", "recurrent_dropout"])
_REALS = frozenset(
    ("momentum", "epsilon", "negative_slope", "alpha", "factor", "stddev", "height_factor", "width_factor")
) | {"scale", "offset", "mask_value", "max_value", "threshold"}
_FLAGS = frozenset(
    ("use_bias", "return_sequences", "center", "mask_zero", "go_backwards", "unroll", "keepdims")
) | {"use_scale", "reset_after"}


@dataclass(frozen=True)
class Expr:
    """Stand for source text with the value that it has under the default configuration."""

    code: str
    value: object = None


Symbols = Mapping[str, Expr]


@dataclass
class Bound:
    """Hold one layer's valid arguments in the plan's order; the first `positional` stand without keyword."""

    name: str
    values: dict[str, object]
    positional: int = 0
    notes: list[str] = field(default_factory=list)

    def number(self, key: str, default: int) -> int:
        """Return a whole number as it is under the default configuration."""
        value = plain(self.values.get(key))
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def grid(self, key: str, size: int, default: int) -> tuple[int, ...]:
        """Return a per-axis setting as a tuple of `size` numbers."""
        value = plain(self.values.get(key))
        if isinstance(value, tuple):
            return tuple(int(item) for item in value)
        return (value if isinstance(value, int) else default,) * size

    def require(self, key: str, value: object) -> None:
        """Set a missing argument in front of those that Keras orders after it."""
        if key not in self.values:
            order = SPECS[self.name].params
            head = {name: old for name, old in self.values.items() if order.index(name) < order.index(key)}
            tail = {name: old for name, old in self.values.items() if name not in head}
            if self.positional == len(head):
                self.positional += 1
            self.values = {**head, key: value, **tail}

    def code(self) -> str:
        """Return the call, with the `layers.` prefix."""
        parts = []
        for index, (key, value) in enumerate(self.values.items()):
            text = source_text(value)
            parts.append(text if index < self.positional else f"{key}={text}")
        return f"layers.{self.name}({', '.join(parts)})"


def plain(value: object) -> object:
    """Return the value behind an expression."""
    return value.value if isinstance(value, Expr) else value


def source_text(value: object) -> str:
    """Return Python source for a value, strings in double quotes."""
    if isinstance(value, Expr):
        return value.code
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        inner = ", ".join(source_text(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def bind(call: LayerCall, symbols: Symbols) -> Bound:
    """Match a call with its layer's signature.

    Raises:
        KeyError: the catalogue has no such layer.
    """
    spec = SPECS[call.name]
    axes = (spec.rank or 3) - 1
    given: list[tuple[str, object, bool]] = []
    notes: list[str] = []
    for index, value in enumerate(call.args[: len(spec.params)]):
        given.append((spec.params[index], value, True))
    for key, value in call.kwargs.items():
        known = key if key in spec.params else _SYNONYMS.get(key, key)
        if known in spec.params:
            given.append((known, value, False))
        elif key not in (
            "input_shape",
            "input_dim",
            "batch_input_shape",
            "input_length",
            "dtype",
            "trainable",
        ):
            notes.append(f"{call.name}: argument {key} left out")
    bound = Bound(call.name, {}, 0, notes)
    if call.name in ("Reshape", "Permute") and len(call.args) > 1:
        given = [(spec.params[0], call.args, True)]
    for key, value, positional in given:
        cleaned = _clean(call.name, key, value, axes, symbols)
        if cleaned is _INVALID:
            notes.append(f"{call.name}: {key} not usable, left out")
        elif key not in bound.values:
            if positional and bound.positional == len(bound.values) == spec.params.index(key):
                bound.positional += 1
            bound.values[key] = cleaned
    return bound


_INVALID = object()


def _clean(layer: str, key: str, value: object, axes: int, symbols: Symbols) -> object:
    """Return the value as Keras takes it, or `_INVALID`."""
    if isinstance(value, Name):
        value = symbols.get(_symbol(value.text), value)
    if isinstance(value, Expr):
        return value if key in _WHOLE else _INVALID
    if key in _WHOLE:
        return _whole(value)
    if key in _GRIDS or (key == "padding" and layer.startswith("ZeroPadding")):
        return _grid(value, axes, key)
    if key == "padding":
        text = str(value).lower()
        return text if text in ("same", "valid") or (text == "causal" and layer == "Conv1D") else _INVALID
    if "activation" in key:
        return _activation(value)
    if key in _RATES:
        return _rate(value)
    if key in _REALS:
        return _real(key, value)
    if key in _FLAGS:
        return value if isinstance(value, bool) else _INVALID
    if key.endswith("regularizer"):
        return _regularizer(value)
    if key.endswith("initializer"):
        return _initializer(value)
    return _other(key, value)


def _other(key: str, value: object) -> object:
    if key == "axis":
        return (
            value
            if isinstance(value, int) and not isinstance(value, bool) and value in (-1, 1, 2, 3)
            else _INVALID
        )
    if key in ("target_shape", "dims"):
        sizes = tuple(value) if isinstance(value, tuple | list) else (value,)
        return sizes if all(isinstance(size, int) for size in sizes) else _INVALID
    if key == "interpolation":
        return value if value in ("nearest", "bilinear", "bicubic") else _INVALID
    if key == "mode":
        return value if value in ("horizontal", "vertical", "horizontal_and_vertical") else _INVALID
    if key == "fill_mode":
        return value if value in ("constant", "reflect", "wrap", "nearest") else _INVALID
    if key == "name":
        return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z]\w*", value) else _INVALID
    return _INVALID


def _symbol(text: str) -> str:
    return re.sub(r"^(?:config|self|params|args|hp)\.", "", text).lower()


def _whole(value: object) -> object:
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_UNITS * 10
    return value if usable else _INVALID


def _grid(value: object, axes: int, key: str) -> object:
    least = 0 if key in ("padding", "cropping") else 1
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if least <= value <= 512 else _INVALID
    if (
        isinstance(value, tuple)
        and value
        and all(isinstance(item, int) and least <= item <= 512 for item in value)
    ):
        return value if len(value) == axes and axes > 1 else value[0]
    if isinstance(value, tuple) and len(value) == axes and key in ("padding", "cropping"):
        pairs = [pair for pair in value if isinstance(pair, tuple) and len(pair) == 2]
        flat = [item for pair in pairs for item in pair]
        if len(pairs) == axes and all(isinstance(item, int) and 0 <= item <= 512 for item in flat):
            return value
    return _INVALID


def _activation(value: object) -> object:
    if value is None:
        return None
    text = (
        value.name if isinstance(value, LayerCall) else value.text if isinstance(value, Name) else str(value)
    )
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text) if text not in ACTIVATIONS else text
    spelled = {"leakyrelu": "leaky_relu", "hardsigmoid": "hard_sigmoid", "logsoftmax": "log_softmax"}
    lowered = snake.lower().strip()
    lowered = spelled.get(lowered.replace("_", ""), lowered)
    lowered = {"hard_swish": "hard_silu", "none": "linear"}.get(lowered, lowered)
    return lowered if lowered in ACTIVATIONS else _INVALID


def _rate(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _INVALID
    if 1 < value < 100:
        value = value / 100
    return value if 0 <= value < 1 else _INVALID


def _real(key: str, value: object) -> object:
    if isinstance(value, tuple) and key in ("factor", "height_factor", "width_factor"):
        usable = len(value) == 2 and all(isinstance(item, int | float) and -1 <= item <= 1 for item in value)
        return value if usable and value[0] <= value[1] else _INVALID
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e6:
        return _INVALID
    if key in ("factor", "height_factor", "width_factor") and not 0 <= value <= 1:
        return _INVALID
    if key in ("epsilon", "momentum", "stddev", "negative_slope") and value < 0:
        return _INVALID
    return value


def _regularizer(value: object) -> object:
    if isinstance(value, str) and value.lower() in ("l1", "l2", "l1_l2"):
        return value.lower()
    if isinstance(value, Name) and value.text.lower() in ("l1", "l2"):
        return value.text.lower()
    if isinstance(value, LayerCall) and value.name.lower() in ("l1", "l2", "l1_l2", "l1l2"):
        numbers = [*value.args, *value.kwargs.values()]
        if all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
            name = "l1_l2" if value.name.lower() in ("l1_l2", "l1l2") else value.name.lower()
            keys = {"l": "l2" if name == "l2" else "l1"}
            parts = [source_text(number) for number in value.args]
            parts += [f"{keys.get(key, key)}={source_text(number)}" for key, number in value.kwargs.items()]
            return Expr(f"regularizers.{name}({', '.join(parts)})")
    return _INVALID


def _initializer(value: object) -> object:
    text = value.name if isinstance(value, LayerCall) else value.text if isinstance(value, Name) else value
    if not isinstance(text, str):
        return _INVALID
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()
    if isinstance(value, LayerCall) and snake == "random_normal":
        stddev = value.kwargs.get("stddev", value.args[1] if len(value.args) > 1 else None)
        if isinstance(stddev, float):
            return Expr(f"initializers.RandomNormal(stddev={stddev!r})")
    return snake if snake in INITIALIZERS else _INVALID
