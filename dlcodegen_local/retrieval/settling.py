"""Decide which examined files of a pool are samples: removals, licences, duplicates.

A function of what the database holds: whatever the order and the number of runs in which the files
were taken in, the same files make the same samples under the same ids. The nearest path stands for
its duplicates: the shortest below its root, then the first by name.
"""

import hashlib
import json
import os
import re
import sqlite3
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.examination import Examination, from_row
from dlcodegen_local.retrieval.folding import NearDuplicates
from dlcodegen_local.retrieval.licensing import UNKNOWN, denied_by

_MAX_SLUG_CHARS = 60
_CANDIDATES = """
    SELECT f.path, f.root, f.name, f.digest, f.licence AS nearby, f.reason AS failure,
           f.status AS old_status, f.folded_into AS old_folded,
           e.status, e.reason, e.licence, e.normal, e.signature, e.hash, e.described
    FROM files f LEFT JOIN examinations e ON e.digest = f.digest AND e.name = f.name
"""
_GARBAGE = """
    DELETE FROM examinations WHERE NOT EXISTS
        (SELECT 1 FROM files f WHERE f.digest = examinations.digest AND f.name = examinations.name
         AND f.status <> 'removed')
"""


@dataclass(frozen=True)
class _Verdict:
    status: str
    reason: str = ""
    folded_into: str = ""


@dataclass
class _Chosen:
    """Collect the samples, and what folds into them."""

    samples: dict[str, sqlite3.Row] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    by_digest: dict[str, str] = field(default_factory=dict)
    by_normal: dict[str, str] = field(default_factory=dict)
    near: NearDuplicates = field(default_factory=NearDuplicates)


def settle(database: sqlite3.Connection, *, anew: bool = False) -> None:
    """Bring samples, the files' status and the fingerprint up to date; must run in a transaction.

    Nothing is done where nothing has changed since the last time (`needs_settling`).

    `anew` writes every sample again, also one that seems unchanged.
    """
    if not anew and database.execute("SELECT 1 FROM facts WHERE name = 'settled'").fetchone():
        return
    policy = _Policy(database)
    chosen = _Chosen()
    rows = sorted(database.execute(_CANDIDATES), key=_nearness)
    verdicts = [(row, _judge(row, policy, chosen)) for row in rows]
    broken = _write_samples(database, chosen, anew)
    changed = []
    for row, verdict in verdicts:
        if verdict.folded_into in broken:
            verdict = _Verdict("unreadable", "what the pool kept of it was damaged; add it again")
        if (verdict.status, verdict.reason, verdict.folded_into) != (
            row["old_status"],
            row["failure"],
            row["old_folded"],
        ):
            changed.append((verdict.status, verdict.reason, verdict.folded_into, row["path"]))
    database.executemany("UPDATE files SET status = ?, reason = ?, folded_into = ? WHERE path = ?", changed)
    database.execute(_GARBAGE)
    _write_fingerprint(database)
    database.execute("INSERT OR REPLACE INTO facts VALUES ('settled', '')")


def needs_settling(database: sqlite3.Connection) -> None:
    """Note that files or what the team says of them have changed; must run in a transaction."""
    database.execute("DELETE FROM facts WHERE name = 'settled'")


class _Policy:
    """Hold what the team has said: removals, refused licences, declared ones, roots that keep near ones."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.denials = [row[0] for row in database.execute("SELECT pattern FROM denials ORDER BY pattern")]
        self.marks = dict(database.execute("SELECT path, removed FROM marks").fetchall())
        self.contents = {row[0] for row in database.execute("SELECT digest FROM removed_contents")}
        roots = database.execute(
            "SELECT path, declared, keep_near FROM roots ORDER BY length(path) DESC, path"
        )
        self.roots = [(str(path), str(declared), bool(keep)) for path, declared, keep in roots]

    def is_removed(self, path: str, digest: str) -> bool:
        """Tell whether the nearest mark at or above a path removes it, or its content is removed."""
        return digest in self.contents or is_marked_removed(path, self.marks)

    def declared(self, path: str) -> str:
        """Return what the team declares for unknown licences at a path."""
        return next((licence for root, licence, _ in self.roots if licence and is_below(path, root)), "")

    def keeps_near(self, path: str) -> bool:
        """Tell whether near duplicates at a path stay samples of their own."""
        return next((keep for root, _, keep in self.roots if is_below(path, root)), False)


def is_below(path: str, root: str) -> bool:
    """Tell whether a path is a root or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def is_marked_removed(path: str, marks: dict[str, int]) -> bool:
    """Tell whether the nearest mark at or above a path removes it."""
    if not marks:
        return False
    while path not in marks:
        parent = os.path.dirname(path)
        if parent == path:
            return False
        path = parent
    return bool(marks[path])


def outermost(path: str, roots: Iterable[str]) -> str:
    """Return the outermost of the roots that a path is below, or the path itself."""
    return min((root for root in roots if is_below(path, root)), key=len, default=path)


def indexed_hash(fields: Sequence[str]) -> str:
    """Return the hash of what is indexed of a sample: id, title, requirement, plan, framework, sha256."""
    return hashlib.sha256(json.dumps(list(fields)).encode()).hexdigest()


