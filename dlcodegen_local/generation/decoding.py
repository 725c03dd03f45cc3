"""Choosing the next token, and knowing when an answer has ended. No model is imported.

Guarantees that equal logits and an equal generator give the equal token, and that a text ends before
its first stop text, however the bytes arrive.
"""

import codecs
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.generation.llm import FinishReason, Sampling

MAX_LINE_CHARS = 2000
MAX_EQUAL_LINES = 24
MAX_PERIOD = 160
_PERIODS = 8
_CHECK_EVERY = 64
_TAIL_CHARS = 8


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
    threshold = logits.max() + np.float32(np.log(max(sampling.min_p, 1e-12)))
    kept = np.flatnonzero(logits >= threshold)
    log_probs = log_softmax(logits[kept] / np.float32(sampling.temperature))
    cumulative = np.cumsum(np.exp(log_probs))
    position = int(np.searchsorted(cumulative / cumulative[-1], rng.random(), side="right"))
    return int(kept[min(position, len(kept) - 1)])


class TokenChooser:
    """Choose one token after the other, each with one number of a generator of its own."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self._sampling = sampling
        self._rng = np.random.default_rng([seed & 0xFFFFFFFF, sampling.seed & 0xFFFFFFFF])

    def __call__(self, logits: NDArray[np.float32]) -> int:
        """Return the token that `choose_token` takes."""
        return choose_token(logits, self._sampling, self._rng)


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
    for period in _possible_periods(text):
        length = max(period * _PERIODS, 320)
        circle = text[-length:]
        if len(text) >= length and circle[period:] == circle[:-period]:
            return True
    return False


def _possible_periods(text: str) -> Iterator[int]:
    """Yield how far before the end of a text its last characters stand, too, nearest first."""
    tail = text[-MAX_PERIOD - _TAIL_CHARS :]
    end, at = tail[-_TAIL_CHARS:], len(tail) - _TAIL_CHARS
    while (at := tail.rfind(end, 0, at + _TAIL_CHARS - 1)) >= 0:
        yield len(tail) - _TAIL_CHARS - at
