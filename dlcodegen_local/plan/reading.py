"""Read plans leniently: both published dialects, and what people and models write instead.

Guarantees a valid `Plan` or a `ConfigError`; what cannot be understood is left open rather than
guessed. Does not repair broken JSON.
"""

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import letters_and_digits, plain
from dlcodegen_local.plan.categories import canonical_category
from dlcodegen_local.plan.schema import (
    MAX_LAYER_CHARS,
    MAX_LAYERS,
    MAX_TEXT_CHARS,
    Plan,
    unknown_category,
)

MAX_JSON_CHARS = 1_000_000
MAX_DEPTH = 8
FALLBACK_CATEGORY = "Tabular Classification"

HYPERPARAMETERS = ("hyperparameters", "hypermeters", "hyperparameter", "hyperparams")
_CATEGORY = ("taskcategory", "category", "task")
_SHAPES = ("dataset", "data")
_PREPROCESS = ("preprocess", "preprocessing")
_MODEL = ("modelarchitecture", "architecture", "model")
# canonical key: the plain spellings that are read, by the table that holds them
_TOP = {
    "Task Category": _CATEGORY,
    "Dataset": _SHAPES,
    "Preprocess": _PREPROCESS,
    "Model Architecture": _MODEL,
}
_IN_SHAPES = {"Input": ("input", "inputs"), "Output": ("output", "outputs")}
_IN_NUMBERS = {
    "optimizer": ("optimizer", "optimiser"),
    "loss function": ("lossfunction", "loss"),
    "learning rate": ("learningrate", "lr"),
    "batch size": ("batchsize",),
    "epochs": ("epochs", "epoch", "numepochs"),
    "evaluation metric": ("evaluationmetric", "metric", "metrics"),
}
_NOTHING = frozenset({"", "none", "null", "na", "nil", "unknown", "notspecified", "unspecified", "tbd"})
NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
_LAYER_NAME_KEYS = ("type", "name", "layer", "layertype", "class", "classname")


def read_plan(value: object) -> Plan:
    """Read a plan from JSON text or from a decoded object.

    Keys are compared by their letters and digits alone. Numbers may be text (the first number of
    "0.001 - 0.01" counts) or lists; what is no number, or out of bounds, becomes None. Texts and
    layers that are too long are cut, and layers past the schema's bound are dropped.

    Raises:
        ConfigError: not JSON, not an object, or no field of a plan in it.
    """
    table = _decoded(value) if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise ConfigError("plan: must be a JSON object", hint="see the README for the format of a plan")
    shapes = find_value(table, *_SHAPES)
    model = find_value(table, *_MODEL)
    numbers = _numbers(table)
    category_text = _text(find_value(table, *_CATEGORY), MAX_TEXT_CHARS)
    layers = tuple(_read_layers(model))[:MAX_LAYERS]
    if not (category_text or layers or shapes or numbers):
        raise ConfigError("plan: has none of a plan's fields", hint="see the README for the format of a plan")
    dataset_input = _text(find_value(shapes, *_IN_SHAPES["Input"]), MAX_TEXT_CHARS)
    dataset_output = _text(find_value(shapes, *_IN_SHAPES["Output"]), MAX_TEXT_CHARS)
    batch_size = _number(find_value(numbers, *_IN_NUMBERS["batch size"]), 10**6)
    epochs = _number(find_value(numbers, *_IN_NUMBERS["epochs"]), 10**7)
    return Plan(
        category=(
            canonical_category(category_text)
            or canonical_category(f"{dataset_input} {dataset_output}")
            or FALLBACK_CATEGORY
        ),
        dataset_input=dataset_input,
        dataset_output=dataset_output,
        preprocess=_text(find_value(table, *_PREPROCESS), MAX_TEXT_CHARS),
        layers=layers,
        optimizer=_text(find_value(numbers, *_IN_NUMBERS["optimizer"]), MAX_TEXT_CHARS),
        loss=_text(find_value(numbers, *_IN_NUMBERS["loss function"]), MAX_TEXT_CHARS),
        learning_rate=_number(find_value(numbers, *_IN_NUMBERS["learning rate"]), 1e4),
        batch_size=None if batch_size is None else max(1, round(batch_size)),
        epochs=None if epochs is None else max(1, round(epochs)),
        metric=_text(find_value(numbers, *_IN_NUMBERS["evaluation metric"]), MAX_TEXT_CHARS),
    )


def check_spelling(table: object) -> None:
    """Refuse what `read_plan` would pass over in silence: a mistyped key, an unknown category.

    A key counts as mistyped where it is nearly that of a field which the plan lacks otherwise.

    Raises:
        ConfigError: names the key or the category.
    """
    _check_keys("plan", table, _TOP)
    _check_keys("Dataset", find_value(table, *_SHAPES), _IN_SHAPES)
    _check_keys("Hyperparameters", _numbers(table), _IN_NUMBERS)
    category = _text(find_value(table, *_CATEGORY), MAX_TEXT_CHARS)
    if category and canonical_category(category) is None:
        raise unknown_category(category)


