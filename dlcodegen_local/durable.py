"""Writing that survives a kill: temporary file, fsync, rename, fsync of the folder.

Guarantees that a path holds either what it held before or the whole new content. A failed write
leaves nothing but a temporary name, which is removed where the process lives long enough.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dlcodegen_local.errors import ConfigError


def write_file(path: Path, content: bytes | str, *, private: bool = False) -> None:
    """Replace one file atomically; the folder is made where it lacks.

    A link is followed, and only a regular file is ever replaced. `private` lets nobody else read it.

    Raises:
        ConfigError: the place cannot be written or is no regular file, or the disk is full.
    """
    payload = content.encode() if isinstance(content, str) else content
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            raise _irregular(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(payload)
            file.flush()
            os.fchmod(file.fileno(), 0o600 if private else 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)
        _sync_folder(path.parent)
    except OSError as exc:
        Path(name).unlink(missing_ok=True)
        raise _unwritable(path, exc) from exc
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_new_file(path: Path) -> None:
    """Refuse an output file that exists and holds something, and what is no regular file.

    Raises:
        ConfigError: names it.
    """
    try:
        if path.exists() and not path.is_file():
            raise _irregular(path)
        taken = path.exists() and path.stat().st_size > 0
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    if taken:
        raise ConfigError(f"{path} exists", hint="name a new file, or give --force to replace it")


def check_new_folder(folder: Path) -> None:
    """Refuse an output folder that is not new or empty, or whose parent cannot be written.

    Raises:
        ConfigError: says which, and what to do.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"{folder} exists and is not a folder", hint="name a new output folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} exists and is not empty", hint="name a new or an empty output folder")
    if folder.is_mount():
        raise ConfigError(f"{folder} is a mount point", hint="name a new folder in it")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:  # the only sure answer: root passes every look at permissions
        os.rmdir(tempfile.mkdtemp(prefix=".probe-", dir=parent))
    except OSError as exc:
        raise _unwritable(folder, exc) from exc


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder of text files appear whole: written beside its place, synced, then renamed.

    `files` maps relative POSIX paths to texts.

    Raises:
        ConfigError: the folder is not new or empty, cannot be written, or the disk is full.
    """
    check_new_folder(folder)
    folder = folder.absolute()
    staging: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name, text in sorted(files.items()):
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        for path in sorted(staging.rglob("*"), reverse=True):
            if path.is_dir():
                _sync_folder(path)
        staging.chmod(0o755)
        _sync_folder(staging)
        os.rename(staging, folder)
        _sync_folder(folder.parent)
    except OSError as exc:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        raise _unwritable(folder, exc) from exc
    except BaseException:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _irregular(path: Path) -> ConfigError:
    return ConfigError(f"{path} is not a regular file", hint="name another output file")


def _unwritable(path: Path, exc: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {exc.strerror or exc}", hint="free space or name another place"
    )
