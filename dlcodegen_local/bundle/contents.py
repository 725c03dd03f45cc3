"""What a bundle holds: its manifest, and how its files are read from a folder. Standard library, Python 3.8.

Guarantees that a path of a manifest stays below the bundle's root on any file system, that only regular
files are opened, and that content which was read to its end is what the manifest says. A bundle carries this
module along, so that it can be checked before anything is installed.

Does not protect from whoever made the bundle: without a signature a sound bundle is only an undamaged one.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dlcodegen_local.errors import ArtifactError

FORMAT = 1
MANIFEST = "manifest.json"
SIGNATURES = ("manifest.json.sig", "manifest.json.minisig")
MAX_MANIFEST_BYTES = 16 << 20
MAX_SIGNATURE_BYTES = 64 << 10
_MAX_FILES = 50_000
_MAX_NAME_BYTES = 240
MAX_FILE_BYTES = 1 << 42
CHUNK = 1 << 20


@dataclass(frozen=True)
class BundleFile:
    """Name one file: POSIX path below the bundle's root, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BundleManifest:
    """Hold what `manifest.json` says; `facts` is everything but the files, `sha256` that of its bytes."""

    files: dict[str, BundleFile]
    facts: dict[str, Any]
    sha256: str

    @property
    def size_bytes(self) -> int:
        """Sum the sizes of the files."""
        return sum(file.size for file in self.files.values())


@dataclass(frozen=True)
class Head:
    """Hold the manifest's bytes, and a signature with its file's name where there is one."""

    payload: bytes
    signature: tuple[str, bytes] | None


def parse_manifest(payload: bytes) -> BundleManifest:
    """Read a manifest.

    Raises:
        ArtifactError: it is no manifest of this format, or names a path that may not be written.
    """
    try:
        table = json.loads(payload.decode("utf-8"))
        facts = {key: value for key, value in table.items() if key != "files"}
        rows = table["files"]
        files = [_bundle_file(row) for row in rows[: _MAX_FILES + 1]]
        texts = [facts[key] for key in ("version", "platform", "python")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise damaged(f"{MANIFEST} is no manifest of a bundle ({type(exc).__name__})") from exc
    if facts.get("format") != FORMAT:
        raise ArtifactError(f"{MANIFEST} has an unknown format", hint="use the newer tool")
    if len(files) > _MAX_FILES or not all(isinstance(text, str) and len(text) < 100 for text in texts):
        raise damaged(f"{MANIFEST} is no manifest of a bundle")
    folded = {file.path.casefold() for file in files}
    folders = {part for path in folded for part in _parents(path)}
    if len(folded) != len(files) or folded & folders or folded & {MANIFEST, *SIGNATURES}:
        raise damaged(f"{MANIFEST} names a path twice")
    return BundleManifest({file.path: file for file in files}, facts, hashlib.sha256(payload).hexdigest())


def _bundle_file(row: Any) -> BundleFile:
    path, size, digest = row["path"], row["size"], row["sha256"]
    check_name(path)
    if type(size) is not int or not 0 <= size < MAX_FILE_BYTES:
        raise ValueError("size")
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError("sha256")
    return BundleFile(path, size, digest)


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def damaged(message: str) -> ArtifactError:
    """Return the error for a bundle that was made sound."""
    return ArtifactError(message, hint="copy the bundle again")


def check_name(name: object) -> str:
    """Return a path that stays below the bundle's root on any file system.

    Raises:
        ArtifactError: it is absolute, climbs, or holds what is no plain name.
    """
    is_plain = isinstance(name, str) and name.isprintable() and 0 < len(name.encode()) <= _MAX_NAME_BYTES
    if not is_plain or any(
        part in ("", ".", "..") or part[-1] in ". " or "\\" in part for part in str(name).split("/")
    ):
        raise damaged(f"the bundle names a path that may not be written: {str(name)[:80]!r}")
    return str(name)


class FolderBundle:
    """Read a bundle that lies in a folder; only regular files are ever opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def head(self) -> Head:
        """Return manifest and signature.

        Raises:
            ArtifactError: there is no manifest, or it is too large.
        """
        signatures = [name for name in SIGNATURES if (self._folder / name).exists()]
        signature = (signatures[0], self._small(signatures[0], MAX_SIGNATURE_BYTES)) if signatures else None
        return Head(self._small(MANIFEST, MAX_MANIFEST_BYTES), signature)

    def files(self, manifest: BundleManifest) -> Iterator[tuple[BundleFile, Iterator[bytes]]]:
        """Yield every file of the manifest with its content, checked as it is read to the end.

        Raises:
            ArtifactError: a file is missing, damaged, unknown, or no regular file.
        """
        present = set(self._walk())
        if unknown := sorted(present - set(manifest.files) - {MANIFEST, *SIGNATURES}):
            raise ArtifactError(
                f"{unknown[0]} is not in the manifest", hint="remove it, or copy the bundle again"
            )
        for path, file in sorted(manifest.files.items()):
            if path not in present:
                raise damaged(f"{path} is missing")
            with self._open(path) as stream:
                if os.fstat(stream.fileno()).st_size != file.size:
                    raise damaged(f"{path} is damaged (its size differs)")
                yield file, checked(file, iter(lambda: stream.read(CHUNK), b""))

    def _walk(self) -> Iterator[str]:
        waiting, count = [""], 0
        while waiting:
            folder = waiting.pop()
            with os.scandir(self._folder / folder) as entries:
                for entry in entries:
                    count += 1
                    name = f"{folder}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    elif entry.is_file(follow_symlinks=False):
                        yield name
                    if (
                        count > 2 * _MAX_FILES
                        or entry.is_symlink()
                        or not (entry.is_dir() or entry.is_file())
                    ):
                        raise ArtifactError(
                            f"{name} is no regular file", hint="remove it, or copy the bundle again"
                        )

    def _open(self, name: str) -> BinaryIO:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self._folder / name, flags | getattr(os, "O_BINARY", 0))
        stream = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            raise damaged(f"{name} is no regular file")
        return stream

    def _small(self, name: str, limit: int) -> bytes:
        if not (self._folder / name).is_file():
            raise ArtifactError(f"{self._folder} is no bundle: it holds no {name}", hint="name a bundle")
        with self._open(name) as stream:
            payload = stream.read(limit + 1)
        if len(payload) > limit:
            raise damaged(f"{name} is too large")
        return payload


def checked(file: BundleFile, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass chunks on, and compare them with the manifest at their end.

    Raises:
        ArtifactError: they are not what the manifest says.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if size > file.size:
            break
        yield chunk
    if size != file.size or digest.hexdigest() != file.sha256:
        raise damaged(f"{file.path} is damaged (its sha256 differs)")
