"""Locks between processes: one a run, one for the store. A process that dies gives them back.

Guarantees nothing on a file system that has no locks: there, two runs of the same inputs write the same
values, and only a purge at that very moment could take from one what it has just stored.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from dlcodegen_local.durable import make_private_folder

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def lock_run(folder: Path, on_wait: Callable[[], None] | None) -> int | None:
    """Return a descriptor that holds the lock of a run's folder; close it to give the lock back.

    Where another process holds it: waits, after a call of `on_wait`; without that, returns None.

    Raises:
        OSError: the folder cannot be made or locked.
    """
    while True:
        make_private_folder(folder)
        place = folder / "lock"
        try:
            descriptor = os.open(place, _FLAGS, 0o600)
        except FileNotFoundError:  # purged in between
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is None:
                    os.close(descriptor)
                    return None
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.lstat(place)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Tell whether a process is at a run now."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def store_lock(state: Path, *, alone: bool) -> Iterator[None]:
    """Hold the lock of the store: shared while a stage is stored, `alone` while it is swept."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # what cannot be locked is found out by the writing
            make_private_folder(state)
            descriptor = os.open(state / "lock", _FLAGS, 0o600)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
