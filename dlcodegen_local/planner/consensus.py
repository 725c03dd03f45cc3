"""Texts by consensus: many are drawn, and the one nearest to all others is kept.

Guarantees that what is kept is a text that the constraint allows, the same for the same seed. Each
text is drawn after the ones before it were kept, so that a plan's fields belong together.

A small model's most likely text is often a short or odd one; the text with the smallest expected
loss under the model's own distribution (minimum Bayes risk) is nearer to what people write.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from dlcodegen_local.errors import PlanningError
from dlcodegen_local.planner.beam import Constraint, Logits, LogitsFunction, LogProbs, TokenIds

Similarity = Callable[[Sequence[str], Sequence[str]], float]

MAX_NGRAM = 4
NOTHING_SHARED = 0.1


@dataclass(frozen=True)
class ConsensusSettings:
    """Say how many texts are drawn, at which temperature above 0, and from which seed.

    The first is not drawn: it is the likeliest one, token by token. A token that is less than
    `min_share` times as likely as the likeliest one is never drawn: in a long list of layers one
    in a hundred would be a blunder otherwise.
    """

    candidates: int = 32
    temperature: float = 0.8
    seed: int = 0
    min_share: float = 0.02

    def __post_init__(self) -> None:
        if self.candidates < 1 or not 0 < self.temperature <= 10 or self.seed < 0:
            raise ValueError("candidates must be at least 1, temperature above 0 and at most 10")
        if not 0 < self.min_share <= 1:
            raise ValueError("min_share of the candidates must be above 0 and at most 1")


@dataclass(frozen=True)
class Drawn:
    """Hold one drawn text: its tokens, the log-probability of each, and the constraint's state after them."""

    token_ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    state: Any
    is_likeliest: bool = False


class AnchoredRow:
    """Hold one row of a decoder, the anchor, from which others fork and are forgotten again."""

    def __init__(self, logits_of: LogitsFunction, prompt: Sequence[int]) -> None:
        self._logits_of = logits_of
        self._logits: Logits = logits_of([0], [prompt])
        self.steps = 1

    def append(self, token_ids: Sequence[int]) -> None:
        """Move the anchor past more tokens."""
        self._logits = self._logits_of([0], [token_ids])
        self.steps += 1

    def forks(self) -> LogitsFunction:
        """Return a decoder that starts with one row, a copy of the anchor."""
        forked = False

        def continue_rows(parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
            nonlocal forked
            if not forked and not any(tokens):
                return self._logits[[0] * len(parents)]
            rows = [1 + parent for parent in parents] if forked else [0] * len(parents)
            forked = True
            self.steps += 1
            return self._logits_of([0, *rows], [[], *tokens])[1:]

        return continue_rows


def draw_texts(
    logits_of: LogitsFunction,
    start: Any,
    constraint: Constraint[Any],
    ends: Callable[[Any], bool],
    settings: ConsensusSettings,
    enough: Callable[[Sequence[Drawn]], bool] = lambda finished: False,
) -> list[Drawn]:
    """Return `settings.candidates` texts drawn from the state `start`, each up to where `ends` holds.

    Short texts are finished first; the others are given up as soon as those finished are `enough`.

    Raises:
        PlanningError: the constraint allows no token where a text is not at its end.
    """
    rng = np.random.default_rng(settings.seed)
    live = [Drawn((), (), start, place == 0) for place in range(settings.candidates)]
    logits = logits_of([0] * len(live), [[]] * len(live))
    finished: list[Drawn] = []
    while live and not enough(finished):
        grown = []
        for row, drawn in enumerate(live):
            scored = constraint.score(drawn.state, logits[row])
            longer = _with_one_more(drawn, scored, None if drawn.is_likeliest else settings, rng)
            after = constraint.advance(drawn.state, longer.token_ids[-1])
            longer = _with_forced(replace(longer, state=after), constraint, ends)
            if ends(longer.state):
                finished.append(longer)
            else:
                grown.append((row, longer.token_ids[len(drawn.token_ids) :], longer))
        live = [longer for _, _, longer in grown]
        if live:
            logits = logits_of([row for row, _, _ in grown], [added for _, added, _ in grown])
    return finished


def _with_one_more(
    drawn: Drawn,
    scored: tuple[TokenIds, LogProbs],
    settings: ConsensusSettings | None,
    rng: np.random.Generator,
) -> Drawn:
    """Return the text with one more token, the likeliest without settings; its state is yet to advance."""
    token_ids, log_probs = scored
    if not len(token_ids):
        raise PlanningError("the planner's constraint allows no token")
    best = int(np.argmax(log_probs))
    if settings is not None:
        likely = np.flatnonzero(log_probs >= log_probs[best] + math.log(settings.min_share))
        # Gumbel's trick: the largest of log-probabilities plus this noise is a draw from them.
        noise = settings.temperature * rng.gumbel(size=len(likely))
        best = int(likely[np.argmax(log_probs[likely] + noise)])
    return replace(
        drawn,
        token_ids=(*drawn.token_ids, int(token_ids[best])),
        token_log_probs=(*drawn.token_log_probs, float(log_probs[best])),
    )


def _with_forced(drawn: Drawn, constraint: Constraint[Any], ends: Callable[[Any], bool]) -> Drawn:
    """Return the text with the tokens that have no alternative."""
    while not ends(drawn.state) and (token_id := constraint.forced(drawn.state)) is not None:
        drawn = replace(
            drawn,
            token_ids=(*drawn.token_ids, token_id),
            token_log_probs=(*drawn.token_log_probs, 0.0),
            state=constraint.advance(drawn.state, token_id),
        )
    return drawn


def consensus(texts: Sequence[Sequence[str]], similarity: Similarity) -> list[tuple[int, float]]:
    """Return the places of distinct texts with their mean similarity to all, the nearest first.

    Equal texts count as often as they were drawn; ties go to the one drawn first.
    """
    keys = [tuple(text) for text in texts]
    counts = Counter(keys)
    ranked = []
    for place, key in enumerate(keys):
        if key in keys[:place]:
            continue
        mean = sum(count * similarity(key, other) for other, count in counts.items()) / len(keys)
        ranked.append((place, mean))
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def ngram_similarity(words: Sequence[str], reference: Sequence[str]) -> float:
    """Return how much two texts share, 0 to 1: BLEU-4 of one sentence, where nothing counts as 0.1.

    Paper: Papineni et al. 2002, with smoothing method 1 of Chen and Cherry 2014.
    """
    if not words or not reference:
        return float(list(words) == list(reference))
    total = 0.0
    for size in range(1, MAX_NGRAM + 1):
        mine, others = _ngrams(tuple(words), size), _ngrams(tuple(reference), size)
        matched = sum(min(count, others[gram]) for gram, count in mine.items())
        if size == 1 and not matched:
            return 0.0
        total += math.log((matched or NOTHING_SHARED) / max(1, len(words) - size + 1)) / MAX_NGRAM
    return math.exp(total + min(0.0, 1 - len(reference) / len(words)))


@lru_cache(maxsize=4096)
def _ngrams(words: tuple[str, ...], size: int) -> Counter[tuple[str, ...]]:
    return Counter(words[start : start + size] for start in range(len(words) - size + 1))