def _check_keys(where: str, table: object, fields: Mapping[str, tuple[str, ...]]) -> None:
    if not isinstance(table, dict):
        return
    known = {name for names in fields.values() for name in names}
    unread = {
        letters_and_digits(key): key
        for key in table
        if isinstance(key, str) and letters_and_digits(key) not in known
    }
    for field, names in fields.items():
        if find_value(table, *names) is not None:
            continue
        for name in difflib.get_close_matches(names[0], unread, n=1, cutoff=0.8):
            if abs(len(name) - len(names[0])) <= 2:
                raise ConfigError(f"plan: {where}: {unread[name]!r} is no field", hint=f"write {field!r}")


def _numbers(table: object) -> object:
    model = find_value(table, *_MODEL)
    return (
        find_value(model, *HYPERPARAMETERS)
        or find_value(table, *HYPERPARAMETERS)
        or find_value(table, "training")
    )


def _decoded(text: str) -> object:
    if len(text) > MAX_JSON_CHARS:
        raise ConfigError(
            f"plan: {len(text)} characters are too many", hint=f"at most {MAX_JSON_CHARS} are read"
        )
    try:
        decoded: object = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"plan: not JSON ({exc})", hint="a plan is one JSON object") from exc
    return decoded


def find_value(table: object, *names: str) -> object:
    """Return the first value under one of the plain `names`, in their order, or None."""
    if not isinstance(table, dict):
        return None
    plain_keys = {letters_and_digits(key): key for key in reversed(table) if isinstance(key, str)}
    for name in names:
        if name in plain_keys:
            found: object = table[plain_keys[name]]
            return found
    return None


def _cut(text: str, max_chars: int) -> str:
    return plain(text).strip()[:max_chars].rstrip()


def _text(value: object, max_chars: int) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or value is None:
        return ""
    elif isinstance(value, int | float):
        text = str(value)
    elif isinstance(value, list):
        text = ", ".join(filter(None, (_text(item, max_chars) for item in value[:50])))
    elif isinstance(value, dict):
        parts = ((str(key), _text(item, max_chars)) for key, item in list(value.items())[:50])
        text = ", ".join(f"{key}: {part}" for key, part in parts if part)
    else:
        return ""
    text = _cut(text, max_chars)
    return "" if letters_and_digits(text) in _NOTHING and text.isascii() else text


def _number(value: object, maximum: float) -> float | None:
    if isinstance(value, list):
        readable = (_number(item, maximum) for item in value[:50] if not isinstance(item, list))
        return next((number for number in readable if number is not None), None)
    if isinstance(value, str):
        found = NUMBER.search(value.replace(",", "")[:200])
        value = float(found.group()) if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and 0 < number <= maximum else None


def _read_layers(model: object) -> Iterator[str]:
    layers = find_value(model, "layers", "layer")
    if layers is None and isinstance(model, dict):
        skipped = {"layers", "layer", *HYPERPARAMETERS}
        layers = {key: item for key, item in model.items() if letters_and_digits(str(key)) not in skipped}
    elif layers is None:
        layers = model
    if isinstance(layers, str):
        layers = re.split(r"\n+|;\s+|\s*(?:->|→)\s*", layers)
    for text in _flat_layers(layers, MAX_DEPTH):
        if cut := _cut(text, MAX_LAYER_CHARS):
            yield cut


def _flat_layers(value: object, depth: int) -> Iterator[str]:
    """Yield layer texts from strings, nested lists and tables, in their order."""
    if isinstance(value, str):
        yield value
    elif depth == 0 or not isinstance(value, list | dict):
        return
    elif isinstance(value, list):
        for item in value:
            yield from _flat_layers(item, depth - 1)
    elif isinstance(name := find_value(value, *_LAYER_NAME_KEYS), str):
        skipped = {key for key in value if letters_and_digits(str(key)) in _LAYER_NAME_KEYS}
        yield _call(name, {key: item for key, item in value.items() if key not in skipped})
    else:
        for key, item in value.items():
            if isinstance(item, list) and any(isinstance(part, str | list | dict) for part in item):
                yield from _flat_layers(item, depth - 1)
            elif isinstance(item, dict):
                yield _call(str(key), item)
            elif isinstance(item, str):
                yield f"{key}: {item}"
            else:
                yield _call(str(key), {"": item})


def _call(name: str, arguments: dict[object, object]) -> str:
    """Write a layer given as a table in the form of a call."""
    if name.endswith(")"):
        return name
    parts = []
    for key, item in arguments.items():
        if item is None:
            continue
        shown = str(tuple(item)) if isinstance(item, list) else repr(item)
        parts.append(f"{key}={shown}" if key else shown)
    return f"{name}({', '.join(parts)})"
