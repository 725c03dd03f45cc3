import math
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import MAX_LAYER_CHARS, MAX_TEXT_CHARS, Plan
from dlcodegen_local.planner.beam import BeamSettings, beam_search
from dlcodegen_local.planner.constraint import (
    MAX_PLAN_TOKENS,
    MIN_PLAN_TOKENS,
    NOTHING_STATED,
    PlanConstraint,
    PlanState,
)
from dlcodegen_local.planner.decoding import plan_of_tokens
from dlcodegen_local.planner.stated_sizes import StatedSizes
from dlcodegen_local.planner.text_rules import TextRules, nesting_after
from tests.planner.toy import NoiseLogits, TableLogits, toy_tokenizer

TOKENIZER = toy_tokenizer()
VOCABULARY = TOKENIZER.vocabulary
RULES = TextRules(TOKENIZER.token_texts())
PLANS = int(os.environ.get("DLCODEGEN_TEST_PLANS", "300"))  # `make prove-plans` tries 10,000


def plan_by_noise(seed, num_beams=1, scale=5.0, budget=MAX_PLAN_TOKENS, fixed=None, sizes=NOTHING_STATED):
    constraint = PlanConstraint(VOCABULARY, RULES, fixed, sizes, budget)
    logits = NoiseLogits(VOCABULARY.vocab_size, seed, scale)
    result = beam_search(logits, [1], constraint, BeamSettings(num_beams, 1.0, budget))
    return result, [plan_of_tokens(h.token_ids, TOKENIZER, {}) for h in result.hypotheses]


def assert_sound(plan):
    assert Plan.from_dict(plan.to_dict()) == plan
    assert 1 <= len(plan.layers) <= 48
    assert plan.optimizer and plan.loss and plan.metric
    assert plan.epochs and plan.batch_size and plan.learning_rate
    assert (
        max(len(text) for text in (plan.dataset_input, plan.dataset_output, plan.preprocess)) < MAX_TEXT_CHARS
    )
    for layer in plan.layers:
        assert len(layer) < MAX_LAYER_CHARS and layer[0].isalpha()
        assert nesting_after("", layer, quotes=False) in ("", None) or "'" in layer or '"' in layer


@pytest.mark.parametrize("seed", range(PLANS))
def test_any_logits_give_a_valid_plan(seed):
    _, plans = plan_by_noise(
        seed, num_beams=1 + seed % 3 if seed < 60 else 1, scale=(0.0, 1.0, 5.0, 40.0)[seed % 4]
    )
    for plan in plans:
        assert_sound(plan)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_broken_logits_give_a_valid_plan(value):
    constraint = PlanConstraint(VOCABULARY, RULES)
    logits = TableLogits(lambda row: np.full(VOCABULARY.vocab_size, value, dtype=np.float32))
    result = beam_search(logits, [1], constraint, BeamSettings(3, 1.0, MAX_PLAN_TOKENS))
    assert_sound(plan_of_tokens(result.hypotheses[0].token_ids, TOKENIZER, {}))


@pytest.mark.parametrize("token", range(0, VOCABULARY.vocab_size, 7))
def test_a_model_that_loves_one_token_still_ends(token):
    favourite = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    favourite[token] = 50.0
    constraint = PlanConstraint(VOCABULARY, RULES)
    result = beam_search(TableLogits(lambda row: favourite), [1], constraint, BeamSettings(1, 1.0, 400))
    assert_sound(plan_of_tokens(result.hypotheses[0].token_ids, TOKENIZER, {}))


@pytest.mark.parametrize("seed", range(30))
def test_the_smallest_budget_is_kept(seed):
    result, plans = plan_by_noise(seed, budget=MIN_PLAN_TOKENS)
    assert len(result.hypotheses[0].token_ids) <= MIN_PLAN_TOKENS
    assert_sound(plans[0])


def test_a_budget_too_small_for_a_plan_is_a_mistake():
    with pytest.raises(ValueError, match="tokens"):
        PlanConstraint(VOCABULARY, RULES, max_new_tokens=MIN_PLAN_TOKENS - 1)


def test_fixed_fields_stand_in_the_plan_and_cost_no_step():
    field = VOCABULARY.field("optimizer")
    free, _ = plan_by_noise(7)
    fixed = {"optimizer": field.first_id + 2, "style": VOCABULARY.field("style").first_id}
    result, plans = plan_by_noise(7, fixed=fixed)
    assert plans[0].optimizer == "rmsprop"
    assert result.hypotheses[0].token_log_probs[0] == 0.0
    steps_per_token = result.steps / len(result.hypotheses[0].token_ids)
    assert steps_per_token < free.steps / len(free.hypotheses[0].token_ids)


