"""Run cases of a kind in worker processes, and count the answers.

Guarantees that every case is counted once: one that ends its worker, or takes longer than ten seconds, is
a failure, and the next case gets a new worker.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.kinds import load_kind, write_case

REPOSITORY = Path(__file__).resolve().parents[2]
CASE_S = 10.0
START_S = 120.0
BATCH = 500


@dataclass(frozen=True)
class Answer:
    """Hold what came of one case: `refused`, `accepted` or `failed`."""

    number: int
    word: str
    detail: str
    seconds: float


@dataclass
class Tally:
    """Count the answers of a kind; `parsed` counts accepted cases that the native parser survived."""

    kind: str
    answers: Counter[str] = field(default_factory=Counter)
    native: Counter[str] = field(default_factory=Counter)
    failures: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0

    @property
    def cases(self) -> int:
        """Count all cases."""
        return self.answers.total()

    def row(self) -> dict[str, object]:
        """Return the counts as JSON."""
        return {
            "kind": self.kind,
            "cases": self.cases,
            "refused": self.answers["refused"],
            "accepted": self.answers["accepted"],
            "failed": len(self.failures),
            "native": self.native.total(),
            "native_survived": self.native.total() - self.native["failed"],
            "seconds": round(self.seconds, 1),
            "slowest_s": round(self.slowest, 2),
        }


@dataclass(frozen=True)
class Plan:
    """Say how many cases are taken; `seconds` ends a kind early, and `native` bounds the second stage."""

    seed: int = 0
    first: int = 0
    count: int = 1000
    seconds: float | None = None
    native: int = 200
    failures: Path | None = None


def fuzz(kind: str, plan: Plan) -> Tally:
    """Take the cases of a plan; where `failures` is given, write the files of each failure below it."""
    tally, began = Tally(kind), time.monotonic()
    accepted: list[int] = []
    numbers = range(plan.first, plan.first + plan.count)
    for start in range(0, plan.count, BATCH):
        until = None if plan.seconds is None else began + plan.seconds
        for answer in answers_of(kind, plan.seed, numbers[start : start + BATCH], "checks", until):
            tally.answers[answer.word] += 1
            tally.slowest = max(tally.slowest, answer.seconds)
            if answer.word == "accepted":
                accepted.append(answer.number)
            if answer.word == "failed":
                _keep(kind, plan, answer, tally)
        if until is not None and time.monotonic() > until:
            break
    step = max(1, len(accepted) // max(plan.native, 1))
    sample = accepted[::step][: plan.native] if load_kind(kind).native else []
    for answer in answers_of(kind, plan.seed, sample, "native"):
        tally.native[answer.word] += 1
        if answer.word == "failed":
            _keep(kind, plan, answer, tally)
    tally.seconds = time.monotonic() - began
    return tally


def answers_of(
    kind: str, seed: int, numbers: Sequence[int], stage: str, until: float | None = None
) -> Iterator[Answer]:
    """Yield the answer to every case, in order; none begins after `until` (of the monotonic clock)."""
    rest = list(numbers)
    while rest and (until is None or time.monotonic() < until):
        with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
            (Path(root) / "outside").mkdir()
            (Path(root) / "outside" / "canary").write_text("untouched\n")
            for answer in _Worker(kind, seed, Path(root), stage, rest).answers(until):
                rest.remove(answer.number)
                yield answer


class _Worker:
    """Own one worker process."""

    def __init__(self, kind: str, seed: int, root: Path, stage: str, numbers: Sequence[int]) -> None:
        self._reading, writing = os.pipe()
        temporary, home = root / "tmp", root / "home"
        temporary.mkdir()
        home.mkdir()
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", str(writing), kind, str(seed), str(root), stage]
            + [str(number) for number in numbers],
            cwd=REPOSITORY,
            env={
                **environment,
                "PYTHONPATH": str(REPOSITORY),
                "PYTHONDONTWRITEBYTECODE": "1",
                "GGML_NO_BACKTRACE": "1",
            },
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(writing)

    def answers(self, until: float | None) -> Iterator[Answer]:
        """Yield answers until the worker is done, ends, hangs, or the time is over; then end it."""
        current: int | None = None
        buffer = b""
        try:
            while until is None or time.monotonic() < until:
                limit = START_S if current is None else CASE_S
                if not select.select([self._reading], [], [], limit)[0]:
                    if current is None:
                        raise RuntimeError("the worker does not start")
                    yield Answer(current, "failed", f"no answer within {CASE_S:.0f} seconds", CASE_S)
                    return
                if not (chunk := os.read(self._reading, 65_536)):
                    break
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    row = json.loads(line)
                    current = row.get("begins", current)
                    if "number" in row:
                        yield Answer(**row)
                        current = None if row["number"] == current else current
            else:
                return
            yield from self._unfinished(current)
        finally:
            self._end()

    def _unfinished(self, current: int | None) -> Iterator[Answer]:
        code = self._process.wait()
        assert self._process.stderr is not None
        words = self._process.stderr.read().decode("utf-8", "replace")[-1500:]
        if current is not None:
            yield Answer(current, "failed", f"the process ended with {code}: {words}", 0.0)
        elif code:
            raise RuntimeError(f"the worker ended with {code}: {words}")

    def _end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        os.close(self._reading)


def _keep(kind: str, plan: Plan, answer: Answer, tally: Tally) -> None:
    tally.failures.append(answer)
    if plan.failures is None:
        return
    folder = plan.failures / f"{kind}-{plan.seed}-{answer.number}"
    folder.mkdir(parents=True, exist_ok=True)
    write_case(load_kind(kind).case(plan.seed, answer.number), folder / "files")
    again = f"python -m tests.fuzz --only {kind} --seed {plan.seed} --first {answer.number} --count 1\n"
    (folder / "failure.txt").write_text(again + answer.detail + "\n")
