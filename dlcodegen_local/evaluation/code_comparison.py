"""Compare systems that write code: files in, one document out, ready to be printed or kept.

The document names every file with its sha256 and the signature of every measure, and holds every item.
"""

import importlib.metadata
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.code_files import (
    PredictionFile,
    ReferenceFile,
    read_predictions,
    read_references,
)
from dlcodegen_local.evaluation.code_scores import (
    MEASURES,
    CodeScores,
    CodeSystemScores,
    score_systems,
    values_of,
)
from dlcodegen_local.evaluation.intervals import Estimate, signature

_PACKAGES = ("codebleu", "tree-sitter", "tree-sitter-python")


@dataclass(frozen=True)
class CodeComparison:
    """Hold the scores of every system and what was compared."""

    references: ReferenceFile
    predictions: Mapping[str, PredictionFile]
    scores: CodeScores
    seed: int

    @property
    def notes(self) -> list[str]:
        """Say what is odd about the references, and where a system's rows count as failures or not at all."""
        measured = self.scores.references
        about = {
            "tasks have no reference and are left out": self.references.without_code,
            "references do not parse as Python and are compared as they are": sum(
                not found.parses for found in measured
            ),
            "references have no data flow": self.scores.undefined_flows,
            "references are too large or too deeply nested to be read whole": sum(
                not found.is_read for found in measured
            ),
        }
        notes = [f"{count} {text}" for text, count in about.items() if count]
        for system in self.scores.systems:
            about = {
                "predictions are missing and count as failures": system.missing,
                "predictions hold no code and count as failures": system.empty,
                "predictions are too large or too deeply nested to be read whole": system.unread,
                "predictions could not be compared and count as failures": system.crashed,
                "predictions of unknown ids are left out": self._unknown(system),
            }
            notes += [f"{system.name}: {count} {text}" for text, count in about.items() if count]
        return notes

    @property
    def interval(self) -> str:
        """Return the signature of the confidence intervals."""
        return signature(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that `evaluate code` prints and writes."""
        measured = self.scores.references
        return {
            "versions": {
                "dlcodegen": __version__,
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in _PACKAGES},
            },
            "references": {
                "path": str(self.references.path),
                "sha256": self.references.sha256,
                "items": len(measured),
                "without_reference": self.references.without_code,
                "not_parsing": sum(not found.parses for found in measured),
                "undefined_dataflow": self.scores.undefined_flows,
                "mean_lines": round(sum(found.lines for found in measured) / len(measured), 9),
            },
            "interval": self.interval,
            "measures": {
                measure.name: {
                    "title": measure.title,
                    "better": _DIRECTIONS[measure.higher_is_better],
                    "signature": measure.signature,
                }
                for measure in MEASURES
            },
            "systems": [self._system_row(system) for system in self.scores.systems],
            "notes": self.notes,
        }

    def _unknown(self, system: CodeSystemScores) -> int:
        return len(self.predictions[system.name].predictions.keys() - self.references.references.keys())

    def _system_row(self, system: CodeSystemScores) -> dict[str, Any]:
        file = self.predictions[system.name]
        values = {measure.name: values_of(measure, system) for measure in MEASURES if measure.of_item}
        return {
            "name": system.name,
            "path": str(file.path),
            "sha256": file.sha256,
            "predictions": len(file.predictions),
            "missing": system.missing,
            "empty": system.empty,
            "unread": system.unread,
            "crashed": system.crashed,
            "unknown": self._unknown(system),
            "scores": {name: found and _row(found) for name, found in system.scores.items()},
            "difference_to_first": {name: found and _row(found) for name, found in system.difference.items()},
            "items": {
                item: {name: _rounded(column[place]) for name, column in values.items()}
                for place, item in enumerate(system.items)
            },
        }


_DIRECTIONS = {True: "higher", False: "lower", None: "neither"}


def compare_code(
    predictions: Sequence[Path],
    references: Path,
    seed: int = 0,
    on_measured: Callable[[int], None] = lambda tasks: None,
) -> CodeComparison:
    """Score files of predictions against references; the first file is what the others are compared with.

    `on_measured` is told, as each task is done, how many there are.

    Raises:
        ConfigError: a file cannot be read or is not as it must be, or shares no id with the references.
    """
    wanted = read_references(references)
    files: dict[str, PredictionFile] = {}
    for place, path in enumerate(predictions):
        if path.resolve() in {earlier.resolve() for earlier in predictions[:place]}:
            raise ConfigError(f"{path} is given twice", hint="name each file of predictions once")
        file = read_predictions(path)
        if not file.predictions.keys() & wanted.references.keys():
            raise ConfigError(f"{path} and {references} share no id", hint="give predictions of these items")
        files[path.stem if path.stem not in files else str(path)] = file
    systems = {name: file.predictions for name, file in files.items()}
    total = len(wanted.references)
    scores = score_systems(systems, wanted.references, seed, lambda: on_measured(total))
    return CodeComparison(wanted, files, scores, seed)


def _row(found: Estimate) -> dict[str, float | int]:
    values = {"mean": found.mean, "low": found.low, "high": found.high}
    assert all(math.isfinite(value) for value in values.values())
    return {**{name: round(value, 9) for name, value in values.items()}, "n": found.n}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 9)
