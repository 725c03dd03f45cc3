"""Run the launcher, read its output, watch what its tree takes, and end all of it.

Resource limits of the kernel hold for one process; the sums over a tree (memory, number of
processes, disk) are polled here and end the run. What is taken between two polls can pass a limit
by that much. Memory of known processes is read at every poll; new ones and the disk are looked for
at every fifth, since that takes a look at every thread. Output past the cap is read and dropped, so
that a talkative program does not hang.
"""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import dlcodegen_local
from dlcodegen_local.errors import SandboxError
from dlcodegen_local.verification import isolation
from dlcodegen_local.verification.orders import Orders
from dlcodegen_local.verification.workfolder import tree_size_bytes

_POLL_S = 0.1
_SURVEY_POLLS = 5
_GRACE_S = 10.0
_DISK_RESERVE_BYTES = 256 << 20
_OWN_MEMORY = re.compile(r"^(?:RssAnon|RssShmem):\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class TreeLimits:
    """Bound the sums over a tree of processes. `wall_s` counts from the start of the launcher."""

    wall_s: float
    memory_bytes: int
    processes: int
    disk_bytes: int
    output_bytes: int


@dataclass
class Outcome:
    """Say how the tree ended; `stopped_by` names the limit that ended it, "" where none did.

    `all_ended` is false where the launcher did not confirm that nothing of the tree runs any more.
    """

    exit_code: int | None = None
    stopped_by: str = ""
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    seconds: float = 0.0
    all_ended: bool = True


def run_confined(orders: Orders, limits: TreeLimits) -> Outcome:
    """Start the launcher with its orders and wait until nothing of its tree is left.

    Raises:
        SandboxError: the launcher could not be started.
    """
    root = Path(dlcodegen_local.__file__).parent.parent
    reader, writer = os.pipe()
    start_code = (
        f"import sys; sys.path.append({os.fspath(root)!r}); "
        f"from dlcodegen_local.verification.confine import main; main({reader})"
    )
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", start_code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(reader,),
            start_new_session=True,
            cwd="/",
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )
    except OSError as error:
        os.close(writer)
        raise SandboxError("the sandbox's launcher does not start", hint=str(error)) from error
    finally:
        os.close(reader)
    with process:
        try:
            with contextlib.suppress(BrokenPipeError), open(writer, "wb") as file:
                file.write(orders.to_json())
            outcome = _attend(process, Path(orders.work), limits, started)
        finally:
            all_ended = _end(process)
    outcome.all_ended = all_ended and process.returncode >= 0
    outcome.seconds = time.monotonic() - started
    return outcome


def _attend(process: "subprocess.Popen[bytes]", work: Path, limits: TreeLimits, started: float) -> Outcome:
    outcome = Outcome()
    assert process.stdout is not None
    assert process.stderr is not None
    polls, processes = 0, {process.pid}
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, outcome.stdout)
        selector.register(process.stderr, selectors.EVENT_READ, outcome.stderr)
        watched = started
        while True:
            for key, _ in selector.select(_POLL_S) if selector.get_map() else []:
                if not (chunk := os.read(key.fd, 1 << 16)):
                    selector.unregister(key.fileobj)
                else:
                    key.data.extend(chunk[: max(0, limits.output_bytes - len(key.data))])
            if not selector.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
            now = time.monotonic()
            if process.poll() is not None:
                outcome.exit_code = process.returncode
                _drain(process, outcome, limits.output_bytes)
                return outcome
            if now - started > limits.wall_s:
                outcome.stopped_by = "time"
            elif now - watched >= _POLL_S:
                if survey := polls % _SURVEY_POLLS == 0:
                    processes = {process.pid, *isolation.descendants(process.pid)}
                watched, polls = now, polls + 1
                outcome.stopped_by = _passed_limit(processes, work, limits, disk=survey)
            if outcome.stopped_by:
                _end(process)
                _drain(process, outcome, limits.output_bytes)
                return outcome


def _drain(process: "subprocess.Popen[bytes]", outcome: Outcome, cap: int) -> None:
    """Read what is left in the pipes, without waiting for whoever still holds them."""
    for pipe, kept in ((process.stdout, outcome.stdout), (process.stderr, outcome.stderr)):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(OSError):
            while len(kept) < cap and (chunk := os.read(pipe.fileno(), 1 << 16)):
                kept.extend(chunk[: cap - len(kept)])


def _end(process: "subprocess.Popen[bytes]") -> bool:
    """End the launcher gently first, it takes the whole tree with it; then whatever is its group.

    Returns whether the gentle way worked.
    """
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    gently = process.poll() is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return gently


def _passed_limit(processes: set[int], work: Path, limits: TreeLimits, *, disk: bool) -> str:
    if len(processes) > limits.processes + 8:
        return "processes"
    if _memory_bytes(processes) > limits.memory_bytes:
        return "memory"
    if not disk:
        return ""
    free = os.statvfs(work)
    if tree_size_bytes(work) > limits.disk_bytes or free.f_bavail * free.f_frsize < _DISK_RESERVE_BYTES:
        return "disk"
    return ""


def _memory_bytes(processes: set[int]) -> int:
    """Return the memory of processes that no file backs."""
    total = 0
    for pid in processes:
        with contextlib.suppress(OSError, ValueError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
            total += sum(int(kilobytes) << 10 for kilobytes in _OWN_MEMORY.findall(status))
    return total
