"""Choosing the next token, and knowing when an answer has ended. No model is imported.

Guarantees that equal logits and an equal generator give the equal token, and that a text ends before
its first stop text, however the bytes arrive.
"""

import codecs
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.generation.llm import FinishReason, Sampling

MAX_LINE_CHARS = 2000
MAX_EQUAL_LINES = 24
MAX_PERIOD = 160
_PERIODS = 8
_CHECK_EVERY = 64


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log-probabilities over the last axis."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True)))


def choose_token(logits: NDArray[np.float32], sampling: Sampling, rng: np.random.Generator) -> int:
    """Return the next token: the likeliest at temperature 0 (ties: the lowest id), else a sampled one.

    `min_p` keeps the tokens of at least that share of the likeliest one's probability, before the
    temperature flattens the distribution.
    """
    if sampling.temperature <= 0:
        return int(np.argmax(logits))
    return _drawn(logits, sampling, rng.random(), 0.0)[0]


class TokenChooser:
    """Choose one token after the other; each takes one number of the generator, however often it is asked."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self._sampling = sampling
        self._rng = np.random.default_rng([seed & 0xFFFFFFFF, sampling.seed & 0xFFFFFFFF])
        self._drawn: float | None = None

    def __call__(self, logits: NDArray[np.float32], noise: float = 0.0) -> int | None:
        """Return the token that `choose_token` would; None where errors up to `noise` could change it.

        After None the same place is asked for again, with better logits.
        """
        if self._sampling.temperature <= 0:
            best = int(np.argmax(logits))
            if noise > 0 and np.count_nonzero(logits >= logits[best] - 2 * noise) > 1:
                return None
            return best
        if self._drawn is None:
            self._drawn = float(self._rng.random())
        token, is_sure = _drawn(logits, self._sampling, self._drawn, noise)
        if not is_sure:
            return None
        self._drawn = None
        return token


def _drawn(logits: NDArray[np.float32], sampling: Sampling, number: float, noise: float) -> tuple[int, bool]:
    """Return the token that a number in [0, 1) stands for, and whether errors up to `noise` leave it so.

    Errors up to `noise` move the log-odds of every cumulative share by `2 * noise / temperature` at most,
    and may put the tokens that are that near to `min_p` on its other side.
    """
    threshold = logits.max() + np.log(max(sampling.min_p, 1e-12))
    kept = np.flatnonzero(logits >= threshold)
    log_probs = log_softmax(logits[kept] / np.float32(sampling.temperature))
    cumulative = np.cumsum(np.exp(log_probs))
    cumulative /= cumulative[-1]
    position = min(int(np.searchsorted(cumulative, number, side="right")), len(kept) - 1)
    if noise <= 0:
        return int(kept[position]), True
    scaled = (logits - logits.max()).astype(np.float64) / sampling.temperature
    doubtful = np.abs(logits - threshold) <= 2 * noise
    doubtful_share = np.exp(scaled[doubtful]).sum() / np.exp(scaled[kept]).sum()
    edges = cumulative[max(position - 1, 0) : position + 1]
    reach = 2 * noise / sampling.temperature * edges * (1 - edges) + doubtful_share
    is_sure = not doubtful[kept[position]] and bool((np.abs(edges - number) > reach).all())
    return int(kept[position]), is_sure


class TextStream:
    """Join the bytes of tokens to a text until it ends; `finish_reason` says why it did."""

    def __init__(self, stop: tuple[str, ...], is_hopeless: Callable[[str], bool] | None = None) -> None:
        self._is_hopeless = is_hopeless
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._longest = max((len(text) for text in self._stop), default=0)
        self._text = ""
        self._checked = 0
        self.finish_reason: FinishReason | None = None

    @property
    def text(self) -> str:
        """The text so far, without what ended it."""
        return self._text

    def add(self, piece: bytes) -> str:
        """Take the next bytes and return what they add to the text."""
        before = len(self._text)
        self._text += self._decoder.decode(piece)
        window = max(0, before - self._longest)
        ends = [at for stop in self._stop if (at := self._text.find(stop, window)) >= 0]
        if ends:
            self._text = self._text[: min(ends)]
            self.finish_reason = "stop"
        elif len(self._text) - self._checked >= _CHECK_EVERY or b"\n" in piece:
            self._checked = len(self._text)
            if is_repeating(self._text):
                self.finish_reason = "repetition"
            elif b"\n" in piece and self._is_hopeless is not None and self._is_hopeless(self._text):
                self.finish_reason = "broken"
        return self._text[before:]


def is_repeating(text: str) -> bool:
    """Tell whether a text has begun to go in circles.

    True for a line over `MAX_LINE_CHARS`, for `MAX_EQUAL_LINES` equal lines on end, and for a text
    of up to `MAX_PERIOD` characters that stands eight times on end, at least 320 characters in all.
    """
    tail = text[-MAX_LINE_CHARS - 1 :]
    if len(tail) > MAX_LINE_CHARS and "\n" not in tail:
        return True
    lines = tail.rstrip("\n").rsplit("\n", MAX_EQUAL_LINES)[1:]
    if len(lines) == MAX_EQUAL_LINES and len(set(lines)) == 1:
        return True
    for period in range(1, MAX_PERIOD + 1):
        length = max(period * _PERIODS, 320)
        if len(text) >= length and text.endswith(text[-period:] * _PERIODS):
            circle = text[-length:]
            if circle[period:] == circle[:-period]:
                return True
    return False
