import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.plan_fields import MISSING, PlanFields, read_fields, read_line
from dlcodegen_local.plan.schema import Plan

PLAN = Plan(
    "Image Classification",
    "(32, 28, 28)",
    "10 classes",
    "",
    ("Flatten()", "Dense(10)"),
    "adam",
    "mse",
    0.01,
    8,
    3,
)
PROSE = {
    "Task Category": "Digits",
    "Dataset": {"Input": "images", "Output": "10 classes"},
    "Model architecture": {
        "Layers": ["A flattening layer", "A dense layer"],
        "Hypermeters": {
            "learning rate": "0.01 - 0.1",
            "loss function": "MSE",
            "optimizer": "SGD",
            "batch size": [16, 32],
        },
    },
}
BROKEN = (
    '{"User Requirement": "\\"Input\\": nothing", "Code Plan": {"Task Category": "Digits", '
    '"Dataset": {"Input": "images \\u00e9", "Output": "classes"}, "Model Architecture": {"Hyperparameters": '
    '{"optimizer": "Adam", "learning rate": 0.01, "batch size": "32 or so", "epochs": null}, '
    '"Layers": ["Flatten()", "Dense(10)", "Den}}}'
)


def test_a_canonical_plan_is_read_as_it_is_written():
    fields = read_fields(PLAN.to_dict())
    assert fields.category == "Image Classification"
    assert fields.layers == ("Flatten()", "Dense(10)")
    assert (fields.learning_rate, fields.batch_size, fields.epochs) == (0.01, 8, 3)
    assert (fields.optimizer, fields.loss, fields.metric) == ("adam", "mse", "")
    assert fields.written == json.dumps(PLAN.to_dict())
    assert fields.valid_json


def test_the_other_dialect_is_not_made_canonical():
    fields = read_fields(PROSE)
    assert fields.category == "Digits"
    assert fields.layers == ("A flattening layer", "A dense layer")
    assert (fields.learning_rate, fields.batch_size, fields.epochs) == (0.01, 16, None)
    assert (fields.optimizer, fields.loss, fields.metric) == ("SGD", "MSE", "")
    assert fields.written == json.dumps(PROSE)


def test_a_raw_line_is_split_into_requirement_and_plan():
    line = json.dumps({"User Requirement": "Input", "Dataset Attributes": "none", "Code Plan": PROSE})
    assert read_line(line) == read_line(json.dumps(PROSE)) == read_fields(PROSE)


def test_hyperparameters_of_several_models_are_those_of_the_first():
    inner = {"first": {"optimizer": "adam", "epochs": 5}, "second": {"optimizer": "sgd", "metric": "f1"}}
    fields = read_fields({"Model Architecture": {"Layers": "Dense(1)", "Hyperparameters": inner}})
    assert (fields.optimizer, fields.epochs, fields.metric) == ("adam", 5, "f1")
    assert fields.layers == ("Dense(1)",)


def test_a_line_that_breaks_off_is_read_as_far_as_it_goes():
    fields = read_line(BROKEN)
    assert not fields.valid_json
    assert (fields.category, fields.dataset_input, fields.dataset_output) == ("Digits", "images é", "classes")
    assert fields.layers == ("Flatten()", "Dense(10)")
    assert (fields.optimizer, fields.loss, fields.metric) == ("Adam", "", "")
    assert (fields.learning_rate, fields.batch_size, fields.epochs) == (0.01, 32, None)
    assert json.loads(fields.written)["Model Architecture"]["Layers"] == ["Flatten()", "Dense(10)"]


def test_a_whole_plan_is_read_alike_by_both_readers():
    whole = read_fields(PROSE)
    cut = read_line(json.dumps(PROSE)[:-1])
    assert cut.layers == whole.layers
    assert (cut.category, cut.optimizer, cut.loss) == (whole.category, whole.optimizer, whole.loss)
    assert cut.learning_rate == whole.learning_rate


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (1e-4, 1e-4),
        ("1e-4", 1e-4),
        ("1,000", 1000),
        ("N/A", None),
        ("tuned", None),
        ([], None),
        ([None, "0.5"], 0.5),
        (True, None),
        (None, None),
        ({"type": "float"}, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("9" * 400, None),
    ],
)
def test_numbers(value, number):
    plan = {"Model Architecture": {"Hyperparameters": {"learning rate": value}}}
    assert read_fields(plan).learning_rate == number


@pytest.mark.parametrize(
    "text", ["", "no plan", "[1, 2]", "null", '{"a": NaN}', "[" * 100_000, '{"Input": "']
)
def test_what_is_no_plan_is_missing(text):
    assert read_line(text) == MISSING


def test_an_object_that_is_no_plan_is_valid_json_without_fields():
    assert read_line('{"answer": 42}') == PlanFields(written='{"answer": 42}', valid_json=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"Layers": [' + '"\\' * 500_000,
        '{"Layers": [' + '"a", ' * 200_000,
        '{"Input": "' + '\\"Input\\": ' * 100_000,
        '"plan"' + " " * 1_000_000,
        '"plan" ' * 150_000,
        '{"epochs": ' + "9" * 2_000_000,
        '{"a":' * 200_000,
    ],
    ids=["backslashes", "layers", "keys", "blanks", "marks", "digits", "depth"],
)
def test_a_hostile_line_takes_linear_time(text):
    begin = time.process_time()
    assert not read_line(text).valid_json
    assert time.process_time() - begin < 5


@given(st.text(alphabet='{}[]",:\\ aInputLayers019.', max_size=200))
def test_no_text_is_refused(text):
    read_line(text)
    read_line('{"Code Plan": {"Task Category": ' + text)
    read_line('{"Layers": [' + text)


KEYS = st.sampled_from(("Dataset", "Input", "Model Architecture", "Layers", "Hyperparameters", "epochs"))
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@given(
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
    )
)
def test_no_json_value_is_refused(value):
    assert isinstance(read_fields(value), PlanFields)
