"""Where runs are killed: a model, a plan and a pool so small that a run takes a second."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlcodegen_local.plan.schema import Plan
from tests.survival.brief_gguf import write_brief_gguf

REPOSITORY = Path(__file__).resolve().parents[2]
PLAN = Plan("Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "none", ("Dense(1)",), "adam", "mse")
SAMPLES = ("house_price_regression", "concrete_repeated_kfold", "churn_dense")
# What a run does to its files, and what may be done to it there.
CALLS = ("openat", "write", "fsync", "rename", "mkdir", "ftruncate", "unlink", "rmdir", "fchmod")
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Site:
    """Name one system call of a run: the `ordinal`-th of its name in its thread."""

    call: str
    ordinal: int
    text: str = ""


@dataclass
class Answer:
    """Hold how a run ended: exit code, or minus the signal that killed it."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Stand:
    """Hold the files that all runs share, and the warm process that runs them."""

    folder: Path
    model: Path | None = None
    _runner: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        pool = self.folder / "pool"
        if not pool.exists():
            pool.mkdir()
            for name in SAMPLES:
                for suffix in ("py", "json"):
                    shutil.copy(REPOSITORY / f"index/samples/{name}.{suffix}", pool)
        (self.folder / "plan.json").write_text(PLAN.to_json())
        self.model = self.model or write_brief_gguf(self.folder / "brief.gguf")

    @property
    def generate(self) -> tuple[str, ...]:
        """The command line that every run is an attempt at."""
        shared = [str(self.folder / name) for name in ("plan.json", "pool")]
        return (
            *("generate", "Predict the price of a house", "--plan", shared[0], "--pool", shared[1]),
            *(
                "--model",
                str(self.model),
                "--no-run",
                "--repairs",
                "1",
                "--threads",
                "1",
                "-o",
                "out/project",
            ),
        )

    def place(self, name: str, cache: Path | None) -> Path:
        """Return a new folder for a run, its cache filled from another one's."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        (place / "tmp").mkdir(parents=True)
        (place / "out").mkdir()
        if cache is not None:
            shutil.copytree(cache, place / "cache")
        return place

    def run(self, place: Path, arguments: Sequence[str], strace: Sequence[str] = ()) -> Answer:
        """Run the command line to its end, under strace where its arguments are given."""
        pid = self.start(place, arguments)
        tracer = None
        if strace:
            tracer = subprocess.Popen(
                ["strace", "-f", "-p", str(pid), "-o", os.devnull, *strace],
                stderr=subprocess.PIPE,
                text=True,
                cwd=place,
            )
            assert tracer.stderr is not None
            line = tracer.stderr.readline()
            assert "attached" in line, line
        answer = self.finish(place)
        if tracer is not None:
            tracer.communicate(timeout=60)
        return answer

    def start(self, place: Path, arguments: Sequence[str]) -> int:
        """Fork a run that waits; returns its process."""
        if self._runner is None:
            self._runner = subprocess.Popen(
                [sys.executable, "-m", "tests.survival.runner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            )
        environment = {
            "HOME": str(place / "home"),
            "XDG_STATE_HOME": str(place / "state"),
            "XDG_CACHE_HOME": str(place / "cache"),
            "XDG_DATA_HOME": str(place / "data"),
            "TMPDIR": str(place / "tmp"),
        }
        order = {"arguments": list(arguments), "environment": environment, "folder": str(place)}
        return int(self._ask(json.dumps(order))["pid"])

    def finish(self, place: Path) -> Answer:
        """Let the run go, and wait for its end."""
        code = os.waitstatus_to_exitcode(int(self._ask("go")["status"]))
        return Answer(code, (place / "stdout").read_text(), (place / "stderr").read_text())

    def let_go(self) -> None:
        """Let the run go and do not wait; `wait` does."""
        self._send("go")

    def wait(self, place: Path) -> Answer:
        """Wait for a run that was let go."""
        code = os.waitstatus_to_exitcode(int(self._receive()["status"]))
        return Answer(code, (place / "stdout").read_text(), (place / "stderr").read_text())

    def sites(self, place: Path, arguments: Sequence[str]) -> list[Site]:
        """Return the calls of one whole run that touch its own files, in their order."""
        trace = place / "trace"
        answer = self.run(place, arguments, ("-y", "-e", f"trace={','.join(CALLS)}", "-o", str(trace)))
        assert answer.code in (0, 1), answer.stderr
        return list(_own_calls(trace.read_text(errors="replace"), place))

    def close(self) -> None:
        """End the warm process."""
        if self._runner is not None:
            self._runner.communicate(timeout=60)
            self._runner = None

    def _ask(self, line: str) -> dict[str, int]:
        self._send(line)
        return self._receive()

    def _send(self, line: str) -> None:
        assert self._runner is not None and self._runner.stdin is not None
        self._runner.stdin.write(line + "\n")
        self._runner.stdin.flush()

    def _receive(self) -> dict[str, int]:
        assert self._runner is not None and self._runner.stdout is not None
        answer: dict[str, int] = json.loads(self._runner.stdout.readline())
        return answer


def _own_calls(trace: str, place: Path) -> Iterator[Site]:
    """Yield the calls on files of the output, the state and the cache, each with its place among its kind."""
    counts: Counter[tuple[str, str]] = Counter()
    own = tuple(f"{place}/{name}" for name in ("out", "state", "cache"))
    for line in trace.splitlines():
        if (match := _CALL.match(line)) is None:
            continue
        pid, call, rest = match.groups()
        counts[pid, call] += 1
        if any(name in rest.split(", ")[0] + rest[:400] for name in own):
            yield Site(call, counts[pid, call], rest[:160])


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def wait_until(is_so: object, seconds: float) -> None:
    """Wait for what a callable says."""
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
