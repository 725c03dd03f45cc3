"""The runs of a state folder: listed, found by the start of their ids, loaded, purged.

Guarantees that a damaged record is a row of the list and never ends it, and that a purge takes no object that
a record it leaves still names, nor anything from a run that a process is at.
"""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dlcodegen_local.durable import remove_staging
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.runs.locks import is_locked, lock_run, store_lock
from dlcodegen_local.runs.objects import ObjectStore
from dlcodegen_local.runs.schema import Record, StageEntry, is_run_id, read_record

_LIST_HINT = "see: dlcodegen runs list"


@dataclass(frozen=True)
class RunRow:
    """Hold one line of the list: the record, or what is wrong with it. `is_running`: a process is at it."""

    id: str
    record: Record | None
    damage: str = ""
    is_running: bool = False

    @property
    def status(self) -> str:
        """Return the record's status; a run that says it is running, and is not, was interrupted."""
        if self.record is None:
            return "damaged"
        if self.is_running:
            return "running"
        return "interrupted" if self.record.status == "running" else self.record.status


@dataclass(frozen=True)
class RunStage:
    """Hold one stage of a run; `value` is None where its object is missing or damaged."""

    name: str
    object: str
    value: Mapping[str, Any] | None
    timings: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """Hold a run with all that its stages read and wrote."""

    record: Record
    stages: tuple[RunStage, ...]

    def stage(self, name: str) -> Mapping[str, Any]:
        """Return what the last stage of a name read and wrote; empty where there is none."""
        found = [stage.value for stage in self.stages if stage.name == name and stage.value is not None]
        return found[-1] if found else {}

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan, as JSON: the given one, else the planner's; empty where the run did not come so far."""
        given = self.record.inputs.get("plan") or self.stage("plan").get("plan")
        return given if isinstance(given, dict) else {}


class RunStore:
    """Read the records below a state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._objects = ObjectStore(state)

    def rows(self) -> list[RunRow]:
        """Return all runs, the newest first, damaged ones at the end."""
        rows = [self.row(name) for name in self._ids()]
        return sorted(
            rows, key=lambda row: (row.record is None, -row.record.number if row.record else 0, row.id)
        )

    def row(self, run_id: str) -> RunRow:
        """Return the row of a run that there is."""
        folder = self._folder(run_id)
        try:
            return RunRow(run_id, read_record(folder), is_running=is_locked(folder))
        except ArtifactError as exc:
            return RunRow(run_id, None, exc.message, is_locked(folder))

    def find(self, start: str) -> str:
        """Return the one id that starts so; `last` is the newest run's.

        Raises:
            ConfigError: none does, or several do; names them.
        """
        if start == "last":
            newest = next((row.id for row in self.rows() if row.record is not None), None)
            if newest is None:
                raise ConfigError("there are no runs yet", hint="make one: dlcodegen generate")
            return newest
        found = [run_id for run_id in self._ids() if start and run_id.startswith(start.lower())]
        if not found:
            raise ConfigError(f"no run has the id {start}", hint=_LIST_HINT)
        if len(found) > 1:
            raise ConfigError(
                f"{start} is the start of {len(found)} runs: {', '.join(found[:5])}", hint=_LIST_HINT
            )
        return found[0]

    def load(self, run_id: str) -> Run:
        """Return a run with its stages.

        Raises:
            ArtifactError: its record is damaged.
        """
        record = read_record(self._folder(run_id))
        return Run(record, tuple(self._stage(entry) for entry in record.stages))

    def value_of(self, digest: str) -> Any | None:
        """Return what a stage read and wrote, by its object's name; None where it is missing or damaged."""
        return self._objects.get(digest)

    def purge(self, run_ids: Sequence[str]) -> list[str]:
        """Remove runs, and the objects that no other run uses; returns the ids that a process is at.

        Raises:
            ConfigError: something cannot be removed.
        """
        busy = []
        try:
            for run_id in run_ids:
                folder = self._folder(run_id)
                descriptor = lock_run(folder, None)
                if descriptor is None:
                    busy.append(run_id)
                    continue
                try:
                    self._remove_staging(folder)
                    shutil.rmtree(folder)
                finally:
                    os.close(descriptor)
            self.sweep()
        except OSError as exc:
            raise ConfigError(
                f"{exc.filename or self._state} cannot be removed: {exc.strerror}", hint="check whose it is"
            ) from exc
        return busy

    def sweep(self) -> int:
        """Remove the objects that no record names; returns how many.

        A damaged record names none: what it had is as lost as it is.

        Raises:
            OSError: one cannot be removed.
        """
        with store_lock(self._state, alone=True):
            used: set[str] = set()
            for row in self.rows():
                if row.record is not None:
                    used |= {entry.object for entry in (*row.record.stages, *row.record.earlier)}
            return self._objects.sweep(used)

    def older_than(self, days: float) -> list[str]:
        """Return the runs that began longer ago, by the clock of now and that of then; no damaged ones."""
        limit = datetime.now(UTC) - timedelta(days=days)
        return [row.id for row in self.rows() if row.record is not None and _began_before(row.record, limit)]

    def _ids(self) -> list[str]:
        try:
            names: Collection[str] = os.listdir(self._state / "runs")
        except OSError:
            return []
        # a run that was ended before its record was written has not begun
        return sorted(
            name for name in names if is_run_id(name) and os.path.lexists(self._folder(name) / "record.json")
        )

    def _folder(self, run_id: str) -> Path:
        return self._state / "runs" / run_id

    def _remove_staging(self, folder: Path) -> None:
        """Remove what a killed run began to write beside its output."""
        try:
            order = read_record(folder).order or {}
        except ArtifactError:
            return
        if isinstance(output := order.get("output"), str):
            remove_staging(Path(output))

    def _stage(self, entry: StageEntry) -> RunStage:
        value = self._objects.get(entry.object)
        return RunStage(entry.name, entry.object, value if isinstance(value, dict) else None, entry.timings)


def _began_before(record: Record, limit: datetime) -> bool:
    try:
        return datetime.fromisoformat(record.began) < limit
    except (ValueError, TypeError):
        return False
