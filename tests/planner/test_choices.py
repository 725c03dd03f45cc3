import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.planner.beam import log_softmax
from dlcodegen_local.planner.choices import Choices, ChoiceScores, feature_counts, features
from dlcodegen_local.planner.constraint import PlanConstraint
from dlcodegen_local.planner.text_rules import TextRules
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS
from tests.planner.toy import VALUES, toy_tokenizer

TOKENIZER = toy_tokenizer()
VOCABULARY = TOKENIZER.vocabulary
OUTPUTS = sum(len(VALUES[name]) for name in CLOSED_FIELDS) + 1
BUCKETS = 64


def settings(**changes):
    table = {
        "buckets": BUCKETS,
        "scales": [0.05] * OUTPUTS,
        "bias": [0.0] * OUTPUTS,
        "shares": dict.fromkeys(CLOSED_FIELDS, 0.5),
    }
    return table | changes


def content(seed=0):
    rng = np.random.default_rng(seed)
    rarity = np.linspace(1, 2, BUCKETS, dtype=np.float16)
    return rarity.tobytes() + rng.integers(-127, 128, (BUCKETS, OUTPUTS), dtype=np.int8).tobytes()


def test_scores_are_the_weighted_sums_of_words():
    choices = Choices.from_bytes(content(), settings(), VOCABULARY)
    scores = choices.score("Sort cats", "two cats")
    buckets, values = features("Sort cats", "two cats", choices.rarity)
    logits = [
        sum(float(v) * int(choices.weights[b, place]) * 0.05 for b, v in zip(buckets, values, strict=True))
        for place in range(OUTPUTS)
    ]
    style = log_softmax(np.array(logits[:2]))
    assert scores.log_probs["style"] == pytest.approx(style, abs=1e-5)
    assert scores.task_probability == pytest.approx(1 / (1 + math.exp(-logits[-1])), abs=1e-5)
    assert np.linalg.norm(values) == pytest.approx(1.0)


def test_words_pairs_and_the_requirements_own_words_count():
    assert feature_counts("Cats, cats!", "two CATS") == {
        "cats": 3, "cats cats": 1, "r:cats": 2, "two": 1, "two cats": 1,
    }  # fmt: skip


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_gives_probabilities(requirement, dataset):
    scores = Choices.from_bytes(content(), settings(), VOCABULARY).score(requirement, dataset)
    assert 0 <= scores.task_probability <= 1
    for name in CLOSED_FIELDS:
        assert np.exp(scores.log_probs[name]).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"buckets": 63}, {"buckets": 0}, {"buckets": True}, {"scales": [1.0]}, {"bias": ["x"] * OUTPUTS},
        {"scales": [float("nan")] * OUTPUTS}, {"shares": {"style": 0.5}},
        {"shares": dict.fromkeys(CLOSED_FIELDS, 1.5)},
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(changes):
    with pytest.raises(ArtifactError, match="choices do not fit"):
        Choices.from_bytes(content(), settings(**changes), VOCABULARY)


@pytest.mark.parametrize("table", [None, [], {}])
def test_missing_settings_are_refused(table):
    with pytest.raises(ArtifactError, match="choices do not fit"):
        Choices.from_bytes(content(), table, VOCABULARY)


def scores_for(name, log_probs, share):
    return ChoiceScores({name: np.log(np.array(log_probs))}, {name: share}, 1.0)


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0), (0.9, 1), (1.0, 1)])
def test_a_share_decides_who_is_heard(share, wanted):
    """The model likes the first metric, the classifiers the second."""
    constraint = PlanConstraint(
        VOCABULARY,
        TextRules(TOKENIZER.token_texts()),
        choices=scores_for("metric", [0.1, 0.9], share),
    )
    state = constraint.start()
    for name in ("style", "category"):
        state = constraint.advance(state, VOCABULARY.field(name).first_id)
    logits = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    logits[VOCABULARY.field("metric").first_id] = 1.0
    token_ids, log_probs = constraint.score(state, logits)
    assert int(np.argmax(log_probs)) == wanted and len(token_ids) == 2
    assert np.exp(log_probs).sum() == pytest.approx(1.0)
