"""Read numbers out of a plan's prose: shapes, class counts, sizes, preprocessing.

Everything is a guess with a bound: an absurd number counts as no number.
"""

import re
from dataclasses import dataclass

from dlcodegen_local.compiler.catalog import HIDDEN_ACTIVATIONS
from dlcodegen_local.compiler.chain import Item
from dlcodegen_local.plan.schema import Plan

_TUPLE = re.compile(r"[(\[]([^()\[\]]{1,120})[)\]]")
_CROSS = re.compile(r"(\d+)\s*(?:px|pixels)?\s*[x×X*]\s*(\d+)(?:\s*(?:px|pixels)?\s*[x×X*]\s*(\d+))?")
_BATCH = re.compile(
    r"batch|none|num|sample|number|size|count|\bn\b|\bm\b|len|total|\?|images?|-1", re.IGNORECASE
)
_COUNT = re.compile(
    r"(\d{1,5})\s*(?:-\s*)?(?:\w+\s+){0,3}?(?:classes|categories|labels|class\b|species|types|emotions|digits|"
    r"groups|breeds|"
    r"genres|characters|letters|targets)",
    re.IGNORECASE,
)
_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
MAX_AXIS = 100_000
HIDDEN_UNITS = 16


def read_shapes(text: str) -> list[tuple[int | None, ...]]:
    """Return the shapes that a text names, batch axis left out; None stands for an axis without number."""
    plain = re.sub(r"\b(\d{1,2}),000\b", r"\g<1>000", text)
    found = []
    for match in _TUPLE.finditer(plain):
        shape = _shape(match.group(1))
        if shape is not None:
            found.append(shape)
    if not found:
        for match in _CROSS.finditer(plain):
            found.append(tuple(int(part) for part in match.groups() if part))
    return [shape for shape in found if all(size is None or 0 < size <= MAX_AXIS for size in shape)]


def _shape(inner: str) -> tuple[int | None, ...] | None:
    parts = [part.strip() for part in inner.split(",")]
    parts = parts[:-1] if len(parts) > 1 and not parts[-1] else parts
    if not 1 <= len(parts) <= 6 or any(len(part) > 40 for part in parts):
        return None
    cross = _CROSS.fullmatch(inner.strip())
    if cross:
        return tuple(int(part) for part in cross.groups() if part)
    sizes = [int(part) if re.fullmatch(r"\d{1,7}", part) else None for part in parts]
    if all(size is None for size in sizes) and not (len(parts) > 1 and _BATCH.search(parts[0])):
        return None
    if any(
        size is None and not re.fullmatch(r"[\w .?*/+-]{1,40}", part)
        for size, part in zip(sizes, parts, strict=True)
    ):
        return None
    if len(parts) > 1 and (
        sizes[0] is None or (len(parts) == 2 and sizes[0] > 500 and (sizes[1] or 0) < sizes[0])
    ):
        return tuple(sizes[1:])
    if len(parts) > 3 and sizes[0] is not None and sizes[0] > 1000:
        return tuple(sizes[1:])
    return tuple(sizes) if any(size is not None for size in sizes) else None


def count_classes(text: str) -> int | None:
    """Return the number of classes that a text names: "(None, 7)", "5 classes", "binary"."""
    for shape in read_shapes(text):
        if len(shape) == 1 and shape[0] is not None and shape[0] <= 20_000:
            return shape[0]
    match = _COUNT.search(text)
    if match and 0 < int(match.group(1)) <= 20_000:
        return int(match.group(1))
    lowered = text.lower()
    for word, number in _WORDS.items():
        if re.search(rf"\b{word}\b[\w\s-]{{0,30}}(?:class|categor|label)", lowered):
            return number
    return 2 if re.search(r"\bbinary\b|\bor not\b|0 or 1|yes/no", lowered) else None


@dataclass(frozen=True)
class LastLayer:
    """Hold units and activation of the last planned layer that has units."""

    units: int | None
    activation: str | None


def last_layer(items: list[Item]) -> LastLayer:
    """Return what the plan says of its last layer with units, activation layers after it included."""
    activation = None
    for item in reversed(items):
        call = item.call
        if call is None:
            continue
        if call.name in ("Activation", "Softmax", "ReLU"):
            value = call.get("activation", 0, "softmax" if call.name == "Softmax" else None)
            activation = activation or (value if isinstance(value, str) else None)
        elif call.name == "Dense" or call.name.startswith("Conv"):
            units = call.get("units" if call.name == "Dense" else "filters", 0)
            own = call.kwargs.get("activation", call.get("activation", 1) if call.name == "Dense" else None)
            if own in HIDDEN_ACTIVATIONS and isinstance(units, int) and units >= HIDDEN_UNITS:
                return LastLayer(None, None)
            return LastLayer(
                units if isinstance(units, int) and units > 0 else None,
                activation or (own if isinstance(own, str) else None),
            )
    return LastLayer(None, activation)


def input_from_layers(items: list[Item]) -> tuple[int | None, ...] | None:
    """Return the input shape that the layers themselves state."""
    for item in items[:4]:
        if item.call is None:
            continue
        for key in ("shape", "input_shape", "batch_input_shape"):
            value = item.call.kwargs.get(key)
            if value is None and item.name == "Input" and item.call.args:
                value = item.call.args[0]
            if isinstance(value, tuple | list) and value:
                sizes = tuple(size if isinstance(size, int) and size > 0 else None for size in value)
                return sizes[1:] if key == "batch_input_shape" else sizes
    return None


@dataclass(frozen=True)
class Augmentation:
    """Hold the Keras layers that a plan's preprocessing asks for, as source texts."""

    layers: tuple[str, ...]


def read_augmentation(plan: Plan) -> Augmentation:
    """Return the augmentation that the preprocessing names, none where it names none."""
    text = plan.preprocess.lower()
    layers = []
    if re.search(r"flip|mirror", text):
        vertical = re.search(r"vertical", text) is not None
        horizontal = re.search(r"horizontal", text) is not None
        mode = (
            "horizontal_and_vertical" if vertical and horizontal else "vertical" if vertical else "horizontal"
        )
        layers.append(f'layers.RandomFlip("{mode}")')
    if re.search(r"rotat", text):
        layers.append("layers.RandomRotation(0.1)")
    if re.search(r"zoom", text):
        layers.append("layers.RandomZoom(0.1)")
    if re.search(r"shift|translat", text):
        layers.append("layers.RandomTranslation(0.1, 0.1)")
    if re.search(r"contrast", text):
        layers.append("layers.RandomContrast(0.1)")
    if not layers and re.search(r"augment", text):
        layers = ['layers.RandomFlip("horizontal")', "layers.RandomRotation(0.1)"]
    return Augmentation(tuple(layers))
