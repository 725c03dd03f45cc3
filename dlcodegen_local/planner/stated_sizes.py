"""Sizes stated in a requirement or earlier in the plan, and the number rules that follow from them.

Guarantees only that an image size, a class count or an input shape is not contradicted where the
plan names it again. Does not add a size to a text that names none.
"""

import re
from dataclasses import dataclass, replace

from dlcodegen_local.planner.number_rules import NumberRule

_SMALLEST_SIDE = 16
_NARROWEST_HIDDEN = 16
# Percentages of a split and the greatest pixel value, which stand beside a size in "Preprocess".
_NO_SIZES = (20, 25, 30, 60, 70, 75, 80, 85, 90, 127, 255)
_SHAPE = re.compile(r"\((?:None|[a-z_]+)((?:, ?\d{1,6})+),?\)")
_DENSE = re.compile(r"Dense\((?:units=)?(\d{1,6})\b")
_LOSSES_OF_MANY = ("categorical_crossentropy", "sparse_categorical_crossentropy")
_IMAGE_OUTPUT = ("Image Segmentation", "Image-to-Image", "Image Generation")


@dataclass(frozen=True)
class StatedSizes:
    """Hold the side of square images, the numbers of classes and columns, and the input's shape.

    The shape is without the batch.

    None, and an empty shape, where they are not stated.
    """

    image_size: int | None = None
    num_classes: int | None = None
    num_features: int | None = None
    input_shape: tuple[int, ...] = ()

    def after_input(self, text: str) -> "StatedSizes":
        """Return the sizes with what the plan's finished "Input" adds; stated ones stay."""
        found = _SHAPE.search(text)
        if not found:
            return self
        shape = tuple(int(number) for number in re.findall(r"\d+", found.group(1)))
        square = len(shape) == 3 and shape[0] == shape[1] >= _SMALLEST_SIDE
        side = shape[0] if square and self.image_size is None else self.image_size
        return replace(self, input_shape=shape, image_size=side)

    def after_output(self, text: str) -> "StatedSizes":
        """Return the sizes with what the plan's finished "Output" adds; stated ones stay."""
        found = _SHAPE.search(text)
        numbers = re.findall(r"\d+", found.group(1)) if found else []
        if self.num_classes is not None or len(numbers) != 1:
            return self
        return replace(self, num_classes=int(numbers[0]))

    def rules(self, field: str, category: str, text: str, layers_done: int) -> tuple[NumberRule, ...]:
        """Return the rules for the numbers that may follow `text` in a field of a plan."""
        rules = []
        if self.image_size is not None and _has_images(category):
            first_input = layers_done == 0 and text.startswith("Input") and category != "Image Generation"
            layer = field == "layer" and (first_input or "input_shape" in text)
            if layer or field == "input" or (field == "output" and category in _IMAGE_OUTPUT):
                rules.append(NumberRule(frozenset({self.image_size}), _SMALLEST_SIDE))
            if field == "preprocess" and category != "Image-to-Text":
                rules.append(NumberRule(frozenset({self.image_size, *_NO_SIZES}), _SMALLEST_SIDE))
        if self.num_features is not None and field == "input" and category.startswith("Tabular"):
            rules.append(NumberRule(frozenset({self.num_features}), 0))
        is_noise = category == "Image Generation"
        if (
            self.input_shape
            and field == "layer"
            and layers_done == 0
            and text.startswith("Input(")
            and not is_noise
        ):
            rules.append(NumberRule(frozenset(self.input_shape), 0))
        if self.num_classes is not None and _has_classes(category):
            allowed = frozenset({self.num_classes})
            if field == "output":
                rules.append(NumberRule(allowed, 0))
            if field == "layer" and text.startswith("Dense("):
                rules.append(NumberRule(allowed, 0, _NARROWEST_HIDDEN - 1))
        return tuple(rules)

    def forbids_ending(self, category: str, text: str, token_text: str) -> bool:
        """Return whether a token would make `text` a last layer of another number of classes."""
        if self.num_classes is None or not _has_classes(category) or not text.startswith("Dense("):
            return False
        if "sigmoid" in token_text:
            return self.num_classes > 2
        width = text.removeprefix("Dense(").split(",")[0]
        return "softmax" in token_text and width.isdigit() and int(width) != self.num_classes

    def forbids_last(self, category: str, loss: str, text: str) -> bool:
        """Return whether a layer cannot be the last one: its units and the classes or the loss disagree."""
        found = _DENSE.match(text)
        if not found or not _has_classes(category):
            return False
        units = int(found.group(1))
        if self.num_classes is not None and units != self.num_classes and (units, self.num_classes) != (1, 2):
            return True
        return units == 1 and loss in _LOSSES_OF_MANY

    def forbids_value(self, name: str, category: str, value: object) -> bool:
        """Return whether a closed value contradicts the number of classes, or the task."""
        if category.endswith("Regression") and name in ("loss", "metric"):
            return "crossentropy" in str(value) or "accuracy" in str(value)
        many = self.num_classes is not None and self.num_classes > 2 and _has_classes(category)
        return many and name == "loss" and str(value).startswith("binary")


def _has_images(category: str) -> bool:
    return category.startswith("Image") or category == "Object Detection"


def _has_classes(category: str) -> bool:
    return category.endswith("Classification") and category != "Token Classification"
