"""Writing that survives a kill: temporary file, fsync, rename, fsync of the folder.

Guarantees that a path holds either what it held before or the whole new content. A failed write leaves
nothing. A killed one leaves a temporary name that nobody else has a use for: it follows from the path, and
the next writer of the same path takes it over, so that such names never add up.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from dlcodegen_local.errors import ConfigError


def write_file(path: Path, content: bytes | str, *, private: bool = False) -> None:
    """Replace one file atomically; the folder is made where it lacks.

    A link is followed, and only a regular file is ever replaced. `private` lets nobody else read it, nor a
    folder that is made for it.

    Raises:
        ConfigError: the place cannot be written or is no regular file, or the disk is full.
    """
    payload = content.encode() if isinstance(content, str) else content
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            raise _irregular(path)
        _make_folder(path.parent, private=private)
        with _claimed_file(path) as (descriptor, name):
            _write_all(descriptor, payload)
            os.fchmod(descriptor, 0o600 if private else 0o644)
            os.fsync(descriptor)
            os.replace(name, path)
            sync_path(path.parent)
    except OSError as exc:
        raise _unwritable(path, exc) from exc


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
    probe = staging_place(parent / folder.name)
    try:  # the only sure answer: root passes every look at permissions
        os.mkdir(probe, 0o700)
        os.rmdir(probe)
    except FileExistsError:
        pass  # a killed writer's, or one that writes now: found out when it is claimed
    except OSError as exc:
        raise _unwritable(folder, exc) from exc


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder of text files appear whole: written beside its place, synced, then renamed.

    `files` maps relative POSIX paths to texts. What a killed writer of the same folder left is cleared away.

    Raises:
        ConfigError: the folder is not new or empty, cannot be written, is written by another process, or
            the disk is full.
    """
    check_new_folder(folder)
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _claimed_folder(folder) as staging:
            for name, text in sorted(files.items()):
                target = staging / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "wb") as file:
                    file.write(text.encode())
                    file.flush()
                    os.fsync(file.fileno())
            for path in sorted(staging.rglob("*"), reverse=True):
                if path.is_dir():
                    sync_path(path)
            staging.chmod(0o755)
            sync_path(staging)
            os.rename(staging, folder)
            try:
                sync_path(folder.parent)
            except OSError:  # it may not be there after a power cut: it is not there
                os.rename(folder, staging)
                raise
    except OSError as exc:
        raise _unwritable(folder, exc) from exc


def staging_place(folder: Path) -> Path:
    """Return where a folder is written before it is renamed."""
    return folder.parent / f".{folder.name[:60]}-{_digest(folder.name)}.part"


def remove_staging(folder: Path) -> None:
    """Remove what a killed writer of a folder left beside its place; what is being written stays."""
    staging = staging_place(folder.absolute())
    if not staging.is_dir() or staging.is_symlink():
        return
    with contextlib.suppress(OSError):
        descriptor = _claim_folder(staging)
        if descriptor is not None:
            shutil.rmtree(staging, ignore_errors=True)
            os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, that nobody else may enter; one that lies there is closed.

    Raises:
        OSError: it cannot be made.
    """
    _make_folder(folder, private=True)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        folder.chmod(0o700)


def _make_folder(folder: Path, *, private: bool) -> None:
    if private and not folder.exists():
        _make_folder(folder.parent, private=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _claimed_file(path: Path) -> Iterator[tuple[int, str]]:
    """Open the empty temporary file of a path, alone; it is gone at the end, renamed or removed."""
    descriptor, name = _claim(path)
    try:
        os.ftruncate(descriptor, 0)
        yield descriptor, name
    except BaseException:
        with contextlib.suppress(OSError):
            if _is_at(descriptor, name):
                os.unlink(name)
        raise
    finally:
        os.close(descriptor)


def _claim(path: Path) -> tuple[int, str]:
    """Return descriptor and name of a temporary file that this process alone writes.

    A second writer of the same path waits. What lies there and is not a plain file of ours is left alone.
    """
    name = os.fspath(path.parent / f".tmp-{_digest(path.name)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        try:
            descriptor = os.open(name, flags, 0o600)
        except OSError as exc:
            if exc.errno in (errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENXIO):
                break
            raise
        if _is_plain_and_ours(descriptor):
            locked = _lock(descriptor)
            if locked and _is_at(descriptor, name):
                return descriptor, name
            os.close(descriptor)
            if not locked:  # a file system without locks: names that nobody else can know
                os.unlink(name)
                break
        else:
            os.close(descriptor)
            break
    return tempfile.mkstemp(prefix=".tmp-", dir=path.parent)


def _is_plain_and_ours(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink <= 1


def _is_at(descriptor: int, place: str | Path) -> bool:
    """Tell whether what was opened still lies at its place: others rename and remove."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(place))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, *, wait: bool = True) -> bool:
    """Lock an open file; False where the file system has no locks.

    Raises:
        BlockingIOError: another process holds it, and `wait` is off.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _claimed_folder(folder: Path) -> Iterator[Path]:
    """Make the empty staging folder of a folder, alone; it is gone at the end, renamed or removed."""
    staging = staging_place(folder)
    descriptor = _claim_folder(staging)
    if descriptor is None:
        raise ConfigError(
            f"{folder} is being written by another process", hint="wait for it, or name another folder"
        )
    try:
        for left in staging.iterdir():  # by a writer that was killed
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        yield staging
    except BaseException:
        if _is_at(descriptor, staging):
            shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def _claim_folder(staging: Path) -> int | None:
    """Return a descriptor that holds the lock of a staging folder, None where another process holds it.

    Raises:
        OSError: it cannot be made, or it is not ours.
    """
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(staging, 0o700)
        try:
            descriptor = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # another process was done with it in between
            continue
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, f"{staging.name} beside it is somebody else's")
            _lock(descriptor, wait=False)
            if _is_at(descriptor, staging):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _write_all(descriptor: int, payload: bytes) -> None:
    view = memoryview(payload)
    while view:
        view = view[os.write(descriptor, view) :]


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def sync_path(path: Path) -> None:
    """Put on the disk what the system still holds of a file, or of the names in a folder.

    Raises:
        OSError: it cannot; nothing of it may be trusted then.
    """
    descriptor = os.open(path, os.O_RDONLY)
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
