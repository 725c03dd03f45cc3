"""Take a team's files into its pool: walk, read, examine in worker processes, settle.

Guarantees that the same files make the same pool whatever the timing, that results are stored in small
steps, so that a kill loses the last few files at most and the next run goes on from there, and that one
file's fault is that file's alone. Unchanged files are not read again, deleted ones leave the pool.
"""

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlcodegen_local import __version__
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.descriptions import Describe, describe_samples
from dlcodegen_local.retrieval.ingest.examine import Examined, examine
from dlcodegen_local.retrieval.intake_rows import Inventory, Known
from dlcodegen_local.retrieval.intake_workers import Task, WorkerLimits, Workers
from dlcodegen_local.retrieval.licensing import check_declared, check_denial
from dlcodegen_local.retrieval.pool_changes import allow_again
from dlcodegen_local.retrieval.pool_store import errors_of, open_to_write, save_roots, transaction
from dlcodegen_local.retrieval.settling import needs_settling, settle
from dlcodegen_local.retrieval.walking import MAX_BYTES, SUFFIXES, FoundFile, Walk, read_whole, walk

OnProgress = Callable[[str, int, int], None]

_STEP_FILES = 16
_STEP_S = 0.5
_SETTLE_EVERY_S = 2.0
_OUTCOMES = """
    SELECT f.path, f.status, f.reason, e.notes
    FROM files f LEFT JOIN examinations e ON e.digest = f.digest AND e.name = f.name
"""


@dataclass(frozen=True)
class IntakeSettings:
    """Say how files are taken in.

    `declared` is the licence of files that name none; `deny` adds refused licences to the pool's own and
    `allow` takes them back; `again` examines unchanged files, too. `examine` must be importable.
    """

    declared: str = ""
    deny: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    keep_near: bool = False
    again: bool = False
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    examine: Callable[[bytes, str], Examined] = examine
    describe: Describe | None = None


@dataclass(frozen=True)
class FileReport:
    """Say what became of a file: `status` as `pool status` names it, `reason` in one line.

    `notes` name what was left out of it, a line each.
    """

    path: str
    status: str
    reason: str
    is_new: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class IntakeReport:
    """Say what became of every file; `gone` counts deleted files that left the pool."""

    files: tuple[FileReport, ...]
    gone: int
    left_out: tuple[tuple[str, str], ...]
    missing_roots: tuple[str, ...]


def take_in(
    folder: Path, paths: Sequence[Path], settings: IntakeSettings, on_progress: OnProgress
) -> IntakeReport:
    """Bring the pool in `folder` up to date with files and folders; without paths, with all known roots.

    Raises:
        ConfigError: a path is missing or no Python file, notebook or folder, a licence is no SPDX
            identifier, or the pool cannot be written.
        ArtifactError: the pool is damaged.
    """
    roots = [_checked_root(path) for path in paths]
    declared = check_declared(settings.declared) if settings.declared else ""
    for pattern in (*settings.deny, *settings.allow):
        check_denial(pattern)
    database = open_to_write(folder)
    with contextlib.closing(database), errors_of(folder):
        known_roots = [str(row[0]) for row in database.execute("SELECT path FROM roots ORDER BY path")]
        if not roots and not known_roots:
            raise ConfigError("the pool knows no folder yet", hint="dlcodegen pool add PATH...")
        present = [root for root in known_roots if Path(root).exists()]
        missing = sorted(set(known_roots) - set(present)) if not roots else []
        with transaction(database):
            _record_wishes(database, roots, declared, settings)
        all_roots = [str(row[0]) for row in database.execute("SELECT path FROM roots ORDER BY path")]
        save_roots(folder, all_roots)
        intake = _Intake(database, settings, on_progress)
        return intake.run(roots or present, tuple(missing))


