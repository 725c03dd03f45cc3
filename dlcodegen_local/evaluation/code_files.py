"""Files of generated and of reference code: JSON lines, or a folder of NAME.py.

Guarantees ids that stand once, or one `ConfigError` that names the file and the line.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.code_text import unfenced
from dlcodegen_local.evaluation.rows import MAX_LINE_BYTES, Digest, Row, read_rows
from dlcodegen_local.plan.reading import read_plan
from dlcodegen_local.plan.schema import Plan


@dataclass(frozen=True)
class Reference:
    """Hold a task's human code, and its plan where it has one."""

    code: str
    plan: Plan | None = None


@dataclass(frozen=True)
class Prediction:
    """Hold what a system wrote for a task.

    `is_verified` tells whether a smoke run was recorded, `smoke_ok` how it ended, None for not run.
    """

    code: str
    is_verified: bool = False
    smoke_ok: bool | None = None


@dataclass(frozen=True)
class ReferenceFile:
    """Hold references by id, in the file's order; `without_code` counts the tasks that have none."""

    path: Path
    references: Mapping[str, Reference]
    without_code: int
    sha256: str


@dataclass(frozen=True)
class PredictionFile:
    """Hold predictions by id, in the file's order."""

    path: Path
    predictions: Mapping[str, Prediction]
    sha256: str


def read_references(path: Path) -> ReferenceFile:
    """Read rows with `id`, `reference` and perhaps `plan`, or the files NAME.py of a folder, by their names.

    A row without a reference is passed over; a plan that cannot be read counts as none.

    Raises:
        ConfigError: it cannot be read, holds no reference, or names the line that is not as it must be.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        found = {name: Reference(code) for name, code in _read_folder(path, digest).items()}
    else:
        found = {row.id: Reference(_reference(row), _plan(row)) for row in read_rows(path, digest)}
    references = {item: reference for item, reference in found.items() if reference.code.strip()}
    if not references:
        raise ConfigError(
            f"{path} holds no reference", hint="JSON lines of id and reference, or NAME.py files"
        )
    return ReferenceFile(path, references, len(found) - len(references), digest.hexdigest())


def read_predictions(path: Path) -> PredictionFile:
    """Read rows with `id` and `code`, or `id` and `output`, a raw answer; or the files NAME.py of a folder.

    Raises:
        ConfigError: it cannot be read, holds no row, or names the line that is not as it must be.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        predictions = {name: Prediction(code) for name, code in _read_folder(path, digest).items()}
    else:
        predictions = {row.id: _prediction(row) for row in read_rows(path, digest)}
    if not predictions:
        raise ConfigError(
            f"{path} holds no prediction", hint="JSON lines of id and code or output, or NAME.py files"
        )
    return PredictionFile(path, predictions, digest.hexdigest())


def _reference(row: Row) -> str:
    code = row.fields.get("reference")
    if not isinstance(code, str | None):
        raise ConfigError(f"{row.where}: reference must be a text", hint="give the code of a program")
    return code or ""


def _plan(row: Row) -> Plan | None:
    plan = row.fields.get("plan")
    try:
        return None if plan is None else read_plan(plan)
    except ConfigError:
        return None


def _prediction(row: Row) -> Prediction:
    code, output = row.fields.get("code"), row.fields.get("output")
    if not (
        {"code", "output"} & row.fields.keys()
        and isinstance(code, str | None)
        and isinstance(output, str | None)
    ):
        raise ConfigError(
            f"{row.where}: must have code or output", hint="both are texts; an empty one is a failure"
        )
    smoke = _smoke(row)
    return Prediction(
        code=unfenced(output or "") if code is None else code,
        is_verified=smoke is not None,
        smoke_ok=None if smoke is None else smoke.get("ok"),
    )


def _smoke(row: Row) -> dict[str, Any] | None:
    verification = row.fields.get("verification")
    smoke = verification.get("smoke") if isinstance(verification, dict) else None
    if smoke is None:
        return None
    if not isinstance(smoke, dict) or not isinstance(smoke.get("ok"), bool | None):
        raise ConfigError(
            f"{row.where}: verification.smoke.ok must be true, false or null", hint="null is for not run"
        )
    return smoke


def _read_folder(path: Path, digest: Digest) -> dict[str, str]:
    files: dict[str, str] = {}
    for file in sorted(path.glob("*.py")):
        try:
            with file.open("rb") as stream:
                content = stream.read(MAX_LINE_BYTES + 1)
            files[file.stem] = content.decode("utf-8")
        except OSError as exc:
            raise ConfigError(f"{file} cannot be read: {exc.strerror}", hint="check the path") from exc
        except UnicodeDecodeError as exc:
            raise ConfigError(f"{file}: is not UTF-8 text", hint="write the file as UTF-8") from exc
        if len(content) > MAX_LINE_BYTES:
            raise ConfigError(f"{file}: is longer than {MAX_LINE_BYTES:,} bytes", hint="leave it out")
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return files
