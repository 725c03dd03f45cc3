"""Run the systems of a table over tasks: every finished item is kept, a killed run goes on after it.

A folder holds `SYSTEM.jsonl` with a row an item, `plans.json`, and `settings.json`, which says what the
rows depend on. Guarantees that no item is done twice, that an item whose run ended the process twice is
left as failed, and that one item's error costs that item alone.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError, DlcodegenError

_MOST_STARTS = 2


@dataclass(frozen=True)
class Task:
    """Hold one requirement; `dataset` is what is known of the data."""

    id: str
    requirement: str
    dataset: str = ""


class Named(Protocol):
    """What a run knows of a system."""

    @property
    def name(self) -> str:
        """Name it, and the file of its rows."""
        ...

    def failed(self, error: str) -> dict[str, Any]:
        """Return the row of an item that came to nothing."""
        ...


SystemT = TypeVar("SystemT", bound=Named)
# Makes the row of one item, without its id; whatever it raises costs the item.
Maker = Callable[[SystemT, Task], Mapping[str, Any]]


@dataclass(frozen=True)
class Progress:
    """Say how far a table is; `seconds_left` is None until an item is done."""

    system: str
    task: str
    done: int
    total: int
    seconds_left: float | None


class TableRun:
    """The folder of one table's results.

    Raises:
        ConfigError: the folder holds results of other settings, or cannot be read or written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self.settings = dict(settings)
        kept = folder / "settings.json"
        text = json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        if kept.exists():
            earlier = _read_object(kept)
            differing = sorted(
                key for key in {*earlier, *settings} if earlier.get(key) != json.loads(text).get(key)
            )
            if differing:
                raise ConfigError(
                    f"{folder} holds results of other settings: {', '.join(differing)}",
                    hint="name another folder",
                )
        else:
            write_file(kept, text)

    def path_of(self, system: Named) -> Path:
        """Return the file of a system's rows."""
        return self._folder / f"{system.name}.jsonl"

    def run(
        self,
        systems: Sequence[SystemT],
        tasks: Sequence[Task],
        make: Maker[SystemT],
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Do what is missing, system by system.

        Raises:
            ConfigError: another process runs in this folder, or it cannot be written.
        """
        with self._alone():
            self._run(systems, tasks, make, on_progress)

    def _run(
        self,
        systems: Sequence[SystemT],
        tasks: Sequence[Task],
        make: Maker[SystemT],
        on_progress: Callable[[Progress], None],
    ) -> None:
        open_items = self.missing(systems, tasks)
        began = time.monotonic()
        total = len(systems) * len(tasks)
        for number, (system, task) in enumerate(open_items):
            spent = time.monotonic() - began
            left = spent / number * (len(open_items) - number) if number else None
            on_progress(Progress(system.name, task.id, total - len(open_items) + number, total, left))
            line = _line(task, self._row(system, task, make), system)
            _append(self.path_of(system), line)

    def missing(self, systems: Sequence[SystemT], tasks: Sequence[Task]) -> list[tuple[SystemT, Task]]:
        """Return what is not done yet, in the order in which it will be."""
        return [
            (system, task)
            for system in systems
            for done in (self._rows_by_id(system),)
            for task in tasks
            if task.id not in done
        ]

    def rows(self, system: Named, tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
        """Return the rows of these tasks that are done, by id."""
        done = self._rows_by_id(system)
        return {task.id: done[task.id] for task in tasks if task.id in done}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold a lock that ends with the process, however that ends."""
        place = self._folder / "lock"
        try:
            with place.open("wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
        except BlockingIOError as exc:
            raise ConfigError(
                f"another run writes to {self._folder}", hint="wait for it, or name another folder"
            ) from exc
        except OSError as exc:
            raise ConfigError(f"{place} cannot be written: {exc.strerror}", hint="check the folder") from exc

    def _row(self, system: SystemT, task: Task, make: Maker[SystemT]) -> Mapping[str, Any]:
        starts = self._folder / "started.json"
        counts = _read_object(starts) if starts.exists() else {}
        key = f"{system.name} {task.id}"
        before = counts.get(key, 0)
        if isinstance(before, int) and before >= _MOST_STARTS:
            return system.failed(f"the process ended {before} times while it ran")
        write_file(starts, json.dumps({key: before + 1 if isinstance(before, int) else 1}) + "\n")
        try:
            return make(system, task)
        except DlcodegenError as exc:
            return system.failed(exc.message)
        except Exception as exc:  # one item's fault is that item's alone
            return system.failed(f"{type(exc).__name__}: {exc}")
        except KeyboardInterrupt:
            write_file(starts, "{}\n")  # a person's wish, not the item's fault
            raise

    def _rows_by_id(self, system: Named) -> dict[str, dict[str, Any]]:
        """Return finished items; a line that was cut by a kill is taken off the file."""
        path = self.path_of(system)
        if not path.exists():
            return {}
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_file(path, whole)
        rows = [_decoded(line, f"{path}, line {at}") for at, line in enumerate(whole.splitlines(), start=1)]
        return {str(row.get("id")): row for row in rows}


def _line(task: Task, row: Mapping[str, Any], system: Named) -> bytes:
    """Return a row as a line; half characters stay JSON escapes, a row that JSON cannot hold is a failure."""
    try:
        text = json.dumps({"id": task.id, **row}, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as exc:
        text = json.dumps({"id": task.id, **system.failed(f"its results are no JSON: {exc}")})
    return (text + "\n").encode("utf-8", "backslashreplace")


def _append(path: Path, line: bytes) -> None:
    """Add a row that a kill cannot spoil: one write, then to the disk."""
    try:
        with open(path, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}", hint="check the folder") from exc


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return _decoded(path.read_bytes(), str(path))
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the folder") from exc


def _decoded(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise ConfigError(f"{where}: is not JSON", hint="remove the file, or name another folder") from exc
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be an object", hint="remove the file, or name another folder")
    return value
