import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.text_scores import bleu
from dlcodegen_local.plan.distance import aligned_similarity, layer_distance, layer_similarity
from dlcodegen_local.planner.consensus import (
    AnchoredRow,
    ConsensusSettings,
    consensus,
    draw_texts,
    ngram_similarity,
)
from dlcodegen_local.planner.token_tree import TokenTree

WORDS = st.lists(st.sampled_from(["an", "image", "of", "(", "64", ",", ")"]), max_size=9)
LAYERS = st.lists(st.sampled_from(["Dense(2)", "Dense(64)", "Flatten()", "dense(2)"]), max_size=5)


class RememberingLogits:
    """Stand for a model: the logits of a row depend on all tokens that the row descends from."""

    def __init__(self, vocab_size: int) -> None:
        self.rows: list[tuple[int, ...]] = [()]
        self.vocab_size = vocab_size
        self.calls = 0

    def __call__(self, parents, tokens):
        self.calls += 1
        self.rows = [(*self.rows[parent], *new) for parent, new in zip(parents, tokens, strict=True)]
        return np.stack([self.logits_after(row) for row in self.rows])

    def logits_after(self, row):
        return np.random.default_rng([3, *row]).normal(size=self.vocab_size).astype(np.float32)


class Counted:
    """Allow any of ten tokens, four times; then the sequence is over."""

    def start(self):
        return ()

    def advance(self, state, token_id):
        return (*state, token_id)

    def forced(self, state):
        return 7 if len(state) == 2 else None

    def finished(self, state):
        return len(state) == 4

    def score(self, state, logits):
        wide = logits[:10].astype(np.float64)
        return np.arange(10), wide - np.log(np.exp(wide).sum())


def drawn(settings, prompt=(1, 2, 3)):
    model = RememberingLogits(12)
    anchor = AnchoredRow(model, prompt)
    constraint = Counted()
    return model, anchor, draw_texts(anchor.forks(), (), constraint, constraint.finished, settings)


def test_the_first_text_is_the_likeliest_token_by_token():
    model, _, texts = drawn(ConsensusSettings(5, 1.0))
    first = next(text for text in texts if text.is_likeliest)
    row = (1, 2, 3)
    for place, token_id in enumerate(first.token_ids):
        wanted = 7 if place == 2 else int(np.argmax(model.logits_after(row)[:10]))
        assert token_id == wanted
        row = (*row, token_id)


def test_every_text_has_the_probabilities_of_its_own_row():
    model, anchor, texts = drawn(ConsensusSettings(6, 1.0, seed=4))
    assert len(texts) == 6 and anchor.steps == model.calls
    for text in texts:
        for place, (token_id, log_prob) in enumerate(zip(text.token_ids, text.token_log_probs, strict=True)):
            _, expected = Counted().score((), model.logits_after((1, 2, 3, *text.token_ids[:place])))
            assert log_prob == (0.0 if place == 2 else pytest.approx(expected[token_id]))


def test_a_seed_decides_and_a_low_temperature_follows_the_likeliest():
    same = [[text.token_ids for text in drawn(ConsensusSettings(6, 1.0, seed=9))[2]] for _ in range(2)]
    assert same[0] == same[1]
    other = [text.token_ids for text in drawn(ConsensusSettings(6, 1.0, seed=10))[2]]
    assert other != same[0]
    assert len({text.token_ids for text in drawn(ConsensusSettings(6, 1e-6))[2]}) == 1


def test_the_anchor_forgets_its_forks():
    model, anchor, _texts = drawn(ConsensusSettings(4, 1.0))
    anchor.append([5, 6])
    assert model.rows == [(1, 2, 3, 5, 6)]
    again = draw_texts(anchor.forks(), (), Counted(), Counted().finished, ConsensusSettings(2, 1.0))
    assert all(row[:5] == (1, 2, 3, 5, 6) for row in model.rows) and len(again) == 2


def test_a_row_may_stand_still_in_the_token_tree():
    tree = TokenTree()
    tree.append([[1, 2]])
    tree.fork([0, 0])
    step = tree.append([[], [3]])
    assert step.input_ids.tolist() == [[3]] and step.positions.tolist() == [[2]]
    assert tree.longest([[], []]) == 3


@pytest.mark.parametrize(
    "change", [{"candidates": 0}, {"temperature": 0.0}, {"temperature": float("nan")}, {"seed": -1}]
)
def test_settings_out_of_bounds_are_refused(change):
    with pytest.raises(ValueError, match="candidates"):
        ConsensusSettings(**change)


def test_the_text_nearest_to_all_is_first():
    texts = [["a", "b"], ["x", "y"], ["a", "b"], ["a", "c"]]
    ranked = consensus(texts, lambda left, right: float(left[0] == right[0]))
    assert ranked == [(0, 0.75), (3, 0.75), (1, 0.25)]


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_consensus_ranks_every_distinct_text_once(texts):
    ranked = consensus(texts, ngram_similarity)
    assert sorted(tuple(texts[place]) for place, _ in ranked) == sorted({tuple(text) for text in texts})
    assert all(0 <= mean <= 1 for _, mean in ranked)


@given(WORDS, WORDS)
def test_ngram_similarity_is_the_bleu_that_plans_are_scored_by(words, others):
    words, others = ([word for word in text if word not in "(,)"] for text in (words, others))
    scored = bleu(" ".join(words), " ".join(others)) / 100
    assert ngram_similarity(words, others) == pytest.approx(scored, abs=1e-9)


@given(LAYERS, LAYERS)
def test_the_similarity_of_layers_is_the_one_that_plans_are_scored_by(layers, others):
    assert aligned_similarity(layers, others, layer_distance) == pytest.approx(
        layer_similarity(layers, others) / 100
    )


def test_shuffled_words_are_less_alike_than_equal_ones():
    words = ["images", "of", "size", "64", "x", "64", "with", "three", "channels"]
    shuffled = random.Random(1).sample(words, len(words))
    assert ngram_similarity(shuffled, words) < ngram_similarity(words, words) == pytest.approx(1.0)
