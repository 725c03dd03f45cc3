"""Which text tokens may follow which text: printable, brackets balanced, no runaway repetition.

Pure functions of what stands there; the tables are built once for a tokenizer. Knows no plan.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dlcodegen_local.planner.number_rules import Mask, NumberMasks

MAX_TOKEN_CHARS = 48
MAX_DEPTH = 6
MAX_CYCLE = 6
MAX_CYCLE_REPEATS = 3

_CLOSER = {"(": ")", "[": "]", "{": "}"}
_OPENER = {closer: opener for opener, closer in _CLOSER.items()}
_QUOTES = "'\""


class TextRules:
    """Hold the texts of all text tokens, token `i` at place `i`, and masks made from them."""

    def __init__(self, token_texts: Sequence[str]) -> None:
        self.token_texts = tuple(token_texts)
        self.lengths = np.array([len(text) for text in self.token_texts], dtype=np.int64)
        self.usable: Mask = np.array([_is_usable(text) for text in self.token_texts], dtype=bool)
        self.starts_name: Mask = self.usable & np.array(
            [text[:1].isalpha() and text[:1].isascii() for text in self.token_texts], dtype=bool
        )
        self.numbers = NumberMasks(self.token_texts)
        self.ending_activations = [
            index for index, text in enumerate(self.token_texts) if "softmax" in text or "sigmoid" in text
        ]
        self._single = {text: index for index, text in reversed(list(enumerate(self.token_texts)))}
        self._balanced_mask = lru_cache(maxsize=256)(self._make_balanced_mask)

    def text(self, token_ids: Sequence[int]) -> str:
        """Return the text that tokens spell."""
        return "".join(self.token_texts[token_id] for token_id in token_ids)

    def balanced_mask(self, nesting: str, quotes: bool) -> Mask:
        """Return which tokens may follow inside `nesting`, the open brackets and quote.

        A token may not close what is not open, and may not open more than `MAX_DEPTH` brackets.
        """
        return self._balanced_mask(nesting, quotes)

    def after(self, nesting: str, token_id: int, quotes: bool) -> str:
        """Return what is open after a token that `balanced_mask` allows."""
        followed = nesting_after(nesting, self.token_texts[token_id], quotes)
        if followed is None:
            raise ValueError(f"token {token_id} may not follow inside {nesting!r}")
        return followed

    def closing_token(self, nesting: str) -> int:
        """Return the token that closes the innermost bracket or quote."""
        return self._single[_CLOSER.get(nesting[-1], nesting[-1])]

    def _make_balanced_mask(self, nesting: str, quotes: bool) -> Mask:
        mask = self.usable.copy()
        for index in np.flatnonzero(mask):
            mask[index] = nesting_after(nesting, self.token_texts[index], quotes) is not None
        mask.setflags(write=False)
        return mask


def nesting_after(nesting: str, text: str, quotes: bool) -> str | None:
    """Return the open brackets and quote after `text`, None where it is not well formed.

    With `quotes`, brackets inside a quoted text do not count.
    """
    for char in text:
        inner = nesting[-1:]
        if quotes and inner and inner in _QUOTES:
            if char == inner:
                nesting = nesting[:-1]
        elif char in _CLOSER or (quotes and char in _QUOTES):
            if len(nesting) >= MAX_DEPTH:
                return None
            nesting += char
        elif char in _OPENER:
            if inner != _OPENER[char]:
                return None
            nesting = nesting[:-1]
    return nesting


def repeating_tokens(token_ids: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would complete a group of `size` tokens for the second time."""
    if len(token_ids) < size:
        return []
    tail = tuple(token_ids[len(token_ids) - size + 1 :])
    starts = range(len(token_ids) - size + 1)
    return [token_ids[i + size - 1] for i in starts if tuple(token_ids[i : i + size - 1]) == tail]


def next_of_cycles(items: Sequence[Any]) -> Iterator[Any]:
    """Yield the items that would continue a cycle that has run `MAX_CYCLE_REPEATS` times."""
    for period in range(1, MAX_CYCLE + 1):
        span = period * MAX_CYCLE_REPEATS
        if len(items) >= span:
            tail = list(items[-span:])
            if tail == tail[:period] * MAX_CYCLE_REPEATS:
                yield tail[0]


def _is_usable(text: str) -> bool:
    return 0 < len(text) <= MAX_TOKEN_CHARS and text.isprintable() and "�" not in text
