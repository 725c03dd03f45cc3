"""Score a table of planners: ours and the published ones on the tasks whose plan is known.

Guarantees that the document names every file with its sha256 and the signature of every measure.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcodegen_local.evaluation.peak_memory import SIGNATURE as MEMORY
from dlcodegen_local.evaluation.plan_comparison import PlanComparison, compare_plans
from dlcodegen_local.evaluation.plan_fields import MISSING
from dlcodegen_local.evaluation.plan_files import read_predictions
from dlcodegen_local.evaluation.plan_scores import MEASURES, score_items
from dlcodegen_local.evaluation.planner_systems import PLANNERS, PlannerSystem
from dlcodegen_local.evaluation.randomization import SIGNATURE, paired_p
from dlcodegen_local.evaluation.rows import read_rows
from dlcodegen_local.evaluation.table_items import Item
from dlcodegen_local.evaluation.table_run import TableRun
from dlcodegen_local.evaluation.table_summary import costs
from dlcodegen_local.evaluation.tasks import TaskSet, published_of

_CAUTIONS = (
    "MLD favours short lists: an empty list of layers has a lower (better) one than most systems. Layer "
    "similarity is the measure to aim at.",
    "Mean absolute errors skip what a system leaves open, and a few outliers rule them: read the log "
    "distances beside them.",
)


class _Nothing:
    """Take bytes and keep no digest of them."""

    def update(self, data: bytes, /) -> None:
        """Pass over bytes."""


def score_planners(
    run: TableRun,
    systems: Sequence[PlannerSystem],
    tasks: TaskSet,
    references: Path,
    seed: int,
) -> tuple[dict[str, Any], list[Item]]:
    """Return the table's document, and its items for the report; `references` is written.

    Raises:
        ConfigError: a file of published predictions is not as it must be.
    """
    rows = {system.name: run.rows(system, tasks.tasks) for system in systems}
    ours = [run.path_of(system) for system in systems if not system.is_floor]
    floors = [run.path_of(system) for system in systems if system.is_floor]
    published: list[Path] = []
    comparison = None
    if tasks.compared:
        published = published_plans(tasks)
        tasks.write(references)
        comparison = compare_plans([*ours, *published, *floors], references, seed)
    document: dict[str, Any] = {
        "kind": "planners",
        "tasks": {
            "path": str(tasks.path),
            "sha256": tasks.sha256,
            "items": len(tasks.tasks),
            "with_reference": len(tasks.compared),
        },
        "ours": [system.name for system in systems if not system.is_floor],
        "further": [],
        "floors": [system.name for system in systems if system.is_floor],
        "summary": [costs(name, list(found.values())) for name, found in rows.items()],
        "summary_signatures": {"seconds": "wall time an item, mean", "peak_memory_mib": MEMORY},
        "comparison": comparison and _with_digits(comparison.to_dict()),
        "p_values": comparison and _p_values(comparison, seed),
        "p_value": f"{SIGNATURE}|seed {seed}|not corrected for the number of comparisons",
        "repeats": [],
        "cautions": list(_CAUTIONS) if comparison else [],
        "notes": [
            *(() if comparison else ("no task has a plan: nothing is compared",)),
            *_failures(rows),
            *tasks.without_limits(comparison.notes if comparison else ()),
        ],
    }
    return document, _items(tasks, rows, published)


def published_plans(tasks: TaskSet) -> list[Path]:
    """Return the files of every published planner of these tasks, whether its like runs here or not.

    Raises:
        ConfigError: one is not as it must be.
    """
    wanted = {task.id for task in tasks.compared}
    return [
        file
        for system in PLANNERS
        for file in published_of(tasks.published, system.published)
        if read_predictions(file).plans.keys() & wanted
    ]


def _with_digits(comparison: dict[str, Any]) -> dict[str, Any]:
    for measure in MEASURES:
        comparison["measures"][measure.name]["digits"] = measure.digits
    return comparison


def _p_values(comparison: PlanComparison, seed: int) -> dict[str, dict[str, float | None]]:
    wanted = comparison.references.plans
    values = {
        name: score_items([file.plans.get(item, MISSING) for item in wanted], list(wanted.values()))
        for name, file in comparison.predictions.items()
    }
    first, *others = values
    return {
        name: {
            measure: paired_p(found, values[first][measure], seed) for measure, found in values[name].items()
        }
        for name in others
    }


def _failures(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    return [
        f"{name}: {failed} of {len(found)} items failed"
        for name, found in rows.items()
        if (failed := sum("error" in row for row in found.values()))
    ]


def _items(
    tasks: TaskSet, rows: Mapping[str, Mapping[str, Mapping[str, Any]]], published: Sequence[Path]
) -> list[Item]:
    """Return every task with its plans, ours first."""
    theirs = {file.stem: {row.id: row.fields for row in read_rows(file, _Nothing())} for file in published}
    items = []
    for task in tasks.tasks:
        texts = {
            name: (_shown(found[task.id]), str(found[task.id].get("error", "")))
            for name, found in (*rows.items(), *theirs.items())
            if task.id in found
        }
        items.append(Item(task.id, task.requirement, _shown(tasks.rows[task.id]), texts))
    return items


def _shown(row: Mapping[str, Any]) -> str:
    """Return a plan a line a field; a raw text as JSON where it is some, else as it stands."""
    plan, text = row.get("plan"), row.get("text")
    if plan is None and isinstance(text, str):
        try:
            plan = json.loads(text)
        except (ValueError, RecursionError):
            return text
    return "" if plan is None else json.dumps(plan, indent=1, ensure_ascii=False)
