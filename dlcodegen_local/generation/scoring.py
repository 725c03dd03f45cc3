"""Likelihoods of given answers, after a prompt that the model has read.

Guarantees that a score does not depend on the answers before it: what answers share at their start
is read once, but only in whole chunks that are the same.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.generation.decoding import log_softmax
from dlcodegen_local.generation.lookup import Decoder


@dataclass(frozen=True)
class _Chunk:
    """Hold tokens that were read, their log-probabilities but the first's, and those of what follows."""

    tokens: tuple[int, ...]
    inner: tuple[float, ...]
    following: NDArray[np.float64]


class ChunkScorer:
    """Score one answer after the other.

    The prompt ends before `position`, and its last logits are the model's last. `restart` reads it
    anew, for a model that cannot take back tokens.
    """

    def __init__(self, model: Decoder, position: int, chunk_tokens: int, restart: Callable[[], None]) -> None:
        self._model = model
        self._position = position
        self._chunk_tokens = chunk_tokens
        self._restart = restart
        self._first = log_softmax(model.logits(-1))
        self._chunks: list[_Chunk] = []

    def score(self, answer: Sequence[int]) -> float:
        """Return the mean log-probability of an answer's tokens; -inf without any."""
        if not answer:
            return -math.inf
        log_probs = [float(self._first[answer[0]])]
        for index, at in enumerate(range(0, len(answer) - 1, self._chunk_tokens)):
            end = min(at + self._chunk_tokens, len(answer) - 1)
            chunk = self._read(index, tuple(answer[at:end]))
            log_probs += [*chunk.inner, float(chunk.following[answer[end]])]
        return sum(log_probs) / len(log_probs)

    def _read(self, index: int, tokens: tuple[int, ...]) -> _Chunk:
        """Return the chunk at an index; what was read from there on is dropped where it differs."""
        if index < len(self._chunks) and self._chunks[index].tokens == tokens:
            return self._chunks[index]
        del self._chunks[index:]
        position = self._position + index * self._chunk_tokens
        if not self._model.forget(position):
            self._restart()
            for number, chunk in enumerate(self._chunks):
                self._model.decode(chunk.tokens, self._position + number * self._chunk_tokens)
        self._model.decode(tokens, position, all_logits=True)
        rows = [log_softmax(self._model.logits(i)) for i in range(len(tokens))]
        inner = tuple(float(row[token]) for row, token in zip(rows, tokens[1:], strict=False))
        self._chunks.append(_Chunk(tokens, inner, rows[-1]))
        return self._chunks[index]
