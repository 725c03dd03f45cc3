"""Measure how far code follows its plan, field by field, from the syntax tree alone.

A field that the plan leaves open is left out, and so is a shape that cannot be read off code that has
layers. Code that does not parse scores 0 on every field of the plan. Differs from comparing texts: what means
the same (`filters=32` and `32`, "mse" and "mean squared error") counts as the same.
"""

import math
import re

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.categories import DECODED
from dlcodegen_local.plan.extraction import Extraction, extract
from dlcodegen_local.plan.extraction_canonical import canonical_layers, sequence_similarity
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import (
    canonical_loss,
    canonical_metric,
    canonical_optimizer,
    is_known_loss,
    letters_and_digits,
)
from dlcodegen_local.verification.report import Compliance

_ACCURACIES = {
    "binary_crossentropy": "binary_accuracy",
    "categorical_crossentropy": "categorical_accuracy",
    "sparse_categorical_crossentropy": "sparse_categorical_accuracy",
}
# Losses that the same labels and the same last layer serve; a loss can be in two.
_LOSS_KINDS = (
    {"binary_crossentropy", "binary_focal_crossentropy", "focal_loss", "cross_entropy", "bce_dice_loss"},
    {
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "categorical_focal_crossentropy",
        "focal_loss",
        "cross_entropy",
        "nll_loss",
    },
    {"dice_loss", "bce_dice_loss", "jaccard_loss", "tversky_loss", "focal_tversky_loss"},
    {
        "mean_squared_error",
        "root_mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "mean_columnwise_root_mean_squared_error",
        "huber",
        "log_cosh",
        "pinball_loss",
    },
)


def measure_compliance(source: str, plan: Plan) -> Compliance:
    """Return how far code follows a plan."""
    contradicted: tuple[str, ...] = ()
    try:
        extraction = extract(source)
    except ConfigError:
        fields = dict.fromkeys(_planned_fields(plan), 0.0)
    else:
        fields = {
            name: score
            for name in _planned_fields(plan)
            if (score := _score(name, plan, extraction)) is not None
        }
        if _is_other_kind(plan.loss, extraction.plan.loss):
            contradicted = ("loss function",)
    score = sum(fields.values()) / len(fields) if fields else None
    return Compliance(score, fields, contradicted)


def _planned_fields(plan: Plan) -> list[str]:
    """List the fields that the plan gives something to compare for."""
    given = {
        "layers": bool(plan.layers),
        "optimizer": bool(canonical_optimizer(plan.optimizer)),
        "loss function": bool(canonical_loss(plan.loss)),
        "evaluation metric": bool(canonical_metric(plan.metric)),
        "learning rate": plan.learning_rate is not None,
        "batch size": plan.batch_size is not None,
        "epochs": plan.epochs is not None,
        "input": any(_is_numeric(shape) for shape in shapes_in(plan.dataset_input)),
        "output": any(_is_numeric(shape) for shape in shapes_in(plan.dataset_output)),
    }
    return [name for name, is_given in given.items() if is_given]


def _score(name: str, plan: Plan, extraction: Extraction) -> float | None:
    found = extraction.plan
    if name == "layers":
        return sequence_similarity(canonical_layers(plan.layers), canonical_layers(extraction.layers))
    if name == "optimizer":
        return float(_same(canonical_optimizer(plan.optimizer), canonical_optimizer(found.optimizer)))
    if name == "loss function":
        return float(_same(canonical_loss(plan.loss), canonical_loss(found.loss)))
    if name == "evaluation metric":
        return float(_metric_is_used(canonical_metric(plan.metric), extraction))
    if name == "learning rate":
        return float(_equal(plan.learning_rate, found.learning_rate))
    if name == "batch size":
        return float(plan.batch_size == found.batch_size)
    if name == "epochs":
        return float(plan.epochs == found.epochs)
    if name == "input":
        return _shape_agreement(plan.dataset_input, found.dataset_input, bool(found.layers))
    agreement = _shape_agreement(plan.dataset_output, found.dataset_output, bool(found.layers))
    is_decoded = plan.category in DECODED and found.layers
    return None if is_decoded and agreement != 1.0 else agreement


def _is_other_kind(planned: str, found: str) -> bool:
    """Tell whether two losses, both named and known, are not of one kind."""
    if not (is_known_loss(canonical_loss(planned)) and is_known_loss(canonical_loss(found))):
        return False
    names = {canonical_loss(planned), canonical_loss(found)}
    return len(names) > 1 and not any(names <= kind for kind in _LOSS_KINDS)


def _same(planned: str, found: str) -> bool:
    left, right = (letters_and_digits(name).removeprefix("custom") for name in (planned, found))
    return left == right


def _equal(planned: float | None, found: float | None) -> bool:
    return planned is not None and found is not None and math.isclose(planned, found, rel_tol=1e-6)


def _metric_is_used(planned: str, extraction: Extraction) -> bool:
    """Say whether the code measures the planned metric; Keras resolves "accuracy" by the loss."""
    if planned == "loss":
        return bool(extraction.plan.loss)
    accuracy = _ACCURACIES.get(canonical_loss(extraction.plan.loss))
    wanted = {planned}
    if planned == accuracy:
        wanted.add("accuracy")
    if planned == "accuracy" and accuracy:
        wanted.add(accuracy)
    return any(
        _same(name, metric) for name in wanted for metric in (*extraction.metrics, extraction.plan.metric)
    )


def shapes_in(text: str) -> list[tuple[str, ...]]:
    """Return the shapes that a text names, without their batch axis; axes are texts.

    A first axis that is a name or None stands for the batch; a number does not.
    """
    shapes = []
    for inner in re.findall(r"[(\[]([^()\[\]]*)[)\]]", text):
        axes = [axis.strip().lower() for axis in inner.split(",")]
        axes = [axis for axis in axes if axis]
        if not axes or not all(re.fullmatch(r"[\w.*+/ -]{1,40}", axis) for axis in axes):
            continue
        if not re.fullmatch(r"\d+", axes[0]):
            axes = axes[1:]
        elif len(axes) == 1 and "," not in inner:
            continue
        if axes:
            shapes.append(tuple(axes))
    return shapes


def _is_numeric(shape: tuple[str, ...]) -> bool:
    return any(re.fullmatch(r"\d+", axis) for axis in shape)


def _shape_agreement(planned: str, found: str, has_layers: bool) -> float | None:
    """Return the share of the planned numeric axes that the code agrees with, None where it is unknown."""
    ours = shapes_in(found)
    if not ours:
        return None if has_layers else 0.0
    scores = [
        max(_axes_agreement(shape, other) for other in ours)
        for shape in shapes_in(planned)
        if _is_numeric(shape)
    ]
    return sum(scores) / len(scores)


def _axes_agreement(planned: tuple[str, ...], found: tuple[str, ...]) -> float:
    if len(planned) == len(found) + 1:
        planned = planned[1:]  # A batch that is given as a number.
    if len(planned) != len(found):
        return 0.0
    pairs = [(a, b) for a, b in zip(planned, found, strict=True) if a.isdigit() and b.isdigit()]
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0
