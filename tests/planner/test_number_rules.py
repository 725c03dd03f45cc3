import pytest

from dlcodegen_local.planner.number_rules import NumberMasks, NumberRule, open_digits
from dlcodegen_local.planner.stated_sizes import StatedSizes

RULE = NumberRule(frozenset({128}), low=16)


@pytest.mark.parametrize(
    ("digits", "permitted", "open_to"),
    [("", True, True), ("3", True, True), ("12", True, True), ("128", True, True), ("64", False, False),
     ("1280", False, False), ("007", False, False)],
)  # fmt: skip
def test_runs_of_digits(digits, permitted, open_to):
    assert RULE.permits(digits) is permitted
    assert RULE.may_become(digits) is open_to


def test_masks_read_numbers_across_tokens():
    masks = NumberMasks(["8", "(64, ", "(128, ", "12", ", x", "28", "a1b99c"])
    assert masks.mask("(", RULE).tolist() == [True, False, True, True, True, False, False]
    assert masks.mask("(1", RULE).tolist() == [False, False, True, False, True, True, False]
    assert masks.mask("(12", RULE)[0] and not masks.mask("(12", RULE)[5]
    assert masks.mask("(64", RULE).tolist() == [False] * 7


def test_a_number_may_grow_past_the_range_that_a_rule_judges():
    rule = NumberRule(frozenset({7}), low=0, high=15)
    assert rule.may_become("1") and not rule.permits("1") and rule.permits("16")
    assert not rule.may_become("0")


def test_tokens_that_begin_with_a_number():
    masks = NumberMasks(["64", ", 64)", ", 6", "a64", ", 128"])
    assert masks.without("64").tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("text", "shape", "side"),
    [
        ("(batch_size, 64, 64, 3), RGB images", (64, 64, 3), 64),
        ("(None, 24, 5), windows", (24, 5), None),
        ("(batch_size, 12), numbers", (12,), None),
        ("(batch_size,), user numbers, and (batch_size, 7), words", (7,), None),
        ("(batch_size, 3, 3, 2), small", (3, 3, 2), None),
        ("images of (64, 64)", (), None),
    ],
)
def test_what_the_input_says_holds_for_the_rest_of_the_plan(text, shape, side):
    sizes = StatedSizes().after_input(text)
    assert (sizes.input_shape, sizes.image_size) == (shape, side)
    assert StatedSizes(image_size=99).after_input(text).image_size == 99


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("(batch_size, 7), class probabilities", 7),
        ("(batch_size, 40, 17), tags", None),
        ("one of many", None),
    ],
)
def test_what_the_output_says_holds_for_the_last_layer(text, classes):
    assert StatedSizes().after_output(text).num_classes == classes
    assert StatedSizes(num_classes=5).after_output(text).num_classes == 5


def test_the_first_input_layer_keeps_the_shape_of_the_input():
    sizes = StatedSizes().after_input("(batch_size, 24), numeric features")
    (rule,) = sizes.rules("layer", "Tabular Regression", "Input(shape=(", 0)
    assert rule.permits("24") and not rule.permits("6")
    assert sizes.rules("layer", "Tabular Regression", "Input(shape=(", 1) == ()
    assert sizes.rules("layer", "Image Generation", "Input(shape=(", 0) == ()


def test_open_digits():
    assert [open_digits(text) for text in ("", "a", "a12", "12a", "1.50")] == ["", "", "12", "", "50"]


@pytest.mark.parametrize(
    ("text", "token", "forbidden"),
    [("Dense(5", ", activation='softmax')", True), ("Dense(7", ", activation='softmax')", False),
     ("Dense(1", ", activation='sigmoid')", True), ("Conv2D(5", ", activation='softmax')", False),
     ("Dense(5", ", activation='relu')", False), ("Dense(num_classes", ", activation='softmax')", False)],
)  # fmt: skip
def test_endings_that_contradict_the_number_of_classes(text, token, forbidden):
    assert StatedSizes(num_classes=7).forbids_ending("Text Classification", text, token) is forbidden
    assert not StatedSizes(num_classes=7).forbids_ending("Tabular Regression", text, token)
    assert not StatedSizes().forbids_ending("Text Classification", text, token)
