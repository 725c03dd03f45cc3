import re
from dataclasses import replace

import pytest

from dlcodegen_local.generation.plan_layers import with_layer_slot, with_plan_layers
from dlcodegen_local.generation.plan_values import (
    expected_defaults,
    mismatches,
    plan_sizes,
    shape_of,
    with_defaults,
    with_slots,
)
from dlcodegen_local.generation.syntax import config_defaults, parse_module
from tests.generation.scripts import OTHER_PLAN, PLAN, TABLE, section

CONFIG, MODEL = section(TABLE, "config"), section(TABLE, "model")


def test_the_plan_s_values_are_put_in_and_nothing_else_changes():
    expected, notes = expected_defaults(OTHER_PLAN, CONFIG, PLAN)
    adapted = with_defaults(CONFIG, expected)
    assert notes == ()
    assert config_defaults(adapted) == config_defaults(CONFIG) | {
        "num_features": 9,
        "num_classes": 5,
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "batch_size": 8,
        "epochs": 3,
    }
    changed = [line for line in adapted.split("\n") if line not in CONFIG.split("\n")]
    assert len(changed) == 6
    assert mismatches("config", adapted, OTHER_PLAN, expected) == 0
    assert mismatches("config", CONFIG, OTHER_PLAN, expected) == 6


def test_a_loss_that_needs_other_labels_is_reported_not_put_in():
    plan = replace(PLAN, loss="categorical cross entropy", metric="bleu")
    expected, notes = expected_defaults(plan, CONFIG)
    assert "loss" not in expected
    assert [note.split()[0] for note in notes] == ["loss", "metric"]


def test_another_spelling_of_the_same_loss_is_no_change():
    assert "loss" not in expected_defaults(replace(PLAN, loss="Sparse Categorical Crossentropy"), CONFIG)[0]
    code = with_defaults(CONFIG, {"loss": "mae"})
    assert expected_defaults(replace(PLAN, loss="MSE"), code)[0]["loss"] == "mean_squared_error"


def test_a_size_goes_only_where_the_code_s_own_plan_has_its_size():
    foreign = replace(PLAN, dataset_input="(batch_size, 77), numeric columns")
    assert "num_features" not in expected_defaults(OTHER_PLAN, CONFIG, foreign)[0]


def test_a_plan_that_says_nothing_changes_nothing():
    silent = replace(PLAN, dataset_input="", dataset_output="", optimizer="", loss="", metric="")
    silent = replace(silent, learning_rate=None, batch_size=None, epochs=None)
    assert with_defaults(CONFIG, expected_defaults(silent, CONFIG)[0]) == CONFIG


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("(batch_size, 224, 224, 3), RGB images", (224, 224, 3)),
        ("(None, 10)", (10,)),
        ("images of (batch, ?, 3)", (None, 3)),
        ("(224, 224, 3)", ()),
        ("text", ()),
        ("", ()),
    ],
)
def test_a_shape_is_read_without_its_batch_dimension(text, shape):
    assert shape_of(text) == shape


def test_sizes_have_the_names_of_the_task():
    image = replace(PLAN, category="Image Classification", dataset_input="(batch_size, 64, 96, 3)")
    assert plan_sizes(image) == {"image_height": 64, "image_width": 96, "num_channels": 3, "num_classes": 3}
    video = replace(image, category="Video Classification", dataset_input="(batch_size, 8, 32, 32, 3)")
    assert plan_sizes(video)["num_frames"] == 8
    assert plan_sizes(video)["image_size"] == 32


def test_slots_stand_for_values_and_layers():
    template = with_slots(CONFIG, frozenset({"epochs", "loss", "absent"}))
    assert "epochs: int = {{epochs}}" in template
    assert "loss: str = {{loss}}" in template
    assert parse_module(template) is not None
    assert "keras.Sequential(\n        [{{layers}}]\n    )" in with_layer_slot(MODEL)
    assert (
        with_layer_slot("def build_model(config):\n    return 1") == "def build_model(config):\n    return 1"
    )


def test_the_layers_slot_is_filled_from_the_plan():
    filled = with_plan_layers(MODEL, OTHER_PLAN)
    assert filled is not None
    assert re.findall(r"layers\.(\w+)", filled) == ["Input", "Dense", "Dropout", "Dense"]
    assert "Input(shape=(config.num_features,))" in filled
    assert 'Dense(16, activation="relu")' in filled
    assert "Dense(config.num_classes" in filled
    config = with_defaults(CONFIG, expected_defaults(OTHER_PLAN, CONFIG)[0])
    context = section(TABLE, "imports") + "\n" + config
    assert mismatches("model", filled, OTHER_PLAN, {}, context) == 0
    assert mismatches("model", MODEL, OTHER_PLAN, {}, context) > 0.2
    assert mismatches("model", "def build_model(", OTHER_PLAN, {}, context) == 1


@pytest.mark.parametrize("layer", ["Explode(3)", "Dense(units)", "__import__('os')", "see the paper"])
def test_a_layer_that_is_none_is_not_put_in(layer):
    assert with_plan_layers(MODEL, replace(PLAN, layers=(*PLAN.layers, layer))) is None
