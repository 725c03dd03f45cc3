"""Two runs side by side: inputs, plan, stages, and the code that came of them.

Guarantees that equal runs have no difference, whatever their clocks said; a stage whose object is damaged
counts as different.
"""

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Literal

from dlcodegen_local.runs.store import Run, RunStage

Side = Literal["same", "differs", "first alone", "second alone"]


@dataclass(frozen=True)
class FieldDifference:
    """Name a value that differs; None where one side has none."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class StageDifference:
    """Say how a stage of both runs compares; `fields` are those of its value that differ."""

    name: str
    side: Side
    fields: tuple[str, ...]
    detail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Hold what differs between two runs; `code` is a unified diff of the delivered scripts."""

    inputs: tuple[FieldDifference, ...]
    plan: tuple[FieldDifference, ...]
    stages: tuple[StageDifference, ...]
    code: str

    @property
    def is_same(self) -> bool:
        """True where nothing differs, the inputs least of all."""
        return not (self.inputs or self.plan or self.code) and all(
            stage.side == "same" for stage in self.stages
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"same": self.is_same, **asdict(self)}


def compare_runs(first: Run, second: Run) -> Comparison:
    """Compare two runs."""
    sources = [str(run.stage("choice").get("source") or "") for run in (first, second)]
    before, after = (source.splitlines(keepends=True) for source in sources)
    code = difflib.unified_diff(before, after, first.record.run, second.record.run)
    return Comparison(
        inputs=_fields(first.record.inputs, second.record.inputs),
        plan=_fields(_flat(first.plan), _flat(second.plan)),
        stages=_stages(first, second),
        code="".join(line if line.endswith("\n") else f"{line}\n" for line in code),
    )


def _fields(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[FieldDifference, ...]:
    return tuple(
        FieldDifference(name, first.get(name), second.get(name))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    )


def _flat(plan: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Return a plan with one key a field, such as `Dataset.Input`."""
    flat: dict[str, Any] = {}
    for name, value in plan.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{start}{name}.")
        else:
            flat[f"{start}{name}"] = value
    return flat


def _stages(first: Run, second: Run) -> tuple[StageDifference, ...]:
    """Pair stages by name, the second `verify merge` with the second; in the order of the first run."""
    ours, theirs = _numbered(first), _numbered(second)
    names = [*ours, *(name for name in theirs if name not in ours)]
    return tuple(_stage(name, ours.get(name), theirs.get(name)) for name in names)


def _numbered(run: Run) -> dict[str, RunStage]:
    seen: Counter[str] = Counter()
    stages = {}
    for stage in run.stages:
        seen[stage.name] += 1
        count = seen[stage.name]
        stages[stage.name if count == 1 else f"{stage.name} ({count})"] = stage
    return stages


def _stage(name: str, first: RunStage | None, second: RunStage | None) -> StageDifference:
    if first is None or second is None:
        return StageDifference(name, "second alone" if first is None else "first alone", ())
    if first.object == second.object and first.value is not None and second.value is not None:
        return StageDifference(name, "same", ())
    if first.value is None or second.value is None:
        return StageDifference(name, "differs", (), ("what was stored is damaged or missing",))
    names = tuple(item.name for item in _fields(first.value, second.value))
    return StageDifference(name, "differs", names, _samples(first.value, second.value))


def _samples(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which samples of two retrievals differ."""
    rows = []
    for ours, theirs in zip_longest(_hits(first), _hits(second)):
        if ours is None or theirs is None:
            rows.append(f"sample {(theirs if ours is None else ours).get('id')} is in one run alone")
        elif ours.get("id") != theirs.get("id"):
            rows.append(f"sample {ours.get('id')} gave way to {theirs.get('id')}")
        elif ours.get("sha256") != theirs.get("sha256"):
            rows.append(f"sample {ours.get('id')} has changed")
    return tuple(rows)


def _hits(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the hits that a stage holds; what is none stands as an empty one."""
    hits = value.get("hits")
    return [hit if isinstance(hit, dict) else {} for hit in hits] if isinstance(hits, list) else []
