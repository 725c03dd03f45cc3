"""Compare systems that plan: files in, one document out, ready to be printed or kept.

The document names every file with its sha256 and the signature of every measure.
"""

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.intervals import Estimate, signature
from dlcodegen_local.evaluation.plan_files import PlanFile, read_predictions, read_references
from dlcodegen_local.evaluation.plan_scores import MEASURES, SystemScores, score_systems


@dataclass(frozen=True)
class PlanComparison:
    """Hold the scores of every system and what was compared."""

    references: PlanFile
    predictions: Mapping[str, PlanFile]
    systems: Sequence[SystemScores]
    seed: int

    @property
    def notes(self) -> list[str]:
        """Say where a system's ids are not those of the references."""
        notes = []
        for system in self.systems:
            others = len(self.predictions[system.name].plans.keys() - self.references.plans.keys())
            if system.missing:
                notes.append(f"{system.name}: {system.missing} predictions are missing and count as wrong")
            if others:
                notes.append(f"{system.name}: {others} predictions of unknown ids are left out")
        return notes

    @property
    def interval(self) -> str:
        """Return the signature of the confidence intervals."""
        return signature(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that `evaluate plans` prints and writes."""
        return {
            "versions": {
                "dlcodegen": __version__,
                "codebleu": importlib.metadata.version("codebleu"),
            },
            "references": _file_row(self.references),
            "interval": self.interval,
            "measures": {
                measure.name: {
                    "title": measure.title,
                    "better": "higher" if measure.higher_is_better else "lower",
                    "signature": measure.signature,
                }
                for measure in MEASURES
            },
            "systems": [
                {
                    "name": system.name,
                    **_file_row(self.predictions[system.name]),
                    "missing": system.missing,
                    "scores": _rows(system.scores),
                    "difference_to_first": _rows(system.difference),
                }
                for system in self.systems
            ],
            "notes": self.notes,
        }


def compare_plans(predictions: Sequence[Path], references: Path, seed: int = 0) -> PlanComparison:
    """Score files of predictions against references; the first file is what the others are compared with.

    Raises:
        ConfigError: a file cannot be read or is not as it must be, or shares no id with the references.
    """
    wanted = read_references(references)
    files: dict[str, PlanFile] = {}
    for place, path in enumerate(predictions):
        if path.resolve() in {earlier.resolve() for earlier in predictions[:place]}:
            raise ConfigError(f"{path} is given twice", hint="name each file of predictions once")
        file = read_predictions(path)
        if not file.plans.keys() & wanted.plans.keys():
            raise ConfigError(f"{path} and {references} share no id", hint="give predictions of these items")
        files[path.stem if path.stem not in files else str(path)] = file
    systems = score_systems({name: file.plans for name, file in files.items()}, wanted.plans, seed)
    return PlanComparison(wanted, files, systems, seed)


def _file_row(file: PlanFile) -> dict[str, Any]:
    return {"path": str(file.path), "sha256": file.sha256, "items": len(file.plans)}


def _rows(estimates: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {name: estimate and _row(estimate) for name, estimate in estimates.items()}


def _row(estimate: Estimate) -> dict[str, float | int]:
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    assert all(math.isfinite(value) for value in values.values())
    return {**{name: round(value, 9) for name, value in values.items()}, "n": estimate.n}