def _checked_root(path: Path) -> str:
    try:
        resolved = path.resolve(strict=True)
        str(resolved).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ConfigError(f"{path}: its name is not UTF-8", hint="rename it") from exc
    except (OSError, RuntimeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "is a link that leads nowhere"
        raise ConfigError(f"{path} cannot be taken in: {reason}", hint="check the path") from exc
    if not resolved.is_dir() and not (resolved.is_file() and resolved.suffix.lower() in SUFFIXES):
        raise ConfigError(
            f"{path} is no Python file, notebook or folder", hint="give .py or .ipynb files, or folders"
        )
    return str(resolved)


def _record_wishes(
    database: sqlite3.Connection, roots: Sequence[str], declared: str, settings: IntakeSettings
) -> None:
    before = _wishes(database)
    for root in roots:
        database.execute(
            "INSERT INTO roots VALUES (:path, :declared, :near) ON CONFLICT (path) DO UPDATE SET"
            " declared = iif(:declared = '', declared, :declared), keep_near = :near",
            {"path": root, "declared": declared, "near": settings.keep_near},
        )
        allow_again(database, root)
    database.executemany("INSERT OR IGNORE INTO denials VALUES (?)", [(p,) for p in settings.deny])
    database.executemany("DELETE FROM denials WHERE pattern = ?", [(p,) for p in settings.allow])
    if _wishes(database) != before:
        needs_settling(database)


def _wishes(database: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    tables = ("roots", "marks", "removed_contents", "denials")
    return [
        sorted(tuple(row) for row in database.execute(f"SELECT * FROM {table}").fetchall())
        for table in tables
    ]


class _Intake:
    """One run: what is buffered, what is stored, and when the samples were last settled."""

    def __init__(
        self, database: sqlite3.Connection, settings: IntakeSettings, on_progress: OnProgress
    ) -> None:
        self._database = database
        self._settings = settings
        self._on_progress = on_progress
        self._inventory = Inventory(database, __version__)
        self._pending: dict[str, tuple[FoundFile, str]] = {}
        self._asked: set[tuple[str, str]] = set()
        self._kept: set[str] = set()
        self._done = self._total = 0
        self._stored = self._settled = time.monotonic()
        self._settle_s = 0.0

    def run(self, roots: Sequence[str], missing: tuple[str, ...]) -> IntakeReport:
        began_ns = time.time_ns()
        found = self._walk(roots)
        self._total = len(found.files)
        try:
            self._examine_files(self._to_read(found))
        except KeyboardInterrupt:
            self._settle()  # what is in is kept
            raise
        gone = self._finish(roots, found, began_ns)
        if self._settings.describe is not None:
            describe_samples(self._database, self._settings.describe, self._on_progress)
        return IntakeReport(
            files=tuple(self._reports(found)),
            gone=gone,
            left_out=tuple((problem.path, problem.reason) for problem in found.left_out),
            missing_roots=missing,
        )

    def _walk(self, roots: Sequence[str]) -> Walk:
        self._on_progress("look for files", 0, 0)
        walks = [walk(Path(root)) for root in roots]
        files = {file.path: file for one in walks for file in one.files}
        problems = {problem.path: problem for one in walks for problem in one.problems}
        left_out = {problem.path: problem for one in walks for problem in one.left_out}
        return Walk(
            [files[path] for path in sorted(files)],
            [problems[path] for path in sorted(problems)],
            [left_out[path] for path in sorted(left_out) if path not in files],
        )

    def _to_read(self, found: Walk) -> list[tuple[FoundFile, Known | None]]:
        """Return the files that must be read, each with what is known of it."""
        wanted = []
        for file in found.files:
            known = self._inventory.known.get(file.path)
            is_known = known is not None and known.is_unchanged(file)
            if self._inventory.is_removed(file.path) or (is_known and not self._settings.again):
                if known is not None and known.was_sample:
                    self._kept.add(file.path)
            else:
                wanted.append((file, known))
        self._done = len(found.files) - len(wanted)
        return wanted

    def _examine_files(self, wanted: list[tuple[FoundFile, Known | None]]) -> None:
        self._on_progress("examine", self._done, self._total)
        try:
            with Workers(self._settings.examine, self._settings.limits) as workers:
                for answer in workers.answers(self._tasks(iter(wanted))):
                    file, digest = self._pending.pop(answer.key)
                    failure = "" if answer.is_final else answer.examination.reason
                    self._inventory.note_file(file, digest, failure)
                    if answer.is_final:
                        self._inventory.note_examination(digest, file.name, answer.examination)
                    self._advance()
        finally:
            self._inventory.store()

    def _tasks(self, wanted: Iterator[tuple[FoundFile, Known | None]]) -> Iterator[Task]:
        """Read file after file; yield those whose content has not been examined under this name."""
        for file, known in wanted:
            try:
                content = read_whole(file.path, MAX_BYTES[file.suffix])
            except ConfigError as exc:
                self._inventory.note_file(file, "", exc.message)
                self._advance()
                continue
            digest = hashlib.sha256(content).hexdigest()
            if known is not None and known.was_sample and known.digest == digest:
                self._kept.add(file.path)
            if self._must_examine(digest, file.name):
                self._asked.add((digest, file.name))
                self._pending[file.path] = (file, digest)
                yield Task(file.path, file.name, content)
            else:
                self._inventory.note_file(file, digest)
                self._advance()

    def _must_examine(self, digest: str, name: str) -> bool:
        if digest in self._inventory.removed_contents or (digest, name) in self._asked:
            return False
        return self._settings.again or not self._inventory.is_examined(digest, name)

    def _advance(self) -> None:
        """Count a file as done; store what is buffered, and settle, where it is time."""
        self._done += 1
        self._on_progress("examine", self._done, self._total)
        now = time.monotonic()
        if self._inventory.waiting >= _STEP_FILES or now - self._stored >= _STEP_S:
            self._inventory.store()
            self._stored = now
            if now - self._settled >= max(_SETTLE_EVERY_S, 20 * self._settle_s):
                self._settle()

    def _settle(self) -> None:
        began = time.monotonic()
        with transaction(self._database):
            settle(self._database)
        self._settled = time.monotonic()
        self._settle_s = self._settled - began

    def _finish(self, roots: Sequence[str], found: Walk, began_ns: int) -> int:
        """Store what the walk says of unread files, drop deleted ones and return how many, settle."""
        self._on_progress("settle", 0, 0)
        for problem in found.problems:
            file = problem.found or FoundFile(problem.path, problem.path, 0, 0)
            self._inventory.note_file(file, "", problem.reason)
        self._inventory.store()
        with transaction(self._database):
            gone = self._inventory.drop_gone(roots, found, began_ns)
            self._inventory.place(found.files)
            settle(self._database, anew=self._settings.again)
        return gone

    def _reports(self, found: Walk) -> Iterator[FileReport]:
        rows = {str(row["path"]): row for row in self._database.execute(_OUTCOMES)}
        for path in sorted({*(f.path for f in found.files), *(p.path for p in found.problems)}):
            row = rows.get(path)
            if row is None:  # below a removed folder, and never taken in
                yield FileReport(path, "removed", "removed from the pool", False)
            else:
                notes = tuple(json.loads(row["notes"] or "[]"))
                yield FileReport(path, row["status"], row["reason"], path not in self._kept, notes)
