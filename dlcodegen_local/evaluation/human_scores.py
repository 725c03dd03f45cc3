"""Score systems by what raters said: means with intervals, agreement, discrepancies first.

A system's score of an item is the mean over the raters that scored it; where the system has no code for an
item, it is 0. Items are what the intervals resample, so they say nothing about other raters.

Paper: Table III; Differs: agreement is Krippendorff's alpha, which allows missing scores.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.evaluation.human_agreement import SIGNATURE, Agreement, agreement_of
from dlcodegen_local.evaluation.human_criteria import CRITERIA, LOWEST
from dlcodegen_local.evaluation.human_ratings import Key, RatedSheet, read_key, read_sheets, to_rows
from dlcodegen_local.evaluation.intervals import Estimate, estimate, paired_difference, signature

_NAMES = tuple(criterion.name for criterion in CRITERIA)
SCORE_SIGNATURE = "mean of raters, then of items|no code: 0|not rated by anybody: left out"


@dataclass(frozen=True)
class HumanSystemScores:
    """Hold one system's estimates by criterion; None where nobody scored it.

    `difference` is the paired difference to the first system, empty for the first itself.
    """

    name: str
    missing: int
    scores: Mapping[str, Estimate | None]
    difference: Mapping[str, Estimate | None]


@dataclass(frozen=True)
class RatedUnit:
    """Hold what all raters said of one code: scores by criterion and rater; `spread` is the largest range."""

    code: str
    item: str
    system: str
    scores: Mapping[str, Mapping[str, float]]
    remarks: Mapping[str, str]

    @property
    def spread(self) -> float:
        """Return how far apart the raters are in the criterion in which they are farthest apart."""
        return max(
            (max(said.values()) - min(said.values()) for said in self.scores.values() if said), default=0
        )

    @property
    def spreads(self) -> float:
        """Return how far apart the raters are in all criteria together."""
        return sum(max(said.values()) - min(said.values()) for said in self.scores.values() if said)


@dataclass(frozen=True)
class HumanReport:
    """Hold the scores, the agreement by criterion, and every code with the largest discrepancies first."""

    key: Key
    sheets: Sequence[RatedSheet]
    systems: Sequence[HumanSystemScores]
    agreement: Mapping[str, Agreement]
    units: Sequence[RatedUnit]
    seed: int

    @property
    def notes(self) -> list[str]:
        """Say what was not rated, and where alpha is undefined."""
        notes = []
        for sheet in self.sheets:
            scores = sum(map(len, sheet.scores.values()))
            if left := len(self.key.codes) * len(_NAMES) - scores:
                notes.append(f"{sheet.rater}: {left} scores are left empty")
        for system in self.systems:
            if system.missing:
                notes.append(f"{system.name}: {system.missing} items have no code and count {LOWEST}")
        if lonely := sum(not any(unit.scores.values()) for unit in self.units):
            notes.append(f"{lonely} codes were rated by nobody and are left out")
        for name, agreement in self.agreement.items():
            if agreement.alpha is None:
                notes.append(f"{name}: alpha is undefined: {agreement.reason}")
        return notes

    @property
    def interval(self) -> str:
        """Return the signature of the confidence intervals."""
        return signature(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that `evaluate human import` prints and writes."""
        return {
            "versions": {"dlcodegen": __version__},
            "study": self.key.study,
            "sheets": [to_rows(sheet) for sheet in self.sheets],
            "interval": self.interval,
            "measures": {
                criterion.name: {
                    "title": criterion.title,
                    "better": "higher",
                    "signature": f"{SCORE_SIGNATURE}|{criterion.definition}",
                }
                for criterion in CRITERIA
            },
            "systems": [
                {
                    "name": system.name,
                    "missing": system.missing,
                    "scores": _rows(system.scores),
                    "difference_to_first": _rows(system.difference),
                }
                for system in self.systems
            ],
            "agreement": {
                "signature": SIGNATURE,
                **{
                    name: {**asdict(found), "alpha": found.alpha and round(found.alpha, 9)}
                    for name, found in self.agreement.items()
                },
            },
            "codes": [{**asdict(unit), "spread": unit.spread} for unit in self.units],
            "notes": self.notes,
        }


def report_ratings(folder: Path, sheets: Sequence[Path], seed: int = 0) -> HumanReport:
    """Read a study and the sheets that came back, and score its systems.

    Raises:
        ConfigError: the key or a sheet cannot be read or is not as it must be.
    """
    key = read_key(folder)
    rated = read_sheets(sheets, key)
    units = [_unit(code, key, rated) for code in key.codes]
    systems: list[HumanSystemScores] = []
    first: dict[str, list[float | None]] = {}
    items = list(dict.fromkeys(item for item, _ in key.codes.values()))
    for name, missing in key.missing.items():
        own = {unit.item: unit for unit in units if unit.system == name}
        values = {
            criterion: [_value(own.get(item), criterion, item in missing) for item in items]
            for criterion in _NAMES
        }
        scores = {
            criterion: estimate([value for value in row if value is not None], seed)
            for criterion, row in values.items()
        }
        difference = {
            criterion: paired_difference(values[criterion], first[criterion], seed) for criterion in first
        }
        first = first or values
        systems.append(HumanSystemScores(name, len(missing), scores, difference))
    agreement = {
        criterion: agreement_of([list(unit.scores[criterion].values()) for unit in units])
        for criterion in _NAMES
    }
    ordered = sorted(units, key=lambda unit: (-unit.spread, -unit.spreads, unit.code))
    return HumanReport(key, rated, systems, agreement, ordered, seed)


def _unit(code: str, key: Key, sheets: Sequence[RatedSheet]) -> RatedUnit:
    said = {
        criterion: {
            sheet.rater: sheet.scores[code][criterion]
            for sheet in sheets
            if criterion in sheet.scores.get(code, {})
        }
        for criterion in _NAMES
    }
    remarks = {sheet.rater: sheet.remarks[code] for sheet in sheets if code in sheet.remarks}
    return RatedUnit(code, *key.codes[code], said, remarks)


def _value(unit: RatedUnit | None, criterion: str, is_missing: bool) -> float | None:
    if is_missing or unit is None:
        return float(LOWEST) if is_missing else None
    said = unit.scores[criterion].values()
    return math.fsum(said) / len(said) if said else None


def _rows(estimates: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {
        name: found
        and {**{key: round(getattr(found, key), 9) for key in ("mean", "low", "high")}, "n": found.n}
        for name, found in estimates.items()
    }
