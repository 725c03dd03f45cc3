"""What the sandbox shows of the system, as a root file system or as Landlock rules.

Inside there are: /usr and its links, a few files of /etc, the environment's own folders, all of
them read-only; a fresh /proc; private /tmp, /dev/shm and home; one writable work folder.
"""

import contextlib
import os
import resource
from collections.abc import Mapping, Sequence

from dlcodegen_local.verification import syscalls

PRLIMIT = "/usr/bin/prlimit"
# The first process of the namespace, under the same filter as the program: bubblewrap's own has none, and a
# program of the same user could write into its memory.
FIRST_PROCESS = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
HOME = "/home/sandbox"
INSIDE = "/sandbox"
SYSTEM_FILES = (
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/localtime", "/sys/devices/system/cpu"),
)
_PRIVATE_BYTES = 512 << 20
_DEVICES = ("full", "null", "random", "urandom", "zero")
BUBBLEWRAP_FLAGS = (
    *("--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL"),
    *("--new-session", "--die-with-parent", "--as-pid-1", "--clearenv", "--uid", "1000", "--gid", "1000"),
    *("--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev"),
    *("--size", str(_PRIVATE_BYTES), "--tmpfs", "/tmp", "--size", str(_PRIVATE_BYTES), "--tmpfs", "/dev/shm"),
    *("--size", str(_PRIVATE_BYTES), "--tmpfs", HOME),
)


def system_folders() -> list[str]:
    """Return the folders, or links to them, that programs and libraries of the system lie in."""
    return [path for path in ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/sbin") if os.path.lexists(path)]


def bind(descriptor: int, target: str) -> None:
    """Bind an opened file or folder to a place that is made for it."""
    source = f"/proc/self/fd/{descriptor}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    syscalls.mount(source, target, "", syscalls.MS_BIND | syscalls.MS_REC)


def enter_empty_network() -> None:
    """Move this process into a network in which nothing is, not even a loopback that is up.

    Raises:
        OSError: this machine does not let us.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        return
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
    _map_user(f"{user} {user} 1", f"{group} {group} 1")


def new_namespaces() -> None:
    """Enter new namespaces of every kind as an ordinary user of them."""
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(
        syscalls.CLONE_NEWUSER
        | syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWPID
        | syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWCGROUP
    )
    _map_user(f"1000 {user} 1", f"1000 {group} 1")


def _map_user(users: str, groups: str) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", users), ("gid_map", groups)):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def build_root(places: Mapping[str, str], readable: Sequence[str], work: str, inside: str) -> None:
    """Build the root that the program will see below /tmp, and enter it. Needs a new PID namespace."""
    syscalls.name_machine("sandbox")
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    links = {path: os.readlink(path) for path in system_folders() if os.path.islink(path)}
    shown = [path for path in (*system_folders(), *SYSTEM_FILES) if path not in links]
    opened = [(path, os.open(path, os.O_PATH)) for path in shown if os.path.exists(path)]
    opened += [(path, os.open(places[path], os.O_PATH)) for path in sorted(readable)]
    devices = [(f"/dev/{name}", os.open(f"/dev/{name}", os.O_PATH)) for name in _DEVICES]
    writable = os.open(places[work], os.O_PATH)
    private = f"mode=0700,size={_PRIVATE_BYTES}"
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", "/tmp", "tmpfs", flags, "mode=0755,size=1m")
    for folder in ("proc", "tmp", "dev/shm", HOME[1:]):
        os.makedirs(f"/tmp/{folder}")
        if folder != "proc":
            syscalls.mount("tmpfs", f"/tmp/{folder}", "tmpfs", flags, private)
    for path, target in links.items():
        os.symlink(target, f"/tmp{path}")
    for path, descriptor in opened:
        bind(descriptor, f"/tmp{path}")
        syscalls.make_read_only(f"/tmp{path}")
        os.close(descriptor)
    for path, descriptor in devices:
        bind(descriptor, f"/tmp{path}")
        os.close(descriptor)
    syscalls.mount("proc", "/tmp/proc", "proc", flags | syscalls.MS_NOEXEC)
    bind(writable, f"/tmp{inside}")
    os.close(writable)
    syscalls.mount("none", "/tmp", "", flags | syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY)
    syscalls.enter_root("/tmp")


def close_filesystem(readable: Sequence[str], work: str) -> None:
    """Refuse, by Landlock, every file but those the sandbox shows."""
    rules = syscalls.Landlock(syscalls.landlock_abi())
    for path in (*system_folders(), *SYSTEM_FILES, *readable):
        rules.allow(path, rules.read)
    own = ("/proc",) if work == INSIDE else ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/self")
    for path in own:
        rules.allow(path, rules.read)
    for name in _DEVICES:
        rules.allow(f"/dev/{name}", rules.read | rules.write)
    for path in (work, *((HOME, "/tmp", "/dev/shm") if work == INSIDE else ())):
        rules.allow(path, rules.read | rules.write)
    rules.enforce()


def open_the_way(paths: Sequence[str], user: int) -> None:
    """Make paths below a closed folder such as `/root` reachable, in a mount namespace of our own.

    Each closed folder is covered by an empty one in which nothing but the paths is bound.
    """
    closed: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split("/")
        for end in range(2, len(parts)):
            folder = "/".join(parts[:end])
            status = os.stat(folder)
            if not status.st_mode & 0o001 and status.st_uid != user:
                closed.setdefault(folder, []).append(path)
                break
    if not closed:
        return
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    for folder, below in sorted(closed.items()):
        opened = [(path, os.open(path, os.O_PATH)) for path in sorted(below)]
        syscalls.mount("tmpfs", folder, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")
        for path, descriptor in opened:
            bind(descriptor, path)
            os.close(descriptor)


def descendants(root: int) -> set[int]:
    """Return all processes below a process, as far as /proc shows them."""
    found: set[int] = set()
    pending = [root]
    while pending:
        pid = pending.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                    children = {int(child) for child in file.read().split()} - found
                found |= children
                pending += children
    return found


def bound_resources(limits: Mapping[int, int]) -> None:
    """Bound this process and its children, by kind of resource; a lower bound that holds already stays."""
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (bound, bound))


def tasks_of_user() -> int:
    """Count the threads that this user runs now, as far as /proc shows them."""
    user, count = os.geteuid(), 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count
