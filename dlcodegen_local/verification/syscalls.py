"""Call the kernel where Python 3.11 has no binding. Linux on x86_64 and aarch64.

Every function raises OSError with the call's name. Imports nothing outside the standard library:
it runs in the launcher, before the sandbox is closed.
"""

import ctypes
import os
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE = 2, -100, 0x8000
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 1, 2, 4
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 4, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_SECCOMP_MODE_FILTER = 2
_SOL_SOCKET, _SO_DOMAIN = 1, 39
_CAPABILITY_VERSION_3 = 0x20080522
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446
_LANDLOCK_RULE_PATH_BENEATH = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(name: str, result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _syscall(name: str, number: int, *arguments: object) -> int:
    return _checked(name, int(_libc.syscall(ctypes.c_long(number), *arguments)))


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked("unshare", _libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount, bind or remount."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _checked(f"mount {target}", result)


def name_machine(name: str) -> None:
    """Set the host name of this namespace."""
    _checked("sethostname", _libc.sethostname(name.encode(), ctypes.c_size_t(len(name))))


def make_read_only(target: str) -> None:
    """Make a mount and all below it read-only, without devices and set-user-id. Linux 5.12."""
    attributes = struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV, 0, 0, 0)
    path = ctypes.c_char_p(os.fsencode(target))
    arguments = (ctypes.c_int(_AT_FDCWD), path, ctypes.c_uint(_AT_RECURSIVE), attributes)
    _syscall("mount_setattr", _MOUNT_SETATTR, *arguments, ctypes.c_size_t(32))


def enter_root(new_root: str) -> None:
    """Make a mounted folder the root and let go of the old one."""
    os.chdir(new_root)
    _syscall("pivot_root", _PIVOT_ROOT[os.uname().machine], ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    _checked("umount", _libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def _prctl(name: str, option: int, argument: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(name, _libc.prctl(option, ctypes.c_ulong(argument), zero, zero, zero))


def die_with_parent(signal_number: int) -> None:
    """Have the kernel signal this process when its parent ends."""
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal_number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(dumpable: bool) -> None:
    """Let others of the same user read this process, or keep them from it."""
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, int(dumpable))


def forbid_new_privileges() -> None:
    """Keep this process and all it starts from gaining privileges by exec; needed for a filter."""
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def renounce_privileges() -> None:
    """Drop every capability for good, and forbid gaining any by exec."""
    for capability in range(64):
        try:
            _prctl("PR_CAPBSET_DROP", _PR_CAPBSET_DROP, capability)
        except OSError:
            break
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked("capset", _libc.capset(header, bytes(24)))
    forbid_new_privileges()


def load_filter(code: bytes) -> None:
    """Install a seccomp filter, for this process and all it starts."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    program = Program(len(code) // 8, code)
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    _checked("seccomp", _libc.prctl(_PR_SET_SECCOMP, mode, ctypes.byref(program), zero, zero))


def error_of_socket(family: int) -> int:
    """Return the error with which a socket of a family is refused, 0 where it opens; it is closed again."""
    descriptor = int(_libc.socket(family, 1, 0))
    if descriptor < 0:
        return ctypes.get_errno()
    os.close(descriptor)
    return 0


def family_of_socket(descriptor: int) -> int:
    """Return the family of an open socket."""
    family, size = ctypes.c_int(-1), ctypes.c_uint(4)
    pointers = ctypes.byref(family), ctypes.byref(size)
    _checked("getsockopt", _libc.getsockopt(descriptor, _SOL_SOCKET, _SO_DOMAIN, *pointers))
    return family.value


def landlock_abi() -> int:
    """Return the version of Landlock, 0 where the kernel has none."""
    number = ctypes.c_long(_LANDLOCK_CREATE)
    return max(0, int(_libc.syscall(number, None, ctypes.c_size_t(0), ctypes.c_uint(1))))


class Landlock:
    """One rule set under construction: what is not allowed is refused once `enforce` was called."""

    def __init__(self, abi: int) -> None:
        write_bits = 0b1111111111110 & ~0b100 & ~0b1000  # all of version 1 but execute, read, list
        self.write = write_bits | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0)
        self.read = 0b1101  # execute, read a file, list a folder
        self._file_bits = 0b111 | (1 << 14 if abi >= 3 else 0)
        filesystem = self.write | self.read | (1 << 15 if abi >= 5 else 0)
        network = 0b11 if abi >= 4 else 0
        scope = 0b11 if abi >= 6 else 0
        attributes = struct.pack("=Q", filesystem)
        if abi >= 4:
            attributes += struct.pack("=Q", network)
        if abi >= 6:
            attributes += struct.pack("=Q", scope)
        size = ctypes.c_size_t(len(attributes))
        self._rules = _syscall("landlock", _LANDLOCK_CREATE, attributes, size, ctypes.c_uint(0))

    def allow(self, path: str, access: int) -> None:
        """Allow access bits below a folder, or on a file; a path that is not there is passed by."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        bits = access if os.path.isdir(path) else access & self._file_bits
        rule = struct.pack("=Qi", bits, descriptor)
        kind = ctypes.c_int(_LANDLOCK_RULE_PATH_BENEATH)
        _syscall("landlock rule", _LANDLOCK_ADD, ctypes.c_int(self._rules), kind, rule, ctypes.c_uint(0))
        os.close(descriptor)

    def enforce(self) -> None:
        """Close the door behind this process; it must have renounced its privileges."""
        _syscall("landlock", _LANDLOCK_RESTRICT, ctypes.c_int(self._rules), ctypes.c_uint(0))
        os.close(self._rules)
