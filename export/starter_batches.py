"""Cut tokens into training batches as pure functions of (seed, step), so that a resumed run sees the same.

Two kinds of batch: windows of pretraining text, some of them made over into copying exercises, and rows
of task examples with a loss weight for every token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """Hold inputs, the tokens that follow them, and the weight of each in the loss; all `(rows, length)`."""

    inputs: Ids
    targets: Ids
    weights: Weights


@dataclass(frozen=True)
class Example:
    """Hold one task: the tokens of prompt and answer, and where the answer begins."""

    token_ids: tuple[int, ...]
    answer_start: int


def copy_window(span: Ids, length: int, markers: tuple[Ids, Ids], rng: np.random.Generator) -> Ids:
    """Fill a window with pairs of a passage and its copy, told apart by the chat markers.

    Now and then single tokens of the passage are drawn at random, so that only looking back helps.
    """
    pieces: list[Ids] = []
    total = 0
    while total < length + 1:
        size = int(rng.integers(24, max(25, length // 3)))
        start = int(rng.integers(0, max(1, len(span) - size)))
        passage = span[start : start + size].copy()
        if rng.random() < 0.3:
            changed = rng.random(len(passage)) < 0.15
            passage[changed] = rng.integers(3, int(span.max()) + 1, size=int(changed.sum()))
        pieces += [markers[0], passage, markers[1], passage]
        total += sum(len(piece) for piece in pieces[-4:])
    return np.concatenate(pieces)[: length + 1]


@dataclass(frozen=True)
class TextStream:
    """Serve windows of a token stream; `copy_share` of them become copying exercises."""

    token_ids: NDArray[np.uint16]
    length: int
    seed: int
    markers: tuple[Ids, Ids]
    copy_share: float = 0.4

    def window(self, index: int) -> Ids:
        """Return window `index` of an endless shuffled stream, `(length + 1,)`."""
        count = (len(self.token_ids) - 1) // self.length
        epoch, place = divmod(index, count)
        order = np.random.default_rng((self.seed, epoch)).permutation(count)
        start = int(order[place]) * self.length
        rng = np.random.default_rng((self.seed, 1, index))
        if rng.random() < self.copy_share:
            near = self.token_ids[start : start + 4 * self.length].astype(np.int64)
            return copy_window(near, self.length, self.markers, rng)
        return self.token_ids[start : start + self.length + 1].astype(np.int64)

    def batch(self, step: int, rows: int) -> Batch:
        """Return the batch of a step."""
        windows = np.stack([self.window(step * rows + row) for row in range(rows)])
        inputs, targets = windows[:, :-1], windows[:, 1:]
        return Batch(inputs, targets, np.ones(targets.shape, dtype=np.float32))


def task_batch(examples: Sequence[Example], pad_id: int, prompt_weight: float) -> Batch:
    """Return examples as rows padded to the longest; prompts weigh `prompt_weight`, padding nothing."""
    length = max(len(example.token_ids) for example in examples) - 1
    inputs = np.full((len(examples), length), pad_id, dtype=np.int64)
    targets = np.full((len(examples), length), pad_id, dtype=np.int64)
    weights = np.zeros((len(examples), length), dtype=np.float32)
    for row, example in enumerate(examples):
        size = len(example.token_ids) - 1
        inputs[row, :size] = example.token_ids[:-1]
        targets[row, :size] = example.token_ids[1:]
        weights[row, :size] = prompt_weight
        weights[row, example.answer_start - 1 : size] = 1.0
    return Batch(inputs, targets, weights)


@dataclass(frozen=True)
class TaskStream:
    """Serve batches of examples of like length, about `tokens` a batch, in an order fixed by the seed."""

    examples: Sequence[Example]
    tokens: int
    seed: int
    pad_id: int
    prompt_weight: float = 0.0
    pool: int = 512

    def plan_epoch(self, epoch: int) -> list[tuple[int, ...]]:
        """Return the batches of an epoch as tuples of example numbers."""
        rng = np.random.default_rng((self.seed, 2, epoch))
        order = rng.permutation(len(self.examples))
        batches: list[tuple[int, ...]] = []
        for start in range(0, len(order), self.pool):
            sizes = [(len(self.examples[i].token_ids), int(i)) for i in order[start : start + self.pool]]
            current: list[int] = []
            for size, number in sorted(sizes):
                if current and size * (len(current) + 1) > self.tokens:
                    batches.append(tuple(current))
                    current = []
                current.append(number)
            batches.append(tuple(current))
        return [batches[i] for i in rng.permutation(len(batches))]

    def batch_of(self, numbers: Sequence[int]) -> Batch:
        """Return the batch that holds the given examples."""
        return task_batch([self.examples[i] for i in numbers], self.pad_id, self.prompt_weight)
