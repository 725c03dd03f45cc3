"""Carry an order out: the run with its record, the project in its place; one order, or a batch of them.

Guarantees that a project folder appears whole or not at all, and that an order which was interrupted, at
whatever moment, ends with the same bytes when it is given again.
"""

import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dlcodegen_local.config import Paths
from dlcodegen_local.durable import check_new_folder, write_file, write_folder
from dlcodegen_local.errors import ConfigError, DlcodegenError, GenerationError
from dlcodegen_local.generation.speeds import keep_speed, work_of
from dlcodegen_local.outcome import Outcome, Reporter
from dlcodegen_local.pipeline import Engines, generate, run_inputs
from dlcodegen_local.project.layouts import render_project
from dlcodegen_local.run_order import Order
from dlcodegen_local.run_page import page_of_outcome
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.runs.objects import read_regular
from dlcodegen_local.runs.schema import run_id_of

RESULTS = "results.jsonl"
_ROW_KEYS = {"id", "method", "code", "origin", "plan", "verification", "seconds", "tokens"}
_SIGN_OF = {"project": "train.py", "script": "project.py", "notebook": "project.ipynb"}
_WAITING = "another process is at this very run: it is waited for, and what it finishes is taken over"
_MAX_FILE_BYTES = 64 << 20
_MAX_RESULTS_BYTES = 1 << 30


def deliver(order: Order, engines: Engines, paths: Paths, reporter: Reporter) -> Outcome:
    """Make the project of an order, and go on from what an earlier attempt at the same run has finished.

    A project that lies at its place already, byte by byte, is left as it is.

    Raises:
        ConfigError: the place holds something else, or cannot be written.
        PlanningError: no plan could be made.
        SandboxError: the sandbox does not start.
    """
    inputs = run_inputs(order.request, engines, order.config)
    record = RunRecord(paths.state, inputs, order=order.to_dict(), on_wait=lambda: reporter.note(_WAITING))
    try:
        outcome = generate(order.request, engines, order.config, record, reporter)
        files = project_files(order, outcome, record)
        if not _holds(order.output, files):
            write_folder(order.output, files)
    except KeyboardInterrupt:
        record.finish("interrupted")
        reporter.note(f"what run {record.run_id} has finished is kept: dlcodegen runs resume {record.run_id}")
        raise
    except Exception:
        record.finish("failed")
        raise
    record.finish("done" if outcome.verification.ok else "findings")
    if not order.keep_record:
        record.discard()
    keep_speed(paths.cache / "speeds.json", order.config.generation.model, work_of(record.timings))
    for note in record.notes:
        reporter.note(note)
    return outcome


def project_files(order: Order, outcome: Outcome, record: RunRecord) -> dict[str, str]:
    """Return the files of the project: paths to texts, without a clock."""
    summary = record.summary()
    files = render_project(outcome.project(order.request.requirement, summary), order.layout)
    return files | {".dlcodegen/report.html": page_of_outcome(outcome, summary, record.value_of)}


def check_output(output: Path, run_id: str) -> None:
    """Refuse a place that holds anything but the project of this run.

    Raises:
        ConfigError: says what is wrong with it.
    """
    if _run_at(output) != run_id:
        check_new_folder(output)


def check_batch_output(output: Path, item_ids: Collection[str]) -> None:
    """Refuse a place that holds anything but what an earlier attempt at the same items left.

    Raises:
        ConfigError: says what is wrong with it.
    """
    names = {path.name for path in output.iterdir()} if output.is_dir() else set()
    if not names or not all(name in item_ids or name == RESULTS or name.startswith(".") for name in names):
        check_new_folder(output)


def deliver_batch(
    orders: Mapping[str, Order], output: Path, engines: Engines, paths: Paths, reporter: Reporter
) -> int:
    """Carry out every order of a batch; one that fails, in whatever way, is a row, and the others go on.

    Each goes to `output/<id>`. What an earlier attempt finished is not done again: its project lies there,
    made from the same inputs, and its row is in the results. Returns the exit code.

    Raises:
        ConfigError: a project lies there that was made from other inputs.
    """
    run_ids = {
        item_id: run_id_of(run_inputs(order.request, engines, order.config))
        for item_id, order in orders.items()
    }
    _check_runs(output, run_ids)
    rows = _finished_rows(output / RESULTS)
    finished = {
        item_id
        for item_id, order in orders.items()
        if item_id in rows
        and _run_at(output / item_id) == run_ids[item_id]
        and (output / item_id / _SIGN_OF[order.layout]).is_file()
    }
    rows = {item_id: rows[item_id] for item_id in orders if item_id in finished}
    for number, (item_id, order) in enumerate(orders.items(), start=1):
        place = f"{number} of {len(orders)}: {item_id}"
        if item_id in finished:
            reporter.note(f"{place}: finished before")
            continue
        reporter.note(place)
        rows[item_id] = _row(item_id, partial(deliver, order, engines, paths, reporter), reporter)
        lines = [_line(rows[name]) for name in orders if name in rows]
        write_file(output / RESULTS, b"".join(lines))
    return 0 if all("error" not in row and _passed(row) for row in rows.values()) else 1


def _check_runs(output: Path, run_ids: Mapping[str, str]) -> None:
    for item_id, run_id in run_ids.items():
        if (found := _run_at(output / item_id)) not in (None, run_id):
            raise ConfigError(
                f"{output / item_id} was made from other inputs (run {found})",
                hint="name a new output folder",
            )


def _row(item_id: str, make: Callable[[], Outcome], reporter: Reporter) -> dict[str, Any]:
    """Return the row of an item; a mistake of the program counts as a failed generation."""
    try:
        return {"id": item_id, **make().to_row()}
    except DlcodegenError as exc:
        row = {"error": exc.message, "exit_code": exc.exit_code}
    except Exception as exc:
        row = {"error": f"{type(exc).__name__}: {exc}", "exit_code": GenerationError.exit_code}
    reporter.note(f"{item_id} failed: {row['error']}")
    return {"id": item_id, "method": "dlcodegen", **row}


def _passed(row: Mapping[str, Any]) -> bool:
    verification = row["verification"]
    return bool(verification["static"]["ok"]) and verification["smoke"]["ok"] is not False


def _line(row: Mapping[str, Any]) -> bytes:
    text = json.dumps(row, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _finished_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of projects by id; a damaged line is none, and neither is that of a failed item."""
    rows: dict[str, dict[str, Any]] = {}
    try:
        lines = read_regular(path, _MAX_RESULTS_BYTES).splitlines()
    except (OSError, ValueError):
        return {}
    for line in lines:
        try:
            row = json.loads(line)
            if row.keys() >= _ROW_KEYS and _passed(row) in (True, False):
                rows[str(row["id"])] = row
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            continue
    return rows


def _run_at(folder: Path) -> str | None:
    """Return the id of the run whose project lies in a folder."""
    try:
        table = json.loads(read_regular(folder / ".dlcodegen" / "run.json", _MAX_FILE_BYTES))
        return str(table["run"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _holds(folder: Path, files: Mapping[str, str]) -> bool:
    """Tell whether a folder holds these files byte by byte."""
    try:
        return all(
            read_regular(folder / name, _MAX_FILE_BYTES) == text.encode() for name, text in files.items()
        )
    except (OSError, ValueError):
        return False
