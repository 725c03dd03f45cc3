"""Label scores with leaks, and score beside them the items that do not leak.

Guarantees that a comparison with leaks says so before anything else, in its notes and in its document, and
that its clean systems, `NAME (clean)`, are scored over the same items and compared with the first of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlcodegen_local.evaluation.code_comparison import CodeComparison
from dlcodegen_local.evaluation.code_scores import MEASURES, CodeMeasure, CodeSystemScores, values_of
from dlcodegen_local.evaluation.intervals import Estimate, estimate, paired_difference, pooled_estimate
from dlcodegen_local.evaluation.leaks_report import LeakReport
from dlcodegen_local.evaluation.plan_comparison import PlanComparison
from dlcodegen_local.evaluation.plan_scores import SystemScores, score_systems

Scored = SystemScores | CodeSystemScores


@dataclass(frozen=True)
class LabelledComparison:
    """Hold a comparison beside its leaks; `clean` are its systems over the items that do not leak."""

    comparison: PlanComparison | CodeComparison
    report: LeakReport
    clean: Sequence[Scored]

    @property
    def notes(self) -> list[str]:
        """Return the label, what stands behind it, and the comparison's own notes."""
        explained = []
        if self.report.leaks:
            left = len(self.report.items) - len(self.report.leaks)
            explained += [
                f"(clean): scored over the {left} items that do not leak" if left else "no item is clean",
                "the items are named by: dlcodegen evaluate leaks",
            ]
        return [self.report.label, *explained, *self.report.notes, *self.comparison.notes]

    @property
    def interval(self) -> str:
        """Return the signature of the confidence intervals."""
        return self.comparison.interval

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison's JSON object with `held_out`, `label`, `leaks` and `clean_systems`."""
        document = self.comparison.to_dict()
        found = self.report.to_dict()
        return {
            "held_out": found["held_out"],
            "label": found["label"],
            **document,
            "clean_systems": [
                {
                    "name": system.name,
                    "scores": _rows(system.scores),
                    "difference_to_first": _rows(system.difference),
                }
                for system in self.clean
            ],
            "leaks": found,
            "notes": self.notes,
        }


def clean_plan_systems(comparison: PlanComparison, leaky: Mapping[str, object]) -> Sequence[Scored]:
    """Score the systems of a comparison over the items that do not leak; none where all leak."""
    references = {item: plan for item, plan in comparison.references.plans.items() if item not in leaky}
    if not leaky or not references:
        return []
    predictions = {_clean(name): file.plans for name, file in comparison.predictions.items()}
    return score_systems(predictions, references, comparison.seed)


def clean_code_systems(comparison: CodeComparison, leaky: Mapping[str, object]) -> Sequence[Scored]:
    """Score the systems of a comparison over the items that do not leak; none where all leak.

    Nothing is measured again.
    """
    systems: list[CodeSystemScores] = []
    for system in comparison.scores.systems:
        items = {item: scored for item, scored in system.items.items() if item not in leaky}
        if not leaky or not items:
            return []
        clean = replace(system, name=_clean(system.name), items=items, scores={}, difference={})
        scores = {measure.name: _estimate(measure, clean, comparison.seed) for measure in MEASURES}
        difference = {
            measure.name: _difference(measure, clean, systems[0], comparison.seed)
            for measure in MEASURES
            if systems
        }
        systems.append(replace(clean, scores=scores, difference=difference))
    return systems


def _clean(name: str) -> str:
    return f"{name} (clean)"


def _estimate(measure: CodeMeasure, system: CodeSystemScores, seed: int) -> Estimate | None:
    if measure.of_counts is not None:
        return pooled_estimate(_counts(system), measure.of_counts, seed)
    return estimate([value for value in values_of(measure, system) if value is not None], seed)


def _difference(
    measure: CodeMeasure, system: CodeSystemScores, first: CodeSystemScores, seed: int
) -> Estimate | None:
    if measure.of_counts is not None:
        return pooled_estimate(_counts(system), measure.of_counts, seed, _counts(first))
    return paired_difference(values_of(measure, system), values_of(measure, first), seed)


def _counts(system: CodeSystemScores) -> Any:
    return np.array([scored.measured.counts for scored in system.items.values()], dtype=np.float64)


def _rows(estimates: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {
        name: found
        and {
            **{key: round(getattr(found, key), 9) for key in ("mean", "low", "high")},
            "n": found.n,
        }
        for name, found in estimates.items()
    }
