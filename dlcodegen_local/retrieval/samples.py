"""Samples: runnable projects with their plans, read from a pool folder.

A pool folder holds `<id>.py` and `<id>.json` (title, requirement, framework, licence, source, plan,
sha256 of the `.py`, smoke). Guarantees that a loaded sample is the file its sha256 names, and that its
texts and its code show on a screen what they say.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.plan.schema import Plan

_MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class Sample:
    """Hold one sample. `origin` says where it is from, `smoke` the result of its last smoke run."""

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


def load_samples(pool: Path) -> tuple[Sample, ...]:
    """Read every sample of a pool folder, sorted by id.

    Raises:
        ArtifactError: the pool is missing or empty, or a sample is damaged; names the file.
    """
    paths = sorted(pool.glob("*.json")) if pool.is_dir() else []
    if not paths:
        raise ArtifactError(
            f"{pool} holds no samples", hint="name a pool folder with NAME.py and NAME.json files"
        )
    return tuple(_load_sample(path) for path in paths)


def _load_sample(path: Path) -> Sample:
    code_path = path.with_suffix(".py")
    try:
        if max(path.stat().st_size, code_path.stat().st_size) > _MAX_FILE_BYTES:
            raise ArtifactError(f"{path} is larger than {_MAX_FILE_BYTES} bytes")
        table = json.loads(path.read_text(encoding="utf-8"))
        code = code_path.read_bytes()
        digest = hashlib.sha256(code).hexdigest()
        if digest != table["sha256"]:
            raise ArtifactError(f"{code_path} is damaged (its sha256 differs)", hint="restore the sample")
        return Sample(
            id=path.stem,
            title=_plain_text(path, "title", str(table["title"])),
            requirement=_plain_text(path, "requirement", str(table["requirement"])),
            plan=Plan.from_dict(table["plan"]),
            framework=str(table["framework"]),
            licence=str(table["licence"]),
            origin=str(table["source"]),
            sha256=digest,
            source=_plain_text(code_path, "code", code.decode("utf-8")),
            smoke=dict(table.get("smoke") or {}),
        )
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ArtifactError(f"{path} is not a readable sample: {exc!r}", hint="restore the sample") from exc
    except ConfigError as exc:
        raise ArtifactError(f"{path}: {exc.message}", hint=exc.hint) from exc


def _plain_text(path: Path, what: str, text: str) -> str:
    if (found := find_unplain(text)) is not None:
        raise ArtifactError(f"{path}: the {what} holds {found}", hint="restore the sample")
    return text
