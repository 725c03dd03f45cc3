import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from dlcodegen_local.errors import PlanningError
from dlcodegen_local.planner.beam import BeamSettings, beam_search, log_softmax
from tests.planner.toy import TableLogits

END = 0


@dataclass(frozen=True)
class UpTo:
    """Allow everything; complete at END or at a length. `alone` maps a length to a forced token."""

    length: int
    vocab_size: int = 4
    forced_at: tuple[tuple[int, int], ...] = ()

    def start(self):
        return ()

    def advance(self, state, token_id):
        return (*state, token_id)

    def finished(self, state):
        return len(state) >= self.length or END in state

    def forced(self, state):
        return None if self.finished(state) else dict(self.forced_at).get(len(state))

    def score(self, state, logits):
        return np.arange(self.vocab_size), log_softmax(logits)


@dataclass(frozen=True)
class Nothing(UpTo):
    def score(self, state, logits):
        return np.arange(0), log_softmax(logits)[:0]


def random_logits(seed, vocab_size=4):
    def of_row(row):
        rng = np.random.default_rng([seed, *row])
        return rng.normal(0.0, 2.0, vocab_size).astype(np.float32)

    return of_row


def brute_force(logits_of, prompt, constraint, length_penalty):
    """Return (score, tokens) of every complete sequence, best first."""
    scored = []
    for length in range(1, constraint.length + 1):
        for tokens in itertools.product(range(constraint.vocab_size), repeat=length):
            if END in tokens[:-1] or not constraint.finished(tokens):
                continue
            if any(tokens[place] != token for place, token in constraint.forced_at if place < length):
                continue
            total = 0.0
            for place, token in enumerate(tokens):
                if place not in dict(constraint.forced_at):
                    total += log_softmax(logits_of((*prompt, *tokens[:place])))[token]
            scored.append((total / length**length_penalty, tokens))
    return sorted(scored, key=lambda item: (-item[0], item[1]))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_full_width_beam_finds_what_brute_force_finds(seed, length_penalty):
    constraint = UpTo(4)
    logits_of = random_logits(seed)
    result = beam_search(
        TableLogits(logits_of), (3, 1), constraint, BeamSettings(400, length_penalty, max_new_tokens=9)
    )
    expected = brute_force(logits_of, (3, 1), constraint, length_penalty)
    assert [h.token_ids for h in result.hypotheses] == [tokens for _, tokens in expected]
    assert result.hypotheses[0].score(length_penalty) == pytest.approx(expected[0][0])


@pytest.mark.parametrize("seed", range(6))
def test_forced_text_costs_no_step_and_no_probability(seed):
    constraint = UpTo(6, forced_at=((0, 2), (2, 1), (3, 3), (5, 2)))
    logits = TableLogits(random_logits(seed))
    result = beam_search(logits, (1,), constraint, BeamSettings(200, 1.0))
    expected = brute_force(random_logits(seed), (1,), constraint, 1.0)
    assert result.hypotheses[0].token_ids == expected[0][1]
    assert result.hypotheses[0].log_prob == pytest.approx(expected[0][0] * len(expected[0][1]))
    assert result.steps == logits.calls == 2


def test_rows_of_unequal_pending_text_reach_the_model_in_full():
    @dataclass(frozen=True)
    class Uneven(UpTo):
        def forced(self, state):
            return 3 if not self.finished(state) and state[-1:] == (2,) else None

    logits = TableLogits(random_logits(5))
    result = beam_search(logits, (1,), Uneven(5), BeamSettings(3, 0.0))
    for hypothesis in result.hypotheses:
        total = 0.0
        for place, token in enumerate(hypothesis.token_ids):
            if hypothesis.token_ids[place - 1 : place] != (2,):
                total += log_softmax(random_logits(5)((1, *hypothesis.token_ids[:place])))[token]
        assert hypothesis.log_prob == pytest.approx(total)


def test_one_beam_is_greedy_and_stops_at_the_end():
    logits_of = random_logits(3)
    result = beam_search(TableLogits(logits_of), (2,), UpTo(8), BeamSettings(1))
    tokens = []
    while not UpTo(8).finished(tuple(tokens)):
        tokens.append(int(np.argmax(logits_of((2, *tokens)))))
    assert result.hypotheses[0].token_ids == tuple(tokens)
    assert len(result.hypotheses) == 1


def test_ties_break_on_the_smaller_tokens():
    def flat(row):
        return np.zeros(4, dtype=np.float32)

    result = beam_search(TableLogits(flat), (1,), UpTo(3), BeamSettings(2, 0.0))
    assert [h.token_ids for h in result.hypotheses] == [(0,), (1, 0)]


def test_progress_is_told_after_every_step():
    seen = []
    beam_search(TableLogits(random_logits(1)), (1,), UpTo(5), BeamSettings(3), seen.append)
    assert seen == sorted(seen) and seen[0] == 1


def test_no_allowed_token_is_a_planning_error():
    with pytest.raises(PlanningError, match="allows no token"):
        beam_search(TableLogits(random_logits(0)), (1,), Nothing(3), BeamSettings(3))


def test_no_complete_sequence_is_a_planning_error():
    with pytest.raises(PlanningError, match="within 3 tokens"):
        beam_search(
            TableLogits(lambda row: np.array([-99.0, 1, 2, 3], dtype=np.float32)),
            (1,),
            UpTo(50),
            BeamSettings(2, max_new_tokens=3),
        )


@pytest.mark.parametrize("kwargs", [{"num_beams": 0}, {"max_new_tokens": 0}])
def test_settings_without_room_are_refused(kwargs):
    with pytest.raises(ValueError, match="at least 1"):
        BeamSettings(**kwargs)


def test_log_softmax_survives_what_no_model_should_say():
    bad = np.array([[-np.inf] * 3, [np.nan, 0.0, 0.0], [np.inf, 0.0, 1.0]], dtype=np.float32)
    sums = np.exp(log_softmax(bad)).sum(axis=-1)
    assert sums == pytest.approx([1.0, 1.0, 1.0])
    assert log_softmax(np.zeros(4))[0] == pytest.approx(-math.log(4))
