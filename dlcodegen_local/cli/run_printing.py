"""How `dlcodegen runs` prints runs: lines for a person, tables for `--json`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.runs.comparing import Comparison
    from dlcodegen_local.runs.store import Run, RunRow, RunStage

_SHOWN_CHARS = 60
_MOST_SECONDS = 1e9


def list_lines(rows: "Sequence[RunRow]") -> list[str]:
    """Return one line a run: id, status, when it began, and what was asked, or what is wrong with it."""
    lines = [
        f"{row.id}  {row.status:<11}  {row.record.began[:16].replace('T', ' ') if row.record else '-':<16}  "
        + (_cut(str(row.record.inputs.get("requirement", ""))) if row.record else row.damage)
        for row in rows
    ]
    return [plain(line) for line in lines]


def row_table(row: "RunRow") -> dict[str, Any]:
    """Return the row of the list as JSON."""
    if row.record is None:
        return {"id": row.id, "status": row.status, "damage": row.damage}
    record = row.record
    return {
        "id": row.id,
        "status": row.status,
        "number": record.number,
        "began": record.began,
        "ended": record.ended,
        "requirement": record.inputs.get("requirement"),
        "output": (record.order or {}).get("output"),
        "stages": [entry.name for entry in record.stages],
        "finished_earlier": [entry.name for entry in record.earlier],
    }


def run_table(run: "Run", status: str) -> dict[str, Any]:
    """Return all that is kept of a run as JSON."""
    record = run.record
    return {
        "id": record.run,
        "status": status,
        "number": record.number,
        "began": record.began,
        "ended": record.ended,
        "inputs": dict(record.inputs),
        "order": record.order,
        "machine": dict(record.machine),
        "versions": dict(record.versions),
        "stages": [
            {"name": stage.name, "object": stage.object, "value": stage.value, "timings": dict(stage.timings)}
            for stage in run.stages
        ],
    }


def show_lines(run: "Run", status: str) -> list[str]:
    """Return what a person wants to know of a run."""
    record, order = run.record, run.record.order or {}
    model = _table(record.inputs.get("model"))
    lines = [
        f"run {record.run}: {status}",
        f"  began        {record.began or '-'}",
        f"  ended        {record.ended or '-'}",
        f"  requirement  {plain(str(record.inputs.get('requirement', '')))}",
    ]
    if dataset := record.inputs.get("dataset"):
        lines.append(f"  dataset      {plain(str(dataset))}")
    lines.append(f"  project      {plain(str(order.get('output', 'none')))} ({order.get('layout', 'none')})")
    lines.append(f"  model        {plain(str(model.get('name')))}, sha256 {str(model.get('sha256'))[:16]}")
    lines.append(f"  samples      sha256 {str(record.inputs.get('index'))[:16]}")
    lines.append(f"  settings     {_settings(record.inputs)}")
    if run.plan:
        lines.append(f"  task         {run.plan.get('Task Category')}")
    lines.append("  stage               read   written   seconds")
    lines += [_stage_line(stage) for stage in run.stages]
    if record.earlier:
        names = ", ".join(entry.name for entry in record.earlier)
        lines.append(f"  finished by an earlier attempt: {names}")
    if choice := run.stage("choice"):
        passed = "passed its checks" if choice.get("passed") else "FAILED its checks"
        lines.append(f"  delivered    {choice.get('origin')}, {passed}")
        provenance = _table(choice.get("provenance"))
        lines += [f"    {name:<10} {by}" for name, by in provenance.items()]
    return [plain(line) for line in lines]


def comparison_lines(comparison: "Comparison", first: str, second: str) -> list[str]:
    """Return what differs between two runs, the code last."""
    if comparison.is_same:
        return [f"the same: {len(comparison.stages)} stages, plan and code"]
    lines = []
    for kind, differences in (("input", comparison.inputs), ("plan", comparison.plan)):
        for item in differences:
            lines.append(
                f"{kind} {plain(item.name)}: {first} {_brief(item.first)}, {second} {_brief(item.second)}"
            )
    alone = {"first alone": f"in {first} alone", "second alone": f"in {second} alone"}
    for stage in comparison.stages:
        text = alone.get(stage.side, stage.side)
        names = f" in {', '.join(stage.fields)}" if stage.fields else ""
        lines.append(plain(f"stage {stage.name}: {text}{names}"))
        lines += [f"  {plain(detail)}" for detail in stage.detail]
    if comparison.code:
        lines += [plain(line) for line in comparison.code.splitlines()]
    else:
        lines.append("the code is the same")
    return lines


def _table(value: object) -> Mapping[str, Any]:
    """Return an object of JSON; what a record holds in its place is none."""
    return value if isinstance(value, dict) else {}


def _settings(inputs: Mapping[str, Any]) -> str:
    names = ("method", "merge", "effort", "temperature", "seed", "k", "num_beams", "framework")
    return ", ".join(f"{name} {inputs[name]}" for name in names if name in inputs)


def _stage_line(stage: "RunStage") -> str:
    timings = stage.timings
    wall = timings.get("wall_s")
    seconds = wall if isinstance(wall, float | int) and abs(wall) < _MOST_SECONDS else 0.0
    read, written = timings.get("tokens_read", ""), timings.get("tokens_written", "")
    damage = "" if stage.value is not None else "   damaged or missing"
    return f"    {stage.name:<16} {read!s:>6} {written!s:>9} {seconds:>9.2f}{damage}"


def _brief(value: object) -> str:
    return _cut(str(value)) if value is not None else "nothing"


def _cut(text: str) -> str:
    text = plain(" ".join(text.split()))
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
