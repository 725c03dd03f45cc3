"""Samples: programs with their plans, and how a folder of them is read.

A pool folder holds `<id>.py` and `<id>.json` (title, requirement, framework, licence, source, plan,
sha256 of the `.py`, smoke). Guarantees that a loaded sample is the file its sha256 names, that its
texts and its code show on a screen what they say, and that no file of the folder is passed over.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plain_text import find_unplain, find_unseen
from dlcodegen_local.plan.schema import Plan

_MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class Sample:
    """Hold one sample.

    `origin` says where it is from, `smoke` the result of its last smoke run, `pool` is the name of the
    pool that holds it: `bundled`, `team`, or a folder as it was given.
    """

    id: str
    title: str
    requirement: str
    plan: Plan
    framework: str
    licence: str
    origin: str
    sha256: str
    source: str
    smoke: dict[str, Any]
    pool: str


@dataclass(frozen=True)
class SampleRecord:
    """Hold what the `.json` of a sample says; `sha256` is that of the code, which was not read."""

    id: str
    title: str
    requirement: str
    plan: Plan
    framework: str
    licence: str
    origin: str
    sha256: str
    smoke: dict[str, Any]


def load_samples(folder: Path, pool: str = "bundled") -> tuple[Sample, ...]:
    """Read every sample of a pool folder, sorted by id.

    Raises:
        ArtifactError: the folder is missing or empty, or a sample is damaged; names the file.
    """
    return tuple(read_sample(path, pool) for path in record_paths(folder))


def record_paths(folder: Path) -> tuple[Path, ...]:
    """Return the `.json` of every sample of a folder, sorted by id.

    Raises:
        ArtifactError: there is none, or a `.py` or `.json` stands alone; names it.
    """
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    except OSError as exc:
        raise ArtifactError(f"{folder} cannot be read: {exc.strerror}", hint="check the path") from exc
    records = {name.removesuffix(".json") for name in names if name.endswith(".json")}
    codes = {name.removesuffix(".py") for name in names if name.endswith(".py")}
    if alone := sorted(records ^ codes):
        found, lacking = (".json", ".py") if alone[0] in records else (".py", ".json")
        raise ArtifactError(
            f"{folder / (alone[0] + found)} has no {lacking} beside it",
            hint="a sample is NAME.py with NAME.json; a team's own code is taken in by: dlcodegen pool add",
        )
    if not records:
        raise ArtifactError(
            f"{folder} holds no samples", hint="name a pool folder with NAME.py and NAME.json files"
        )
    return tuple(folder / f"{name}.json" for name in sorted(records))


def read_record(path: Path) -> SampleRecord:
    """Read the `.json` of a sample.

    Raises:
        ArtifactError: it is damaged, too large, or holds text that a screen does not show as it is.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ArtifactError(f"{path} is larger than {_MAX_FILE_BYTES} bytes")
        table = json.loads(path.read_text(encoding="utf-8"))
        return SampleRecord(
            id=_plain_text(path, "name", path.stem, allowed=""),
            title=_plain_text(path, "title", str(table["title"])),
            requirement=_plain_text(path, "requirement", str(table["requirement"])),
            plan=Plan.from_dict(table["plan"]),
            framework=_plain_text(path, "framework", str(table["framework"])),
            licence=_plain_text(path, "licence", str(table["licence"])),
            origin=str(table["source"]),
            sha256=str(table["sha256"]),
            smoke=dict(table.get("smoke") or {}),
        )
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ArtifactError(f"{path} is not a readable sample: {exc!r}", hint="restore the sample") from exc
    except ConfigError as exc:
        raise ArtifactError(f"{path}: {exc.message}", hint=exc.hint) from exc


def read_sample(path: Path, pool: str) -> Sample:
    """Read a sample with its code by the path of its `.json`.

    Raises:
        ArtifactError: either file is damaged, or the code is not the one that was recorded.
    """
    record = read_record(path)
    code_path = path.with_suffix(".py")
    try:
        if code_path.stat().st_size > _MAX_FILE_BYTES:
            raise ArtifactError(f"{code_path} is larger than {_MAX_FILE_BYTES} bytes")
        code = code_path.read_bytes()
        if hashlib.sha256(code).hexdigest() != record.sha256:
            raise ArtifactError(f"{code_path} is damaged (its sha256 differs)", hint="restore the sample")
        source = _plain_text(code_path, "code", code.decode("utf-8"))
        if (found := find_unseen(source)) is not None:
            raise ArtifactError(f"{code_path}: the code holds {found}", hint="restore the sample")
    except (OSError, UnicodeDecodeError) as exc:
        raise ArtifactError(
            f"{code_path} is not a readable sample: {exc!r}", hint="restore the sample"
        ) from exc
    return Sample(**vars(record), source=source, pool=pool)


def _plain_text(path: Path, what: str, text: str, allowed: str = "\t\n\r\f") -> str:
    if (found := find_unplain(text, allowed)) is not None:
        raise ArtifactError(f"{path}: the {what} holds {found}", hint="restore the sample")
    return text
