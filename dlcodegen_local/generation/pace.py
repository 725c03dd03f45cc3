"""How a model runs on this machine: threads, tokens read at once, tokens drafted at once.

Guarantees that a model is measured once a machine, and that nothing which follows from the clock
changes an answer: threads and drafts do not, and how much is read at once follows from the size of the
model. A cached measurement that is damaged is made anew. Beside other work it is processor time that is
measured, and the threads stay as they were; remove the file to repeat it.
"""

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.generation.lookup import Steps
from dlcodegen_local.generation.native import MAX_BATCH_TOKENS, NativeModel

VERSION = 3
NEW_MODEL = "this model is new here: its speed is measured, once; a large one takes a minute"
_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)
_ROUNDS = 3
_LEAST_MS = 100.0
_ENOUGH_MS = 1500.0
_LONGEST_STEP_MS = 1000.0
_CLEARLY = 0.95
_DISTURBED = 1.3
# A model whose steps are longer than this is a large one: its attention hardly counts.
_QUICK_MS = 10.0
_START = 64
_LATER = 1024


@dataclass(frozen=True)
class Pace:
    """Set how a model is run. `threads` are those for one token and for several; `steps` None: no drafts."""

    threads: tuple[int, int]
    chunk_tokens: int
    steps: Steps | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        value: dict[str, Any] = {"threads": list(self.threads), "chunk_tokens": self.chunk_tokens}
        if self.steps is None:
            return {**value, "steps": None}
        return {**value, "steps": _texts(self.steps.milliseconds), "growth": _texts(self.steps.growth)}

    @classmethod
    def from_dict(cls, value: Any) -> "Pace":
        """Read what `to_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            writing, reading = value["threads"]
            steps = {int(size): float(ms) for size, ms in (value["steps"] or {}).items()}
            growth = {int(size): float(ms) for size, ms in value.get("growth", {}).items()}
            numbers = (int(writing), int(reading), int(value["chunk_tokens"]))
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as exc:
            raise ValueError("no pace of a model") from exc
        if (
            min(numbers) < 1
            or max(numbers) > MAX_BATCH_TOKENS
            or not all(0 < size <= MAX_BATCH_TOKENS and 0 < ms < 1e9 for size, ms in steps.items())
            or not all(size in steps and 0 <= ms < 1e9 for size, ms in growth.items())
        ):
            raise ValueError("no pace of a model")
        return cls(numbers[:2], numbers[2], Steps(steps, growth) if steps else None)


def _texts(milliseconds: Mapping[int, float]) -> dict[str, float]:
    return {str(size): ms for size, ms in sorted(milliseconds.items())}


def default_pace(n_params: int, n_threads: int | None) -> Pace:
    """Return what holds without a measurement: chunks of a few seconds on a slow machine, and no drafts.

    Fewer tokens at once let prompts share more, and let an interrupt through sooner. Under 50 million
    weights one thread works alone: waiting for each other takes longer than the work.
    """
    cores = len(os.sched_getaffinity(0))
    threads = n_threads or (1 if n_params < 50_000_000 else cores)
    chunk = 256 if n_params < 500_000_000 else 128 if n_params < 2_000_000_000 else 64
    return Pace((threads, threads), chunk)


@dataclass(frozen=True)
class ModelCache:
    """Name the folder for what is learned of models; `notify` gets a line before something takes long."""

    folder: Path
    notify: Callable[[str], None] = lambda text: None


def find_pace(
    model: NativeModel, sha256: str, default: Pace, n_threads: int | None, cache: ModelCache
) -> Pace:
    """Return the pace of a model on this machine: the kept one, else a new measurement, which is kept."""
    kept = kept_pace(sha256, n_threads, cache)
    if kept is not None:
        return kept
    cache.notify(NEW_MODEL)
    pace = measure_pace(model, default, n_threads)
    keep_pace(pace, sha256, n_threads, cache)
    return pace


def kept_pace(sha256: str, n_threads: int | None, cache: ModelCache) -> Pace | None:
    """Return the measurement that was kept; None where there is none, or it is damaged."""
    try:
        return Pace.from_dict(json.loads(_place(sha256, n_threads, cache).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def keep_pace(pace: Pace, sha256: str, n_threads: int | None, cache: ModelCache) -> None:
    """Keep a measurement; without a place for it the model is measured again next time."""
    with contextlib.suppress(ConfigError):
        write_file(_place(sha256, n_threads, cache), json.dumps(pace.to_dict(), indent=1) + "\n")


def _place(sha256: str, n_threads: int | None, cache: ModelCache) -> Path:
    return cache.folder / "pace" / f"{_key(sha256, n_threads)}.json"


def measure_pace(model: NativeModel, default: Pace, n_threads: int | None = None) -> Pace:
    """Measure a model; seconds for one of a billion weights. Its cache is empty afterwards.

    `n_threads` fixes the threads. A model that cannot take back tokens gets no drafts.
    """
    model.forget(0)
    stand = _Stand(model)
    if not stand.begin(_START, default.threads):
        model.forget(0)
        return default
    stand.look_around(default.threads[0])
    is_fixed = n_threads is not None or stand.is_disturbed
    threads = default.threads if is_fixed else _threads(stand)
    model.set_threads(*threads)
    milliseconds = {1: round(stand.milliseconds(1, threads[0]), 3)}
    for size in stand.exact_sizes()[1:]:
        taken = stand.milliseconds(size, threads[1])
        if taken > _LONGEST_STEP_MS:
            break
        milliseconds[size] = round(taken, 3)
    growth = _growth(stand, milliseconds, threads) if milliseconds[1] < _QUICK_MS else {}
    model.forget(0)
    return Pace(threads, default.chunk_tokens, Steps(milliseconds, growth))


def _growth(stand: "_Stand", milliseconds: Mapping[int, float], threads: tuple[int, int]) -> dict[int, float]:
    """Return what a thousand tokens more before a step add to its time; nothing where there is no room."""
    if not stand.begin(_LATER, threads):
        return {}
    added = {
        size: (stand.milliseconds(size, threads[size > 1]) - before) * 1000 / (_LATER - _START)
        for size, before in milliseconds.items()
    }
    return {size: round(max(ms, 0.0), 3) for size, ms in added.items()}


class _Stand:
    """Time a model that has read so many tokens."""

    def __init__(self, model: NativeModel) -> None:
        self.model = model
        self.is_disturbed = False
        self._start = 0
        self._tokens: list[int] = []

    def begin(self, start: int, threads: tuple[int, int]) -> bool:
        """Read `start` tokens; False where the context is too short or tokens cannot be taken back."""
        model, length = self.model, start + max(_SIZES)
        if model.n_ctx < length:
            return False
        tokens = [(7 * i * i + 13 * i) % model.n_vocab for i in range(length)]
        tokens = [0 if model.is_end(token) else token for token in tokens]
        model.set_threads(*threads)
        model.forget(0)
        for at in range(0, start, _START):
            model.decode(tokens[at : at + _START], at)
        if not model.forget(start - 1):
            return False
        model.decode(tokens[start - 1 : start], start - 1)
        self._start, self._tokens = start, tokens[start:]
        return True

    def look_around(self, threads: int) -> None:
        """Find out whether other work takes the processor away: steps then take longer than they work."""
        by_clock = self.milliseconds(1, threads)
        self.is_disturbed = True
        self.is_disturbed = by_clock > _DISTURBED * self.milliseconds(1, threads)

    def milliseconds(self, size: int, threads: int) -> float:
        """Return the shortest time of a step of `size` tokens; short ones are tried more often."""
        best, spent, tried = float("inf"), 0.0, 0
        while spent < _LEAST_MS or (tried < _ROUNDS and spent < _ENOUGH_MS):
            tried += 1
            start, worked = time.perf_counter(), time.process_time()
            self.model.decode(self._tokens[:size], self._start, all_logits=True)
            self.model.logits(-1)
            taken, worked = time.perf_counter() - start, (time.process_time() - worked) / threads
            self.model.forget(self._start)
            best = min(best, 1000 * (worked if self.is_disturbed else taken))
            spent += 1000 * taken
        return best

    def exact_sizes(self) -> list[int]:
        """Return how many tokens at once give the logits of each alone, bit for bit.

        Ends at the first that do not: with more tokens llama.cpp takes kernels that round otherwise.
        """
        alone: list[NDArray[np.float32]] = []
        exact = []
        for size in _SIZES:
            self.model.forget(self._start + len(alone))
            for index in range(len(alone), size):
                self.model.decode(self._tokens[index : index + 1], self._start + index)
                alone.append(self.model.logits(-1).copy())
            self.model.forget(self._start)
            self.model.decode(self._tokens[:size], self._start, all_logits=True)
            if not all(np.array_equal(self.model.logits(i), alone[i]) for i in range(size)):
                break
            exact.append(size)
        self.model.forget(self._start)
        return exact


def _threads(stand: _Stand) -> tuple[int, int]:
    """Return the fastest numbers of threads for one token and for many; fewer where they are as good."""
    cores = len(os.sched_getaffinity(0))
    candidates = sorted({1, max(cores // 2, 1), cores})
    best = []
    for size in (1, 32):
        times: dict[int, float] = {}
        for count in candidates:
            stand.model.set_threads(count, count)
            times[count] = stand.milliseconds(size, count)
        chosen = candidates[0]
        for count in candidates[1:]:
            chosen = count if times[count] < _CLEARLY * times[chosen] else chosen
        best.append(chosen)
    return best[0], best[1]


def _key(sha256: str, n_threads: int | None) -> str:
    """Name a model on this machine: other cores, processor or llama.cpp, another key."""
    from importlib.metadata import version

    processor = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line
                break
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0))
    parts = (VERSION, platform.machine(), processor, cores, n_threads, version("llama-cpp-python"))
    return f"{sha256[:16]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"
