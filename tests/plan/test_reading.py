import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.reading import FALLBACK_CATEGORY, read_plan
from dlcodegen_local.plan.schema import MAX_LAYER_CHARS, MAX_LAYERS, MAX_TEXT_CHARS, Plan

CANONICAL = Plan(
    category="Image Classification",
    dataset_input="(batch_size, 64, 64, 3), photos of leaves",
    dataset_output="(batch_size, 4)",
    preprocess="Rescaled to [0, 1].",
    layers=("Conv2D(8, (3, 3))", "Flatten()", "Dense(4, activation='softmax')"),
    optimizer="adam",
    loss="categorical_crossentropy",
    learning_rate=0.001,
    batch_size=16,
    epochs=3,
    metric="accuracy",
)


def plan_with(**hyperparameters):
    return read_plan(
        {"Task Category": "regression", "Model Architecture": {"Hyperparameters": hyperparameters}}
    )


def layers_of(layers):
    return read_plan(
        {"Task Category": "Image Classification", "Model architecture": {"Layers": layers}}
    ).layers


def test_a_canonical_plan_reads_as_itself():
    assert read_plan(CANONICAL.to_dict()) == CANONICAL
    assert read_plan(CANONICAL.to_json()) == CANONICAL


def test_the_other_dialect():
    plan = read_plan(
        {
            "Task Category": "Image Captioning",
            "Dataset": {"Input": "photos", "Output": "sentences"},
            "Model architecture": {
                "Layers": ["CNN encoder", "LSTM decoder with 256 units"],
                "Hypermeters": {
                    "learning rate": 1e-4,
                    "loss function": "Categorical Crossentropy",
                    "optimizer": "Adam",
                    "batch size": 64,
                    "epochs": 20,
                    "evaluation metric": ["BLEU", "accuracy"],
                },
            },
        }
    )
    assert plan.category == "Image-to-Text"
    assert plan.layers == ("CNN encoder", "LSTM decoder with 256 units")
    assert (plan.learning_rate, plan.batch_size, plan.epochs) == (1e-4, 64, 20)
    assert plan.metric == "BLEU, accuracy" and plan.preprocess == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.01, 0.01),
        ("0.001 - 0.01", 0.001),
        ("1e-4 with decay", 1e-4),
        ("N/A", None),
        (None, None),
        ([0.1, 0.2], 0.1),
        (["later", "0.5"], 0.5),
        ({"initial": 0.1}, None),
        (True, None),
        (-1.0, None),
        (0, None),
        (float("nan"), None),
        ("9" * 400, None),
        (10**400, None),
    ],
)
def test_numbers_in_every_dress(value, expected):
    assert plan_with(**{"learning rate": value}).learning_rate == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(32, 32), ("32", 32), (32.0, 32), ("1,024", 1024), ("16 or 32", 16), (0.2, 1), (10**9, None)],
)
def test_whole_numbers(value, expected):
    assert plan_with(batch_size=value).batch_size == expected


@pytest.mark.parametrize("value", ["Not specified", "None", "N/A", "", None, [], {}])
def test_nothing_said_stays_open(value):
    plan = plan_with(optimizer=value, metrics=value)
    assert plan.optimizer == "" and plan.metric == ""


def test_a_loss_as_table_or_list_becomes_text():
    assert (
        plan_with(**{"loss function": {"head a": "mse", "head b": "mae"}}).loss == "head a: mse, head b: mae"
    )
    assert plan_with(**{"loss function": ["mse", "mae"]}).loss == "mse, mae"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["Flatten()", ["Dense(1)", ["Dense(2)"]]], ("Flatten()", "Dense(1)", "Dense(2)")),
        ([{"type": "Dense", "units": 3, "activation": "relu"}], ("Dense(units=3, activation='relu')",)),
        ([{"Conv2D": {"filters": 8, "kernel_size": [3, 3]}}], ("Conv2D(filters=8, kernel_size=(3, 3))",)),
        ([{"Dropout": 0.5}], ("Dropout(0.5)",)),
        ({"Encoder": ["LSTM(8)"], "Decoder": ["LSTM(9)"]}, ("LSTM(8)", "LSTM(9)")),
        ("Flatten()\nDense(1) -> Softmax()", ("Flatten()", "Dense(1)", "Softmax()")),
        (["  ", "", "a\x00b", None, 3], ("a b",)),
        (None, ()),
    ],
)
def test_layers_of_every_shape(layers, expected):
    assert layers_of(layers) == expected


def test_parts_of_a_model_without_layers_are_its_layers():
    plan = read_plan({"Model": {"Base Model": "VGG16", "Head": ["Dense(2)"], "Hypermeters": {"epochs": 2}}})
    assert plan.layers == ("Base Model: VGG16", "Dense(2)") and plan.epochs == 2


def test_too_much_is_cut():
    plan = read_plan({"Dataset": {"Input": "i" * 9999}, "Model Architecture": {"Layers": ["l" * 999] * 999}})
    assert len(plan.dataset_input) == MAX_TEXT_CHARS
    assert len(plan.layers) == MAX_LAYERS and len(plan.layers[0]) == MAX_LAYER_CHARS


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"Task Category": "sentiment analysis of text"}, "Text Classification"),
        ({"Task Category": "fun", "Dataset": {"Input": "audio clips"}}, "Audio Classification"),
        ({"Task Category": "fun"}, FALLBACK_CATEGORY),
        ({"task_category": ["Image Segmentation"]}, "Image Segmentation"),
    ],
)
def test_categories(table, expected):
    assert read_plan(table).category == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not json",
        "[1]",
        "3",
        None,
        7,
        [],
        {},
        {"colour": "red"},
        "[" * 100_000,
        '"' + "x" * 2_000_000 + '"',
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_plan_is_refused(value):
    with pytest.raises(ConfigError, match="plan:"):
        read_plan(value)


def test_nested_without_end_does_not_hurt():
    layers: list[object] = []
    for _ in range(500):
        layers = [layers, "Dense(1)"]
    assert all(layer == "Dense(1)" for layer in layers_of(layers))
    assert json.loads(read_plan({"Task Category": "x", "Model": layers}).to_json())
