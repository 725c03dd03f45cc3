"""Score predicted plans against references: every measure in one table, each a function of one item.

Guarantees that a prediction that is missing or cannot be read counts as wrong, also where the reference
leaves a field open. Two measures follow the paper instead: mean absolute errors skip it, and to MLD it is an
empty list.

Paper: Table IV; Differs: layer similarity and log distances stand beside its measures, since an empty layer
list has a better mean Levenshtein distance than most systems and a few outliers rule a mean absolute error.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dlcodegen_local.evaluation.intervals import Estimate, estimate, paired_difference
from dlcodegen_local.evaluation.plan_fields import MISSING, PlanFields
from dlcodegen_local.evaluation.text_scores import bleu, plain_equal
from dlcodegen_local.plan.distance import layer_similarity, levenshtein


@dataclass(frozen=True)
class Measure:
    """Name one measure, a function of prediction and reference that is None where an item does not count.

    `digits` are those after the point that a table shows.
    """

    name: str
    title: str
    higher_is_better: bool
    digits: int
    signature: str
    of_item: Callable[[PlanFields, PlanFields], float | None]


@dataclass(frozen=True)
class SystemScores:
    """Hold one system's estimates by measure; None where no item counts.

    `difference` is the paired difference to the first system of a comparison, empty for the first itself.
    """

    name: str
    missing: int
    scores: Mapping[str, Estimate | None]
    difference: Mapping[str, Estimate | None]


def score_systems(
    systems: Mapping[str, Mapping[str, PlanFields]], references: Mapping[str, PlanFields], seed: int = 0
) -> list[SystemScores]:
    """Score every system's predictions, by id, over all the references.

    Predictions of other ids are not looked at.
    """
    results: list[SystemScores] = []
    first: dict[str, list[float | None]] = {}
    for name, predictions in systems.items():
        items = score_items(
            [predictions.get(item, MISSING) for item in references], list(references.values())
        )
        scores = {
            measure: estimate([value for value in values if value is not None], seed)
            for measure, values in items.items()
        }
        difference = {measure: paired_difference(items[measure], first[measure], seed) for measure in first}
        first = first or items
        missing = sum(item not in predictions for item in references)
        results.append(SystemScores(name, missing, scores, difference))
    return results


def score_items(
    predictions: Sequence[PlanFields], references: Sequence[PlanFields]
) -> dict[str, list[float | None]]:
    """Return every measure's value for every item, in the items' order."""
    pairs = list(zip(predictions, references, strict=True))
    return {measure.name: [measure.of_item(*pair) for pair in pairs] for measure in MEASURES}


def log_distance(prediction: float | None, reference: float | None) -> float | None:
    """Return min(1, |log10(prediction / reference)|), None where the reference has no number.

    A missing prediction is at distance 1, and so is anything from a number that is not over 0.
    """
    if reference is None or prediction == reference:
        return None if reference is None else 0.0
    if prediction is None or prediction <= 0 or reference <= 0:
        return 1.0
    return min(1.0, abs(math.log10(prediction) - math.log10(reference)))


def mean_levenshtein(layers: Sequence[str], reference: Sequence[str]) -> float:
    """Return the paper's distance of two layer lists: in characters, over the number of reference layers.

    The layers are joined by NUL; a reference without layers counts as one.
    """
    return levenshtein("\0".join(layers), "\0".join(reference)) / max(1, len(reference))


def _exact(field: str) -> Callable[[PlanFields, PlanFields], float]:
    def exact(plan: PlanFields, wanted: PlanFields) -> float:
        return 100.0 * (plan != MISSING and plain_equal(getattr(plan, field), getattr(wanted, field)))

    return exact


def _bleu(field: str) -> Callable[[PlanFields, PlanFields], float]:
    return lambda plan, wanted: bleu(getattr(plan, field), getattr(wanted, field))


def _log_distance(field: str) -> Callable[[PlanFields, PlanFields], float | None]:
    return lambda plan, wanted: log_distance(getattr(plan, field), getattr(wanted, field))


def _absolute_error(field: str) -> Callable[[PlanFields, PlanFields], float | None]:
    def error(plan: PlanFields, wanted: PlanFields) -> float | None:
        prediction, reference = getattr(plan, field), getattr(wanted, field)
        return None if prediction is None or reference is None else abs(prediction - reference)

    return error


_EXACT = "percent exact|lower case, ASCII letters and digits only|a missing text is empty"
_BLEU = "percent|sentence BLEU-4, smoothing method 1, mean|tokens: words, runs of punctuation; case kept"
_PLAN_BLEU = f"{_BLEU}|plans as JSON on one line, keys as written"
_LAYERS = (
    "0 to 100|edit distance of layers, substitution: normalised Levenshtein, lower case|over the longer list"
)
_LOG = "mean of min(1, abs(log10(prediction / reference)))|missing: 1|items whose reference has a number"
_MLD = "Levenshtein in characters of layers joined by NUL|over the number of reference layers, at least 1"
_MAE = "mean absolute error|items where prediction and reference have a number"


def _layer_similarity(plan: PlanFields, wanted: PlanFields) -> float:
    return 0.0 if plan == MISSING else layer_similarity(plan.layers, wanted.layers)


def _mean_levenshtein(plan: PlanFields, wanted: PlanFields) -> float:
    return mean_levenshtein(plan.layers, wanted.layers)


def _valid_json(plan: PlanFields, wanted: PlanFields) -> float:
    return 100.0 * plan.valid_json


MEASURES = (
    Measure(
        "valid_json", "Valid JSON", True, 1, "percent|the whole prediction is one JSON object", _valid_json
    ),
    Measure("category", "Category", True, 1, _EXACT, _exact("category")),
    Measure("dataset_input_bleu", "Input BLEU", True, 1, _BLEU, _bleu("dataset_input")),
    Measure("dataset_output_bleu", "Output BLEU", True, 1, _BLEU, _bleu("dataset_output")),
    Measure("layer_similarity", "Layer similarity", True, 1, _LAYERS, _layer_similarity),
    Measure("loss", "Loss", True, 1, _EXACT, _exact("loss")),
    Measure("optimizer", "Optimizer", True, 1, _EXACT, _exact("optimizer")),
    Measure("metric", "Metric", True, 1, _EXACT, _exact("metric")),
    Measure("plan_bleu", "Plan BLEU", True, 1, _PLAN_BLEU, _bleu("written")),
    Measure("learning_rate", "Learning rate, log distance", False, 3, _LOG, _log_distance("learning_rate")),
    Measure("batch_size", "Batch size, log distance", False, 3, _LOG, _log_distance("batch_size")),
    Measure("epochs", "Epochs, log distance", False, 3, _LOG, _log_distance("epochs")),
    Measure("mld", "MLD", False, 1, _MLD, _mean_levenshtein),
    Measure("learning_rate_mae", "Learning rate, MAE", False, 4, _MAE, _absolute_error("learning_rate")),
    Measure("batch_size_mae", "Batch size, MAE", False, 1, _MAE, _absolute_error("batch_size")),
    Measure("epochs_mae", "Epochs, MAE", False, 1, _MAE, _absolute_error("epochs")),
)
