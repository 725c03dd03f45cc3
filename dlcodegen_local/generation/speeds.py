"""How fast models run on this machine: kept from real runs, used to say what the next one will take.

Guarantees that a damaged or missing file is an empty one, and that recent runs outweigh old ones. For a model
that never ran the arithmetic of this machine is measured, once; its figures are an estimate, and say so.
"""

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError

_MAX_BYTES = 1_000_000
_MAX_MODELS = 200
_HASHED_BYTES = 1 << 20
_OLD_RUNS_WEIGH = 0.5
_MIN_TOKENS = 16
# Of the speed of a product of matrices, what llama.cpp reached with 1.3 billion weights in Q4_K_M; and what a
# token took with next to none.
_READING_SHARE, _WRITING_SHARE = 0.28, 0.15
_LEAST_READ_S, _LEAST_WRITE_S = 0.0003, 0.0009
# Small enough that a product stays on one core.
_MATRIX, _PRODUCTS, _REPEATS = 64, 200, 12
_SANE_FLOPS = (1e8, 1e15)


@dataclass(frozen=True)
class Work:
    """Hold what a model did: tokens, and the seconds that they took."""

    read_tokens: float = 0.0
    read_seconds: float = 0.0
    written_tokens: float = 0.0
    written_seconds: float = 0.0

    def plus(self, other: "Work", weight: float = 1.0) -> "Work":
        """Add other work to this; `weight` is what this one counts."""
        mine, theirs = asdict(self), asdict(other)
        return Work(**{name: weight * mine[name] + theirs[name] for name in mine})


@dataclass(frozen=True)
class Speed:
    """Hold the seconds of one token; `origin` says what they come from."""

    read_s: float
    write_s: float
    origin: str

    def seconds(self, read_tokens: float, written_tokens: float) -> float:
        """Return the time that work will take."""
        return read_tokens * self.read_s + written_tokens * self.write_s


def model_key(path: Path) -> str:
    """Return what tells a model file from others: the hash of its first mebibyte, and its size.

    The whole of a large file takes longer to hash than a dry run may.
    """
    with path.open("rb") as file:
        start = file.read(_HASHED_BYTES)
    return f"{hashlib.sha256(start).hexdigest()[:32]}-{path.stat().st_size}"


def work_of(timings: Iterable[Mapping[str, Any]]) -> Work:
    """Add up the timings of a run's stages; a stage without a model counts nothing."""
    total = Work()
    for row in timings:
        names = ("tokens_read", "reading_s", "tokens_written", "writing_s")
        if all(isinstance(row.get(name), int | float) for name in names):
            total = total.plus(Work(*(float(row[name]) for name in names)))
    return total


def keep_speed(store: Path, model: Path, work: Work) -> None:
    """Add a run's work to what is known of a model; too little of it, or a full disk, changes nothing."""
    if min(work.read_tokens, work.written_tokens) < _MIN_TOKENS:
        return
    if min(work.read_seconds, work.written_seconds) <= 0:
        return
    known = _read(store)
    key = model_key(model)
    before = known.pop(key, Work())
    known[key] = before.plus(work, _OLD_RUNS_WEIGH)  # last: the oldest leave first
    rows = {name: asdict(item) for name, item in list(known.items())[-_MAX_MODELS:]}
    with contextlib.suppress(ConfigError):
        write_file(store, json.dumps(rows, indent=1) + "\n", private=True)


def expected_speed(store: Path, model: Path, n_params: int) -> Speed:
    """Return the speed to expect of a model."""
    known = _read(store).get(model_key(model))
    if known is not None:
        return Speed(
            known.read_seconds / known.read_tokens,
            known.written_seconds / known.written_tokens,
            "measured in earlier runs of this model",
        )
    token_s = 2 * n_params / _machine_flops(store.with_name("machine.json"))
    return Speed(
        _LEAST_READ_S + token_s / _READING_SHARE,
        _LEAST_WRITE_S + token_s / _WRITING_SHARE,
        "estimated from the arithmetic of this machine; the first run of this model measures it",
    )


def _machine_flops(store: Path) -> float:
    """Return the floating-point operations a second that all cores do, measured once.

    One core is measured, in processor time, so that other work on the machine matters little.
    """
    try:
        found = float(json.loads(store.read_text(encoding="utf-8")))
        if _SANE_FLOPS[0] < found < _SANE_FLOPS[1]:
            return found
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        pass  # it is measured
    import numpy as np

    matrices = np.random.default_rng(0).random((_PRODUCTS, _MATRIX, _MATRIX), np.float32)
    matrices @ matrices[0]  # the first product loads code
    seconds = []
    for _ in range(_REPEATS):
        began = time.process_time()
        matrices @ matrices[0]
        seconds.append(max(time.process_time() - began, 1e-6))
    cores = len(os.sched_getaffinity(0))
    flops = cores * _PRODUCTS * 2 * _MATRIX**3 / min(seconds)
    with contextlib.suppress(ConfigError):  # no place to keep it: measured again next time
        write_file(store, f"{flops:.4g}\n", private=True)
    return flops


def _read(store: Path) -> dict[str, Work]:
    try:
        if not store.is_file() or store.stat().st_size > _MAX_BYTES:
            return {}
        rows = json.loads(store.read_text(encoding="utf-8"))
        known = {
            str(name): Work(**{field: float(x) for field, x in row.items()}) for name, row in rows.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
    return {name: work for name, work in known.items() if _is_sound(work)}


def _is_sound(work: Work) -> bool:
    return all(math.isfinite(figure) and figure > 0 for figure in asdict(work).values())
