"""P values of paired differences, by approximate randomisation: no assumption on how scores are distributed.

The same values and seed give the same p value. Two sides; not corrected for the number of comparisons.
Paper: Noreen 1989; Yeh 2000 for scores of pooled counts.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

SHUFFLES = 4_000
SIGNATURE = f"paired approximate randomisation over items, two sides|{SHUFFLES} shuffles"


def paired_p(values: Sequence[float | None], others: Sequence[float | None], seed: int) -> float | None:
    """Return how often a mean difference as large arises where each item's sides are exchanged by chance.

    None where no item has both values.
    """
    pairs = zip(values, others, strict=True)
    differences = np.array(
        [value - other for value, other in pairs if value is not None and other is not None]
    )
    if not differences.size:
        return None
    rng = np.random.default_rng(seed)
    signs = rng.choice((-1.0, 1.0), size=(SHUFFLES, differences.size))
    return _share(np.abs(signs @ differences), abs(float(differences.sum())))


def pooled_p(
    rows: NDArray[np.float64],
    others: NDArray[np.float64],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    seed: int,
) -> float | None:
    """Return the same for a score of summed rows `(items, columns)`; None where it is undefined."""
    if not len(rows):
        return None
    rng = np.random.default_rng(seed)
    kept = rng.integers(0, 2, size=(SHUFFLES, len(rows))).astype(np.float64)
    shuffled = score(kept @ rows + (1 - kept) @ others) - score((1 - kept) @ rows + kept @ others)
    found = float(score(rows.sum(axis=0)) - score(others.sum(axis=0)))
    if not np.isfinite(found):
        return None
    return _share(np.abs(shuffled[np.isfinite(shuffled)]), abs(found))


def _share(shuffled: NDArray[np.float64], found: float) -> float:
    """Count the given order among the shuffled ones, so that no p value is 0."""
    return float((1 + np.count_nonzero(shuffled >= found - 1e-9)) / (1 + shuffled.size))
