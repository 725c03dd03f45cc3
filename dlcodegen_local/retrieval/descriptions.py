"""Have the requirements of a pool's samples written by somebody who can read code.

Guarantees that what is written is kept sample by sample, and that nobody is asked twice for the same.
"""

import json
import sqlite3
from collections.abc import Callable
from typing import Protocol

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.pool_store import transaction
from dlcodegen_local.retrieval.settling import needs_settling, settle

_UNDESCRIBED = """
    SELECT s.id, s.title, s.plan, e.code, e.digest, e.name FROM samples s
    JOIN examinations e ON e.digest = s.digest AND e.name = s.name
    WHERE e.described_by <> ? ORDER BY s.id
"""


class Describe(Protocol):
    """Write the requirement that a sample answers; `model` names who writes."""

    @property
    def model(self) -> str:
        """Name the writer: the same name, the same answers."""
        ...

    def __call__(self, title: str, plan: Plan, code: str) -> str | None:
        """Return the requirement, None where what was written does not serve."""
        ...


def describe_samples(
    database: sqlite3.Connection, describe: Describe, on_progress: Callable[[str, int, int], None]
) -> None:
    """Give every sample that this writer has not seen a requirement; one that is refused keeps its own."""
    rows = database.execute(_UNDESCRIBED, (describe.model,)).fetchall()
    try:
        for done, row in enumerate(rows):
            on_progress("describe", done, len(rows))
            text = describe(row["title"], Plan.from_dict(json.loads(row["plan"])), row["code"]) or ""
            with transaction(database):
                needs_settling(database)
                database.execute(
                    "UPDATE examinations SET described = ?, described_by = ? WHERE digest = ? AND name = ?",
                    (text, describe.model, row["digest"], row["name"]),
                )
    finally:
        with transaction(database):
            settle(database)
