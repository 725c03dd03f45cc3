"""Sum up what a system made of all its tasks, with references or without.

Guarantees that an item without a program counts as a failure in every rate.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.evaluation.code_worker import parses
from dlcodegen_local.evaluation.intervals import Estimate, estimate
from dlcodegen_local.evaluation.peak_memory import SIGNATURE as MEMORY

SIGNATURES = {
    "failed": "items without a program",
    "parse_rate": "percent|ast, code as it stands",
    "compliance": "percent|mean of the fields of the item's own plan|an item without a program: 0",
    "smoke_rate": "percent|smoke runs that passed|not run: left out|an item without a program: 0",
    "seconds": "wall time an item, mean|of items with a program",
    "tokens": "read and written an item, mean|of items with a program",
    "peak_memory_mib": MEMORY,
}


@dataclass(frozen=True)
class Summary:
    """Hold rates in percent with their intervals, None where no item counts, and what a program costs.

    `errors` counts what the failed items died of, `origins` the stages that delivered the programs.
    """

    name: str
    items: int
    failed: int
    parse_rate: Estimate | None
    compliance: Estimate | None
    smoke_rate: Estimate | None
    seconds: float | None
    tokens: float | None
    peak_memory_mib: float | None
    origins: Mapping[str, int]
    errors: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the results."""
        estimates = {name: getattr(self, name) for name in ("parse_rate", "compliance", "smoke_rate")}
        return {
            "name": self.name,
            "items": self.items,
            "failed": self.failed,
            **{name: found and found.to_dict() for name, found in estimates.items()},
            "seconds": self.seconds,
            "tokens": self.tokens,
            "peak_memory_mib": self.peak_memory_mib,
            "origins": dict(self.origins),
            "errors": dict(self.errors),
        }


def summarise(name: str, rows: Sequence[Mapping[str, Any]], seed: int, *, has_runs: bool = True) -> Summary:
    """Sum up a system's rows, of programs (`code`) or of failures (`error`); `has_runs`: of smoke runs."""
    made = [row for row in rows if _code(row).strip()]
    return Summary(
        name=name,
        items=len(rows),
        failed=len(rows) - len(made),
        parse_rate=estimate(
            [100.0 * (bool(_code(row).strip()) and parses(_code(row))) for row in rows], seed
        ),
        compliance=estimate(_rates(rows, "compliance", "score"), seed),
        smoke_rate=estimate(_rates(rows, "smoke", "ok"), seed) if has_runs else None,
        seconds=_mean(made, "seconds", 2),
        tokens=_mean(made, "tokens", 0),
        peak_memory_mib=_peak(rows),
        origins=_counted(str(row.get("origin", "")) for row in made),
        errors=_counted(str(row.get("error", "")) for row in rows if row.get("error")),
    )


def costs(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON object of what a system's rows cost, whatever they hold."""
    made = [row for row in rows if not row.get("error")]
    return {
        "name": name,
        "items": len(rows),
        "failed": len(rows) - len(made),
        "seconds": _mean(made, "seconds", 2),
        "tokens": _mean(made, "tokens", 0),
        "peak_memory_mib": _peak(rows),
        "errors": _counted(str(row["error"]) for row in rows if row.get("error")),
    }


def _code(row: Mapping[str, Any]) -> str:
    code = row.get("code")
    return code if isinstance(code, str) else ""


def _rates(rows: Sequence[Mapping[str, Any]], check: str, key: str) -> list[float]:
    """Return a check's values in percent; 0 for an item without a program."""
    found = [(row, _checked(row, check, key)) for row in rows]
    values = [0.0 if value is None and not _code(row).strip() else value for row, value in found]
    return [value for value in values if value is not None]


def _checked(row: Mapping[str, Any], check: str, key: str) -> float | None:
    verification = row.get("verification")
    found = verification.get(check) if isinstance(verification, dict) else None
    value = found.get(key) if isinstance(found, dict) else None
    return 100.0 * value if isinstance(value, int | float) else None


def _numbers(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float(row[key]) for row in rows if isinstance(row.get(key), int | float)]


def _mean(rows: Sequence[Mapping[str, Any]], key: str, digits: int) -> float | None:
    values = _numbers(rows, key)
    return round(sum(values) / len(values), digits) if values else None


def _peak(rows: Sequence[Mapping[str, Any]]) -> float | None:
    values = _numbers(rows, "peak_memory_bytes")
    return round(max(values) / 2**20, 1) if values else None


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))
