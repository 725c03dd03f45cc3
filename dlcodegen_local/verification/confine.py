"""The launcher: a fresh Python that limits itself, gives up its rights and becomes the program.

Runs outside our process, so that no fork of a process with threads is needed, with the standard
library alone. Its orders come as JSON from a descriptor. Where it fails it writes one line that
starts with `dlcodegen-confine:` to stderr and exits 125, before a line of the program has run.

From root it first binds what the program may see below a private /tmp, then becomes an
unprivileged user: only so do limits on processes hold, and only so is `/root` out of reach.
"""

import binascii
import contextlib
import json
import os
import resource
import signal
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast

from dlcodegen_local.verification import isolation, syscalls

if TYPE_CHECKING:  # dataclasses cost a third of the launcher's start
    from dlcodegen_local.verification.orders import Orders

FAILED = 125
UNPRIVILEGED_ID = 65534
_ADDRESS_SPACE_EXTRA_BYTES = 16 << 30  # TensorFlow maps far more than it touches


def main(descriptor: int) -> NoReturn:
    """Read the orders and carry them out; never returns."""
    try:
        with open(descriptor, "rb") as file:
            orders = cast("Orders", SimpleNamespace(**json.load(file)))
        _limit(orders)
        run = {
            "bubblewrap": _bubblewrap,
            "namespaces": _namespaces,
            "landlock": _landlock,
            "none": _unconfined,
        }
        run[orders.backend](orders)
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"dlcodegen-confine: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(FAILED)


def _limit(orders: "Orders") -> None:
    limits = {
        resource.RLIMIT_AS: orders.memory_bytes + _ADDRESS_SPACE_EXTRA_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: orders.cpu_s,
        resource.RLIMIT_DATA: orders.memory_bytes,
        resource.RLIMIT_FSIZE: orders.file_size_bytes,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: 1024,
    }
    isolation.bound_resources(limits)


def _bubblewrap(orders: "Orders") -> NoReturn:
    places = _stage(orders) if is_host_root() else {path: path for path in (*orders.readable, orders.work)}
    code = os.memfd_create("seccomp", 0)
    os.write(code, binascii.a2b_base64(orders.seccomp))
    os.lseek(code, 0, os.SEEK_SET)
    argv = [orders.bwrap, *isolation.BUBBLEWRAP_FLAGS, "--seccomp", str(code)]
    for path in isolation.system_folders():
        argv += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
    for path in isolation.SYSTEM_FILES:
        argv += ["--ro-bind-try", path, path]
    for path in sorted(orders.readable):
        argv += ["--ro-bind", places[path], path]
    argv += ["--bind", places[orders.work], orders.inside, "--remount-ro", "/", "--chdir", orders.inside]
    for name, text in sorted(orders.environment.items()):
        argv += ["--setenv", name, text]
    # Counted inside: outside, the limit would also count what else this user runs.
    count = f"--nproc={orders.processes}:{orders.processes}"
    argv += ["--", isolation.PRLIMIT, count, "--", *isolation.FIRST_PROCESS, *orders.argv]
    supervisor = _Supervisor()
    sandbox = os.fork()
    if sandbox:
        os.close(code)
        supervisor.watch(sandbox)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.execve(orders.bwrap, argv, {})


