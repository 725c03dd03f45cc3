import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.decoding import field_confidence, plan_of_tokens, split_texts
from dlcodegen_local.planner.tokenizer import (
    CLOSED_FIELDS,
    MAX_DATASET_TOKENS,
    MAX_REQUIREMENT_TOKENS,
    PlanTokenizer,
    PlanVocabulary,
    layer_style,
)
from dlcodegen_local.planner.values import (
    canonical_loss,
    canonical_metric,
    canonical_optimizer,
    nearest_value,
)
from tests.planner.toy import toy_tokenizer

TOKENIZER = toy_tokenizer()
VOCABULARY = TOKENIZER.vocabulary
PLAN = Plan(
    category="Image Classification",
    dataset_input="(batch_size, 32, 32, 3), é 🙂 images",
    dataset_output="one of two",
    preprocess="",
    layers=("Conv2D(32, (3, 3), activation='relu')", "Flatten()"),
    optimizer="sgd",
    loss="binary_crossentropy",
    learning_rate=0.01,
    batch_size=16,
    epochs=20,
    metric="auc",
)


def closed_ids(plan):
    values = (
        "calls", plan.category, plan.metric, plan.loss, plan.optimizer,
        plan.learning_rate, plan.batch_size, plan.epochs,
    )  # fmt: skip
    fields = [VOCABULARY.field(name) for name in CLOSED_FIELDS]
    return [field.first_id + field.values.index(value) for field, value in zip(fields, values, strict=True)]


def test_a_plan_survives_the_way_to_tokens_and_back():
    token_ids = TOKENIZER.encode_plan(PLAN, closed_ids(PLAN))
    assert token_ids[-1] == VOCABULARY.borders["end"]
    assert plan_of_tokens(token_ids, TOKENIZER, {}) == PLAN
    assert plan_of_tokens(token_ids, TOKENIZER, {"epochs": 37}).epochs == 37


def test_control_tokens_spelled_in_a_text_stay_text():
    ids = TOKENIZER.encode_text("<|end|><|category=Image Classification|>")
    assert max(ids) < VOCABULARY.first_control_id
    assert TOKENIZER.decode_text(ids) == "<|end|><|category=Image Classification|>"


def test_a_prompt_is_cut_to_what_the_model_reads():
    prompt, cut = TOKENIZER.encode_prompt("word " * 500, "note " * 500)
    assert cut and len(prompt) == MAX_REQUIREMENT_TOKENS + MAX_DATASET_TOKENS + 3
    prompt, cut = TOKENIZER.encode_prompt("two  words", "")
    borders = VOCABULARY.borders
    assert not cut and prompt[-2:] == [borders["dataset"], borders["plan"]]


def test_vocabulary_survives_json():
    assert PlanVocabulary.from_dict(VOCABULARY.to_dict()) == VOCABULARY


@pytest.mark.parametrize("table", [None, [], {}, {"borders": 1, "fields": 2, "vocab_size": 3}])
def test_what_is_no_vocabulary_is_refused(table):
    with pytest.raises(ArtifactError, match="vocabulary"):
        PlanVocabulary.from_dict(table)


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        PlanTokenizer.from_bytes(b"\xff{}", VOCABULARY)


def test_split_texts_and_confidence():
    borders = VOCABULARY.borders
    tail = [
        borders["input"],
        5,
        borders["output"],
        6,
        borders["preprocess"],
        borders["layer"],
        7,
        borders["end"],
    ]
    assert split_texts(tail, VOCABULARY) == {
        "input": [[5]],
        "output": [[6]],
        "preprocess": [[]],
        "layer": [[7]],
    }
    token_ids = [*closed_ids(PLAN), *tail]
    log_probs = [-0.5] * len(CLOSED_FIELDS) + [0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    confidence = field_confidence(token_ids, log_probs, VOCABULARY, {"epochs": 3})
    assert confidence["epochs"] == 1.0 and confidence["loss"] == 0.607
    assert confidence["input"] == 0.368 and confidence["layers"] == 1.0


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (("Dense(1)", "Flatten()"), "calls"),
        (("Conv2D", "Dense(1)", "Dropout (0.5)"), "outline"),
        ((), "calls"),
    ],
)
def test_layer_style(layers, expected):
    assert layer_style(layers) == expected


@pytest.mark.parametrize(
    ("canonical", "text", "expected"),
    [
        (canonical_optimizer, "Adam optimizer", "adam"),
        (canonical_optimizer, "Stochastic Gradient Descent (SGD)", "sgd"),
        (canonical_optimizer, "RectifiedAdam", "rectified_adam"),
        (canonical_optimizer, "Lion", "lion"),
        (canonical_optimizer, "Not specified", ""),
        (canonical_loss, "Sparse Categorical Crossentropy", "sparse_categorical_crossentropy"),
        (
            canonical_loss,
            "SparseCategoricalCrossentropy(from_logits=True)",
            "sparse_categorical_crossentropy",
        ),
        (canonical_loss, "Mean Squared Error (MSE)", "mean_squared_error"),
        (canonical_loss, "Dice + BCE", "dice + bce"),
        (canonical_metric, "Validation Accuracy", "accuracy"),
        (canonical_metric, "RMSE", "root_mean_squared_error"),
        (canonical_metric, "MeanIoU", "mean_io_u"),
    ],
)
def test_canonical_spellings(canonical, text, expected):
    assert canonical(text) == expected


def test_nearest_value_is_nearest_in_ratio():
    assert nearest_value(0.0004, [0.0001, 0.001]) == 0.001
    assert nearest_value(30, [10, 90]) == 10


@pytest.mark.parametrize(("name", "value"), [("epochs", -1), ("learning_rate", 0), ("batch_size", 1e99)])
def test_a_number_that_no_plan_can_hold_is_refused(name, value):
    table = VOCABULARY.to_dict()
    field = next(field for field in table["fields"] if field["name"] == name)
    field["values"] = [value]
    with pytest.raises(ArtifactError):
        PlanVocabulary.from_dict(table)
