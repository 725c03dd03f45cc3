"""A model that is a table, for tests of decoding and scoring."""

from collections.abc import Sequence

import numpy as np

VOCABULARY, END = 64, 63


class TableModel:
    """A model whose next token depends on the last two, and which notices a cache that is out of step."""

    def __init__(self, seed: int = 0, favour: Sequence[int] = ()) -> None:
        rng = np.random.default_rng(seed)
        self._table = rng.normal(size=(VOCABULARY, VOCABULARY, VOCABULARY)).astype(np.float32)
        for first, second, third in zip(favour, favour[1:], favour[2:], strict=False):
            self._table[first, second, third] += 9
        self.read: list[int] = []
        self.steps = 0

    def decode(self, tokens: Sequence[int], position: int, *, all_logits: bool = False) -> None:
        assert position == len(self.read)
        start = len(self.read)
        self.read += tokens
        self.steps += 1
        self._rows = [self._table[self.read[i - 1], self.read[i]] for i in range(start, len(self.read))]
        self._has_all = all_logits

    def logits(self, index: int) -> np.ndarray:
        assert self._has_all or index == -1
        return self._rows[index]

    def forget(self, position: int) -> bool:
        del self.read[position:]
        return True

    def is_end(self, token: int) -> bool:
        return token == END
