"""Score generated code against references: every measure in one table, of the pooled counts or item by item.

Guarantees that a prediction that is missing, holds no code or could not be compared counts as a failure in
every measure but the mean number of lines. A high CodeBLEU proves little: a sample copied unchanged has a
higher one than what strong models write, so compliance and smoke runs stand beside it.

Paper: Table II; Differs: data flow is also left undefined where the package calls it 1.
"""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.code_counts import CorpusScores
from dlcodegen_local.evaluation.code_files import Prediction, Reference
from dlcodegen_local.evaluation.code_text import SIGNATURE as TEXT
from dlcodegen_local.evaluation.code_worker import CodeMeasurement, CodeTask
from dlcodegen_local.evaluation.code_workers import measure_tasks
from dlcodegen_local.evaluation.intervals import Estimate, estimate, paired_difference, pooled_estimate


@dataclass(frozen=True)
class ScoredItem:
    """Hold one task's prediction and its measurement: that of no code where there is no prediction."""

    prediction: Prediction | None
    measured: CodeMeasurement


@dataclass(frozen=True)
class CodeMeasure:
    """Name one measure: of summed counts (`of_counts`) or the mean of a value of each item (`of_item`).

    A value that is None leaves its item out.
    """

    name: str
    title: str
    higher_is_better: bool | None
    signature: str
    of_counts: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    of_item: Callable[[ScoredItem], float | None] | None = None


@dataclass(frozen=True)
class CodeSystemScores:
    """Hold one system's estimates by measure; None where no item counts.

    `difference` is the paired difference to the first system of a comparison, empty for the first itself.
    `empty` counts predictions without code, `unread` those too large or nested too deeply to be read whole,
    `crashed` those that could not be compared.
    """

    name: str
    missing: int
    empty: int
    unread: int
    crashed: int
    items: Mapping[str, ScoredItem]
    scores: Mapping[str, Estimate | None]
    difference: Mapping[str, Estimate | None] = field(default_factory=dict)


@dataclass(frozen=True)
class CodeScores:
    """Hold the scores of all systems, and the references measured against themselves, in their order."""

    systems: Sequence[CodeSystemScores]
    references: Sequence[CodeMeasurement]

    @property
    def undefined_flows(self) -> int:
        """Count the references without data flow."""
        return int(
            np.isnan(CorpusScores(np.array([found.counts for found in self.references])).dataflow).sum()
        )


def score_systems(
    systems: Mapping[str, Mapping[str, Prediction]],
    references: Mapping[str, Reference],
    seed: int = 0,
    on_measured: Callable[[], None] = lambda: None,
) -> CodeScores:
    """Score every system's predictions, by id, over all the references.

    Predictions of other ids are not looked at. `on_measured` is called as each task is done.
    """
    tasks = [
        CodeTask(
            reference.code,
            # no code, for what is missing and for what cannot be compared; the reference itself
            ("", reference.code, *(_code(found.get(item)) for found in systems.values())),
            None if reference.plan is None else reference.plan.to_dict(),
        )
        for item, reference in references.items()
    ]
    measured = dict(zip(references, measure_tasks(tasks, on_measured), strict=True))
    wanted = []
    for item, (nothing, itself, *_) in measured.items():
        if nothing is None or itself is None:
            raise ConfigError(f"reference {item!r} cannot be compared with anything", hint="leave it out")
        wanted.append(itself)
    results: list[CodeSystemScores] = []
    for place, (name, predictions) in enumerate(systems.items(), start=2):
        pairs = {item: (answers[place], answers[0]) for item, answers in measured.items()}
        results.append(_system(name, predictions, pairs, seed, results[0] if results else None))
    return CodeScores(results, wanted)


def _code(prediction: Prediction | None) -> str:
    return "" if prediction is None else prediction.code


def _system(
    name: str,
    predictions: Mapping[str, Prediction],
    pairs: Mapping[str, tuple[CodeMeasurement | None, CodeMeasurement | None]],
    seed: int,
    first: CodeSystemScores | None,
) -> CodeSystemScores:
    items = {
        item: ScoredItem(predictions.get(item), measured)
        for item, (found, nothing) in pairs.items()
        if (measured := found or nothing) is not None
    }
    crashed = sum(found is None for found, _ in pairs.values())
    system = CodeSystemScores(
        name,
        missing=sum(item not in predictions for item in pairs),
        empty=sum(scored.prediction is not None and not scored.measured.lines for scored in items.values())
        - crashed,
        unread=sum(not scored.measured.is_read for scored in items.values()),
        crashed=crashed,
        items=items,
        scores={},
    )
    scores = {measure.name: _estimate(measure, system, seed) for measure in MEASURES}
    difference = {} if first is None else {m.name: _difference(m, system, first, seed) for m in MEASURES}
    return replace(system, scores=scores, difference=difference)


def _estimate(measure: CodeMeasure, system: CodeSystemScores, seed: int) -> Estimate | None:
    if measure.of_counts is not None:
        return pooled_estimate(_rows(system), measure.of_counts, seed)
    return estimate([value for value in values_of(measure, system) if value is not None], seed)


