"""Confidence intervals by the bootstrap: percentile, 95%, seeded.

The same values and seed give the same interval. Items are resampled, so the interval is that of other items
of the same kind; it says nothing about another seed of a system.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """Hold the mean over `n` items and its interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    n: int


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


def paired_difference(
    values: Sequence[float | None], others: Sequence[float | None], seed: int
) -> Estimate | None:
    """Return the mean of `values` minus `others` over the items that both have, with its interval."""
    pairs = zip(values, others, strict=True)
    differences = [value - other for value, other in pairs if not (value is None or other is None)]
    return estimate(differences, seed)
