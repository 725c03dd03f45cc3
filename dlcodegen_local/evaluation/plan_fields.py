"""Read predicted and reference plans for scoring: as they were written, in any dialect, broken JSON included.

Differs from `plan.reading` in that nothing is made canonical: a score is of the text that a system wrote. A
prediction that is not JSON is read field by field with regular expressions, so that a system whose output
breaks off still gets what it wrote before. Nothing that a prediction holds raises an error or takes more than
linear time: what cannot be read is missing.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dlcodegen_local.plan.reading import HYPERPARAMETERS, NUMBER, find_value

MAX_TEXT_CHARS = 1_000_000
MAX_LAYERS = 1_000
MAX_NUMBER = 1e12

_MAX_VALUES = 20_000
_PLAN_KEYS = ("codeplan", "plan", "solutionplan")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_NEXT_LAYER = re.compile(r'[\s,]*+"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_BARE = re.compile(r'[^",}\]]*+')


@dataclass(frozen=True)
class PlanFields:
    """Hold what is scored of one plan; a missing text is `""`, a missing number `None`.

    `written` is the plan as one line of JSON in its own spelling of the keys. `valid_json` tells whether the
    whole prediction was one JSON object.
    """

    category: str = ""
    dataset_input: str = ""
    dataset_output: str = ""
    layers: tuple[str, ...] = ()
    optimizer: str = ""
    loss: str = ""
    metric: str = ""
    learning_rate: float | None = None
    batch_size: float | None = None
    epochs: float | None = None
    written: str = ""
    valid_json: bool = False


MISSING = PlanFields()


def read_fields(plan: object) -> PlanFields:
    """Read a plan given as a JSON value: a table in any dialect, or a raw line of a system."""
    if isinstance(plan, str):
        return read_line(plan)
    if not isinstance(plan, Mapping):
        return MISSING
    try:
        written = json.dumps(plan)
    except (ValueError, TypeError, RecursionError):
        return MISSING
    model = find_value(plan, "modelarchitecture", "architecture", "model")
    numbers = find_value(model, *HYPERPARAMETERS) or find_value(plan, *HYPERPARAMETERS)
    shapes = find_value(plan, "dataset", "data")
    return PlanFields(
        category=_text(find_value(plan, "taskcategory", "category")),
        dataset_input=_text(find_value(shapes, "input", "inputs")),
        dataset_output=_text(find_value(shapes, "output", "outputs")),
        layers=_layers(find_value(model, "layers")),
        optimizer=_text(_find_within(numbers, "optimizer", "optimiser")),
        loss=_text(_find_within(numbers, "lossfunction", "loss")),
        metric=_text(_find_within(numbers, "evaluationmetric", "metric", "metrics")),
        learning_rate=_number(_find_within(numbers, "learningrate", "lr")),
        batch_size=_number(_find_within(numbers, "batchsize")),
        epochs=_number(_find_within(numbers, "epochs", "epoch")),
        written=written,
        valid_json=True,
    )


def read_line(text: str) -> PlanFields:
    """Read the raw text that a system predicted: the plan alone, or one object of requirement and plan.

    Text past `MAX_TEXT_CHARS` is not read.
    """
    if len(text) <= MAX_TEXT_CHARS:
        try:
            table = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            table = None
        if isinstance(table, dict):
            plan = find_value(table, *_PLAN_KEYS)
            return read_fields(plan if isinstance(plan, dict) else table)
    return _read_broken(text[:MAX_TEXT_CHARS])


def _read_broken(text: str) -> PlanFields:
    """Read a plan field by field; a text or layer that breaks off counts as missing."""
    start = re.search(r'"(?:code |solution )?plan"\s*:', text, re.IGNORECASE)
    text = text[start.end() :] if start else text
    shapes = {key: found for key in ("Input", "Output") if (found := _text_after(text, key)) is not None}
    numbers: dict[str, Any] = {}
    for key in ("optimizer", "loss function", "learning rate", "batch size", "epochs", "evaluation metric"):
        found = _text_after(text, key)
        if found is None and key in ("learning rate", "batch size", "epochs"):
            found = _bare_after(text, key)
            number = _number(found)
            numbers |= {} if number is None else {key: int(number) if number.is_integer() else number}
        elif found is not None:
            numbers[key] = found
    plan: dict[str, Any] = {}
    if (category := _text_after(text, "Task Category")) is not None:
        plan["Task Category"] = category
    if shapes:
        plan["Dataset"] = shapes
    if (preprocess := _text_after(text, "Preprocess")) is not None:
        plan["Preprocess"] = preprocess
    layers = list(_layers_after(text))
    if layers or numbers:
        plan["Model Architecture"] = {"Layers": layers, "Hyperparameters": numbers}
    if not plan:
        return MISSING
    return replace(read_fields(plan), valid_json=False)


def _place_after(text: str, key: str) -> int | None:
    found = re.search(rf'"{key}"\s*:\s*', text, re.IGNORECASE)
    return found.end() if found else None


def _text_after(text: str, key: str) -> str | None:
    place = _place_after(text, key)
    found = _STRING.match(text, place) if place is not None else None
    return _unescaped(found.group(1)) if found else None


def _bare_after(text: str, key: str) -> str | None:
    place = _place_after(text, key)
    found = _BARE.match(text, place) if place is not None else None
    return found.group() if found else None


def _layers_after(text: str) -> Iterator[str]:
    opened = re.search(r'"layers"\s*:\s*\[', text, re.IGNORECASE)
    place = opened.end() if opened else len(text)
    while found := _NEXT_LAYER.match(text, place):
        yield _unescaped(found.group(1))
        place = found.end()


def _unescaped(content: str) -> str:
    """Return what stands between two quotes without its escapes, or as it is where they are wrong."""
    try:
        return str(json.loads(f'"{content}"', strict=False))
    except ValueError:
        return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _find_within(table: object, *names: str) -> object:
    """Find a value in a table or in the tables under it: some systems give hyperparameters for each model."""
    waiting, seen = [table], 0
    while waiting and seen < _MAX_VALUES:
        value = waiting.pop()
        seen += 1
        if (found := find_value(value, *names)) is not None:
            return found
        if isinstance(value, Mapping):
            waiting.extend(reversed(list(value.values())))
    return None


def _text(value: object) -> str:
    """Return a text as it is, null as nothing, and anything else as it would be written."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _layers(value: object) -> tuple[str, ...]:
    layers = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(_text(layer) for layer in layers[:MAX_LAYERS])


def _number(value: object) -> float | None:
    """Return a number, the first number of a text or of a list, or None.

    0 is a number; NaN and what is past `MAX_NUMBER` are none.
    """
    if isinstance(value, list):
        value = next((item for item in value[:50] if isinstance(item, int | float | str)), None)
    if isinstance(value, str):
        found = NUMBER.search(value[:200].replace(",", ""))
        value = float(found.group()) if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_NUMBER and math.isfinite(value) else None
