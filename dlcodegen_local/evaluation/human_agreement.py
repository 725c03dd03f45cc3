"""Agreement between raters: Krippendorff's alpha with the interval metric.

Guarantees that missing scores are allowed and that an undefined alpha is None, never a number.

Paper: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section E.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGNATURE = "Krippendorff's alpha|interval metric|units scored by two raters or more"


@dataclass(frozen=True)
class Agreement:
    """Hold alpha, 1 for perfect and 0 for chance; None where it is undefined, and then `reason` says why.

    `units` are those that at least two raters scored, `scores` theirs.
    """

    alpha: float | None
    units: int
    scores: int
    reason: str = ""


def agreement_of(units: Sequence[Sequence[float]]) -> Agreement:
    """Return the agreement over units, each with the scores that it was given, in any order.

    A unit with one score cannot be paired and is left out.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    scores = [score for unit in pairable for score in unit]
    count = len(scores)
    if not count:
        return Agreement(None, 0, 0, "no code was scored by two raters")
    if min(scores) == max(scores):
        return Agreement(None, len(pairable), count, "all scores are equal")
    expected = _squared_distances(scores) / (count - 1)
    observed = math.fsum(_squared_distances(unit) / (len(unit) - 1) for unit in pairable)
    return Agreement(1 - observed / expected, len(pairable), count)


def _squared_distances(scores: Sequence[float]) -> float:
    """Return the squared differences of all ordered pairs, summed, in linear time."""
    mean = math.fsum(scores) / len(scores)
    return 2 * len(scores) * math.fsum((score - mean) ** 2 for score in scores)
