"""Write a plan's tokens: closed values by beam search, texts by beam search or by consensus.

Guarantees a whole plan under the constraint. Knows the order of a plan's fields, not their meaning.

Paper: III-B, beam search with 3 beams.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcodegen_local.plan.distance import aligned_similarity, layer_distance
from dlcodegen_local.planner.beam import BeamSettings, Hypothesis, Logits, LogProbs, TokenIds, beam_search
from dlcodegen_local.planner.consensus import (
    AnchoredRow,
    ConsensusSettings,
    Drawn,
    consensus,
    draw_texts,
    ngram_similarity,
)
from dlcodegen_local.planner.constraint import PlanConstraint, PlanState
from dlcodegen_local.planner.decoding import split_texts
from dlcodegen_local.planner.facts import NETWORKS
from dlcodegen_local.planner.tokenizer import TEXT_FIELDS, PlanTokenizer

SHOWN_ALTERNATIVES = 2
HEARD = 0.5
HEARD_AT_MOST = 0.75
_WORD = re.compile(r"\w+|[^\w\s]+")


@dataclass(frozen=True)
class Written:
    """Hold a plan's tokens and the tokens of other plans that were near it, best first.

    Another plan may differ in one field alone.
    """

    token_ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    others: tuple[tuple[int, ...], ...]

    @property
    def log_prob(self) -> float:
        """Return the natural logarithm of the plan's probability under the constraint."""
        return sum(self.token_log_probs)


def write_by_beam(anchor: AnchoredRow, constraint: PlanConstraint, settings: BeamSettings) -> Written:
    """Return the best plan of one beam search over all fields; the others are the other beams.

    Raises:
        PlanningError: no beam completed a plan.
    """
    best, *others = beam_search(anchor.forks(), [], constraint, settings).hypotheses
    return Written(best.token_ids, best.token_log_probs, tuple(other.token_ids for other in others))


def write_by_consensus(
    anchor: AnchoredRow,
    constraint: PlanConstraint,
    tokenizer: PlanTokenizer,
    beams: BeamSettings,
    settings: ConsensusSettings,
    wanted: Mapping[str, Sequence[str]],
) -> Written:
    """Return a plan whose closed values come from a beam search and whose texts from a consensus.

    Of a text field the texts that spell most of what is `wanted` of it are preferred. The other
    plans have the closed values of another beam, or another text in one field.

    Raises:
        PlanningError: the constraint allows no token in the middle of a plan.
    """
    beam = beam_search(anchor.forks(), [], _ClosedFields(constraint), beams).hypotheses
    pieces = [_opened(beam[0], constraint)]
    other_pieces: list[list[Drawn]] = []
    for name in TEXT_FIELDS:
        anchor.append(pieces[-1].token_ids)
        field = _TextField(name, tuple(wanted.get(name, ())), constraint, tokenizer, settings)
        ranked = field.ranked(field.drawn(anchor, pieces[-1].state))
        if base := field.missing_base(ranked[0]):
            opening = field.opening(base, pieces[-1].state)
            anchor.append(opening.token_ids)
            drawn = field.drawn(anchor, opening.state)
            ranked = field.ranked([_joined_to(opening, one) for one in drawn])
        pieces.append(ranked[0])
        other_pieces.append(ranked[1 : 1 + SHOWN_ALTERNATIVES])
    others = [(*other.token_ids, *_joined(pieces)[len(other.token_ids) :]) for other in beam[1:]]
    for place, alternatives in enumerate(other_pieces, start=1):
        for other in alternatives:
            others.append(_joined([*pieces[:place], other, *pieces[place + 1 :]]))
    log_probs = tuple(log_prob for piece in pieces for log_prob in piece.token_log_probs)
    return Written(_joined(pieces), log_probs, tuple(others))


class _ClosedFields:
    """End the beam where the closed fields end."""

    def __init__(self, constraint: PlanConstraint) -> None:
        self._constraint = constraint

    def start(self) -> PlanState:
        return self._constraint.start()

    def advance(self, state: PlanState, token_id: int) -> PlanState:
        return self._constraint.advance(state, token_id)

    def forced(self, state: PlanState) -> int | None:
        return None if self.finished(state) else self._constraint.forced(state)

    def finished(self, state: PlanState) -> bool:
        return self._constraint.closed_fields_done(state)

    def score(self, state: PlanState, logits: Logits) -> tuple[TokenIds, LogProbs]:
        return self._constraint.score(state, logits)


