"""Files of references and predictions: one JSON object a line, hostile until checked.

Guarantees rows with ids that stand once, or one `ConfigError` that names the file and the line.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.plan_fields import MISSING, PlanFields, read_fields, read_line
from dlcodegen_local.evaluation.rows import read_rows


@dataclass(frozen=True)
class PlanFile:
    """Hold the plans of one file by id, in the file's order, and the file's sha256."""

    path: Path
    plans: dict[str, PlanFields]
    sha256: str


def read_references(path: Path) -> PlanFile:
    """Read reference plans: rows with `id` and `plan`, an object in any dialect.

    Raises:
        ConfigError: the file cannot be read, holds no row, or names the line that is not as it must be.
    """
    return _read_file(path, _reference)


def read_predictions(path: Path) -> PlanFile:
    """Read predicted plans: rows with `id` and `plan`, or with `id` and `text`, a system's raw output.

    Raises:
        ConfigError: the file cannot be read, holds no row, or names the line that is not as it must be.
    """
    return _read_file(path, _prediction)


def _reference(row: dict[str, Any]) -> PlanFields | None:
    return read_fields(row["plan"]) if isinstance(row.get("plan"), dict) else None


def _prediction(row: dict[str, Any]) -> PlanFields | None:
    plan, text = row.get("plan"), row.get("text")
    if isinstance(plan, dict | str):
        return read_fields(plan)
    if isinstance(text, str):
        return read_line(text)
    return MISSING if "plan" in row and plan is None else None


def _read_file(path: Path, read_row: Callable[[dict[str, Any]], PlanFields | None]) -> PlanFile:
    plans: dict[str, PlanFields] = {}
    digest = hashlib.sha256()
    for row in read_rows(path, digest):
        if (fields := read_row(row.fields)) is None:
            wanted = "a plan" if read_row is _reference else "a plan or a text"
            raise ConfigError(
                f"{row.where}: must have {wanted}", hint="a plan is a JSON object, a text a string"
            )
        plans[row.id] = fields
    if not plans:
        raise ConfigError(f"{path} holds no plan", hint="one JSON object a line, with id and plan")
    return PlanFile(path, plans, digest.hexdigest())
