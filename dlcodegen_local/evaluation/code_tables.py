"""Score a table of programs: ours and the published ones on the tasks with references, ours on all.

Guarantees that the document names every file with its sha256 and the signature of every measure, and that
floors are named as such.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.evaluation.code_comparison import CodeComparison, compare_code
from dlcodegen_local.evaluation.code_files import read_predictions, read_references
from dlcodegen_local.evaluation.code_scores import MEASURES, CodeSystemScores, values_of
from dlcodegen_local.evaluation.intervals import over_repeats
from dlcodegen_local.evaluation.peak_memory import SIGNATURE as MEMORY
from dlcodegen_local.evaluation.randomization import SIGNATURE, paired_p, pooled_p
from dlcodegen_local.evaluation.systems import System
from dlcodegen_local.evaluation.table_items import Item
from dlcodegen_local.evaluation.table_run import TableRun
from dlcodegen_local.evaluation.table_summary import SIGNATURES, summarise
from dlcodegen_local.evaluation.tasks import TaskSet, published_of

CODEBLEU_IS_NO_PROOF = (
    "CodeBLEU alone is no proof of quality: a sample copied unchanged scores higher than what strong models "
    "write. Read it beside plan compliance, smoke runs and the floors."
)
_REPEATED = ("codebleu", "codebleu_defined", "parse_rate", "compliance", "smoke_rate")


def score_programs(
    run: TableRun,
    systems: Sequence[System],
    tasks: TaskSet,
    references: Path,
    seed: int,
    on_measured: Callable[[int], None] = lambda total: None,
) -> tuple[dict[str, Any], list[Item]]:
    """Return the table's document, and its items for the report; `references` is written.

    Raises:
        ConfigError: a file of published predictions is not as it must be.
    """
    rows = {system.name: run.rows(system, tasks.tasks) for system in systems}
    has_runs = bool(run.settings.get("run", True))
    summaries = [
        summarise(name, list(found.values()), seed, has_runs=has_runs) for name, found in rows.items()
    ]
    files = _compared_files(run, systems, tasks)
    comparison = None
    if tasks.compared:
        tasks.write(references)
        comparison = compare_code(files, references, seed, on_measured)
    document: dict[str, Any] = {
        "kind": "programs",
        "tasks": {
            "path": str(tasks.path),
            "sha256": tasks.sha256,
            "items": len(tasks.tasks),
            "with_reference": len(tasks.compared),
        },
        "ours": [system.name for system in systems if not (system.floor or system.repeat)],
        "further": [system.name for system in systems if system.repeat],
        "floors": [system.name for system in systems if system.floor],
        "summary": [found.to_dict() for found in summaries],
        "summary_signatures": SIGNATURES | {"peak_memory_mib": MEMORY},
        "comparison": comparison and comparison.to_dict(),
        "p_values": comparison and _p_values(comparison, seed),
        "p_value": f"{SIGNATURE}|seed {seed}|not corrected for the number of comparisons",
        "repeats": _repeats(systems, comparison),
        "cautions": [CODEBLEU_IS_NO_PROOF] if comparison else [],
        "notes": [*_notes(tasks, rows), *tasks.without_limits(comparison.notes if comparison else ())],
    }
    return document, _items(tasks, rows, files if comparison else [])


def published_programs(systems: Sequence[System], tasks: TaskSet) -> list[Path]:
    """Return the files of the systems' published predictions of these tasks.

    Raises:
        ConfigError: one is not as it must be.
    """
    wanted = {task.id for task in tasks.compared}
    return [
        file
        for system in systems
        for file in published_of(tasks.published, system.published)
        if not system.repeat and read_predictions(file).predictions.keys() & wanted
    ]


def _compared_files(run: TableRun, systems: Sequence[System], tasks: TaskSet) -> list[Path]:
    """Return our files, then published ones of the same tasks, then the floors."""
    ours = [run.path_of(system) for system in systems if not system.floor]
    floors = [run.path_of(system) for system in systems if system.floor]
    return [*ours, *published_programs(systems, tasks), *floors]


def _p_values(comparison: CodeComparison, seed: int) -> dict[str, dict[str, float | None]]:
    first, *others = comparison.scores.systems
    return {
        system.name: {
            measure.name: (
                pooled_p(_counts(system), _counts(first), measure.of_counts, seed)
                if measure.of_counts is not None
                else paired_p(values_of(measure, system), values_of(measure, first), seed)
            )
            for measure in MEASURES
        }
        for system in others
    }


def _counts(system: CodeSystemScores) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.array([scored.measured.counts for scored in system.items.values()], dtype=np.float64)


def _repeats(systems: Sequence[System], comparison: CodeComparison | None) -> list[dict[str, Any]]:
    """Return, for every system that ran with several seeds, its scores over them."""
    if comparison is None or not any(system.repeat for system in systems):
        return []
    scored = {system.name: system.scores for system in comparison.scores.systems}
    found = []
    for system in systems:
        if system.repeat or system.floor:
            continue
        names = [other.name for other in systems if other.name.startswith(f"{system.name}-repeat")]
        runs = [scored[name] for name in (system.name, *names)]
        estimates = {
            measure: over_repeats([value.mean for run in runs if (value := run[measure]) is not None])
            for measure in _REPEATED
        }
        scores = {measure: value and value.to_dict() for measure, value in estimates.items()}
        found.append({"name": system.name, "runs": len(runs), "scores": scores})
    return found


def _notes(tasks: TaskSet, rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    notes = [] if tasks.compared else ["no task has a reference: no CodeBLEU"]
    for name, found in rows.items():
        if missing := len(tasks.tasks) - len(found):
            notes.append(f"{name}: {missing} items are not done yet and count as failures in the comparison")
        if failed := sum("error" in row for row in found.values()):
            notes.append(f"{name}: {failed} of {len(found)} items failed")
    return notes


def _items(
    tasks: TaskSet, rows: Mapping[str, Mapping[str, Mapping[str, Any]]], files: Sequence[Path]
) -> list[Item]:
    """Return every task with its programs, ours first."""
    published = {file.stem: read_predictions(file).predictions for file in files if file.stem not in rows}
    references = read_references(tasks.path).references if tasks.compared else {}
    items = []
    for task in tasks.tasks:
        ours = {name: found[task.id] for name, found in rows.items() if task.id in found}
        texts = {name: (str(row.get("code", "")), str(row.get("error", ""))) for name, row in ours.items()}
        texts |= {name: (found[task.id].code, "") for name, found in published.items() if task.id in found}
        reference = references[task.id].code if task.id in references else ""
        items.append(Item(task.id, task.requirement, reference, texts))
    return items
