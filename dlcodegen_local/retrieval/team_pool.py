"""A team's pool: samples made from its own files, in a database.

Guarantees that what is read is what was stored: every row has a hash of its own, and one that differs is
refused. Reading changes nothing; `intake` takes files in, `pool_changes` removes them.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.pool_store import damaged, errors_of, open_to_read
from dlcodegen_local.retrieval.pools import Entry
from dlcodegen_local.retrieval.samples import Sample
from dlcodegen_local.retrieval.settling import indexed_fields, indexed_hash, row_hash

_EMPTY_FINGERPRINT = hashlib.sha256().hexdigest()
_SOURCE = """
    SELECT s.*, e.code FROM samples s
    LEFT JOIN examinations e ON e.digest = s.digest AND e.name = s.name WHERE s.id = ?
"""


class TeamPool:
    """Read the pool in a folder as it was when it was opened; implements `pools.Pool`."""

    def __init__(self, folder: Path, name: str = "team") -> None:
        """Open the database to read.

        Raises:
            ArtifactError: there is none, it is damaged, or of a newer version.
        """
        self.name = name
        self.folder = folder
        self._database = open_to_read(folder)
        with errors_of(folder):
            self._database.execute("BEGIN")  # one snapshot: fingerprint, entries and samples agree
            self._database.execute("SELECT count(*) FROM samples").fetchone()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> "TeamPool":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self.rows("SELECT count(*) FROM samples")[0][0])

    @property
    def fingerprint(self) -> str:
        """Return the stored hash of all that is indexed."""
        rows = self.rows("SELECT value FROM facts WHERE name = 'fingerprint'")
        return str(rows[0][0]) if rows else _EMPTY_FINGERPRINT

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows of a query on the pool's tables.

        Raises:
            ArtifactError: the database is damaged.
        """
        with errors_of(self.folder):
            return self._database.execute(query, values).fetchall()

    def entries(self) -> Iterator[Entry]:
        """Yield every sample's entry, sorted by id.

        Raises:
            ArtifactError: a sample is damaged, or one is missing.
        """
        digest = hashlib.sha256()
        with errors_of(self.folder), contextlib.closing(self._database.cursor()) as cursor:
            for row in cursor.execute("SELECT * FROM samples ORDER BY id"):
                plan = self._checked_plan(row)
                digest.update(row["indexed"].encode() + b"\n")
                yield Entry(
                    row["id"], row["title"], row["requirement"], plan, row["framework"], row["sha256"]
                )
        if digest.hexdigest() != self.fingerprint:
            raise damaged(self.folder, "its samples are not the recorded ones")

    def sample(self, sample_id: str) -> Sample:
        """Return one sample with its code.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        rows = self.rows(_SOURCE, sample_id)
        if not rows:
            raise ArtifactError(
                f"the pool {self.name} has no sample {sample_id}", hint="see: dlcodegen pool list"
            )
        row = rows[0]
        plan = self._checked_plan(row)
        code = row["code"]
        if not isinstance(code, str) or _sha256(code) != row["sha256"] or find_unplain(code):
            raise self._damaged_sample(row, "its code is not the recorded one")
        return Sample(
            id=row["id"],
            title=row["title"],
            requirement=row["requirement"],
            plan=plan,
            framework=row["framework"],
            licence=row["licence"],
            origin=row["path"],
            sha256=row["sha256"],
            source=code,
            smoke={},
            pool=self.name,
        )

    def check_database(self) -> None:
        """Read every page of the database.

        Raises:
            ArtifactError: one is damaged.
        """
        answer = str(self.rows("PRAGMA quick_check(1)")[0][0])
        if answer != "ok":
            raise damaged(self.folder, answer)

    def ids(self) -> list[str]:
        """Return the ids of all samples, sorted."""
        return [str(row[0]) for row in self.rows("SELECT id FROM samples ORDER BY id")]

    def _checked_plan(self, row: Any) -> Plan:
        try:
            if indexed_hash(indexed_fields(row)) != row["indexed"] or row_hash(row) != row["hash"]:
                raise ValueError("a field is not the recorded one")
            return Plan.from_dict(json.loads(row["plan"]))
        except (ValueError, TypeError, RecursionError, ConfigError) as exc:
            raise self._damaged_sample(row, str(exc)) from exc

    def _damaged_sample(self, row: Any, reason: str) -> ArtifactError:
        path = str(row["path"])
        option = "" if self.name == "team" else f" --pool '{self.folder}'"
        if os.path.exists(path):
            hint = f"take it in anew: dlcodegen pool add --again{option} '{path}'"
        else:
            hint = f"its file is gone, too; remove it: dlcodegen pool remove{option} {row['id']}"
        return ArtifactError(f"sample {row['id']} of the pool {self.name} is damaged: {reason}", hint=hint)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
