"""Run a program that nobody trusts, with no network, no home and one writable folder.

`find_sandbox` chooses the strongest backend that passes a real probe on this machine: settings and
versions are never believed. What a backend cannot do is said in its docstring.
"""

import base64
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from dlcodegen_local.errors import SandboxError
from dlcodegen_local.verification import confine, isolation, seccomp, supervise, workfolder
from dlcodegen_local.verification.orders import Orders

BACKENDS = ("bubblewrap", "namespaces", "landlock")
_START_FAILURES = ((confine.FAILED, "dlcodegen-confine"), (1, "bwrap"))


@dataclass(frozen=True)
class Limits:
    """Bound one run. Memory, processes and disk are sums over everything the program starts."""

    wall_s: float = 120.0
    cpu_s: int = 240
    memory_bytes: int = 6 << 30
    processes: int = 512
    file_size_bytes: int = 1 << 30
    disk_bytes: int = 2 << 30
    output_bytes: int = 10_000_000


@dataclass(frozen=True)
class SandboxResult:
    """Say how a program ended.

    `exit_code` is None where a limit ended it; `stopped_by` then names the limit: "time", "memory",
    "processes" or "disk". A signal counts as 128 and its number.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    stopped_by: str = ""

    @property
    def timed_out(self) -> bool:
        """True where wall time ended the run."""
        return self.stopped_by == "time"


class Sandbox(Protocol):
    """What a backend offers."""

    @property
    def name(self) -> str:
        """The backend's name, for messages and records."""
        ...

    @property
    def has_walls(self) -> bool:
        """False where the program runs with all rights of the user."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        workdir: Path,
        limits: Limits,
        env: Mapping[str, str],
        readable: Sequence[Path],
        returned: Sequence[str] | None = None,
    ) -> SandboxResult:
        """Run a program on a copy of `workdir` and bring regular files back into it.

        Brought back are the files named by `returned`, all where it is None.

        The program starts in the copy. `readable` are the folders it may read beside the system's:
        the interpreter and its environment. `env` is the whole environment.

        Raises:
            SandboxError: the sandbox itself does not start, or `readable` would show too much.
        """
        ...


@dataclass(frozen=True)
class LauncherSandbox:
    """Run through the launcher of `confine`, by one of three backends, or with limits alone.

    - bubblewrap: namespaces of every kind, made by a tool that many have looked at, and seccomp.
    - namespaces: the same made by ourselves, with Landlock on top where the kernel has it.
    - landlock: files, seccomp and limits only. It does not hide how many processes the user runs,
      nor keep the program from filling shared kernel tables; local sockets do not work in it, so
      data loaders must not start workers.
    - none: no wall at all; limits hold, and the whole tree is ended. Never chosen, only asked for.
    """

    name: str
    bwrap: str = ""

    @property
    def has_walls(self) -> bool:
        """Say whether anything but limits holds the program."""
        return self.name != "none"

    def run(
        self,
        argv: Sequence[str],
        *,
        workdir: Path,
        limits: Limits,
        env: Mapping[str, str],
        readable: Sequence[Path],
        returned: Sequence[str] | None = None,
    ) -> SandboxResult:
        """Run a program; see `Sandbox.run`."""
        shown = _shown_paths(readable)
        private = Path(tempfile.mkdtemp(prefix="dlcodegen-sandbox-")).resolve()
        try:
            private.chmod(0o711)
            work = private / "work"
            work.mkdir(mode=0o700)
            copy_limits = workfolder.CopyLimits(limits.disk_bytes)
            workfolder.copy_regular_files(workdir, work, copy_limits)
            if confine.is_host_root() and self.has_walls:
                _give_away(work)
            orders = self._orders(argv, work, shown, limits, env)
            outcome = supervise.run_confined(orders, _tree_limits(limits))
            if outcome.all_ended:  # else somebody could swap a folder for a link while it is read
                workfolder.copy_regular_files(work, workdir, replace(copy_limits, only=returned))
        except OSError as error:
            raise SandboxError(f"the sandbox's folder: {error}", hint="free some disk space") from error
        finally:
            workfolder.remove_tree(private)
        stderr = outcome.stderr.decode("utf-8", "replace")
        if (outcome.exit_code, stderr.split(":")[0]) in _START_FAILURES:
            raise SandboxError(stderr.strip()[:300], hint="`doctor` shows which sandboxes work here")
        return SandboxResult(
            None if outcome.stopped_by else outcome.exit_code,
            outcome.stdout.decode("utf-8", "replace"),
            stderr,
            outcome.seconds,
            outcome.stopped_by,
        )

    def _orders(
        self, argv: Sequence[str], work: Path, shown: tuple[str, ...], limits: Limits, env: Mapping[str, str]
    ) -> Orders:
        namespaces = self.name in ("bubblewrap", "namespaces")
        home = isolation.HOME if namespaces else os.fspath(work)
        places = {"HOME": home, "TMPDIR": "/tmp" if namespaces else home, "KERAS_HOME": f"{home}/.keras"}
        code = seccomp.build_filter(os.uname().machine, namespaces=namespaces)
        return Orders(
            backend=self.name,
            argv=tuple(argv),
            work=os.fspath(work),
            inside=isolation.INSIDE,
            readable=shown,
            environment={**places, **env},
            seccomp=base64.b64encode(code).decode(),
            memory_bytes=limits.memory_bytes,
            cpu_s=limits.cpu_s,
            file_size_bytes=limits.file_size_bytes,
            processes=limits.processes,
            bwrap=self.bwrap,
        )


NO_WALLS = LauncherSandbox("none")


def find_sandbox(preferred: str | None = None) -> Sandbox:
    """Return the first backend that passes its probe, or the preferred one if it does.

    Raises:
        SandboxError: none passes; the message says why each did not.
    """
    if preferred is not None and preferred not in BACKENDS:
        raise SandboxError(f"no sandbox is called {preferred!r}", hint=f"one of: {', '.join(BACKENDS)}")
    reasons = []
    for name in (preferred,) if preferred else BACKENDS:
        bwrap = shutil.which("bwrap") or ""
        reason = "bwrap is not installed" if name == "bubblewrap" and not bwrap else ""
        sandbox = LauncherSandbox(name, bwrap)
        if not reason and not (reason := probe(sandbox)):
            return sandbox
        reasons.append(f"{name}: {reason}")
    raise SandboxError(
        f"no sandbox works on this machine ({'; '.join(reasons)})",
        hint="install bubblewrap (apt install bubblewrap), or allow user namespaces; or type --unsafe-run",
    )


def probe(sandbox: Sandbox) -> str:
    """Run a program that tries the walls. Returns "" where they hold, else what does not."""
    if sys.platform != "linux" or not seccomp.supported(os.uname().machine):
        return "needs Linux on x86_64 or aarch64"
    limits = Limits(wall_s=20, cpu_s=10, memory_bytes=1 << 30, processes=64)
    source = Path(__file__).with_name("sandbox_probe.py").read_bytes()
    with tempfile.TemporaryDirectory(prefix="dlcodegen-probe-") as folder:
        secret = Path(folder, "secret")
        secret.write_text("outside", encoding="ascii")
        work = Path(folder, "work")
        work.mkdir()
        (work / "probe.py").write_bytes(source)
        paths = interpreter_paths(sys.prefix, sys.base_prefix)
        hidden = [at for at in _entries_of_home() if not any(path.is_relative_to(at) for path in paths)]
        arguments = [os.fspath(path) for path in (_home() or Path(folder), secret, *hidden[:8])]
        argv = [sys.executable, "-I", "-S", "probe.py", *arguments]
        try:
            result = sandbox.run(argv, workdir=work, limits=limits, env={}, readable=paths)
        except SandboxError as error:
            return error.message
        if result.exit_code == 0 and result.stdout.strip() == "walls hold":
            return ""
    lines = (result.stderr.strip() or result.stdout.strip() or f"exit code {result.exit_code}").splitlines()
    return lines[-1][:300]


def _home() -> Path | None:
    """Return the home folder; None for users without one, whose HOME is empty or the root folder."""
    try:
        home = Path.home().resolve()
    except (OSError, RuntimeError):
        return None
    return home if home != Path("/") else None


def _entries_of_home() -> list[Path]:
    home = _home()
    try:
        return sorted(home.iterdir()) if home else []
    except OSError:
        return []


def interpreter_paths(*prefixes: str) -> tuple[Path, ...]:
    """Return the folders of an interpreter that the sandbox does not show already."""
    return tuple(
        path
        for path in sorted({form for prefix in prefixes for form in (Path(prefix), Path(prefix).resolve())})
        if not path.is_relative_to("/usr")
    )


def _shown_paths(readable: Sequence[Path]) -> tuple[str, ...]:
    home = _home() or Path("/")
    for path in readable:
        if not path.is_absolute() or not path.exists():
            raise SandboxError(f"{path} does not exist", hint="give the interpreter of an environment")
        if home.is_relative_to(path.resolve()):
            raise SandboxError(f"the sandbox would show all of {path}", hint="use a virtual environment")
    return tuple(sorted({os.fspath(path) for path in readable}))


def _tree_limits(limits: Limits) -> supervise.TreeLimits:
    return supervise.TreeLimits(
        limits.wall_s, limits.memory_bytes, limits.processes, limits.disk_bytes, limits.output_bytes
    )


def _give_away(work: Path) -> None:
    """Hand the copy to the unprivileged user that the program will run as."""
    for folder, _, files in os.walk(work):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, confine.UNPRIVILEGED_ID, confine.UNPRIVILEGED_ID, follow_symlinks=False)
