"""Spellings of optimizers, losses and metrics."""

import pytest

from dlcodegen_local.plan.vocabulary import canonical_loss, canonical_metric, canonical_optimizer


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Categorical Cross-Entropy", "categorical_crossentropy"),
        ("SparseCategoricalCrossentropy(from_logits=True)", "sparse_categorical_crossentropy"),
        ("tf.keras.losses.MeanSquaredError()", "mean_squared_error"),
        ("Mean Absolute Error (MAE)", "mean_absolute_error"),
        ("dice_coef_loss", "dice_loss"),
        ("binary crossentropy with label smoothing", "binary_crossentropy"),
        ("  my_own_loss ", "my_own_loss"),
        ("N/A", ""),
    ],
)
def test_loss(text: str, name: str) -> None:
    assert canonical_loss(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Adam(1e-3)", "adam"),
        ("keras.optimizers.RMSprop", "rmsprop"),
        ("SGD with momentum", "sgd"),
        ("Nope", "Nope"),
    ],
)
def test_optimizer(text: str, name: str) -> None:
    assert canonical_optimizer(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acc", "accuracy"),
        ("val_accuracy", "accuracy"),
        ("['auc', 'recall']", "auc"),
        ("Jaccard index", "iou"),
        ("F1-score", "f1_score"),
        ("sparse_categorical_accuracy", "sparse_categorical_accuracy"),
    ],
)
def test_metric(text: str, name: str) -> None:
    assert canonical_metric(text) == name


@pytest.mark.parametrize("canonical", [canonical_loss, canonical_metric, canonical_optimizer])
def test_canonical_names_are_fixed_points(canonical: object) -> None:
    assert callable(canonical)
    for text in ("mse", "Adam", "acc", "bce", "dice", "anything else", ""):
        assert canonical(canonical(text)) == canonical(text)
