"""A bundle in an archive: .tar or .tar.gz, whole or in parts .001, .002, ... Standard library, Python 3.8.

Guarantees that nothing is written, that regular files alone are known (links, devices, folders and
extended headers are refused), and that memory does not grow with what an archive claims: a member must
have the size that the manifest says, and what unpacks to over 20 times its size is a bomb. Members are in the
order: manifest, signature, files.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path

from dlcodegen_local.bundle.contents import (
    CHUNK,
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURE_BYTES,
    SIGNATURES,
    BundleFile,
    BundleManifest,
    Head,
    check_name,
    checked,
    damaged,
)
from dlcodegen_local.errors import ArtifactError

BLOCK = 512
_MAX_EXPANSION = 20
_FREE_EXPANSION_BYTES = 64 << 20
_MAX_END_BLOCKS = 40
_LONG_NAME = b"L"
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a named pipe",
    b"x": "an extended header",
    b"g": "an extended header",
    b"K": "a long name of a link",
    b"S": "a sparse file",
}


class ArchiveBundle:
    """Read a bundle that lies in an archive: one pass, nothing unpacked to the disk."""

    def __init__(self, parts: list[Path]) -> None:
        self._stream = _stream_of(parts)
        self._next: tuple[str, int] | None = None

    def head(self) -> Head:
        """Return manifest and signature, which stand first; call it once, before `files`.

        Raises:
            ArtifactError: the archive is none, damaged, or begins otherwise.
        """
        name, size = self._stream.header() or ("", 0)
        if name != MANIFEST or size > MAX_MANIFEST_BYTES:
            raise ArtifactError(
                f"the archive is no bundle: it does not begin with {MANIFEST}", hint="name a bundle"
            )
        payload = b"".join(self._stream.content(size))
        self._next = self._stream.header()
        if self._next is None or self._next[0] not in SIGNATURES:
            return Head(payload, None)
        name, size = self._next
        if size > MAX_SIGNATURE_BYTES:
            raise damaged(f"{name} is too large")
        signature = b"".join(self._stream.content(size))
        self._next = self._stream.header()
        return Head(payload, (name, signature))

    def files(self, manifest: BundleManifest) -> Iterator[tuple[BundleFile, Iterator[bytes]]]:
        """Yield every file of the manifest with its content, checked as it is read to the end.

        Raises:
            ArtifactError: a member is damaged, unknown, twice there, or missing.
        """
        missing = dict(manifest.files)
        while self._next is not None:
            name, size = self._next
            file = missing.pop(name, None)
            if file is None:
                raise damaged(f"{name} is in the archive twice or not in the manifest")
            if file.size != size:
                raise damaged(f"{name} is damaged (its size differs)")
            content = checked(file, self._stream.content(size))
            yield file, content
            for _ in content:  # what the caller has not read
                pass
            self._next = self._stream.header()
        if missing:
            raise damaged(f"{min(missing)} is missing")


class TarStream:
    """Take a tar archive apart that comes in chunks of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer, self._at = b"", 0

    def header(self) -> tuple[str, int] | None:
        """Return name and size of the next member, None at a sound end of the archive.

        Raises:
            ArtifactError: the header is damaged, or the member is anything but a regular file.
        """
        block = self._take(BLOCK)
        if not block.strip(b"\0"):
            self._check_end()
            return None
        kind, name, size = self._fields(block)
        if kind == _LONG_NAME:  # the name of the next member, which its own header holds cut
            if size > BLOCK:
                raise damaged("the archive names a path that is too long")
            name = b"".join(self.content(size)).partition(b"\0")[0]
            kind, _, size = self._fields(self._take(BLOCK))
        if kind not in (b"0", b"\0"):
            raise damaged(f"the archive holds {_KINDS.get(kind, 'something else')}: no bundle does")
        return check_name(_text(name)), size

    def _fields(self, block: bytes) -> tuple[bytes, bytes, int]:
        """Return kind, name and size of a header."""
        checksum = sum(block) - sum(block[148:156]) + 8 * ord(" ")
        if block[257:262] != b"ustar" or _octal(block[148:156]) != checksum:
            raise damaged("the archive is damaged (a header is none)")
        name = block[:100].partition(b"\0")[0]
        if block[262:263] == b"\0" and (prefix := block[345:500].partition(b"\0")[0]):
            name = prefix + b"/" + name
        return block[156:157], name, _number(block[124:136])

    def content(self, size: int) -> Iterator[bytes]:
        """Yield the `size` bytes of the member whose header was read last."""
        padding = -size % BLOCK
        while size:
            chunk = self._take(min(size, CHUNK))
            size -= len(chunk)
            yield chunk
        self._take(padding)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                raise damaged("the archive ends too early")
            self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        self._at += size
        return self._buffer[self._at - size : self._at]

    def _check_end(self) -> None:
        rest = self._buffer[self._at :]
        for chunk in self._chunks:
            rest += chunk
            if len(rest) > _MAX_END_BLOCKS * BLOCK:
                break
        if not BLOCK <= len(rest) <= _MAX_END_BLOCKS * BLOCK or rest.strip(b"\0"):
            raise damaged("the archive goes on after its end")


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise damaged("the archive names a path that is no UTF-8") from exc


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else -1


def _number(field: bytes) -> int:
    """Return a size: octal digits, or base 256 where the first bit is set, as GNU tar writes over 8 GiB."""
    size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)
    if not 0 <= size < MAX_FILE_BYTES:
        raise damaged("the archive is damaged (a size is none)")
    return size


def _stream_of(parts: list[Path]) -> TarStream:
    chunks = _part_chunks(parts)
    first = next(chunks, b"")
    together = itertools.chain((first,), chunks)
    return TarStream(_unpacked(together) if first[:2] == b"\x1f\x8b" else together)


def _part_chunks(parts: list[Path]) -> Iterator[bytes]:
    for part in parts:
        # A named pipe would wait for ever.
        if not part.is_file():
            raise damaged(f"{part} is no regular file")
        with open(part, "rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what one gzip stream holds, a chunk at a time, and no more than the limit of expansion."""
    unpacker = zlib.decompressobj(31)
    packed = unpacked = 0
    try:
        for chunk in chunks:
            packed += len(chunk)
            pending = chunk
            while pending and not unpacker.eof:
                piece = unpacker.decompress(pending, CHUNK)
                unpacked += len(piece)
                if unpacked > _MAX_EXPANSION * packed + _FREE_EXPANSION_BYTES:
                    raise ArtifactError("the archive unpacks to far more than it holds", hint="do not use it")
                if piece:
                    yield piece
                pending = unpacker.unconsumed_tail
            if unpacker.unused_data or (unpacker.eof and pending):
                raise damaged("the archive goes on after its end")
        yield unpacker.flush()
    except zlib.error as exc:
        raise damaged("the archive is damaged (it does not unpack)") from exc
    if not unpacker.eof:
        raise damaged("the archive ends too early")
