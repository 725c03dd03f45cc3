"""The bundled planner on sentences of our own: what a user of the release gets."""

from pathlib import Path

import pytest

from dlcodegen_local.plan.layers import parse_layer
from dlcodegen_local.planner.planner import Planner

FOLDER = Path(__file__).parents[2] / "models" / "planner"


@pytest.fixture(scope="module")
def planner():
    return Planner(FOLDER, threads=1)


def test_the_folder_is_small_and_says_where_it_comes_from(planner):
    names = {entry["path"] for entry in planner.manifest["files"]}
    assert names == {
        "MODEL_CARD.md", "choices.bin", "model.onnx", "model.onnx.data", "planner.json", "tokenizer.json",
        "training.json",
    }  # fmt: skip
    assert sum(entry["size"] for entry in planner.manifest["files"]) < 60e6
    assert planner.manifest["licence"] == "Apache-2.0"


@pytest.mark.parametrize(
    ("requirement", "category"),
    [
        (
            "Build a model to classify images as violence or non-violence using deep learning",
            "Image Classification",
        ),
        ("Predict house prices from a table", "Tabular Regression"),
        ("Train a network to segment cells under a microscope", "Image Segmentation"),
        ("Classify movie reviews as positive or negative", "Text Classification"),
        ("Generate faces with a GAN", "Image Generation"),
        ("Forecast electricity demand from the last 48 hours", "Time Series Forecasting"),
    ],
)
def test_plain_sentences_get_plans_of_their_kind(planner, requirement, category):
    result = planner.plan(requirement)
    assert result.plan.category == category
    assert result.confidence["category"] > 0.4
    parsed = [parse_layer(layer) for layer in result.plan.layers]
    assert len(parsed) >= 2 and all(parsed)


def test_a_published_opening_gets_a_valid_plan_too(planner):
    requirement = "I aim to build a CNN that classifies images of apples by ripeness."
    result = planner.plan(requirement, "9,000 photos of apples in 3 classes.")
    assert result.plan.category == "Image Classification" and result.plan.layers
