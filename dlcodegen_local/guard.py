"""Nothing leaves: refuse every socket that is not local, for this process and for all that it starts.

Guarantees, where the kernel has seccomp (Linux on x86-64 and aarch64), that no code of ours, of a library
or of a child opens a socket of another family than AF_UNIX, whatever language it is written in; elsewhere
an audit hook refuses those of Python code in this process, which is an aid and no wall. Does not reach
what other processes do when they are asked over a local socket, nor streams that the caller made of a socket.
"""

import contextlib
import errno
import os
import stat
import sys
from typing import Literal

from dlcodegen_local.verification import seccomp, syscalls

Wall = Literal["seccomp", "hook", "none"]

_NO_FAMILY = 255  # of which no kernel has a socket: asking for one opens nothing
_LOCAL_FAMILIES = frozenset({-1, 1, 16})  # that of a given descriptor, AF_UNIX, AF_NETLINK
_LOOK_UPS = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname", "socket.getnameinfo"}
)


def close_network() -> None:
    """Close the network for good. Call it before any library loads and any thread starts."""
    if _is_filtered():
        return
    if sys.platform == "linux":
        _close_inherited()
    if sys.platform == "linux" and seccomp.supported(machine := os.uname().machine):
        with contextlib.suppress(OSError):  # this kernel has no filters
            syscalls.forbid_new_privileges()
            syscalls.load_filter(seccomp.build_guard(machine))
            return
    # Beside a filter a hook would hide from strace what was tried, and nobody could count it.
    sys.addaudithook(_refuse_sockets)


def _close_inherited() -> None:
    """Close network sockets that the caller left open; standard streams stay, whatever they are."""
    for descriptor in (int(name) for name in os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
            if descriptor <= 2 or not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            if syscalls.family_of_socket(descriptor) not in _LOCAL_FAMILIES:
                os.close(descriptor)


def find_wall() -> Wall:
    """Say by what the network is closed to this process; opens no socket to find out."""
    if _is_filtered():
        return "seccomp"
    try:
        sys.audit("socket.getnameinfo", ("", 0))
    except PermissionError:
        return "hook"
    return "none"


def _is_filtered() -> bool:
    """Tell the guard's filter by its error from a kernel that has no such family."""
    return syscalls.error_of_socket(_NO_FAMILY) == errno.EACCES


def _refuse_sockets(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LOOK_UPS or (event == "socket.__new__" and arguments[1] not in _LOCAL_FAMILIES):
        raise PermissionError(errno.EACCES, f"dlcodegen opens no network connection: {event} is refused")
