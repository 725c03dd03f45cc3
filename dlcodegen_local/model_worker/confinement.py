"""What the model's process gives up before it sees the model.

It may read the system's libraries, the Python environment and the model file. It cannot read any other
file, write or create one, start a program or another process, make or use a socket, send a signal to
another process, or gain a privilege. Memory that it does not share is limited, core dumps are off, and
it ends with the process that started it.

Two walls hold the files: Landlock, and a filter that refuses to open anything for writing. Where the
kernel has no Landlock, reading is not confined. Does not keep the process from using the processor.
"""

import os
import resource
import signal
import sys

from dlcodegen_local.verification import isolation, seccomp, syscalls

_EXECUTE = 1
_SHOWN = ("/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/proc/stat", "/dev/urandom")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CLONE_THREAD = 0x10000
_OPEN_TO_CHANGE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# name: (number on x86_64, number on aarch64); None where the machine has no such call
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "bind": (49, 200),
    "connect": (42, 203),
    "creat": (85, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fallocate": (285, 47),
    "fork": (57, None),
    "ftruncate": (77, 46),
    "ioctl": (16, 29),
    "link": (86, None),
    "linkat": (265, 37),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "openat2": (437, 437),
    "pidfd_open": (434, 434),
    "prctl": (157, 167),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "rmdir": (84, None),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "seccomp": (317, 277),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "socketpair": (53, 199),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "vfork": (58, None),
}
_OPEN, _OPENAT, _CLONE = (2, None), (257, 56), (56, 220)
_KILL, _TGKILL = (62, 129), (234, 131)


def confine(model: int, memory_bytes: int) -> int:
    """Close the files but those that are read, sockets, and privileges; before a native library is loaded.

    `model` is a descriptor of the one file that stays readable beside the environment. Must run while
    the process has a single thread. Returns the version of Landlock, 0 where the kernel has none.

    Raises:
        OSError: the kernel does not let go of privileges.
    """
    _limit(memory_bytes)
    syscalls.renounce_privileges()
    syscalls.die_with_parent(signal.SIGKILL)
    version = _close_files(model)
    machine = os.uname().machine
    if seccomp.supported(machine):
        _load(seccomp.build_filter(machine, namespaces=False))
    return version


def seal() -> bool:
    """Refuse every call but those that computing needs; after the libraries are loaded, before the model.

    Returns False where this machine has no such filter.

    Raises:
        RuntimeError: there is another thread, which the filter would not hold.
    """
    machine = os.uname().machine
    if not seccomp.supported(machine):
        return False
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("the model's process has threads before it has a model")
    column = ("x86_64", "aarch64").index(machine)
    # The second filter is the last that can be loaded: it refuses the call that loads filters.
    refused = tuple(number for numbers in _REFUSED.values() if (number := numbers[column]) is not None)
    return _load(_refused_arguments(machine, column)) and _load(seccomp.refuse_calls(machine, refused))


def missing_walls(has_landlock: bool, has_filter: bool) -> tuple[str, ...]:
    """Say in a line each what a model's process could do here, for want of a wall."""
    walls = (
        (has_landlock, "this kernel has no Landlock: the process of the model can read your files"),
        (has_filter, "no filter of system calls is known here: the process of the model can start others"),
    )
    return tuple(text for stands, text in walls if not stands)


def _close_files(model: int) -> int:
    version = syscalls.landlock_abi()
    if not version:
        return 0
    try:
        rules = syscalls.Landlock(version)
        read = rules.read & ~_EXECUTE
        for path in (*isolation.system_folders(), *isolation.SYSTEM_FILES, *_SHOWN, *_environment()):
            rules.allow(path, read)
        rules.allow(f"/proc/self/fd/{model}", read)
        rules.allow(os.devnull, read | rules.write)
        rules.enforce()
    except OSError:
        return 0
    return version


def _load(code: bytes) -> bool:
    try:
        syscalls.load_filter(code)
    except OSError:
        return False
    return True


def _refused_arguments(machine: str, column: int) -> bytes:
    """Return the filter that leaves files to read, threads of this process, and signals to itself."""

    def known(*calls: tuple[tuple[int | None, int | None], int, int]) -> list[seccomp.Condition]:
        """Return the conditions whose call this machine has."""
        found = ((numbers[column], index, value) for numbers, index, value in calls)
        return [(number, index, value) for number, index, value in found if number is not None]

    return seccomp.refuse_arguments(
        machine,
        with_bits=known((_OPEN, 1, _OPEN_TO_CHANGE), (_OPENAT, 2, _OPEN_TO_CHANGE)),
        without_bits=known((_CLONE, 0, _CLONE_THREAD)),
        other_values=known((_KILL, 0, os.getpid()), (_TGKILL, 0, os.getpid())),
    )


def _limit(memory_bytes: int) -> None:
    """Bound what the process may take. The mapped weights are shared pages and do not count."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 256,
    }
    isolation.bound_resources(limits)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # where memory ends, the model goes before the user's editor
    except OSError:
        return


def _environment() -> list[str]:
    """Return the folders of the interpreter, its packages, and ours; never a whole home folder."""
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix)
    libraries = [os.path.join(prefix, name) for prefix in prefixes for name in ("lib", "lib64")]
    packages = [path for path in sys.path if path.endswith(("-packages", ".zip"))]
    return sorted({*libraries, *packages, _PACKAGE})
