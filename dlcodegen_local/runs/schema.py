"""What a record file holds, and the check that one which is read holds just that.

The file is one JSON object; `sha256` is the hash of all else in it. Guarantees that a `Record` that was read
is the one that was written, down to its timings. Its objects are checked when they are read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.runs.objects import digest_of, json_bytes, read_regular

RECORD_FORMAT = 2
MAX_RECORD_BYTES = 16 << 20
STATUSES = ("running", "done", "findings", "failed", "interrupted")
_MAX_STAGES = 10_000
_ID_DIGITS = 16
_HEX = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class StageEntry:
    """Name one stage of a run and the object that holds what it read and wrote.

    `key` is the hash of what its result follows from, "" where the result may not be used again. `timings`
    holds what another run of the same stage may find otherwise: seconds, tokens that were known already,
    and what a smoke run measured.
    """

    name: str
    object: str
    key: str
    timings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """Hold a record file.

    `number` counts the runs of a state folder and orders them; `began` and `ended` are there to be read by a
    person alone. `order` is what `runs resume` and `replay` need. `earlier` are stages that an attempt before
    this one finished and this one has not come to.
    """

    run: str
    inputs: Mapping[str, Any]
    stages: tuple[StageEntry, ...] = ()
    earlier: tuple[StageEntry, ...] = ()
    status: str = "running"
    order: Mapping[str, Any] | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    began: str = ""
    ended: str = ""

    def content(self) -> bytes:
        """Return the bytes of the file."""
        table = {"format": RECORD_FORMAT, **asdict(self)}
        return json_bytes({"sha256": digest_of(table), **table})


def run_id_of(inputs: Mapping[str, Any]) -> str:
    """Return the id of a run: a function of its inputs."""
    return digest_of(dict(inputs))[:_ID_DIGITS]


def is_run_id(name: str) -> bool:
    """Tell whether a name is that of a run."""
    return re.fullmatch(f"[0-9a-f]{{{_ID_DIGITS}}}", name) is not None


def read_record(folder: Path) -> Record:
    """Read the record of a run's folder.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    try:
        return _checked(json.loads(read_regular(folder / "record.json", MAX_RECORD_BYTES)), folder.name)
    except FileNotFoundError as exc:
        raise _damaged(folder.name, "its file is missing") from exc
    except OSError as exc:
        raise _damaged(folder.name, exc.strerror or "it cannot be read") from exc
    except (ValueError, RecursionError) as exc:
        raise _damaged(folder.name, str(exc) or "its nesting is too deep") from exc


def _checked(table: object, run_id: str) -> Record:
    """Raises ValueError on anything that `Record.content` does not write."""
    if not isinstance(table, dict) or table.get("format") != RECORD_FORMAT:
        raise ValueError(f"it is not of format {RECORD_FORMAT}")
    given = {name: value for name, value in table.items() if name != "sha256"}
    if digest_of(given) != table.get("sha256"):
        raise ValueError("its sha256 differs")
    del given["format"]
    if given.keys() != {item.name for item in fields(Record)}:
        raise ValueError("it lacks keys, or has others")
    _demand(isinstance(given["inputs"], dict) and given["run"] == run_id, "inputs or run")
    _demand(run_id_of(given["inputs"]) == run_id, "inputs: they are another run's")
    _demand(given["order"] is None or isinstance(given["order"], dict), "order")
    _demand(isinstance(given["machine"], dict) and isinstance(given["versions"], dict), "machine or versions")
    _demand(all(isinstance(text, str) for text in given["versions"].values()), "versions")
    _demand(given["status"] in STATUSES, "status")
    _demand(type(given["number"]) is int, "number")
    _demand(isinstance(given["began"], str) and isinstance(given["ended"], str), "began or ended")
    return Record(
        **{**given, "stages": _entries(given["stages"]), "earlier": _entries(given["earlier"])},
    )


def _entries(rows: object) -> tuple[StageEntry, ...]:
    _demand(isinstance(rows, list) and len(rows) <= _MAX_STAGES, "stages")
    assert isinstance(rows, list)
    for row in rows:
        _demand(isinstance(row, dict) and row.keys() == {"name", "object", "key", "timings"}, "stages")
        _demand(isinstance(row["name"], str) and isinstance(row["timings"], dict), "stages")
        _demand(isinstance(row["object"], str) and _HEX.fullmatch(row["object"]) is not None, "stages")
        _demand(isinstance(row["key"], str), "stages")
    return tuple(StageEntry(**row) for row in rows)


def _demand(is_sound: bool, what: str) -> None:
    if not is_sound:
        raise ValueError(f"not as it must be: {what}")


def _damaged(run_id: str, reason: str) -> ArtifactError:
    return ArtifactError(
        f"the record of run {run_id} is damaged: {reason}", hint=f"remove it: dlcodegen runs purge {run_id}"
    )
