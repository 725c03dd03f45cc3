import dataclasses
import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.schema import HYPERPARAMETER_KEYS, Plan, has_canonical_keys

PLAN = Plan(
    "Image Classification",
    "(batch_size, 32, 32, 3), RGB images",
    "(batch_size, 2)",
    "Rescaled to [0, 1].",
    ("Flatten()", "Dense(2, activation='softmax')"),
    "adam",
    "categorical_crossentropy",
    0.001,
    32,
    20,
    "accuracy",
)


def test_canonical_keys_and_order():
    table = PLAN.to_dict()
    assert list(table) == ["Task Category", "Dataset", "Preprocess", "Model Architecture"]
    assert list(table["Dataset"]) == ["Input", "Output"]
    assert list(table["Model Architecture"]) == ["Layers", "Hyperparameters"]
    assert tuple(table["Model Architecture"]["Hyperparameters"]) == HYPERPARAMETER_KEYS


def test_round_trip():
    assert Plan.from_dict(json.loads(PLAN.to_json())) == PLAN


def test_open_numbers_are_null():
    plan = dataclasses.replace(PLAN, learning_rate=None, batch_size=None, epochs=None)
    assert json.loads(plan.to_json())["Model Architecture"]["Hyperparameters"]["epochs"] is None
    assert Plan.from_dict(plan.to_dict()) == plan


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["Task Category"], "Cooking", "Task Category"),
        (["Task Category"], None, "Task Category"),
        (["Dataset", "Input"], 3, "Dataset.Input"),
        (["Preprocess"], ["a"], "Preprocess"),
        (["Model Architecture", "Layers"], "Dense(2)", "Layers"),
        (["Model Architecture", "Layers"], ["Dense(2)", 5], "Layers[1]"),
        (["Model Architecture", "Layers"], ["x"] * 300, "Layers"),
        (["Model Architecture", "Hyperparameters", "learning rate"], "0.1", "learning rate"),
        (["Model Architecture", "Hyperparameters", "learning rate"], -1, "learning rate"),
        (["Model Architecture", "Hyperparameters", "learning rate"], float("nan"), "learning rate"),
        (["Model Architecture", "Hyperparameters", "batch size"], 10**400, "batch size"),
        (["Model Architecture", "Hyperparameters", "batch size"], 3.5, "batch size"),
        (["Model Architecture", "Hyperparameters", "batch size"], True, "batch size"),
        (["Model Architecture", "Hyperparameters", "epochs"], 0, "epochs"),
        (["Model Architecture", "Hyperparameters", "momentum"], 1, "momentum"),
        (["Extra"], 1, "Extra"),
        (["Preprocess"], "a\x00b", "Preprocess"),
    ],
)
def test_a_wrong_field_is_named(path, value, named):
    table = PLAN.to_dict()
    place = table
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        Plan.from_dict(table)
    assert named in caught.value.message


@pytest.mark.parametrize("char", ["\x1b", "\x7f", "\x9b", "\u202e", "\u2067", "\ud800"])
def test_what_is_no_plain_text_is_refused(char):
    for changes in ({"preprocess": f"a{char}b"}, {"layers": (f"Dense{char}(2)",)}, {"metric": char}):
        with pytest.raises(ConfigError, match=f"U\\+{ord(char):04X}"):
            dataclasses.replace(PLAN, **changes)
    assert dataclasses.replace(PLAN, preprocess="\u05e9 a\u200db\n\tc").to_json()


def test_canonical_keys_are_told_from_other_dialects():
    table = PLAN.to_dict()
    assert has_canonical_keys(table)
    assert has_canonical_keys({**table, "Extra": 1})
    del table["Model Architecture"]["Hyperparameters"]["evaluation metric"]
    assert not has_canonical_keys(table)
    for other in (None, [], {}, {**table, "Model Architecture": 3}):
        assert not has_canonical_keys(other)


@pytest.mark.parametrize("key", ["Dataset", "Preprocess", "Model Architecture"])
def test_a_missing_field_is_named(key):
    table = PLAN.to_dict()
    del table[key]
    with pytest.raises(ConfigError, match=key):
        Plan.from_dict(table)


@pytest.mark.parametrize("value", [None, [], "plan", 3, {}])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(ConfigError):
        Plan.from_dict(value)
