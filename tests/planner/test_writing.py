import math

import numpy as np
import pytest

from dlcodegen_local.planner.beam import BeamSettings
from dlcodegen_local.planner.consensus import AnchoredRow, ConsensusSettings
from dlcodegen_local.planner.constraint import MAX_PLAN_TOKENS, MIN_PLAN_TOKENS, PlanConstraint
from dlcodegen_local.planner.decoding import plan_of_tokens
from dlcodegen_local.planner.stated_sizes import StatedSizes
from dlcodegen_local.planner.text_rules import TextRules
from dlcodegen_local.planner.writing import write_by_beam, write_by_consensus
from tests.planner.test_constraint import assert_sound
from tests.planner.toy import NoiseLogits, TableLogits, toy_tokenizer

TOKENIZER = toy_tokenizer()
VOCABULARY = TOKENIZER.vocabulary
RULES = TextRules(TOKENIZER.token_texts())


def written(logits, candidates=4, num_beams=3, wanted=None, budget=MAX_PLAN_TOKENS, sizes=None):
    constraint = PlanConstraint(VOCABULARY, RULES, None, sizes or StatedSizes(), budget)
    return write_by_consensus(
        AnchoredRow(logits, [1]),
        constraint,
        TOKENIZER,
        BeamSettings(num_beams, 1.0, budget),
        ConsensusSettings(candidates, 1.0),
        wanted or {},
    )


@pytest.mark.parametrize("seed", range(40))
def test_any_logits_give_a_valid_plan_and_valid_others(seed):
    made = written(NoiseLogits(VOCABULARY.vocab_size, seed, (0.0, 1.0, 5.0, 40.0)[seed % 4]))
    for token_ids in (made.token_ids, *made.others):
        assert_sound(plan_of_tokens(token_ids, TOKENIZER, {}))
    assert len(made.token_log_probs) == len(made.token_ids) and made.log_prob <= 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_broken_logits_give_a_valid_plan(value):
    row = np.full(VOCABULARY.vocab_size, value, dtype=np.float32)
    assert_sound(plan_of_tokens(written(TableLogits(lambda _: row)).token_ids, TOKENIZER, {}))


@pytest.mark.parametrize("seed", range(10))
def test_the_smallest_budget_is_kept(seed):
    made = written(NoiseLogits(VOCABULARY.vocab_size, seed, 5.0), budget=MIN_PLAN_TOKENS)
    assert len(made.token_ids) <= MIN_PLAN_TOKENS


def test_texts_that_spell_what_is_wanted_are_preferred():
    plain = written(NoiseLogits(VOCABULARY.vocab_size, 5, 1.0), candidates=8)
    plan = plan_of_tokens(plain.token_ids, TOKENIZER, {})
    others = [plan_of_tokens(other, TOKENIZER, {}) for other in plain.others]
    other = next(o.dataset_input for o in others if o.dataset_input != plan.dataset_input)
    word = next(char for char in other if char.isalpha() and char.lower() not in plan.dataset_input.lower())
    made = written(NoiseLogits(VOCABULARY.vocab_size, 5, 1.0), candidates=8, wanted={"input": (word,)})
    assert word.lower() in plan_of_tokens(made.token_ids, TOKENIZER, {}).dataset_input.lower()


def test_a_beam_writes_the_same_plan_with_and_without_an_anchor():
    constraint = PlanConstraint(VOCABULARY, RULES)
    anchor = AnchoredRow(NoiseLogits(VOCABULARY.vocab_size, 3, 5.0), [1])
    made = write_by_beam(anchor, constraint, BeamSettings(3, 1.0, MAX_PLAN_TOKENS))
    assert_sound(plan_of_tokens(made.token_ids, TOKENIZER, {}))
    assert anchor.steps > 1


def test_layers_open_with_a_named_network_that_no_drawn_text_has():
    made = written(NoiseLogits(VOCABULARY.vocab_size, 6, 1.0), wanted={"layer": ("VGG16",)})
    plan = plan_of_tokens(made.token_ids, TOKENIZER, {})
    assert_sound(plan)
    assert plan.layers[0].startswith("VGG16")
    assert len(made.token_log_probs) == len(made.token_ids)


def test_a_word_that_is_no_network_opens_nothing():
    made = written(NoiseLogits(VOCABULARY.vocab_size, 6, 1.0), wanted={"layer": ("LSTM",)})
    assert not plan_of_tokens(made.token_ids, TOKENIZER, {}).layers[0].startswith("LSTM")


@pytest.mark.parametrize(
    ("category", "loss", "classes", "text", "forbidden"),
    [
        ("Image Classification", "categorical_crossentropy", 12, "Dense(17, activation='softmax')", True),
        ("Image Classification", "categorical_crossentropy", 12, "Dense(12, activation='softmax')", False),
        ("Image Classification", "categorical_crossentropy", None, "Dense(1)", True),
        ("Image Classification", "binary_crossentropy", 2, "Dense(1, activation='sigmoid')", False),
        ("Image Classification", "binary_crossentropy", None, "Dense(1)", False),
        ("Tabular Regression", "mean_squared_error", 12, "Dense(1)", False),
        ("Image Classification", "categorical_crossentropy", 12, "Activation('softmax')", False),
    ],
)
def test_the_last_layer_agrees_with_classes_and_loss(category, loss, classes, text, forbidden):
    assert StatedSizes(num_classes=classes).forbids_last(category, loss, text) is forbidden


@pytest.mark.parametrize(
    ("name", "category", "value", "forbidden"),
    [
        ("loss", "Tabular Regression", "binary_crossentropy", True),
        ("metric", "Image Regression", "accuracy", True),
        ("metric", "Tabular Regression", "mean_absolute_error", False),
        ("loss", "Image Classification", "binary_crossentropy", False),
    ],
)
def test_a_loss_or_metric_of_another_task_is_not_chosen(name, category, value, forbidden):
    assert StatedSizes().forbids_value(name, category, value) is forbidden
