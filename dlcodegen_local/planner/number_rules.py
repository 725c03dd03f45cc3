"""Which numbers a text may hold: sizes that the requirement states are not contradicted.

A rule reads whole runs of digits, however they are cut into tokens. It judges numbers only: it
does not know what they stand for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

MAX_TAIL_CHARS = 12

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NumberRule:
    """Allow, of the whole numbers from `low` to `high` (None: all above), those in `allowed` alone."""

    allowed: frozenset[int]
    low: int
    high: int | None = None

    def permits(self, digits: str) -> bool:
        """Return whether a complete run of digits may stand; none at all may."""
        if not digits:
            return True
        if len(digits) > 1 and digits[0] == "0":
            return False
        number = int(digits)
        judged = number >= self.low and (self.high is None or number <= self.high)
        return not judged or number in self.allowed

    def may_become(self, digits: str) -> bool:
        """Return whether more digits, or none, can make a run that may stand."""
        if self.permits(digits) or any(str(number).startswith(digits) for number in self.allowed):
            return True
        return self.high is not None and not digits.startswith("0")


class NumberMasks:
    """Hold the texts of all text tokens and the masks made from them."""

    def __init__(self, token_texts: Sequence[str]) -> None:
        self._token_texts = tuple(token_texts)
        self._without_digits: Mask = np.array([not re.search(r"[0-9]", text) for text in token_texts])
        self._with_digits = np.flatnonzero(~self._without_digits)
        self._mask = lru_cache(maxsize=512)(self._make_mask)
        self._without = lru_cache(maxsize=64)(self._make_without)

    def mask(self, text: str, rule: NumberRule) -> Mask:
        """Return which tokens may follow `text` under the rule."""
        return self._mask(open_digits(text), rule)

    def without(self, digits: str) -> Mask:
        """Return which tokens do not begin with that number, separators before it aside."""
        return self._without(digits)

    def _make_without(self, digits: str) -> Mask:
        mask: Mask = np.array([not text.lstrip(", ").startswith(digits) for text in self._token_texts])
        mask.setflags(write=False)
        return mask

    def _make_mask(self, digits: str, rule: NumberRule) -> Mask:
        mask = self._without_digits & rule.permits(digits)
        for token_id in self._with_digits:
            mask[token_id] = _follows(digits + self._token_texts[token_id], rule)
        mask.setflags(write=False)
        return mask


def open_digits(text: str) -> str:
    """Return the digits at the end of a text, which more digits may follow."""
    found = re.search(r"[0-9]+$", text[-MAX_TAIL_CHARS:])
    return found.group() if found else ""


def _follows(text: str, rule: NumberRule) -> bool:
    last = open_digits(text)
    runs = re.findall(r"[0-9]+", text[: len(text) - len(last)])
    return all(rule.permits(run) for run in runs) and rule.may_become(last)
