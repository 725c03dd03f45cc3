"""The record of a run under way: every stage's result is stored before the next stage begins.

Kept under the state folder: `runs/<id>/record.json`, where the id is the hash of the inputs, and
`objects/<sha256>.json` for what the stages read and wrote. Guarantees that what an earlier attempt finished
is taken from there only if it is intact and followed from the same things: the inputs, the versions of the
engines, and every stage before it. Clock times stand in the record and nowhere in the project.
"""

import contextlib
import os
import platform
import shutil
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.runs.locks import lock_run, store_lock
from dlcodegen_local.runs.objects import ObjectStore, digest_of, object_name, read_regular
from dlcodegen_local.runs.schema import Record, StageEntry, read_record, run_id_of
from dlcodegen_local.runs.store import RunStore

_RECORDED_PACKAGES = ("dlcodegen", "llama-cpp-python", "numpy", "onnxruntime", "tantivy", "tokenizers")
_MAX_COUNTER_BYTES = 40

T = TypeVar("T")


class RunRecord:
    """Write one run down, stage by stage. A state folder that cannot be written is noted, not fatal."""

    def __init__(
        self,
        state: Path,
        inputs: Mapping[str, Any],
        *,
        order: Mapping[str, Any] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Open the record of a run with these JSON inputs.

        `on_wait` makes it go on from what an earlier attempt finished; it is called if another process is at
        the same run, which is waited for. Without it every stage is done anew, and while another process is
        at the same run nothing is recorded. `order` is kept for `runs resume`.
        """
        self.notes: list[str] = []
        self._state = state
        self._objects = ObjectStore(state)
        self._done_now: list[Mapping[str, Any]] = []
        self._values: dict[str, Any] = {}
        self._record = Record(run_id_of(inputs), dict(inputs), order=order, versions=_versions())
        self._close = self._lock(on_wait)
        before = self._earlier() if self._close else None
        if before is not None and on_wait is not None:
            finished = {entry.key: entry for entry in (*before.earlier, *before.stages) if entry.key}
            self._record = replace(self._record, earlier=tuple(finished.values()))
        number = before.number if before is not None else self._next_number()
        self._record = replace(self._record, number=number, began=_now())
        self._save()
        self._since = time.monotonic()

    @property
    def run_id(self) -> str:
        """The id: a function of the inputs."""
        return self._record.run

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What the run depends on."""
        return self._record.inputs

    @property
    def timings(self) -> tuple[Mapping[str, Any], ...]:
        """What the stages took that were done now, and not taken from an earlier attempt."""
        return tuple(self._done_now)

    def take(self, name: str, read: Callable[[Any, Any], T], reads: object = None) -> T | None:
        """Return a stage that an earlier attempt finished, and enter it; None where it is to be done.

        `read` makes the result of value and timings. `reads` is what the stage reads beside the run's inputs
        and the stages before it, as JSON.
        """
        key = self._key(name, reads)
        entry = next((item for item in self._record.earlier if item.key == key), None)
        if entry is None:
            return None
        rest = tuple(item for item in self._record.earlier if item is not entry)
        self._record = replace(self._record, earlier=rest)
        value = self._objects.get(entry.object)
        try:
            if value is None:
                raise ValueError("the object is missing or damaged")
            result = read(value, entry.timings)
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError):
            self.notes.append(f"what was stored of stage {name} is damaged: it is done anew")
            return None
        self._record = replace(self._record, stages=(*self._record.stages, entry))
        self._values[entry.object] = value
        self._since = time.monotonic()
        return result

    def add_stage(
        self,
        name: str,
        value: Mapping[str, Any],
        timings: Mapping[str, Any],
        *,
        reads: object = None,
        is_final: bool = True,
    ) -> None:
        """Store what a stage read and wrote; `timings` (seconds, rates) go to the record alone, and with them
        `wall_s`, the seconds since the stage before it.

        What is not `is_final` (an interrupted stage, one that the clock ended) is never taken again.
        """
        key = self._key(name, reads) if is_final else ""
        took = round(time.monotonic() - self._since, 3)
        entry = StageEntry(name, object_name(value), key, {**timings, "wall_s": took})
        self._record = replace(self._record, stages=(*self._record.stages, entry))
        self._values[entry.object] = value
        self._done_now.append({"name": name, **timings})
        with store_lock(self._state, alone=False):
            self._keep(lambda: self._objects.put(value))
            self._save()
        self._since = time.monotonic()

    def add_machine(self, facts: Mapping[str, Any]) -> None:
        """Keep what this machine decided, as JSON: it goes to the record alone."""
        self._record = replace(self._record, machine={**self._record.machine, **facts})
        self._save()

    def finish(self, status: str) -> None:
        """Close the record as `done`, `findings`, `failed` or `interrupted`."""
        earlier = () if status in ("done", "findings") else self._record.earlier
        self._record = replace(self._record, status=status, earlier=earlier, ended=_now())
        self._save()
        self._release()

    def discard(self) -> None:
        """Remove the record, and the objects that no other one uses."""
        if self._close:
            shutil.rmtree(self._folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                RunStore(self._state).sweep()
        self._release()

    def value_of(self, digest: str) -> Any | None:
        """Return what a stage of this run read and wrote, by its object's name; None where there is none."""
        return self._values.get(digest)

    def summary(self) -> dict[str, Any]:
        """Return the part that the same inputs give again: no clock, no machine."""
        stages = [{"name": entry.name, "object": entry.object} for entry in self._record.stages]
        return {"run": self.run_id, "inputs": dict(self.inputs), "stages": stages}

    @property
    def _folder(self) -> Path:
        return self._state / "runs" / self.run_id

    def _key(self, name: str, reads: object) -> str:
        before = [[entry.name, entry.object] for entry in self._record.stages]
        return digest_of([self.run_id, dict(self._record.versions), before, name, reads])

    def _lock(self, on_wait: Callable[[], None] | None) -> Callable[[], object] | None:
        """Return what gives the run's lock back; None where the run is not recorded."""
        try:
            descriptor = lock_run(self._folder, on_wait)
        except OSError as exc:
            self.notes.append(f"no run record is kept: {self._folder} cannot be used: {exc.strerror}")
            return None
        if descriptor is None:
            self.notes.append(f"no run record is kept: another process is at run {self.run_id}")
            return None
        return weakref.finalize(self, os.close, descriptor)

    def _release(self) -> None:
        if self._close:
            self._close()
        self._close = None

    def _earlier(self) -> Record | None:
        if not (self._folder / "record.json").exists():
            return None
        try:
            return read_record(self._folder)
        except ArtifactError as exc:
            self.notes.append(f"{exc.message}; it is begun anew")
            return None

    def _next_number(self) -> int:
        """Return the number of a new run: an order that no clock can turn round."""
        place = self._state / "count"
        with store_lock(self._state, alone=True):
            try:
                number = int(read_regular(place, _MAX_COUNTER_BYTES)) + 1
            except (OSError, ValueError):
                number = 1 + sum(1 for _ in (self._state / "runs").glob("*/record.json"))
            self._keep(lambda: write_file(place, f"{number}\n", private=True))
        return number

    def _save(self) -> None:
        content = self._record.content()
        self._keep(lambda: write_file(self._folder / "record.json", content, private=True))

    def _keep(self, write: Callable[[], object]) -> None:
        try:
            if self._close:
                write()
        except ConfigError as exc:
            self.notes.append(f"no run record is kept: {exc.message}")
            self._release()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
