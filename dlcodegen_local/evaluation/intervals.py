"""Confidence intervals by the bootstrap: percentile, 95%, seeded.

The same values and seed give the same interval. Items are resampled, so the interval is that of other items
of the same kind; it says nothing about another seed of a system.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
LEVEL = 0.95

# Student's t at 97.5% for 1, 2, ... degrees of freedom; the last stands for more.
_T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Estimate:
    """Hold the mean over `n` items, or what pooling them gives, and its interval, in the values' unit."""

    mean: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float | int]:
        """Return the JSON object of the results."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        return {**{name: round(value, 9) for name, value in values.items()}, "n": self.n}


def signature(seed: int) -> str:
    """Return what a result says of how its intervals over items were made."""
    return f"{LEVEL:.0%} percentile bootstrap over items|{RESAMPLES} resamples|seed {seed}"


def estimate(values: Sequence[float], seed: int) -> Estimate | None:
    """Return the mean of the values with its interval, or None where there is no value.

    Paper: Efron 1979, the percentile interval.
    """
    if not values:
        return None
    items = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = [items[rng.integers(0, len(items), len(items))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(float(items.mean()), float(low), float(high), len(items))


def over_repeats(values: Sequence[float]) -> Estimate | None:
    """Return the mean over repeats with other seeds and its interval by Student's t; None for fewer than two.

    It says how far chance in the writing moves a score, and nothing about other items.
    """
    if len(values) < 2:
        return None
    repeats = np.asarray(values, dtype=np.float64)
    mean = float(repeats.mean())
    quantile = _T_QUANTILES[min(len(values) - 2, len(_T_QUANTILES) - 1)]
    reach = quantile * float(repeats.std(ddof=1)) / len(values) ** 0.5
    return Estimate(mean, mean - reach, mean + reach, len(values))


def paired_difference(
    values: Sequence[float | None], others: Sequence[float | None], seed: int
) -> Estimate | None:
    """Return the mean of `values` minus `others` over the items that both have, with its interval."""
    pairs = zip(values, others, strict=True)
    differences = [value - other for value, other in pairs if not (value is None or other is None)]
    return estimate(differences, seed)


def pooled_estimate(
    rows: NDArray[np.float64],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    seed: int,
    others: NDArray[np.float64] | None = None,
) -> Estimate | None:
    """Return the score of the items' summed rows `(items, columns)` with its interval.

    `score` takes sums `(..., columns)` and returns `(...)`, NaN where it is undefined: such resamples are
    left out, and None is returned where it is undefined for all the items. With `others`, rows of the same
    items by another system, it is the difference to theirs.
    """
    if not len(rows):
        return None
    rng = np.random.default_rng(seed)
    size = len(rows)
    times = [np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(RESAMPLES)]
    weights = np.vstack([np.ones(size, dtype=np.int64), *times])
    scores = score(weights @ rows)
    if others is not None:
        scores = scores - score(weights @ others)
    if not np.isfinite(scores[0]):
        return None
    low, high = np.nanpercentile(scores[1:], [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(float(scores[0]), float(low), float(high), size)