def row_hash(row: Any) -> str:
    """Return the hash of a whole row of `samples`."""
    keys = ("indexed", "digest", "name", "examination", "path", "licence", "category")
    return hashlib.sha256(json.dumps([row[key] for key in keys]).encode()).hexdigest()


def indexed_fields(row: Any) -> tuple[str, ...]:
    """Return what is indexed of a row of `samples`."""
    return tuple(row[key] for key in ("id", "title", "requirement", "plan", "framework", "sha256"))


def _nearness(row: sqlite3.Row) -> tuple[int, str, str]:
    relative = os.path.relpath(row["path"], row["root"])
    return len(relative), relative, row["path"]


def _judge(row: sqlite3.Row, policy: _Policy, chosen: _Chosen) -> _Verdict:
    path, digest = row["path"], row["digest"]
    if policy.is_removed(path, digest):
        return _Verdict("removed", "removed from the pool")
    if row["status"] is None:
        return _Verdict("unreadable", row["failure"] or "has not been examined yet")
    if row["status"] != "taken":
        return _Verdict(row["status"], row["reason"])
    licence = row["licence"] or row["nearby"] or policy.declared(path)
    if (pattern := denied_by(licence, policy.denials)) is not None:
        return _Verdict("refused", f"licence {licence or UNKNOWN} (refused by {pattern})")
    if (same := chosen.by_digest.get(digest) or chosen.by_normal.get(row["normal"])) is not None:
        return _Verdict("duplicate", f"the same code as {same}", same)
    signature = array("Q", row["signature"])
    near = None if policy.keeps_near(path) else chosen.near.find(signature)
    if near is not None:
        return _Verdict("near-duplicate", f"nearly the code of {near}", near)
    sample_id = _new_id(row["name"], digest, chosen.samples)
    chosen.samples[sample_id] = row
    chosen.licences[sample_id] = licence
    chosen.by_digest[digest] = chosen.by_normal[row["normal"]] = sample_id
    chosen.near.remember(sample_id, signature)
    return _Verdict("sample", "", sample_id)


def _new_id(name: str, digest: str, taken: dict[str, sqlite3.Row]) -> str:
    stem = unicodedata.normalize("NFKD", os.path.splitext(name)[0])
    slug = re.sub(r"[^a-z0-9_]+", "-", stem.encode("ascii", "ignore").decode().lower()).strip("-")
    for length in (8, 16, 64):
        sample_id = f"{slug[:_MAX_SLUG_CHARS].rstrip('-') or 'sample'}-{digest[:length]}"
        if sample_id not in taken:
            return sample_id
    raise AssertionError("two samples of one content")


def _write_samples(database: sqlite3.Connection, chosen: _Chosen, anew: bool) -> set[str]:
    """Write those that changed; return the ids of those whose examination is damaged and now forgotten."""
    present = {
        row[0]: tuple(row[1:])
        for row in database.execute("SELECT id, digest, name, examination, path, licence FROM samples")
    }
    broken: set[str] = set()
    gone = set(present) - set(chosen.samples)
    for sample_id, row in chosen.samples.items():
        examination = _examination_mark(row)
        wanted = (row["digest"], row["name"], examination, row["path"], chosen.licences[sample_id])
        if not anew and present.get(sample_id) == wanted:
            continue
        key = (row["digest"], row["name"])
        try:
            kept = from_row(
                database.execute("SELECT * FROM examinations WHERE digest = ? AND name = ?", key).fetchone()
            )
        except ConfigError:
            database.execute("DELETE FROM examinations WHERE digest = ? AND name = ?", key)
            broken.add(sample_id)
            gone.add(sample_id)
            continue
        table = _sample_row(sample_id, kept, row, chosen.licences[sample_id])
        columns = ", ".join(table)
        places = ", ".join("?" * len(table))
        database.execute(
            f"INSERT OR REPLACE INTO samples ({columns}) VALUES ({places})", tuple(table.values())
        )
    database.executemany("DELETE FROM samples WHERE id = ?", [(sample_id,) for sample_id in sorted(gone)])
    return broken


def _examination_mark(row: sqlite3.Row) -> str:
    described = hashlib.sha256(row["described"].encode()).hexdigest()[:8] if row["described"] else ""
    return f"{row['hash']}{described}"


def _sample_row(sample_id: str, kept: Examination, row: sqlite3.Row, licence: str) -> dict[str, str]:
    table = {
        "id": sample_id,
        "digest": row["digest"],
        "name": row["name"],
        "examination": _examination_mark(row),
        "path": row["path"],
        "licence": licence,
        "title": kept.title,
        "requirement": row["described"] or kept.requirement,
        "plan": kept.plan,
        "category": json.loads(kept.plan)["Task Category"],
        "framework": kept.framework,
        "sha256": kept.code_sha256,
    }
    table["indexed"] = indexed_hash(indexed_fields(table))
    return {**table, "hash": row_hash(table)}


def _write_fingerprint(database: sqlite3.Connection) -> None:
    digest = hashlib.sha256()
    for (indexed,) in database.execute("SELECT indexed FROM samples ORDER BY id"):
        digest.update(indexed.encode() + b"\n")
    database.execute("INSERT OR REPLACE INTO facts VALUES ('fingerprint', ?)", (digest.hexdigest(),))