def test_every_category_candidate_can_be_chosen():
    field = VOCABULARY.field("category")
    for token_id, category in zip(field.token_ids, CATEGORIES, strict=False):
        _, plans = plan_by_noise(1, fixed={"category": token_id})
        assert plans[0].category == category


def test_of_a_number_the_one_nearest_to_all_others_is_taken():
    constraint = PlanConstraint(VOCABULARY, RULES)
    field = VOCABULARY.field("epochs")
    state = PlanState(place=7, style="calls")
    logits = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    logits[list(field.token_ids)] = np.log([0.3, 1e-9, 0.23, 0.24, 0.23])
    token_ids, _ = constraint.score(state, logits)
    assert [field.value(int(token_id)) for token_id in token_ids] == [20]


@pytest.mark.parametrize("seed", range(40))
def test_stated_sizes_are_not_contradicted_whatever_the_logits(seed):
    sizes = StatedSizes(image_size=(32, 96, 224)[seed % 3], num_classes=(2, 7, 11)[seed % 3])
    category = VOCABULARY.field("category").first_id
    result, plans = plan_by_noise(seed, scale=3.0, fixed={"category": category}, sizes=sizes)
    assert_sound(plans[0])
    assert sizes.num_classes == 2 or plans[0].loss != "binary_crossentropy"
    if len(result.hypotheses[0].token_ids) < 200:
        numbers = {int(run) for run in re.findall("[0-9]+", plans[0].dataset_output)}
        assert numbers <= {sizes.num_classes}
        sides = {n for n in map(int, re.findall("[0-9]+", plans[0].dataset_input)) if n > 15}
        assert sides <= {sizes.image_size}


def test_a_last_layer_of_another_number_of_classes_is_not_written():
    constraint = PlanConstraint(VOCABULARY, RULES, None, StatedSizes(num_classes=7))
    texts = RULES.token_texts
    flat = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    state = replace(constraint.start(), place=8, style="calls", category=CATEGORIES[0])
    state = replace(state, field="layer", nesting="(")
    opened = constraint.score(replace(state, text=(texts.index("Dense("),)), flat)[0]
    assert texts.index("7") in opened and texts.index("1") in opened and texts.index("0") not in opened
    one = replace(state, text=(texts.index("Dense("), texts.index("1")))
    assert texts.index(")") not in constraint.score(one, flat)[0]
    seven = replace(state, text=(texts.index("Dense("), texts.index("7")))
    assert texts.index(")") in constraint.score(seven, flat)[0]


def test_a_third_equal_side_is_not_written():
    constraint = PlanConstraint(VOCABULARY, RULES)
    texts = RULES.token_texts
    spelled = tuple(texts.index(char) for char in "(batch_size, 32, 32")
    state = PlanState(
        place=8, style="calls", category=CATEGORIES[0], field="input", text=spelled, nesting="("
    )
    flat = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    assert texts.index(", (3") in constraint.score(state, flat)[0]
    state = replace(state, text=(*spelled, texts.index(","), texts.index(" ")))
    assert texts.index("32") not in constraint.score(state, flat)[0]
    assert texts.index("1") in constraint.score(state, flat)[0]


def test_states_fork_without_touching_each_other():
    constraint = PlanConstraint(VOCABULARY, RULES)
    state = PlanState(place=8, style="calls", field="layer", text=(RULES.token_texts.index("x"),), chars=1)
    opened = constraint.advance(state, RULES.token_texts.index("("))
    assert state.nesting == "" and opened.nesting == "("
    end = VOCABULARY.borders["end"]
    flat = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    assert end in constraint.score(state, flat)[0]
    assert end not in constraint.score(opened, flat)[0]


def test_a_layer_without_weights_is_not_repeated():
    constraint = PlanConstraint(VOCABULARY, RULES)
    flatten = RULES.token_texts.index("Flatten()")
    flat = np.zeros(VOCABULARY.vocab_size, dtype=np.float32)
    state = PlanState(place=8, style="calls", field="layer", layers=((flatten,),))
    assert flatten not in constraint.score(state, flat)[0]
    dense = RULES.token_texts.index("Dense(")
    state = PlanState(place=8, style="calls", field="layer", layers=((flatten,), (dense,)))
    assert flatten in constraint.score(state, flat)[0]


def test_a_layer_cycle_that_ran_three_times_is_not_continued():
    constraint = PlanConstraint(VOCABULARY, RULES)
    conv, dense = RULES.token_texts.index("Conv2D("), RULES.token_texts.index("Dense(")
    close = RULES.token_texts.index(")")
    layers = ((conv, close), (dense, close)) * 3
    state = PlanState(place=8, style="calls", field="layer", layers=layers)
    allowed = constraint.score(state, np.zeros(VOCABULARY.vocab_size, dtype=np.float32))[0]
    assert conv not in allowed and dense in allowed
