import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.plan_fields import MISSING, PlanFields
from dlcodegen_local.evaluation.plan_scores import (
    MEASURES,
    log_distance,
    mean_levenshtein,
    score_items,
    score_systems,
)

POSITIVE = st.floats(1e-9, 1e9)
TEXT = st.text(max_size=8)
NUMBER = st.none() | st.floats(0, 1e12)
TEXT_FIELDS = ("category", "dataset_input", "dataset_output", "optimizer", "loss", "metric", "written")
FIELDS = st.builds(
    PlanFields,
    **dict.fromkeys(TEXT_FIELDS, TEXT),
    **dict.fromkeys(("learning_rate", "batch_size", "epochs"), NUMBER),
    layers=st.lists(TEXT, max_size=3).map(tuple),
    valid_json=st.booleans(),
)
PERCENT = [measure.name for measure in MEASURES if measure.higher_is_better]


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        (0.01, 0.001, 1.0),
        (32, 64, math.log10(2)),
        (1.0, 1e-9, 1.0),
        (None, 10, 1.0),
        (0, 10, 1.0),
        (-3, 10, 1.0),
        (10, 0, 1.0),
        (0, 0, 0.0),
        (10, None, None),
        (None, None, None),
    ],
)
def test_log_distance_by_hand(prediction, reference, expected):
    assert log_distance(prediction, reference) == (expected and pytest.approx(expected))


@given(POSITIVE, POSITIVE)
def test_log_distance_is_bounded_and_symmetric(prediction, reference):
    found = log_distance(prediction, reference)
    assert 0 <= found <= 1
    assert found == pytest.approx(log_distance(reference, prediction))
    assert log_distance(prediction, prediction) == 0


def test_mean_levenshtein_by_hand():
    assert mean_levenshtein(["ab", "c"], ["ab", "d"]) == 0.5
    assert mean_levenshtein([], ["ab", "cd"]) == 5 / 2  # four characters and the NUL between them
    assert mean_levenshtein(["abc"], []) == 3
    assert mean_levenshtein([], []) == 0


@given(FIELDS.filter(lambda fields: fields != MISSING))
def test_a_plan_scores_best_against_itself(fields):
    for name, [value] in score_items([fields], [fields]).items():
        if name == "valid_json":
            assert value == 100 * fields.valid_json
        elif value is not None:
            # short texts have no 4-gram that could match
            assert value == pytest.approx(100) or name.endswith("bleu") if name in PERCENT else value == 0


@given(FIELDS, FIELDS)
def test_scores_are_bounded(prediction, reference):
    for name, [value] in score_items([prediction], [reference]).items():
        if name in PERCENT:
            assert 0 <= value <= 100 + 1e-9
        else:
            assert value is None or value >= 0


def test_a_missing_prediction_is_wrong_and_not_left_out():
    right = PlanFields(
        "a", "in put of four words", "out put of four words", ("Dense(1)",), "adam", "mse", "mae", 0.1, 8, 3,
        '{"a": "b"}', True,
    )  # fmt: skip
    references = {"1": right, "2": right}
    [whole, half] = score_systems({"whole": references, "half": {"1": right, "9": right}}, references)
    assert (whole.missing, half.missing) == (0, 1)
    assert whole.difference == {}
    for measure in MEASURES:
        mean = half.scores[measure.name].mean
        if measure.name in PERCENT:
            assert mean == pytest.approx(50)
            assert half.difference[measure.name].mean == pytest.approx(-50)
        elif measure.name.endswith("_mae"):
            assert (mean, half.scores[measure.name].n) == (0, 1)
        elif measure.name != "mld":
            assert mean == 0.5
    assert half.scores["mld"].mean == len("Dense(1)") / 2


def test_a_field_that_both_leave_open_is_equal_but_nothing_is_never_right():
    reference = PlanFields(category="a", optimizer="N/A")
    scores = score_items([PlanFields(category="a"), MISSING], [reference, reference])
    assert scores["category"] == [100, 0]
    assert scores["optimizer"] == [0, 0]
    assert scores["loss"] == [100, 0]
    assert scores["layer_similarity"] == [100, 0]
    assert scores["learning_rate"] == [None, None]