def _difference(
    measure: CodeMeasure, system: CodeSystemScores, first: CodeSystemScores, seed: int
) -> Estimate | None:
    if measure.of_counts is not None:
        return pooled_estimate(_rows(system), measure.of_counts, seed, _rows(first))
    return paired_difference(values_of(measure, system), values_of(measure, first), seed)


def values_of(measure: CodeMeasure, system: CodeSystemScores) -> list[float | None]:
    """Return the value of every item; None where it does not count."""
    if measure.of_item is None:
        return [None] * len(system.items)
    if measure.name == "smoke_rate" and not any(
        scored.prediction is not None and scored.prediction.is_verified for scored in system.items.values()
    ):
        return [None] * len(system.items)
    return [measure.of_item(scored) for scored in system.items.values()]


def _rows(system: CodeSystemScores) -> NDArray[np.float64]:
    return np.array([scored.measured.counts for scored in system.items.values()], dtype=np.float64)


def _percent(
    part: Callable[[CorpusScores], NDArray[np.float64]],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda sums: 100 * part(CorpusScores(sums))


def _compliance(scored: ScoredItem) -> float | None:
    compliance = scored.measured.compliance
    return None if compliance is None else 100 * compliance


def _edit_distance(scored: ScoredItem) -> float | None:
    distance = scored.measured.edit_distance
    return None if distance is None else 100 * distance


def _smoke(scored: ScoredItem) -> float | None:
    if scored.prediction is None or not scored.measured.lines:
        return 0.0
    smoke_ok = scored.prediction.smoke_ok
    return None if smoke_ok is None else 100.0 * smoke_ok


def _lines(scored: ScoredItem) -> float | None:
    return float(scored.measured.lines) if scored.measured.lines else None


def _versions() -> str:
    names = ("codebleu", "tree-sitter", "tree-sitter-python")
    return "|".join(f"{name} {importlib.metadata.version(name)}" for name in names)


_PACKAGE = f"percent|{_versions()}|counts pooled over all pairs|{TEXT}"
_BLEU4 = "BLEU-4, smoothing method 1, split at blanks"
_TREE = "past 400 levels: none"
_FLOW = f"{_TREE}, nor past 1e9 names x nodes|hash seed 0"
_OF_ITEMS = f"mean of items|{TEXT}"

MEASURES = (
    CodeMeasure(
        "codebleu", "CodeBLEU", True,
        f"{_PACKAGE}|weights 0.25|data flow 0 counts as 1, as in the package; no code at all: 0",
        of_counts=_percent(lambda corpus: corpus.total),
    ),
    CodeMeasure(
        "codebleu_defined", "CodeBLEU, undefined left out", True,
        f"{_PACKAGE}|equal weights of the defined parts|data flow 0 counts as 0",
        of_counts=_percent(lambda corpus: corpus.defined_total),
    ),
    CodeMeasure("ngram", "n-gram", True, f"{_PACKAGE}|{_BLEU4}", of_counts=_percent(lambda c: c.ngram)),
    CodeMeasure(
        "weighted_ngram", "weighted n-gram", True,
        f"{_PACKAGE}|recall, keywords 1, other tokens 0.2, {_BLEU4}|practically no brevity penalty",
        of_counts=_percent(lambda corpus: corpus.weighted_ngram),
    ),
    CodeMeasure(
        "syntax", "syntax", True, f"{_PACKAGE}|reference subtrees found|{_TREE}",
        of_counts=_percent(lambda corpus: corpus.syntax),
    ),
    CodeMeasure(
        "dataflow", "data flow", True, f"{_PACKAGE}|reference flows found|{_FLOW}",
        of_counts=_percent(lambda corpus: corpus.dataflow),
    ),
    CodeMeasure(
        "codebleu_mean", "CodeBLEU, mean of items", True,
        f"percent|{_versions()}|undefined left out|{_OF_ITEMS}",
        of_item=lambda scored: 100 * scored.measured.codebleu,
    ),
    CodeMeasure(
        "bleu", "BLEU-4", True, f"percent|sentence {_BLEU4}|{_OF_ITEMS}",
        of_item=lambda scored: 100 * scored.measured.bleu,
    ),
    CodeMeasure(
        "exact_match", "Exact match", True, f"percent|all tokens equal|{_OF_ITEMS}",
        of_item=lambda scored: 100.0 * scored.measured.is_exact,
    ),
    CodeMeasure(
        "edit_distance", "Edit distance", False,
        f"percent|Levenshtein in tokens over the longer text|past 2e10 cells: left out|{_OF_ITEMS}",
        of_item=_edit_distance,
    ),
    CodeMeasure(
        "parse_rate", "Parse rate", True,
        f"percent|ast of Python {platform.python_version()}, code as it stands",
        of_item=lambda scored: 100.0 * scored.measured.parses,
    ),
    CodeMeasure(
        "compliance", "Plan compliance", True,
        "percent|mean of the plan's fields|items whose task has a plan",
        of_item=_compliance,
    ),
    CodeMeasure(
        "smoke_rate", "Smoke run", True, "percent|verification.smoke.ok as recorded|not run: left out",
        of_item=_smoke,
    ),
    CodeMeasure("lines", "Lines", None, "mean|predictions with code", of_item=_lines),
)  # fmt: skip
