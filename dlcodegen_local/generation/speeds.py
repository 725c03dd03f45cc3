"""How fast models ran on this machine: kept from real runs, used to say what the next one will take.

Guarantees that a damaged or missing file is an empty one, and that recent runs outweigh old ones. A model
that never ran is judged by the one nearest to it in size; its figures are an estimate, and say so.
"""

import hashlib
import json
import math
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
    """Hold the seconds of one token; `origin` says what they were measured on."""

    read_s: float
    write_s: float
    origin: str
    is_measured: bool

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
    try:
        write_file(store, json.dumps(rows, indent=1) + "\n", private=True)
    except ConfigError:
        return


def expected_speed(store: Path, model: Path) -> Speed | None:
    """Return the speed to expect of a model; None where no model ever ran here.

    Time goes with the size of the file: writing is bound by memory, reading by arithmetic on its weights.
    """
    known = _read(store)
    if not known:
        return None
    key = model_key(model)
    if key in known:
        return _speed(known[key], 1.0, "measured in earlier runs of this model", True)
    size = model.stat().st_size
    nearest = min(known, key=lambda name: (abs(math.log(_size(name) / size)), name))
    ratio = size / _size(nearest)
    origin = f"scaled from a model of {_size(nearest) / 1e6:.0f} MB; the first run measures this one"
    return _speed(known[nearest], ratio, origin, False)


def _speed(work: Work, ratio: float, origin: str, is_measured: bool) -> Speed:
    read_s = work.read_seconds / work.read_tokens
    write_s = work.written_seconds / work.written_tokens
    return Speed(read_s * ratio, write_s * ratio, origin, is_measured)


def _size(key: str) -> int:
    return int(key.rsplit("-", 1)[1])


def _read(store: Path) -> dict[str, Work]:
    try:
        if not store.is_file() or store.stat().st_size > _MAX_BYTES:
            return {}
        rows = json.loads(store.read_text(encoding="utf-8"))
        known = {
            str(name): Work(**{field: float(x) for field, x in row.items()}) for name, row in rows.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: work for name, work in known.items() if _is_sound(name, work)}


def _is_sound(name: str, work: Work) -> bool:
    size = name.rsplit("-", 1)[-1]
    figures = asdict(work).values()
    return size.isdecimal() and int(size) > 0 and all(math.isfinite(x) and x > 0 for x in figures)