def _stage(orders: "Orders") -> dict[str, str]:
    """Bind all that will be seen below a private /tmp and become an unprivileged user.

    Needed from root: whoever the program runs as cannot walk through `/root` to the interpreter.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    sources = {path: os.open(path, os.O_PATH) for path in (*orders.readable, orders.work)}
    syscalls.mount("tmpfs", "/tmp", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755")
    places = {}
    for index, (path, descriptor) in enumerate(sources.items()):
        places[path] = f"/tmp/{index}"
        isolation.bind(descriptor, places[path])
        os.close(descriptor)
    become_unprivileged()
    return places


def is_host_root() -> bool:
    """Say whether there is root to give up: root of a user namespace may know no other user."""
    if os.geteuid() != 0:
        return False
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [[int(number) for number in line.split()] for line in file]
    return any(first <= UNPRIVILEGED_ID < first + count for first, _, count in ranges)


def become_unprivileged() -> None:
    """Give up root for good."""
    os.chdir("/")
    os.setgroups([])
    os.setresgid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    os.setresuid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    syscalls.set_dumpable(True)  # else /proc/self still belongs to root


def _namespaces(orders: "Orders") -> NoReturn:
    places = _stage(orders) if is_host_root() else {path: path for path in (*orders.readable, orders.work)}
    isolation.new_namespaces()
    supervisor = _Supervisor()
    first = os.fork()
    if first:
        supervisor.watch(first)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    syscalls.die_with_parent(signal.SIGKILL)
    os.setsid()
    isolation.build_root(places, orders.readable, orders.work, orders.inside)
    syscalls.set_dumpable(False)
    program = os.fork()
    if program:
        syscalls.renounce_privileges()
        _pass_on(program)
    _become(orders, orders.inside)


def _go_on_as_child() -> None:
    """Return in a child that leads a session of its own; this process watches it and ends with it."""
    supervisor = _Supervisor(pid_namespace=False)
    program = os.fork()
    if program:
        supervisor.watch(program)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()


def _landlock(orders: "Orders") -> NoReturn:
    if is_host_root():
        isolation.open_the_way((*orders.readable, orders.work), UNPRIVILEGED_ID)
        become_unprivileged()
    _go_on_as_child()
    _become(orders, orders.work, landlock=True)


def _unconfined(orders: "Orders") -> NoReturn:
    _go_on_as_child()
    os.chdir(orders.work)
    os.execve(orders.argv[0], list(orders.argv), orders.environment)


def _become(orders: "Orders", folder: str, *, landlock: bool = False) -> NoReturn:
    os.chdir(folder)
    # A new user namespace counts from zero; without one the user's other tasks count as well.
    processes = orders.processes + (isolation.tasks_of_user() if landlock else 0)
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    syscalls.renounce_privileges()
    if landlock or syscalls.landlock_abi():
        isolation.close_filesystem(orders.readable, folder)
    syscalls.load_filter(binascii.a2b_base64(orders.seccomp))
    os.execve(orders.argv[0], list(orders.argv), orders.environment)


class _Supervisor:
    """Wait outside the walls; when the program ends, or we are told to, end all that it started.

    Whoever waits for this process knows that nothing of the program runs any more. Without a PID
    namespace, whose end takes all with it, every process is stopped before any is killed: a killed
    one makes room for the next of a fork bomb, a stopped one does not.
    """

    def __init__(self, *, pid_namespace: bool = True) -> None:
        self._children = os.open("/proc/thread-self/children", os.O_RDONLY | os.O_CLOEXEC)
        self._pid_namespace = pid_namespace
        syscalls.adopt_orphans()
        syscalls.die_with_parent(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: self._end(FAILED))

    def watch(self, child: int) -> NoReturn:
        """Wait for one child, and end with its exit code."""
        while True:
            pid, status = os.wait()
            if pid == child:
                self._end(_exit_code(status))

    def _end(self, code: int) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not self._pid_namespace:
            self._stop_all()
        while children := os.pread(self._children, 1 << 20, 0).split():
            for pid in children:
                os.kill(int(pid), signal.SIGKILL)
            for pid in children:
                os.waitpid(int(pid), 0)
        os._exit(code)

    def _stop_all(self) -> None:
        stopped: set[int] = set()
        while new := isolation.descendants(os.getpid()) - stopped:
            for pid in sorted(new):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= new


def _pass_on(program: int) -> NoReturn:
    """Be the first process of the namespace: reap whatever ends until the program does."""
    while True:
        pid, status = os.wait()
        if pid == program:
            os._exit(_exit_code(status))


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
