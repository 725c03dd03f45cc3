"""Two code models on the same tasks: which one to take on this machine, and why.

Guarantees that both get the same plans, and that a recommendation for quality rests on a paired test.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.evaluation.code_worker import parses
from dlcodegen_local.evaluation.randomization import paired_p
from dlcodegen_local.evaluation.systems import System
from dlcodegen_local.evaluation.table_run import Task

SIGNIFICANT = 0.05
TASKS = Path(__file__).with_name("bench_tasks.jsonl")
QUALITY = (
    "percent|compliance with the plan of each program that parses and did not fail its smoke run|"
    "any other program, and none: 0"
)

_CLEARLY_SLOWER = 1.1
_UNSAFE = re.compile(r"[^\w.-]")

MakeProgram = Callable[[System, Task], Mapping[str, Any]]


@dataclass(frozen=True)
class Recommendation:
    """Name the model to take, None where neither will do, and say why; `quality` is a mean by model."""

    name: str | None
    reason: str
    quality: Mapping[str, float]
    p_value: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the results."""
        return {
            "name": self.name,
            "reason": self.reason,
            "quality": dict(self.quality),
            "p_value": self.p_value,
            "signature": QUALITY,
        }


class ModelSwitch:
    """Make programs with one model after the other; one model is loaded at a time."""

    def __init__(self, load: Callable[[System], MakeProgram]) -> None:
        self._load = load
        self._loaded = ""
        self._make: MakeProgram | None = None

    def __call__(self, system: System, task: Task) -> Mapping[str, Any]:
        """Return the row of a program, without its id.

        Raises:
            DlcodegenError: the model cannot be loaded, or no program could be made.
        """
        if self._make is None or self._loaded != system.name:
            self._make = None  # its memory is free before the next model is loaded
            self._make = self._load(system)
            self._loaded = system.name
        return self._make(system, task)


def model_system(model: Path, sha256: str) -> System:
    """Return the whole method with a model; its name tells models of one file name apart."""
    return System(f"{_UNSAFE.sub('_', model.stem)}-{sha256[:8]}", "")


def quality(row: Mapping[str, Any]) -> float:
    """Return what a program is worth, 0 to 100."""
    code, verification = str(row.get("code", "")), row.get("verification")
    if not code.strip() or not parses(code) or not isinstance(verification, dict):
        return 0.0
    if verification["smoke"]["ok"] is False:
        return 0.0
    score = verification["compliance"]["score"]
    return 100.0 * (1.0 if score is None else score)


def recommend(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], summary: Sequence[Mapping[str, Any]], seed: int
) -> Recommendation:
    """Choose between two models by rows of the same tasks: the better one, or if none is, the cheaper one."""
    values = {name: [quality(row) for row in found] for name, found in rows.items()}
    means = {name: round(sum(found) / len(found), 2) for name, found in values.items()}
    (first, ours), (second, theirs) = values.items()
    p_value = paired_p(ours, theirs, seed)
    better, worse = (first, second) if means[first] >= means[second] else (second, first)
    if means[better] == 0:
        reason = "neither model made a program that works: try larger ones, or ones that were trained on code"
        return Recommendation(None, reason, means, p_value)
    costs = {found["name"]: found for found in summary}
    compared = f"{means[better]:.1f} against {means[worse]:.1f}, p = {p_value:.3f}"
    if means[worse] == 0 or (p_value is not None and p_value < SIGNIFICANT):
        return Recommendation(
            better, f"its programs are better ({compared}); {_cost(costs, better, worse)}", means, p_value
        )
    cheaper = _cheaper(costs, first, second)
    other = second if cheaper == first else first
    reason = f"no difference in quality is shown ({compared}), and {_cost(costs, cheaper, other)}"
    return Recommendation(cheaper, reason, means, p_value)


def _cheaper(costs: Mapping[str, Mapping[str, Any]], first: str, second: str) -> str:
    """Return the faster model; where that is nearly the same, the smaller one."""
    seconds = {name: costs[name]["seconds"] for name in (first, second)}
    if max(seconds.values()) > _CLEARLY_SLOWER * min(seconds.values()):
        return min(seconds, key=lambda name: seconds[name])
    return min((first, second), key=lambda name: costs[name]["peak_memory_mib"] or 0)


def _cost(costs: Mapping[str, Mapping[str, Any]], name: str, other: str) -> str:
    seconds = [costs[found]["seconds"] for found in (name, other)]
    memory = [costs[found]["peak_memory_mib"] for found in (name, other)]
    parts = []
    if None not in seconds:
        parts.append(f"a program takes {seconds[0]:,.0f} s against {seconds[1]:,.0f} s")
    if None not in memory:
        parts.append(f"memory {memory[0]:,.0f} MiB against {memory[1]:,.0f} MiB")
    return ", ".join(parts) or "its cost is not known"
