"""Hashes of large files, remembered for as long as a file looks untouched.

A file looks untouched while its size, its times of change (of content and of inode, in nanoseconds), its
inode and its device are what they were when it was hashed. That shows a file swapped for another, cut,
written to, or given back its old time with `utime`: the time of the inode's change cannot be set. It does
not show what happens beneath the file system (a failing disk, a write to the raw device), nor what is
written while the clock is set back to the very nanosecond: only a full check does. A file that changed in
the last seconds is not remembered, since a second change could fall into the same tick of the clock. Who
can write to the cache can write to the models, too: it is no secret and no proof.
"""

import hashlib
import json
import os
import time
from pathlib import Path

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError, ConfigError

_SETTLED_NS = 2_000_000_000
_MAX_RECORD_BYTES = 2000


def known_sha256(path: Path, cache: Path) -> str:
    """Return the sha256 of a file; it is read where it does not look as it did when it was last read.

    Raises:
        ArtifactError: the file cannot be read, or changes while it is.
    """
    identity = _identity(path)
    record = _record_of(path, cache)
    try:
        with open(record, "rb") as file:
            kept = json.loads(file.read(_MAX_RECORD_BYTES))
        if kept["identity"] == identity and isinstance(kept["sha256"], str) and len(kept["sha256"]) == 64:
            return str(kept["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # none, or a damaged one: the file is read
    return hashed_anew(path, cache)


def hashed_anew(path: Path, cache: Path) -> str:
    """Read a file, return its sha256, and remember it.

    Raises:
        ArtifactError: the file cannot be read, or changes while it is.
    """
    identity = _identity(path)
    digest = sha256_of(path)
    if _identity(path) != identity:
        raise ArtifactError(f"{path} changes while it is read", hint="try again when nothing writes to it")
    changed_ns = max(identity["mtime_ns"], identity["ctime_ns"])
    if time.time_ns() - changed_ns > _SETTLED_NS:
        try:
            write_file(
                _record_of(path, cache), json.dumps({"identity": identity, "sha256": digest}), private=True
            )
        except ConfigError:  # it is read again the next time
            return digest
    return digest


def _identity(path: Path) -> dict[str, int]:
    try:
        found = path.stat()
    except (OSError, ValueError) as exc:
        raise ArtifactError(f"{path} cannot be read: {exc}", hint="check the path") from exc
    return {
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "ctime_ns": found.st_ctime_ns,
        "inode": found.st_ino,
        "device": found.st_dev,
    }


def _record_of(path: Path, cache: Path) -> Path:
    place = os.fsencode(os.path.realpath(path))
    return cache / "hashes" / f"{hashlib.sha256(place).hexdigest()[:32]}.json"
