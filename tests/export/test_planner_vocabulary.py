import numpy as np
import pytest

from dlcodegen_local.planner.decoding import plan_of_tokens
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS, PlanTokenizer
from export.own_rows import own_rows
from export.planner_batches import MAX_LENGTH, Weights, epoch_batches, examples
from export.planner_vocabulary import add_control_tokens, closed_token, closed_value, row_texts, train_bpe

ROWS = list(own_rows(300, seed=3))


@pytest.fixture(scope="module")
def tokenizer():
    bpe = train_bpe(row_texts(ROWS), 700)
    return PlanTokenizer(bpe, add_control_tokens(bpe, ROWS))


def test_a_layer_is_a_handful_of_tokens(tokenizer):
    assert len(tokenizer.encode_text("Conv2D(32, (3, 3), activation='relu')")) <= 6
    assert len(tokenizer.encode_text("MaxPooling2D((2, 2))")) <= 4


@pytest.mark.parametrize("text", ["Conv2D(7, 9)", "naïve 🙂 größe", "a_b=[1.5, 2e-3]", "\u202e x", ""])
def test_every_text_survives(tokenizer, text):
    assert tokenizer.decode_text(tokenizer.encode_text(text)) == text


def test_candidates_are_what_several_plans_have(tokenizer):
    field = tokenizer.vocabulary.field("optimizer")
    assert {"adam", "sgd", "rmsprop"} <= set(field.values)
    assert tokenizer.vocabulary.field("epochs").values == tuple(
        sorted(tokenizer.vocabulary.field("epochs").values)
    )
    assert closed_token(field, "never seen") == closed_token(field, None) == field.open_id


def test_numbers_take_the_nearest_candidate(tokenizer):
    field = tokenizer.vocabulary.field("learning_rate")
    assert field.value(closed_token(field, 0.00011)) == 0.0001


def test_closed_values_are_canonical():
    assert closed_value(ROWS[0].plan, "style") == "calls"
    assert closed_value(ROWS[0].plan, "category") == ROWS[0].plan.category


def test_examples_spell_their_plans(tokenizer):
    for example in examples(ROWS[:40], tokenizer):
        fields = [tokenizer.vocabulary.field(name) for name in CLOSED_FIELDS]
        stated = {
            field.name: getattr(example.row.plan, field.name)
            for field, token_id in zip(fields, example.closed_ids, strict=True)
            if token_id == field.open_id
        }
        assert plan_of_tokens(example.plan_ids, tokenizer, stated).layers == example.row.plan.layers


def test_batches_hold_every_row_once_and_are_seeded(tokenizer):
    made = examples(ROWS, tokenizer)
    weights = Weights(prompt=0.0, closed=2.0)
    batches = epoch_batches(made, tokenizer, weights, 2000, seed=1)
    assert sum(len(input_ids) for input_ids, _ in batches) == len(ROWS)
    assert all(input_ids.size <= 2000 and input_ids.shape[1] <= MAX_LENGTH for input_ids, _ in batches)
    again = epoch_batches(made, tokenizer, weights, 2000, seed=1)
    assert all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in zip(batches, again, strict=True)
    )


def test_prompts_padding_and_open_values_weigh_nothing(tokenizer):
    vocabulary = tokenizer.vocabulary
    open_ids = {vocabulary.field(name).open_id for name in CLOSED_FIELDS}
    made = examples(ROWS, tokenizer, augment=False)
    for input_ids, weight in epoch_batches(made, tokenizer, Weights(0.0, 2.0), 3000, seed=2):
        plan_at = (input_ids == vocabulary.borders["plan"]).argmax(axis=1)
        for row, row_weight, place in zip(input_ids, weight, plan_at, strict=True):
            assert not row_weight[: place + 1].any()
            assert not row_weight[np.isin(row, list(open_ids))].any()
            assert not row_weight[row == vocabulary.borders["pad"]].any()
            assert row_weight[place + 1] == 2.0 and row_weight[place + 9] == 1.0
