"""Compliance of small programs with small plans."""

from dataclasses import replace

import pytest

from dlcodegen_local.plan.distance import normalised_distance
from dlcodegen_local.plan.extraction_canonical import canonical_layers, sequence_similarity
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.compliance import measure_compliance, shapes_in

PLAN = Plan(
    category="Tabular Classification",
    dataset_input="(batch_size, 6), numbers",
    dataset_output="(batch_size, 3)",
    preprocess="",
    layers=(
        "Input(shape=(6,))",
        "Dense(16, activation='relu')",
        "Dropout(0.5)",
        "Dense(3, activation='softmax')",
    ),
    optimizer="Adam",
    loss="sparse categorical cross-entropy",
    learning_rate=0.01,
    batch_size=8,
    epochs=4,
    metric="accuracy",
)
CODE = """
from tensorflow.keras import layers, models, optimizers
model = models.Sequential([
    layers.Input((6,)),
    layers.Dense(units=16, activation="relu", use_bias=True, name="hidden"),
    layers.Dropout(rate=0.5),
    layers.Dense(3),
    layers.Softmax(),
])
model.compile(optimizers.Adam(learning_rate=1e-2), loss="sparse_categorical_crossentropy",
              metrics=["sparse_categorical_accuracy"])
model.fit(x, y, epochs=4, batch_size=8)
"""


def test_code_that_means_the_same_scores_one_on_every_field() -> None:
    compliance = measure_compliance(CODE, PLAN)
    assert compliance.fields == dict.fromkeys(
        (
            "layers",
            "optimizer",
            "loss function",
            "evaluation metric",
            "learning rate",
            "batch size",
            "epochs",
            "input",
            "output",
        ),
        1.0,
    )
    assert compliance.score == 1.0


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("Adam", "SGD", "optimizer"),
        ('loss="sparse_categorical_crossentropy"', 'loss="categorical_crossentropy"', "loss function"),
        ("1e-2", "1e-3", "learning rate"),
        ("epochs=4", "epochs=5", "epochs"),
        ("batch_size=8", "batch_size=16", "batch size"),
        ("Input((6,))", "Input((7,))", "input"),
        ("Dense(3)", "Dense(2)", "output"),
        ("sparse_categorical_accuracy", "auc", "evaluation metric"),
    ],
)
def test_one_difference_costs_its_field(old: str, new: str, field: str) -> None:
    assert old in CODE
    assert measure_compliance(CODE.replace(old, new), PLAN).fields[field] == 0.0


def test_a_missing_layer_costs_its_share() -> None:
    code = CODE.replace("    layers.Dropout(rate=0.5),\n", "")
    assert measure_compliance(code, PLAN).fields["layers"] == pytest.approx(2 / 3)


def test_fields_that_the_plan_leaves_open_are_left_out() -> None:
    open_plan = replace(PLAN, layers=(), optimizer="", metric="", learning_rate=None, dataset_input="a table")
    assert set(measure_compliance(CODE, open_plan).fields) == {
        "loss function",
        "batch size",
        "epochs",
        "output",
    }
    empty = Plan("Tabular Classification", "", "", "", ())
    assert measure_compliance(CODE, empty).score is None


def test_code_that_does_not_parse_scores_zero_on_every_field() -> None:
    compliance = measure_compliance("def broken(:", PLAN)
    assert compliance.score == 0.0
    assert set(compliance.fields.values()) == {0.0}
    assert len(compliance.fields) == 9


@pytest.mark.parametrize(
    ("planned", "written"),
    [
        ("MaxPool2D((2, 2))", "MaxPooling2D(pool_size=2, strides=2)"),
        ("Conv2D(32, (3,3), padding='valid')", "Conv2D(filters=32, kernel_size=3)"),
        ("Dense(num_classes, activation='softmax')", "Dense(10, activation='softmax')"),
        ("Rescaling(1./255)", "Rescaling(1.0 / 255)"),
        ("ReLU()", "Activation('relu')"),
        ("tf.keras.layers.Bidirectional(LSTM(8))", "Bidirectional(layers.LSTM(units=8))"),
        ("Dense(4)", "Dense(4, kernel_initializer='he_normal')"),
        ("ResNet50 base model", "ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))"),
        ("Dropout layer with a rate of 0.3", "Dropout(0.3)"),
    ],
)
def test_spellings_of_one_layer_are_the_same(planned: str, written: str) -> None:
    assert sequence_similarity(canonical_layers([planned]), canonical_layers([written])) == 1.0


@pytest.mark.parametrize(
    ("planned", "written"),
    [("Dense(4)", "Dense(5)"), ("LSTM(4)", "GRU(4)"), ("Dropout(0.1)", "Dropout(0.2)")],
)
def test_different_layers_are_not_the_same(planned: str, written: str) -> None:
    assert sequence_similarity(canonical_layers([planned]), canonical_layers([written])) < 1.0


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("flaw", "lawn", 2),
        ("same", "same", 0),
        ("a" * 70, "a" * 69 + "b", 1),
    ],
)
def test_normalised_distance_counts_edits_by_hand(left: str, right: str, edits: int) -> None:
    assert normalised_distance(left, right) == pytest.approx(edits / max(len(left), len(right)))


def test_shapes_are_read_out_of_prose() -> None:
    assert shapes_in("Shape is (batch_size, 64, 64, 3), RGB") == [("64", "64", "3")]
    assert shapes_in("features (None, 10) and (batch_size, max_length)") == [("10",), ("max_length",)]
    assert shapes_in("labels (0 or 1)") == []
