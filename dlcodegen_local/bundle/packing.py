"""Write a bundle: a folder, or an archive in one or several parts.

Guarantees the same bytes for the same files (sorted, no times, no owners), and that a bundle appears whole:
it is written beside its place, synced, then renamed, the first part last.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from dlcodegen_local.bundle.archive import BLOCK
from dlcodegen_local.bundle.contents import CHUNK
from dlcodegen_local.durable import check_new_folder, sync_path
from dlcodegen_local.errors import ConfigError

_RECORD = 20 * BLOCK


@dataclass(frozen=True)
class Item:
    """Hold one file of a bundle: its path there, and its content or the file that holds it."""

    path: str
    source: bytes | Path
    size: int
    sha256: str

    @classmethod
    def of(cls, path: str, source: bytes | Path) -> "Item":
        """Measure a content; a file is read once, to its end.

        Raises:
            ConfigError: the file cannot be read.
        """
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(source):
            digest.update(chunk)
            size += len(chunk)
        return cls(path, source, size, digest.hexdigest())

    def content(self) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            ConfigError: the file is another one by now.
        """
        digest = hashlib.sha256()
        for chunk in _chunks(self.source):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != self.sha256:
            raise ConfigError(f"{self.source!s} changed while it was read", hint="start again")


class Packer(Protocol):
    """What takes the files of a bundle, one after another."""

    def add(self, item: Item) -> None:
        """Write one file."""
        ...

    def finish(self) -> list[Path]:
        """Put the bundle into its place; return its files or its folder."""
        ...

    def abandon(self) -> None:
        """Remove what was written."""
        ...


class FolderPacker:
    """Write a bundle into a new folder."""

    def __init__(self, folder: Path) -> None:
        """Refuse a folder that is not new or empty.

        Raises:
            ConfigError: says why.
        """
        check_new_folder(folder)
        self._folder = folder.absolute()
        self._staging = self._folder.with_name(f".{self._folder.name}.partial")
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)

    def add(self, item: Item) -> None:
        """Write one file."""
        target = self._staging / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as stream:
            for chunk in item.content():
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())

    def finish(self) -> list[Path]:
        """Rename the folder into its place."""
        for folder in (*(path for path in self._staging.rglob("*") if path.is_dir()), self._staging):
            sync_path(folder)
        os.rename(self._staging, self._folder)
        sync_path(self._folder.parent)
        return [self._folder]

    def abandon(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._staging, ignore_errors=True)


class ArchivePacker:
    """Write a bundle into a `.tar` or `.tar.gz`, in parts of `part_bytes` where that is given."""

    def __init__(self, path: Path, part_bytes: int | None) -> None:
        """Refuse a name that is taken.

        Raises:
            ConfigError: names it.
        """
        self._parts = _Parts(path, part_bytes)
        is_packed = path.suffix in (".gz", ".tgz")
        self._stream: IO[bytes] | Any = (
            gzip.GzipFile(filename="", mode="wb", fileobj=self._parts, mtime=0, compresslevel=6)
            if is_packed
            else self._parts
        )
        self._size = 0

    def add(self, item: Item) -> None:
        """Write one member."""
        self._write(_header(item))
        for chunk in item.content():
            self._write(chunk)
        self._write(bytes(-item.size % BLOCK))

    def finish(self) -> list[Path]:
        """End the archive and rename its parts into their places."""
        self._write(bytes(2 * BLOCK))
        self._write(bytes(-self._size % _RECORD))
        if self._stream is not self._parts:
            self._stream.close()
        return self._parts.finish()

    def abandon(self) -> None:
        """Remove what was written."""
        self._parts.abandon()

    def _write(self, payload: bytes) -> None:
        self._stream.write(payload)
        self._size += len(payload)


class _Parts:
    """Write bytes over files of a given size: `NAME.001`, `NAME.002`, ..., or one `NAME`."""

    def __init__(self, path: Path, part_bytes: int | None) -> None:
        self._path = path.absolute()
        self._part_bytes = part_bytes
        self._written: list[Path] = []
        self._open: IO[bytes] | None = None
        self._room = 0
        taken = [self._path, *self._path.parent.glob(f"{self._path.name}.[0-9][0-9][0-9]")]
        if exists := [name for name in taken if os.path.lexists(name)]:
            raise ConfigError(f"{exists[0]} exists", hint="name a new archive")
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, payload: bytes | memoryview) -> int:
        """Write all of it, over as many parts as it takes."""
        view = memoryview(payload)
        while view:
            if self._open is None or not self._room:
                self._next()
            assert self._open is not None
            piece = view[: self._room]
            self._open.write(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
        return len(payload)

    def flush(self) -> None:
        """Do nothing: parts are flushed when they are full."""

    def finish(self) -> list[Path]:
        """Sync and rename; the first part last, without which nothing is there."""
        self._close()
        names = [self._final(number) for number in range(len(self._written))]
        for staged, name in reversed(list(zip(self._written, names, strict=True))):
            os.replace(staged, name)
        sync_path(self._path.parent)
        return names

    def abandon(self) -> None:
        """Remove what was written."""
        if self._open is not None:
            self._open.close()
        for path in self._written:
            path.unlink(missing_ok=True)

    def _next(self) -> None:
        self._close()
        path = self._path.with_name(f".{self._path.name}.partial{len(self._written) + 1:03}")
        self._open = open(path, "wb")  # noqa: SIM115
        self._written.append(path)
        self._room = self._part_bytes or 1 << 62

    def _close(self) -> None:
        if self._open is not None:
            self._open.flush()
            os.fsync(self._open.fileno())
            self._open.close()

    def _final(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number + 1:03}") if self._part_bytes else self._path


def pack(packer: Packer, items: Sequence[Item]) -> list[Path]:
    """Write all files, or leave nothing behind.

    Raises:
        ConfigError: the disk is full, or a file changed meanwhile.
    """
    try:
        for item in items:
            packer.add(item)
        return packer.finish()
    except OSError as exc:
        packer.abandon()
        raise ConfigError(
            f"the bundle cannot be written: {exc.strerror or exc}", hint="free space or name another place"
        ) from exc
    except BaseException:
        packer.abandon()
        raise


def _header(item: Item) -> bytes:
    """Return a member's header, GNU's: names over 100 bytes and sizes over 8 GiB fit in."""
    info = tarfile.TarInfo(item.path)
    info.size, info.mode = item.size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _chunks(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        with open(source, "rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
    except OSError as exc:
        raise ConfigError(f"{source} cannot be read: {exc.strerror}", hint="check the path") from exc
