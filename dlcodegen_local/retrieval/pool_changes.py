"""What a team says of its pool besides its files: removals, and what is added again in spite of them.

A removal is a mark on a path, or on a content where a sample is removed by its id. The nearest mark at
or above a file decides, so that a folder can be removed and one file of it be given again.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.pool_store import errors_of, open_to_write, transaction
from dlcodegen_local.retrieval.settling import is_below, is_marked_removed, needs_settling, settle


def remove(folder: Path, names: list[str]) -> list[str]:
    """Remove samples by id, or files and folders by path; return the ids of the samples that left.

    What folds into a sample leaves with it. All names are removed, or none.

    Raises:
        ConfigError: a name is neither an id nor a path below which the pool has a file.
    """
    database = open_to_write(folder)
    with contextlib.closing(database), errors_of(folder), transaction(database):
        needs_settling(database)
        before = _ids(database)
        for name in names:
            if name in before:
                _remove_sample(database, name)
            else:
                _remove_path(database, name)
        settle(database)
        return sorted(before - _ids(database))


def allow_again(database: sqlite3.Connection, path: str) -> None:
    """Lift the removal of a path that is given explicitly; must run in a transaction."""
    database.execute("DELETE FROM marks WHERE path = ?", (path,))
    marks = dict(database.execute("SELECT path, removed FROM marks").fetchall())
    if is_marked_removed(path, marks):
        database.execute("INSERT INTO marks VALUES (?, 0)", (path,))
    database.execute(
        "DELETE FROM removed_contents WHERE digest IN (SELECT digest FROM files WHERE path = ?)", (path,)
    )


def _ids(database: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in database.execute("SELECT id FROM samples")}


def _remove_sample(database: sqlite3.Connection, sample_id: str) -> None:
    rows = database.execute("SELECT path, digest FROM files WHERE folded_into = ?", (sample_id,)).fetchall()
    for path, digest in rows:
        database.execute("INSERT OR REPLACE INTO marks VALUES (?, 1)", (path,))
        database.execute("INSERT OR IGNORE INTO removed_contents VALUES (?)", (digest,))


def _remove_path(database: sqlite3.Connection, name: str) -> None:
    path = os.path.realpath(name)
    known = [str(row[0]) for row in database.execute("SELECT path FROM files")]
    if not any(is_below(file, path) for file in known):
        raise ConfigError(
            f"{name} is neither a sample's id nor a path that the pool knows", hint="see: dlcodegen pool list"
        )
    marks = [str(row[0]) for row in database.execute("SELECT path FROM marks")]
    database.executemany("DELETE FROM marks WHERE path = ?", [(m,) for m in marks if is_below(m, path)])
    database.execute("INSERT INTO marks VALUES (?, 1)", (path,))
