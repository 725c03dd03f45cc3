"""Copy files into and out of the sandbox's writable folder.

What comes back was made by a hostile program: only regular files with one link return, opened
without following links, up to a number, a depth and a total size. Everything else is left behind
and counted. Removal never recurses, so no depth of folders can stop it.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 10_000
MAX_DEPTH = 32
_CHUNK_BYTES = 1 << 20
_TOO_MUCH = 1 << 62
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class CopyLimits:
    """Bound what is copied; `only` names the files in the folder itself that are, None for all."""

    total_bytes: int
    files: int = MAX_FILES
    depth: int = MAX_DEPTH
    only: Sequence[str] | None = None


@dataclass(frozen=True)
class Copied:
    """Count what was copied, and what was left behind (links, devices, too much, too deep)."""

    files: int
    size_bytes: int
    refused: int


def copy_regular_files(source: Path, destination: Path, limits: CopyLimits) -> Copied:
    """Copy every regular file below `source` to the same place below `destination`.

    Raises:
        OSError: `destination` cannot be written.
    """
    files = size_bytes = refused = 0
    named = None if limits.only is None else [(Path(name), True) for name in limits.only]
    for relative, regular in named if named is not None else _entries(source, limits.depth):
        if not regular:
            refused += 1
            continue
        if files >= limits.files:
            refused += 1
            break
        copied = _copy_file(source / relative, destination / relative, limits.total_bytes - size_bytes)
        if copied is None:
            refused += 1
        else:
            files, size_bytes = files + 1, size_bytes + copied
    return Copied(files, size_bytes, refused)


def tree_size_bytes(folder: Path, max_entries: int = MAX_FILES) -> int:
    """Return the disk blocks that files below a folder take, links not followed.

    A tree of more than `max_entries` entries, or with folders that are closed or too deep to read,
    returns 2**62: no limit admits it.
    """
    total = count = 0
    pending = [os.fspath(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as scanned:
                entries = [*itertools.islice(scanned, max_entries - count + 1)]
        except (FileNotFoundError, NotADirectoryError):  # gone since it was listed
            continue
        except OSError:
            return _TOO_MUCH
        if (count := count + len(entries)) > max_entries:
            return _TOO_MUCH
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return total


def remove_tree(folder: Path) -> None:
    """Remove a folder of any depth and any modes; a folder that is not there is no error.

    Raises:
        OSError: something in it belongs to another user.
    """
    try:
        here = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return
    pending = [_empty_of_files(here)]  # for every open level, the folders still in it
    try:
        while pending:
            if pending[-1]:
                name = pending[-1][-1]
                os.chmod(name, 0o700, dir_fd=here)
                below = os.open(name, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
                pending.append(_empty_of_files(here))
                continue
            pending.pop()
            if pending:
                above = os.open("..", _FOLDER, dir_fd=here)
                os.close(here)
                here = above
                os.rmdir(pending[-1].pop(), dir_fd=here)
    finally:
        os.close(here)
    folder.rmdir()


def _empty_of_files(descriptor: int) -> list[str]:
    """Remove all but folders from a folder, and return these by name."""
    folders = []
    with os.scandir(descriptor) as entries:
        for entry in [*entries]:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=descriptor)
    return folders


def _entries(source: Path, max_depth: int) -> Iterator[tuple[Path, bool]]:
    """Yield every regular file in name order, and False with whatever may not be copied."""
    pending: list[tuple[Path, int]] = [(Path(), 0)]
    while pending:
        relative, depth = pending.pop()
        try:
            with os.scandir(source / relative) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError:
            yield relative, False
            continue
        for entry in entries:
            path = relative / entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth + 1 > max_depth:
                    yield path, False
                else:
                    pending.append((path, depth + 1))
            elif entry.is_file(follow_symlinks=False) and _printable(entry.name):
                yield path, True
            else:
                yield path, False


def _printable(name: str) -> bool:
    return name.isprintable() and len(name) < 200


def _copy_file(source: Path, destination: Path, budget_bytes: int) -> int | None:
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size > budget_bytes:
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as reader:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.is_symlink():
            return None
        copied = 0
        with open(destination, "wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                copied += len(chunk)
                writer.write(chunk)
    return copied
