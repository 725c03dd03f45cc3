"""The rows that an intake reads and writes: what is known of files, what is buffered for them.

Guarantees that a file and its examination are stored in one change.
"""

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.retrieval.examination import Examination, to_row
from dlcodegen_local.retrieval.licensing import FolderLicences
from dlcodegen_local.retrieval.pool_store import transaction
from dlcodegen_local.retrieval.settling import is_below, is_marked_removed, needs_settling, outermost
from dlcodegen_local.retrieval.walking import FoundFile, Walk

# A file that changed within this time of being read may have changed again without a new time of change.
_CLOCK_TICK_NS = 2_000_000_000
_KNOWN = """
    SELECT f.path, f.root, f.size, f.mtime_ns, f.read_ns, f.digest, f.licence, f.status, e.examiner
    FROM files f LEFT JOIN examinations e ON e.digest = f.digest AND e.name = f.name
"""


@dataclass(frozen=True)
class Known:
    """Hold what the pool knows of a file; `is_examined` where that still counts."""

    size: int
    mtime_ns: int
    read_ns: int
    digest: str
    root: str
    licence: str
    was_sample: bool
    is_examined: bool

    def is_unchanged(self, file: FoundFile) -> bool:
        """Tell whether a file need not be read again."""
        same = (self.size, self.mtime_ns) == (file.size, file.mtime_ns)
        return same and self.is_examined and self.mtime_ns + _CLOCK_TICK_NS < self.read_ns


class Inventory:
    """Know the files of a pool, and buffer what is to be stored of them."""

    def __init__(self, database: sqlite3.Connection, examiner: str) -> None:
        """Read what is known; examinations by another `examiner` than this one do not count."""
        self._database = database
        self._examiner = examiner
        self._licences = FolderLicences()
        self._roots = [str(row[0]) for row in database.execute("SELECT path FROM roots")]
        self._marks = dict(database.execute("SELECT path, removed FROM marks").fetchall())
        self._files: list[dict[str, Any]] = []
        self._examinations: list[dict[str, Any]] = []
        self.removed_contents = {row[0] for row in database.execute("SELECT digest FROM removed_contents")}
        self.known = {str(row["path"]): self._known(row) for row in database.execute(_KNOWN)}

    @property
    def waiting(self) -> int:
        """Return the number of files that are buffered."""
        return len(self._files)

    def is_removed(self, path: str) -> bool:
        """Tell whether a path has been removed from the pool."""
        return is_marked_removed(path, self._marks)

    def is_examined(self, digest: str, name: str) -> bool:
        """Tell whether a content has been examined under this name."""
        query = "SELECT 1 FROM examinations WHERE digest = ? AND name = ? AND examiner = ?"
        return self._database.execute(query, (digest, name, self._examiner)).fetchone() is not None

    def note_file(self, file: FoundFile, digest: str, failure: str = "") -> None:
        """Buffer a file; `failure` says why its content could not be examined."""
        root, licence = self._place(file)
        self._files.append(
            {
                "path": file.path,
                "root": root,
                "name": file.name,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "read_ns": time.time_ns(),
                "digest": digest,
                "licence": licence,
                "status": "unreadable" if failure else "pending",
                "reason": failure,
                "folded_into": "",
            }
        )

    def note_examination(self, digest: str, name: str, examination: Examination) -> None:
        """Buffer an examination."""
        row = {"digest": digest, "name": name, "examiner": self._examiner, **to_row(examination)}
        self._examinations.append({**row, "described": "", "described_by": ""})

    def store(self) -> None:
        """Write what is buffered, in one change."""
        if not self._files and not self._examinations:
            return
        with transaction(self._database):
            needs_settling(self._database)
            for table, rows in (("examinations", self._examinations), ("files", self._files)):
                if rows:
                    places = ", ".join(f":{column}" for column in rows[0])
                    columns = ", ".join(rows[0])
                    self._database.executemany(
                        f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({places})", rows
                    )
        self._files, self._examinations = [], []

    def place(self, files: Sequence[FoundFile]) -> None:
        """Bring root and nearby licence of files up to date that were not read; must run in a transaction."""
        changed = []
        for file in files:
            known = self.known.get(file.path)
            root, licence = self._place(file)
            if known is not None and (known.root, known.licence) != (root, licence):
                changed.append((root, licence, file.path))
        if changed:
            needs_settling(self._database)
        self._database.executemany("UPDATE files SET root = ?, licence = ? WHERE path = ?", changed)

    def drop_gone(self, roots: Sequence[str], found: Walk, began_ns: int) -> int:
        """Forget files below the walked roots that the walk did not meet; return how many.

        Kept are those in folders that could not be read, those below another root of their own, and
        those that another process has taken in since this one began.
        """
        met = {file.path for file in found.files} | {problem.path for problem in found.problems}
        hidden = [problem.path for problem in found.problems if problem.found is None]
        others = [root for root in self._roots if root not in roots]
        gone = [
            str(path)
            for (path,) in self._database.execute("SELECT path FROM files WHERE read_ns < ?", (began_ns,))
            if path not in met
            and any(is_below(path, root) for root in roots)
            and not any(is_below(path, folder) for folder in hidden)
            and not any(is_below(path, root) and os.path.lexists(path) for root in others)
        ]
        if gone:
            needs_settling(self._database)
        self._database.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in gone])
        return len(gone)

    def _known(self, row: sqlite3.Row) -> Known:
        return Known(
            size=row["size"],
            mtime_ns=row["mtime_ns"],
            read_ns=row["read_ns"],
            digest=row["digest"],
            root=row["root"],
            licence=row["licence"],
            was_sample=row["status"] == "sample",
            is_examined=row["examiner"] == self._examiner,
        )

    def _place(self, file: FoundFile) -> tuple[str, str]:
        """Return a file's outermost root and the licence of the folders up to that."""
        root = outermost(file.path, self._roots)
        folder = os.path.dirname(file.path)
        return root, self._licences.nearest(folder, root if root != file.path else folder)
