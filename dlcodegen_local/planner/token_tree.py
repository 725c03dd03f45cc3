"""The token tree: all rows of a beam as one sequence, so that no cache is copied on a fork.

Every token that was ever fed has one slot, and a row is the list of the slots that it descends
from; the prompt is held once. A call appends the new tokens of all rows as slots at the end and
opens, by an additive attention bias, only a token's own ancestors. Slots without a living
descendant are dropped together, now and then. Knows neither numbers of a model nor onnxruntime.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.int64]

MAX_DEAD_SLOTS = 32


@dataclass(frozen=True)
class TreeStep:
    """Hold what one call of the model needs.

    `input_ids` and `positions` are `(1, tokens)`, `last_tokens` `(rows,)` are the places among
    them of each row's last token, and `attention_bias` is `(1, 1, tokens, slots)`: 0 on a token's
    ancestors and itself, -inf elsewhere. The new tokens get the last `tokens` of the slots.
    """

    input_ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    last_tokens: npt.NDArray[np.int64]
    attention_bias: npt.NDArray[np.float32]
    slots: int


class TokenTree:
    """Keep the slots of every row; before the first call there is one empty row."""

    def __init__(self) -> None:
        self.slots = 0
        self._rows: list[Slots] = [np.zeros(0, dtype=np.int64)]

    def fork(self, parents: Sequence[int]) -> Slots | None:
        """Let row `i` be a child of what row `parents[i]` was.

        Returns the living slots in order where more than `MAX_DEAD_SLOTS` have died: they are
        renumbered from 0, and the caller moves the cache likewise. None otherwise.
        """
        self._rows = [self._rows[parent] for parent in parents]
        living = np.unique(np.concatenate(self._rows))
        if self.slots - len(living) <= MAX_DEAD_SLOTS:
            return None
        self._rows = [np.searchsorted(living, row) for row in self._rows]
        self.slots = len(living)
        return living

    def longest(self, tokens: Sequence[Sequence[int]]) -> int:
        """Return the length of the longest row after `tokens` were appended."""
        return max(len(row) + len(new) for row, new in zip(self._rows, tokens, strict=True))

    def append(self, tokens: Sequence[Sequence[int]]) -> TreeStep:
        """Append `tokens[i]` to row `i`; a row without new tokens stays as it is."""
        counts = [len(new) for new in tokens]
        total, slots = sum(counts), self.slots + sum(counts)
        positions = np.empty((1, total), dtype=np.int64)
        bias = np.full((1, 1, total, slots), -np.inf, dtype=np.float32)
        start, rows = 0, []
        for row, count in zip(self._rows, counts, strict=True):
            end, first = start + count, self.slots + start
            positions[0, start:end] = np.arange(len(row), len(row) + count)
            own = bias[0, 0, start:end]
            own[:, row] = 0.0
            own[:, first : first + count][np.tri(count, dtype=np.bool_)] = 0.0
            rows.append(np.concatenate([row, np.arange(first, first + count)]))
            start = end
        self._rows, self.slots = rows, slots
        return TreeStep(
            input_ids=np.array([[token for new in tokens for token in new]], dtype=np.int64),
            positions=positions,
            last_tokens=np.cumsum(counts, dtype=np.int64) - 1,
            attention_bias=bias,
            slots=slots,
        )
