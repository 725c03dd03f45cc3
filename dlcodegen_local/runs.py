"""Run records: what a run was asked, what every stage read and wrote, what it ran on.

Kept under the state folder: `runs/<id>/record.json`, where the id is the hash of the inputs, and
`objects/<sha256>.json` for the stages' prompts and outputs, stored before the next stage begins.
Clock times stand in the record and nowhere in the project. Does not resume a run.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError

_RECORDED_PACKAGES = ("dlcodegen", "llama-cpp-python", "numpy", "onnxruntime", "tantivy", "tokenizers")


class RunRecord:
    """Write one run down, stage by stage. A state folder that cannot be written is noted, not fatal."""

    def __init__(self, state: Path, inputs: Mapping[str, Any]) -> None:
        """Open the record of a run with these JSON inputs."""
        self.inputs = dict(inputs)
        self.run_id = _hash(self.inputs)[:16]
        self.notes: list[str] = []
        self._state = state
        self._stages: list[dict[str, Any]] = []
        self._timings: list[dict[str, Any]] = []
        self._machine: dict[str, Any] = {}
        self._status = "running"
        self._save()

    def add_stage(self, name: str, value: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        """Store what a stage read and wrote; `timings` (seconds, rates) go to the record alone."""
        digest = _hash(value)
        self._store(self._state / "objects" / f"{digest}.json", value)
        self._stages.append({"name": name, "object": digest})
        self._timings.append({"name": name, **timings})
        self._save()

    def add_machine(self, facts: Mapping[str, Any]) -> None:
        """Keep what this machine decided, as JSON: it goes to the record alone."""
        self._machine.update(facts)
        self._save()

    def finish(self, status: str) -> None:
        """Close the record as `done`, `findings`, `failed` or `interrupted`."""
        self._status = status
        self._save()

    @property
    def timings(self) -> tuple[Mapping[str, Any], ...]:
        """What the stages took so far."""
        return tuple(self._timings)

    def summary(self) -> dict[str, Any]:
        """Return the part that the same inputs give again: no clock, no machine."""
        return {"run": self.run_id, "inputs": self.inputs, "stages": list(self._stages)}

    def _save(self) -> None:
        record = {
            **self.summary(),
            "status": self._status,
            "timings": self._timings,
            "machine": self._machine,
            "versions": _versions(),
        }
        self._store(self._state / "runs" / self.run_id / "record.json", record)

    def _store(self, path: Path, value: Mapping[str, Any]) -> None:
        try:
            if not self.notes:
                write_file(path, _text(value), private=True)
        except ConfigError as exc:
            self.notes.append(f"no run record is kept: {exc.message}")


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
