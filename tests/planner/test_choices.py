import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.planner.beam import log_softmax
from dlcodegen_local.planner.choices import (
    WORD_FIELDS,
    Choices,
    ChoiceScores,
    piece_counts,
    weighted,
    word_counts,
)
from dlcodegen_local.planner.constraint import PlanConstraint
from dlcodegen_local.planner.text_rules import TextRules
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS
from tests.planner.toy import VALUES, toy_tokenizer

TOKENIZER = toy_tokenizer()
VOCABULARY = TOKENIZER.vocabulary
OUTPUTS = {"words": sum(len(VALUES[name]) for name in WORD_FIELDS), "pieces": len(VALUES["category"]) + 1}
BUCKETS = {"words": 64, "pieces": 32}


def table_settings(part, **changes):
    outputs = OUTPUTS[part]
    return {"buckets": BUCKETS[part], "scales": [0.05] * outputs, "bias": [0.0] * outputs} | changes


def settings(**changes):
    table = {
        "words": table_settings("words"),
        "pieces": table_settings("pieces"),
        "shares": dict.fromkeys(CLOSED_FIELDS, 0.5),
        "sharpness": dict.fromkeys(CLOSED_FIELDS, 1.0),
    }
    return table | changes


def content(seed=0):
    rng = np.random.default_rng(seed)
    tables = b""
    for part, buckets in BUCKETS.items():
        rarity = np.linspace(1, 2, buckets, dtype=np.float16)
        tables += (
            rarity.tobytes() + rng.integers(-127, 128, (buckets, OUTPUTS[part]), dtype=np.int8).tobytes()
        )
    return tables


def expected_logits(table, counts):
    buckets, values = weighted(counts, table.rarity)
    assert np.linalg.norm(values) == pytest.approx(1.0)
    return [
        sum(float(v) * int(table.weights[b, place]) * 0.05 for b, v in zip(buckets, values, strict=True))
        for place in range(table.weights.shape[1])
    ]


def test_scores_are_the_weighted_sums_of_words_and_pieces():
    choices = Choices.from_bytes(content(), settings(), VOCABULARY)
    scores = choices.score("Sort cats", "two cats")
    words = word_counts("Sort cats", "two cats")
    by_words = expected_logits(choices.by_words, words)
    assert scores.log_probs["style"] == pytest.approx(log_softmax(np.array(by_words[:2])), abs=1e-5)
    *categories, task = expected_logits(choices.by_pieces, words + piece_counts("Sort cats", "two cats"))
    assert scores.log_probs["category"] == pytest.approx(log_softmax(np.array(categories)), abs=1e-5)
    assert scores.task_probability == pytest.approx(1 / (1 + math.exp(-task)), abs=1e-5)


def test_words_pairs_and_the_requirements_own_words_count():
    assert word_counts("Cats, cats!", "two CATS") == {
        "cats": 3, "cats cats": 1, "r:cats": 2, "two": 1, "two cats": 1,
    }  # fmt: skip


def test_pieces_are_runs_of_three_characters_with_the_borders():
    assert piece_counts("Owl", "a owl") == {"c:^ow": 2, "c:owl": 2, "c:wl$": 2, "c:^a$": 1}


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_gives_probabilities(requirement, dataset):
    scores = Choices.from_bytes(content(), settings(), VOCABULARY).score(requirement, dataset)
    assert 0 <= scores.task_probability <= 1
    for name in CLOSED_FIELDS:
        assert np.exp(scores.log_probs[name]).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"words": table_settings("words", buckets=63)},
        {"words": table_settings("words", buckets=0)},
        {"words": table_settings("words", buckets=True)},
        {"words": table_settings("words", scales=[1.0])},
        {"pieces": table_settings("pieces", bias=["x"] * OUTPUTS["pieces"])},
        {"pieces": table_settings("pieces", scales=[float("nan")] * OUTPUTS["pieces"])},
        {"pieces": table_settings("pieces", buckets=31)},
        {"pieces": None},
        {"shares": {"style": 0.5}},
        {"shares": dict.fromkeys(CLOSED_FIELDS, 1.5)},
        {"sharpness": dict.fromkeys(CLOSED_FIELDS, 0.0)},
    ],
)
def test_settings_that_do_not_fit_are_refused(changes):
    with pytest.raises(ArtifactError, match="choices do not fit"):
        Choices.from_bytes(content(), settings(**changes), VOCABULARY)


@pytest.mark.parametrize("table", [None, [], {}])
def test_missing_settings_are_refused(table):
    with pytest.raises(ArtifactError, match="choices do not fit"):
        Choices.from_bytes(content(), table, VOCABULARY)


def scores_for(name, log_probs, share):
    return ChoiceScores({name: np.log(np.array(log_probs))}, {name: share}, {name: 1.0}, 1.0)


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


def test_a_power_below_one_flattens_the_mixture():
    log_probs = np.log(np.array([0.9, 0.1]))
    sharp, flat = (
        ChoiceScores({"metric": log_probs}, {"metric": 0.5}, {"metric": power}, 1.0).mixed(
            "metric", log_probs
        )
        for power in (1.0, 0.5)
    )
    assert np.exp(sharp) == pytest.approx([0.9, 0.1])
    assert np.exp(flat) == pytest.approx([0.75, 0.25])
