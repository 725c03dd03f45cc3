"""What stages read and wrote, each value a file named by the sha256 of its bytes.

Guarantees that what is read back is what was written: a file that is missing, damaged, too large or no
regular file of its own counts as absent. Two processes may write the same value at once.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dlcodegen_local.durable import make_private_folder, write_file
from dlcodegen_local.errors import ConfigError

MAX_OBJECT_BYTES = 64 << 20


class ObjectStore:
    """Keep JSON values in `objects/` of a state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "objects"

    def put(self, value: object) -> str:
        """Store a JSON value durably and return its sha256.

        Raises:
            ConfigError: it cannot be written.
        """
        content = json_bytes(value)
        digest = hashlib.sha256(content).hexdigest()
        try:
            make_private_folder(self._folder)
        except OSError as exc:
            raise ConfigError(f"{self._folder} cannot be made: {exc.strerror}", hint="free space") from exc
        write_file(self._path(digest), content, private=True)
        return digest

    def get(self, digest: str) -> Any | None:
        """Return a value; None where it is missing or damaged."""
        try:
            content = read_regular(self._path(digest), MAX_OBJECT_BYTES)
            if hashlib.sha256(content).hexdigest() != digest:
                return None
            return json.loads(content)
        except (OSError, ValueError, RecursionError):
            return None

    def sweep(self, used: Iterable[str]) -> int:
        """Remove all files but those of the values in use; returns how many. Nobody may write meanwhile.

        Raises:
            OSError: one cannot be removed.
        """
        kept = {self._path(digest).name for digest in used}
        removed = 0
        for path in sorted(self._folder.glob("*")) + sorted(self._folder.glob(".tmp-*")):
            if path.name not in kept:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def digest_of(value: object) -> str:
    """Return the sha256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def json_bytes(value: object) -> bytes:
    """Return the file of a JSON value, its keys in the order that they have: the rest of a run may follow it.

    Half characters stay JSON escapes.
    """
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def object_name(value: object) -> str:
    """Return the name under which a JSON value is stored."""
    return hashlib.sha256(json_bytes(value)).hexdigest()


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Read a regular file whole, without following a link.

    Raises:
        OSError: it is missing, a link, or cannot be read.
        ValueError: it is no regular file, or larger than `max_bytes`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes:,} bytes")
    return content
