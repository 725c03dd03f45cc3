"""What raters score code by: three criteria, 0 to 10 each.

Paper: Table III.
"""

from dataclasses import dataclass

LOWEST, HIGHEST = 0, 10


@dataclass(frozen=True)
class Criterion:
    """Name one criterion, as raters read it."""

    name: str
    title: str
    definition: str


CRITERIA = (
    Criterion(
        "compliance",
        "Compliance",
        "Does the code do what the requirement asks for? 0: nothing of it. 5: the main thing, with parts "
        "missing or wrong. 10: all of it.",
    ),
    Criterion(
        "helpfulness",
        "Helpfulness",
        "How good a start is it for somebody who has this task? 0: writing it anew is quicker. 5: worth "
        "reworking. 10: ready but for a few details.",
    ),
    Criterion(
        "idiomaticity",
        "Idiomaticity",
        "Does it read as the users of these libraries write? 0: against their habits throughout. 5: usual "
        "calls, unusual structure. 10: an example to show.",
    ),
)
