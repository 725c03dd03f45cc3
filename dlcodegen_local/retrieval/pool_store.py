"""The database of a team's pool: its tables, how it is opened, and what its errors mean.

Guarantees that a change is whole or not there (WAL, `synchronous=FULL`), that nobody else can read the
files, and that a database of a newer version, or a damaged one, is refused with the way out.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError, ConfigError, DlcodegenError
from dlcodegen_local.retrieval.pools import DATABASE

ROOTS_COPY = "roots.json"
_APPLICATION_ID = 0x444C4347
_BUSY_TIMEOUT_S = 60.0
_MAX_ROOTS_BYTES = 1_000_000
# Each script brings a database from the version of its place to the next one.
_MIGRATIONS = (
    """
    CREATE TABLE roots (path TEXT PRIMARY KEY, declared TEXT NOT NULL, keep_near INTEGER NOT NULL);
    CREATE TABLE marks (path TEXT PRIMARY KEY, removed INTEGER NOT NULL);
    CREATE TABLE removed_contents (digest TEXT PRIMARY KEY);
    CREATE TABLE denials (pattern TEXT PRIMARY KEY);
    CREATE TABLE files (
        path TEXT PRIMARY KEY, root TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, read_ns INTEGER NOT NULL, digest TEXT NOT NULL, licence TEXT NOT NULL,
        status TEXT NOT NULL, reason TEXT NOT NULL, folded_into TEXT NOT NULL);
    CREATE INDEX files_by_content ON files (digest, name);
    CREATE TABLE examinations (
        digest TEXT, name TEXT, examiner TEXT NOT NULL, hash TEXT NOT NULL, status TEXT NOT NULL,
        reason TEXT NOT NULL, notes TEXT NOT NULL, secrets TEXT NOT NULL, code TEXT NOT NULL,
        code_sha256 TEXT NOT NULL, title TEXT NOT NULL, requirement TEXT NOT NULL, plan TEXT NOT NULL,
        framework TEXT NOT NULL, licence TEXT NOT NULL, signature BLOB NOT NULL, normal TEXT NOT NULL,
        described TEXT NOT NULL, described_by TEXT NOT NULL, PRIMARY KEY (digest, name)) WITHOUT ROWID;
    CREATE TABLE samples (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL, name TEXT NOT NULL, examination TEXT NOT NULL,
        path TEXT NOT NULL, licence TEXT NOT NULL, title TEXT NOT NULL, requirement TEXT NOT NULL,
        plan TEXT NOT NULL, category TEXT NOT NULL, framework TEXT NOT NULL, sha256 TEXT NOT NULL,
        indexed TEXT NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_CLOSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def open_to_write(folder: Path) -> sqlite3.Connection:
    """Open the database of a pool, made where it lacks; folder and file are for their owner alone.

    Raises:
        ConfigError: the folder cannot be written, or is one of hand-made samples.
        ArtifactError: the database is damaged, or of a newer version.
    """
    path = folder / DATABASE
    try:
        if not path.exists() and any(folder.glob("*.json")) and not (folder / ROOTS_COPY).exists():
            raise ConfigError(f"{folder} is a folder of hand-made samples", hint="name another pool folder")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise ConfigError(
            f"the pool {folder} cannot be written: {exc.strerror}", hint="name another with --pool"
        ) from exc
    with errors_of(folder):
        database = _connect(path, "rw")
        try:
            _check_version(database, folder)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA secure_delete = ON")
            _migrate(database)
            _check_tables(database, folder)
        except BaseException:
            database.close()
            raise
        return database


def open_to_read(folder: Path) -> sqlite3.Connection:
    """Open the database of a pool that exists; nothing is changed in it.

    Raises:
        ArtifactError: there is none, or it is damaged, or of a newer version.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise ArtifactError(f"{folder} is no team pool", hint="make one with: dlcodegen pool add PATH")
    if path.stat().st_size == 0:  # a first `add` was killed before it wrote anything
        open_to_write(folder).close()
    is_writable = os.access(folder, os.W_OK) and os.access(path, os.W_OK)
    with errors_of(folder):
        database = _connect(path, "rw" if is_writable else "ro")
        try:
            _check_version(database, folder)
            if _version(database) < len(_MIGRATIONS):
                database.execute("PRAGMA journal_mode = WAL")
                _migrate(database)
            _check_tables(database, folder)
            database.execute("PRAGMA query_only = ON")
        except BaseException:
            database.close()
            raise
        return database


@contextlib.contextmanager
def errors_of(folder: Path) -> Iterator[None]:
    """Turn an error of the database into one that says what to do.

    Raises:
        ConfigError: the disk is full, the pool cannot be written, or others keep it busy.
        ArtifactError: the database is damaged.
    """
    try:
        yield
    except sqlite3.Error as exc:
        raise _explained(exc, folder) from exc
    except UnicodeDecodeError as exc:  # raised where a message of the database quotes damaged text
        raise damaged(folder, "it holds text that is not UTF-8") from exc


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Make what is done inside one change, which is there whole or not at all."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        raise


def save_roots(folder: Path, roots: list[str]) -> None:
    """Keep the roots in a file of their own, for the day on which the database is damaged."""
    text = json.dumps(roots, ensure_ascii=False, indent=1) + "\n"
    path = folder / ROOTS_COPY
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
        write_file(path, text, private=True)


def damaged(folder: Path, reason: str) -> ArtifactError:
    """Return the error of a damaged database, with the commands that build it anew."""
    roots = _saved_roots(folder)
    paths = " ".join(f"'{root}'" for root in roots) if roots else "PATH..."
    remove = f"rm '{folder}'/{DATABASE}*"
    return ArtifactError(
        f"the pool {folder} is damaged: {reason}",
        hint=f"build it anew from your files: {remove} && dlcodegen pool add --pool '{folder}' {paths}",
    )


def _saved_roots(folder: Path) -> list[str]:
    try:
        with open(folder / ROOTS_COPY, encoding="utf-8") as file:
            roots = json.loads(file.read(_MAX_ROOTS_BYTES))
    except (OSError, ValueError, RecursionError):
        return []
    return [root for root in roots if isinstance(root, str)] if isinstance(roots, list) else []


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    place = path.absolute().as_uri() + f"?mode={mode}"
    if mode == "ro" and not os.path.exists(f"{path}-wal"):
        place += "&immutable=1"  # nobody writes there, and no lock can be taken
    database = sqlite3.connect(place, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _check_version(database: sqlite3.Connection, folder: Path) -> None:
    # in this order: another process may write the tables, and with them the mark, in between
    is_empty = not database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    application = int(database.execute("PRAGMA application_id").fetchone()[0])
    if not is_empty and application != _APPLICATION_ID:
        raise ArtifactError(
            f"{folder / DATABASE} is a database of another program", hint="name another pool with --pool"
        )
    if _version(database) > len(_MIGRATIONS):
        raise ArtifactError(
            f"the pool {folder} was written by a newer dlcodegen (tables of version {_version(database)})",
            hint="use that release, or name another pool with --pool",
        )


def _check_tables(database: sqlite3.Connection, folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        _migrate(fresh)
        if _tables(database) != _tables(fresh):
            raise damaged(folder, "its tables are not those of its version")


def _tables(database: sqlite3.Connection) -> list[tuple[object, ...]]:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    return [tuple(row) for row in database.execute(query)]


def _migrate(database: sqlite3.Connection) -> None:
    if _version(database) == len(_MIGRATIONS):
        return
    with transaction(database):
        for version in range(_version(database), len(_MIGRATIONS)):
            for statement in _MIGRATIONS[version].split(";"):
                database.execute(statement)
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _explained(exc: sqlite3.Error, folder: Path) -> DlcodegenError:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return ConfigError(f"the pool {folder} cannot be written: {exc}", hint="free space on its disk")
    if code in _CLOSED:
        return ConfigError(
            f"the pool {folder} cannot be opened to write: {exc}", hint="name another with --pool"
        )
    if code in _BUSY:
        return ConfigError(f"the pool {folder} is kept busy by another process", hint="try again later")
    return damaged(folder, str(exc))
