"""Tasks to evaluate on: a folder of published data, or a team's own file of requirements.

Guarantees ids that stand once and texts that a terminal and a prompt can hold, or one `ConfigError` that
names the file and the line.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dlcodegen_local.config import MAX_REQUIREMENT_BYTES
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.rows import Row, read_rows
from dlcodegen_local.evaluation.table_run import Task
from dlcodegen_local.plain_text import plain

# What a task is compared with: its human code, or its plan.
Wanted = Literal["reference", "plan"]

_MAX_ID_CHARS = 200
_PLACES: dict[Wanted, tuple[str, ...]] = {
    "reference": ("code/tasks.jsonl", "tasks.jsonl", "requirements.jsonl"),
    "plan": ("plans/test.jsonl", "test.jsonl", "tasks.jsonl", "requirements.jsonl"),
}


@dataclass(frozen=True)
class TaskSet:
    """Hold tasks in their order, those with what is `wanted` first; `rows` are their objects by id.

    `sha256` is of the whole file, whatever part of it is taken.
    """

    path: Path
    wanted: Wanted
    tasks: tuple[Task, ...]
    rows: dict[str, dict[str, Any]]
    sha256: str

    @property
    def published(self) -> tuple[Path, ...]:
        """Return the files of published predictions beside the tasks."""
        return tuple(sorted((self.path.parent / "published").glob("*.jsonl")))

    @property
    def compared(self) -> tuple[Task, ...]:
        """Return the tasks that have what is wanted."""
        return tuple(task for task in self.tasks if _holds(self.rows[task.id], self.wanted))

    def without_limits(self, notes: Sequence[str]) -> list[str]:
        """Return notes without those on predictions of tasks that a limit leaves out."""
        is_limited = len(self.tasks) < len(self.rows)
        return [note for note in notes if not (is_limited and "predictions of unknown ids" in note)]

    def limited(self, count: int | None) -> "TaskSet":
        """Return the first tasks."""
        return self if count is None else replace(self, tasks=self.tasks[:count])

    def write(self, path: Path) -> None:
        """Write the rows of the tasks that have what is wanted, as references to compare with."""
        lines = (json.dumps(self.rows[task.id]) + "\n" for task in self.compared)
        write_file(path, "".join(lines))


def read_tasks(path: Path, wanted: Wanted) -> TaskSet:
    """Read JSON lines of id, requirement, dataset_attributes and perhaps `wanted`, or find them in a folder.

    Raises:
        ConfigError: there is none, or names the line that is not as it must be.
    """
    path = _find(path, wanted)
    digest = hashlib.sha256()
    tasks: list[Task] = []
    rows: dict[str, dict[str, Any]] = {}
    for row in read_rows(path, digest):
        tasks.append(_task(row))
        rows[row.id] = row.fields | {"id": row.id}
    if not tasks:
        raise ConfigError(f"{path} holds no task", hint="JSON lines of id and requirement")
    ordered = sorted(tasks, key=lambda task: not _holds(rows[task.id], wanted))
    return TaskSet(path, wanted, tuple(ordered), rows, digest.hexdigest())


def published_of(files: Sequence[Path], name: str) -> list[Path]:
    """Return the files of one system's published predictions: those whose stem ends in its name."""
    return [file for file in files if name and (file.stem == name or file.stem.endswith(f"-{name}"))]


def _find(path: Path, wanted: Wanted) -> Path:
    if not path.is_dir():
        if not path.is_file():
            raise ConfigError(f"{path} does not exist", hint="name a folder of data or a file of tasks")
        return path
    for place in _PLACES[wanted]:
        if (path / place).is_file():
            return path / place
    raise ConfigError(f"{path} holds no tasks", hint=f"one of {', '.join(_PLACES[wanted])}")


def _holds(row: dict[str, Any], wanted: Wanted) -> bool:
    value = row.get(wanted)
    return bool(value.strip()) if isinstance(value, str) else isinstance(value, dict) and wanted == "plan"


def _task(row: Row) -> Task:
    if not row.id or len(row.id) > _MAX_ID_CHARS or plain(row.id) != row.id:
        raise ConfigError(f"{row.where}: id must be a short plain text", hint="name the task otherwise")
    dataset = row.fields.get("dataset_attributes") or ""
    texts = (
        row.fields.get("requirement"),
        dataset if isinstance(dataset, str) else json.dumps(dataset, ensure_ascii=False),
    )
    for name, text in zip(("requirement", "dataset_attributes"), texts, strict=True):
        if not isinstance(text, str):
            raise ConfigError(f"{row.where}: must have a requirement", hint="a text that says what to build")
        if len(text.encode("utf-8", "replace")) > MAX_REQUIREMENT_BYTES:
            raise ConfigError(f"{row.where}: {name} is longer than {MAX_REQUIREMENT_BYTES:,} bytes")
    requirement, dataset = (" ".join(plain(str(text)).split()) for text in texts)
    if not any(char.isalnum() for char in requirement):
        raise ConfigError(f"{row.where}: the requirement is empty", hint="say what the model is to do")
    return Task(row.id, requirement, dataset)
