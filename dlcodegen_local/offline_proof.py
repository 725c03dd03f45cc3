"""Prove that nothing leaves: run the whole job where every network call is seen and none would arrive.

Counted are attempts, refused ones too: sockets of any family but local ones, addresses of the network, and
look-ups that go to a resolver by a local socket. Guarantees that the counting itself is tried first, by a
planted leak that it must see; what could not be tried on this machine is said. Differs from a guard inside
the process: what is counted is what reaches the kernel, from whatever library or child.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlcodegen_local
from dlcodegen_local.config import program_path

NETWORK_CALL = re.compile(
    r"\bsocket(?:pair)?\((?!AF_UNIX,|AF_LOCAL,|AF_NETLINK,|0xff )"
    r"|\b(?:connect|bind|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_(?!UNIX|LOCAL|NETLINK|UNSPEC)"
    r"|\bconnect\(.*io\.systemd\.Resolve"  # asks systemd to look a name up
    r'|\bsend\w*\(.*\\0hosts\\0"'  # asks nscd for the same
    r"|\bio_uring_setup\("
)
_PLANTED = "import socket; socket.socket().connect(('127.0.0.1', 9))"
_SHOWN = 5
_STEP_LIMIT_S = 1800.0


@dataclass(frozen=True)
class OfflineProof:
    """Hold what was tried and what was seen.

    `steps` maps each command to its exit code; `attempts` are lines of strace, None without it; `packets`
    counts what an empty network was asked to send, None without one; `unproved` says what is left open.
    """

    steps: dict[str, int]
    idle_s: float
    attempts: tuple[str, ...] | None
    planted: int
    packets: int | None
    unproved: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Name the commands that did not end by themselves with a result."""
        return tuple(name for name, code in self.steps.items() if code not in (0, 1))

    @property
    def holds(self) -> bool:
        """True where the whole job ran, something watched it, and nothing was seen."""
        watched = self.attempts is not None or self.packets is not None
        return watched and bool(self.steps) and not (self.failed or self.attempts or self.packets)

    def lines(self) -> Iterator[str]:
        """Yield what a person reads of the proof."""
        for name, code in self.steps.items():
            yield f"ran   {name}" + ("" if code == 0 else f" (exit code {code})")
        yield f"idle  {self.idle_s:g} s afterwards"
        if self.attempts is not None:
            yield f"network calls: {len(self.attempts)} (strace; it saw the {self.planted} of a planted leak)"
        yield from (f"  {line}" for line in (self.attempts or ())[:_SHOWN])
        if self.packets is not None:
            yield f"packets sent: {self.packets} (an empty network namespace)"
        yield from (f"NOT PROVED: {reason}" for reason in self.unproved)
        yield "nothing leaves: " + ("proved, as far as it was watched" if self.holds else "NOT PROVED")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the proof."""
        return {
            "holds": self.holds,
            "network_calls": None if self.attempts is None else len(self.attempts),
            "attempts": [*(self.attempts or ())[:_SHOWN]],
            "planted_calls_seen": self.planted,
            "packets": self.packets,
            "steps": self.steps,
            "idle_seconds": self.idle_s,
            "unproved": [*self.unproved],
        }


def prove_offline(idle_s: float, sample: Path, *, smoke: bool, notify: Callable[[str], None]) -> OfflineProof:
    """Run the job, smoke run included where `smoke`, idle, and count; `notify` hears of every step."""
    unproved = [] if smoke else ["no smoke run: there is no sandbox, or no framework to train with"]
    with tempfile.TemporaryDirectory(prefix="dlcodegen-offline-") as name:
        folder = Path(name)
        planted = len(network_calls(folder, [sys.executable, "-c", _PLANTED]) or ())
        if not planted:
            unproved.append("strace is not installed or may not trace here: no call could be counted")
        isolated = _can_isolate(folder)
        if not isolated:
            unproved.append("no network namespace may be made here: the job ran in the machine's own network")
        facts = {
            "idle_s": idle_s,
            "sample": os.fspath(sample.resolve()),
            "smoke": smoke,
            "isolated": isolated,
        }
        command = [sys.executable, "-m", "dlcodegen_local.cli.offline_job", json.dumps(facts)]
        seen = network_calls(folder, command, notify, _STEP_LIMIT_S + idle_s, traced=planted > 0)
        ended = _read_end(folder)
        log = folder / "log.txt"
        if not ended["steps"]:
            tail = log.read_text(errors="replace").splitlines()[-1:] if log.is_file() else []
            unproved.append(f"the job did not end: {' '.join(tail) or 'it did not start'}")
    attempts = tuple(seen) if planted and seen is not None else None
    return OfflineProof(ended["steps"], idle_s, attempts, planted, ended["packets"], tuple(unproved))


def network_calls(
    folder: Path,
    command: Sequence[str],
    notify: Callable[[str], None] = lambda _: None,
    limit_s: float = 60.0,
    *,
    traced: bool = True,
) -> list[str] | None:
    """Run a command in a folder, with a home of its own there, and return the lines of its network calls.

    None where nothing could be traced. Variables that make libraries silent (`CI` and its like) are not
    passed on; each line that the command prints goes to `notify`.
    """
    strace = shutil.which("strace") if traced else None
    log, home = folder / "strace.log", folder / "home"
    home.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    trace = "trace=network,?io_uring_setup"
    watch = [strace, "-f", "-qq", "-e", trace, "-o", os.fspath(log)] if strace else []
    process = subprocess.Popen(
        [*watch, *command],
        cwd=folder,
        env=_bare_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process, _ended_after(process, limit_s):
        assert process.stdout is not None
        for line in process.stdout:
            notify(line.strip())
    if strace is None or not log.is_file():
        return None
    return [line for line in log.read_text(errors="replace").splitlines() if NETWORK_CALL.search(line)]


@contextlib.contextmanager
def _ended_after(process: "subprocess.Popen[str]", limit_s: float) -> Iterator[None]:
    """End a process with all of its group, when time is up or when we leave."""
    timer = threading.Timer(limit_s, _end, (process,))
    timer.start()
    try:
        yield
        process.wait()
    finally:
        timer.cancel()
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _bare_environment(home: Path) -> dict[str, str]:
    package = Path(dlcodegen_local.__file__).parent.parent
    return {
        "PATH": program_path(),
        "HOME": os.fspath(home),
        "PYTHONPATH": os.fspath(package),
    }


def _can_isolate(folder: Path) -> bool:
    probe = "from dlcodegen_local.verification.isolation import enter_empty_network; enter_empty_network()"
    answer = subprocess.run(
        [sys.executable, "-c", probe], env=_bare_environment(folder), capture_output=True, check=False
    )
    return answer.returncode == 0


def _read_end(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "ended.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {"steps": {}, "packets": None}