def _opened(closed: Hypothesis, constraint: PlanConstraint) -> Drawn:
    """Return the closed values with the border of the first text."""
    border = constraint.forced(closed.state)
    assert border is not None  # nothing else can follow the closed values
    return Drawn(
        (*closed.token_ids, border),
        (*closed.token_log_probs, 0.0),
        constraint.advance(closed.state, border),
    )


@dataclass(frozen=True)
class _TextField:
    """Draw and rank the texts of one field; all layers are one text.

    Only the shorter half is heard: the longest drawn texts are those that lost their thread.
    """

    name: str
    wanted: tuple[str, ...]
    constraint: PlanConstraint
    tokenizer: PlanTokenizer
    settings: ConsensusSettings

    @property
    def heard(self) -> int:
        """Return how many texts are heard."""
        return math.ceil(self.settings.candidates * HEARD)

    def drawn(self, anchor: AnchoredRow, start: PlanState) -> list[Drawn]:
        """Return texts, each with the border after it: short ones, and more if all lack a wanted word."""

        def ends(state: PlanState) -> bool:
            return state.field != self.name or self.constraint.finished(state)

        def enough(finished: Sequence[Drawn]) -> bool:
            if len(finished) < self.heard:
                return False
            most = math.ceil(self.settings.candidates * HEARD_AT_MOST)
            return len(finished) >= most or not all(self.missing(one) for one in finished)

        return draw_texts(anchor.forks(), start, self.constraint, ends, self.settings, enough)

    def ranked(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Return distinct texts that spell most of what is wanted, the one nearest to all others first."""
        missing = [self.missing(one) for one in drawn]
        heard = [one for one, count in zip(drawn, missing, strict=True) if count == min(missing)]
        heard = sorted(heard, key=lambda one: len(one.token_ids))[: self.heard]
        spelled = [self.texts(one) for one in heard]
        if self.name != "layer":
            spelled = [_WORD.findall(texts[0]) for texts in spelled]
        ranked = consensus(spelled, _SIMILARITIES.get(self.name, ngram_similarity))
        return [heard[place] for place, _ in ranked]

    def missing(self, drawn: Drawn) -> int:
        """Return how many of the wanted words a text lacks."""
        if not self.wanted:
            return 0
        text = " ".join(self.texts(drawn))
        return sum(not _spells(text, word) for word in self.wanted)

    def missing_base(self, drawn: Drawn) -> str:
        """Return the named network that layers should have and do not have, `""` for none."""
        base = next((word for word in self.wanted if word in NETWORKS), "")
        return base if base and not _spells(" ".join(self.texts(drawn)), base) else ""

    def opening(self, base: str, start: PlanState) -> Drawn:
        """Return the beginning of a list of layers that starts with a network; empty if it may not."""
        opening = Drawn((), (), start)
        anything = np.zeros(self.tokenizer.vocabulary.vocab_size, dtype=np.float32)
        for token_id in self.tokenizer.encode_text(f"{base}(" if start.style == "calls" else base):
            if token_id not in self.constraint.score(opening.state, anything)[0]:
                return Drawn((), (), start)
            after = self.constraint.advance(opening.state, token_id)
            opening = Drawn((*opening.token_ids, token_id), (*opening.token_log_probs, 0.0), after)
        return opening

    def texts(self, drawn: Drawn) -> list[str]:
        """Return the text, of layers one each."""
        first = self.tokenizer.vocabulary.borders[self.name]
        texts = split_texts([first, *drawn.token_ids], self.tokenizer.vocabulary)[self.name]
        return [self.tokenizer.decode_text(ids).strip() for ids in texts]


def _joined_to(opening: Drawn, rest: Drawn) -> Drawn:
    return Drawn(
        opening.token_ids + rest.token_ids, opening.token_log_probs + rest.token_log_probs, rest.state
    )


def _spells(text: str, word: str) -> bool:
    """Return whether a text has a word: a number as a whole, a name also as a part of another."""
    pattern = rf"(?<!\d){word}(?!\d)" if word.isdigit() else re.escape(word)
    return re.search(pattern, text, re.IGNORECASE) is not None


def _layers_and_words(layers: Sequence[str], others: Sequence[str]) -> float:
    words, other_words = (_WORD.findall(" ".join(texts)) for texts in (layers, others))
    return (aligned_similarity(layers, others, layer_distance) + ngram_similarity(words, other_words)) / 2


_SIMILARITIES: dict[str, Callable[[Sequence[str], Sequence[str]], float]] = {"layer": _layers_and_words}


def _joined(pieces: Sequence[Any]) -> tuple[int, ...]:
    return tuple(token_id for piece in pieces for token_id in piece.token_ids)
