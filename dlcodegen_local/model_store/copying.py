"""Copy a large file so that an interrupted copy goes on where it was.

Guarantees that what is continued is what was copied: every 64 MiB the copy is synced and its length and hash
are noted; the next try reads those bytes again, and begins anew where they differ, or where the source is no
longer the same by size and time. Guarantees that the hash returned is that of the bytes of the copy, read
back from the disk where the system lets go of its cache.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.model_store.sources import SourceFile

CHECKPOINT_BYTES = 64 << 20
STATE = ".state"
_CHUNK_BYTES = 4 << 20
_MEGABYTE = 1_000_000

OnProgress = Callable[[str, int, int, float, float], None]


@dataclass
class Pace:
    """Tell how far the work is: what is done, megabytes done and in all, a second, and seconds left."""

    total: int
    tell: OnProgress | None

    def __post_init__(self) -> None:
        self._done = 0
        self._began = time.monotonic()

    def add(self, what: str, count: int) -> None:
        """Count bytes that were read or written."""
        self._done += count
        if self.tell is not None:
            rate = self._done / max(time.monotonic() - self._began, 1e-6)
            left = max(self.total - self._done, 0) / rate if rate else 0.0
            self.tell(what, self._done // _MEGABYTE, self.total // _MEGABYTE, rate / _MEGABYTE, left)


def copy_file(source: SourceFile, folder: Path, pace: Pace) -> str:
    """Copy a file into a folder, or go on with the copy there; return its sha256.

    The note that makes a copy continue stays beside it, named as the file with `STATE` at its end.

    Raises:
        ArtifactError: the source cannot be read, has changed meanwhile, or the disk loses what is written.
        ConfigError: the copy cannot be written, or the disk is full; what was copied is removed.
    """
    target, state = folder / source.name, folder / f"{source.name}{STATE}"
    identity = source.sizes()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "ab+") as file:
            position, digest = _resumed(file, state, identity, pace)
            file.seek(position)
            file.truncate(position)
            copied = _copy(source, _Checkpoints(file, state, identity, position, digest), pace)
    except (OSError, ConfigError) as exc:
        for path in (target, state):
            with contextlib.suppress(OSError):
                path.unlink()
        reason = exc.message if isinstance(exc, ConfigError) else f"{exc.strerror or exc}"
        raise ConfigError(
            f"{target} cannot be written: {reason}", hint="free space, then import it again"
        ) from exc
    if source.sizes() != identity:
        state.unlink(missing_ok=True)
        raise ArtifactError(f"{source.parts[0]} changed while it was copied", hint="import it again")
    kept = _hash_of(target, pace)
    if kept != copied:
        state.unlink(missing_ok=True)
        raise ArtifactError(f"{target}: the disk does not keep what is written to it", hint="check the disk")
    return kept


class _Checkpoints:
    """Sync a growing copy now and then, and note how much of it can be relied on."""

    def __init__(
        self, file: BinaryIO, state: Path, identity: list[tuple[int, int]], position: int, digest: Any
    ) -> None:
        self._file = file
        self._state = state
        self._identity = identity
        self._noted = self.position = position
        self.digest = digest

    def add(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self.digest.update(chunk)
        self.position += len(chunk)
        if self.position - self._noted >= CHECKPOINT_BYTES:
            self.note()

    def note(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        facts = {"source": self._identity, "synced": self.position, "sha256": self.digest.hexdigest()}
        write_file(self._state, json.dumps(facts), private=True)
        self._noted = self.position


def _copy(source: SourceFile, checkpoints: _Checkpoints, pace: Pace) -> str:
    try:
        for chunk in _chunks(source, checkpoints.position):
            checkpoints.add(chunk)
            pace.add("copying", len(chunk))
    except (KeyboardInterrupt, ArtifactError):  # the user, or a stick that was pulled out
        checkpoints.note()
        raise
    checkpoints.note()
    return str(checkpoints.digest.hexdigest())


def _chunks(source: SourceFile, skip: int) -> Iterator[bytes]:
    """Yield the bytes of all parts after the first `skip`."""
    for part in source.parts:
        try:
            with open(part, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if skip >= size:
                    skip -= size
                    continue
                file.seek(skip)
                skip = 0
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        except OSError as exc:
            raise ArtifactError(
                f"{part} cannot be read: {exc.strerror or exc}", hint="the same command goes on where it was"
            ) from exc


def _resumed(file: BinaryIO, state: Path, identity: list[tuple[int, int]], pace: Pace) -> tuple[int, Any]:
    """Return how many bytes of the copy are those of the source, and their running hash."""
    digest = hashlib.sha256()
    try:
        facts = json.loads(state.read_bytes())
        synced, expected = int(facts["synced"]), str(facts["sha256"])
        if [tuple(entry) for entry in facts["source"]] != identity:
            return 0, digest
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0, digest
    file.seek(0)
    left = synced
    while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
        pace.add("checking what is there", len(chunk))
    if left or digest.hexdigest() != expected:
        return 0, hashlib.sha256()
    return synced, digest


def _hash_of(path: Path, pace: Pace) -> str:
    """Return the hash of the bytes as the disk has them."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            pace.add("checking", len(chunk))
    return digest.hexdigest()
