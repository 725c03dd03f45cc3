"""Batches for the planner's training: token sequences with one weight a token."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS, PlanTokenizer
from export.planner_rows import Row, augmented
from export.planner_vocabulary import closed_token, closed_value

MAX_LENGTH = 768


@dataclass(frozen=True)
class Weights:
    """Weigh the loss of the prompt's tokens, of closed values and of free text."""

    prompt: float
    closed: float
    text: float = 1.0


@dataclass(frozen=True)
class Example:
    """Hold one tokenised row: the plan's tokens are fixed, the prompt varies where `augment` is set."""

    row: Row
    style: str
    augment: bool
    closed_ids: tuple[int, ...]
    plan_ids: tuple[int, ...]


def examples(rows: Sequence[Row], tokenizer: PlanTokenizer, *, augment: bool = True) -> list[Example]:
    """Return the rows with their plans tokenised."""
    fields = [tokenizer.vocabulary.field(name) for name in CLOSED_FIELDS]
    made = []
    for row in rows:
        values = [closed_value(row.plan, field.name) for field in fields]
        closed_ids = tuple(closed_token(field, value) for field, value in zip(fields, values, strict=True))
        plan_ids = tuple(tokenizer.encode_plan(row.plan, closed_ids))
        made.append(Example(row, str(values[0]), augment, closed_ids, plan_ids))
    return made


def sequence(
    example: Example, tokenizer: PlanTokenizer, weights: Weights, rng: random.Random | None
) -> tuple[list[int], list[float]]:
    """Return a row's tokens and the loss weight of each; `rng` None means no augmentation."""
    row = example.row
    texts = (row.requirement, row.dataset)
    if rng is not None and example.augment:
        texts = augmented(row, example.style, rng)
    prompt, _ = tokenizer.encode_prompt(*texts)
    fields = [tokenizer.vocabulary.field(name) for name in CLOSED_FIELDS]
    weight = [0.0] + [weights.prompt] * (len(prompt) - 1)
    for field, token_id in zip(fields, example.closed_ids, strict=True):
        weight.append(0.0 if token_id == field.open_id else weights.closed)
    weight += [weights.text] * (len(example.plan_ids) - len(example.closed_ids))
    return [*prompt, *example.plan_ids], weight


def epoch_batches(
    made: Sequence[Example], tokenizer: PlanTokenizer, weights: Weights, batch_tokens: int, seed: int
) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Return one epoch's batches: `input_ids` and loss weights, both `(rows, length)`.

    Rows of like length share a batch of at most `batch_tokens` tokens, padding included; the
    order of the batches is shuffled. The same seed gives the same batches.
    """
    rng = random.Random(seed)
    order = list(made)
    rng.shuffle(order)
    rows = [sequence(example, tokenizer, weights, rng) for example in order]
    rows = [(ids[:MAX_LENGTH], weight[:MAX_LENGTH]) for ids, weight in rows]
    rows.sort(key=lambda row: len(row[0]))
    batches: list[list[tuple[list[int], list[float]]]] = [[]]
    for row in rows:
        if (len(batches[-1]) + 1) * len(row[0]) > batch_tokens and batches[-1]:
            batches.append([])
        batches[-1].append(row)
    rng.shuffle(batches)
    return [_padded(batch, tokenizer.vocabulary.borders["pad"]) for batch in batches]


def _padded(
    batch: Sequence[tuple[list[int], list[float]]], pad_id: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    length = max(len(ids) for ids, _ in batch)
    input_ids = np.full((len(batch), length), pad_id, dtype=np.int64)
    weight = np.zeros((len(batch), length), dtype=np.float32)
    for index, (ids, row_weight) in enumerate(batch):
        input_ids[index, : len(ids)] = ids
        weight[index, : len(ids)] = row_weight
    return input_ids, weight
