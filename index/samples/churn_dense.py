# SPDX-License-Identifier: Apache-2.0
"""Predict customer churn from a numeric CSV table with a regularised dense network.

Churners are few, so the classes are weighted by their frequency in the training rows, and the
measure that early stopping watches is the area under the ROC curve. The standardisation is a layer
of the model: the saved file takes raw rows.

Data: `data_dir/table.csv` with a header line; every column but the last is a number, the last one,
`churn`, is 0 or 1.
"""

# %% [imports]
import argparse
import dataclasses
import json
from pathlib import Path

import keras
import numpy as np


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 12
    optimizer: str = "adam"
    loss: str = "binary_crossentropy"
    metric: str = "AUC"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 40
    dropout: float = 0.3
    patience: int = 8


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Churn classifier")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write a table in which about a quarter of the customers leave, for reasons in two columns."""
    rng = np.random.default_rng(config.seed)
    features = rng.normal(loc=5.0, scale=3.0, size=(config.synthetic_samples, config.num_features))
    reason = features[:, 0] + features[:, 1] + rng.normal(size=len(features))
    churn = (reason > np.quantile(reason, 0.75)).astype(int)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    header = ",".join([f"x{i}" for i in range(config.num_features)] + ["churn"])
    table = np.column_stack([features, churn])
    formats = ["%.4f"] * config.num_features + ["%d"]
    np.savetxt(folder / "table.csv", table, delimiter=",", header=header, comments="", fmt=formats)


def stratified_split(labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return row numbers of train, validation and test (70/15/15), each class divided alike."""
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[], [], []]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        first = max(1, round(0.7 * len(rows)))
        second = first + max(1, round(0.15 * len(rows)))
        for part, chosen in zip(parts, np.split(rows, [first, second]), strict=True):
            part.append(chosen)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def load_data(config: Config):
    """Return (train, validation, test), each a pair of features (rows, columns) and labels (rows,)."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "table.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table of numbers whose last column is the label")
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32")
    table = table[~np.isnan(table).any(axis=1)]
    features, labels = table[:, :-1], table[:, -1]
    if features.shape[1] != config.num_features:
        raise ValueError(f"{path}: {features.shape[1]} features, --num-features {config.num_features}")
    return tuple((features[rows], labels[rows]) for rows in stratified_split(labels, config.seed))


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier; its Normalization layer is still to be adapted."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.num_features,)),
            keras.layers.Normalization(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(config.dropout),
            keras.layers.Dense(64, activation="relu", kernel_regularizer="l2"),
            keras.layers.Dropout(config.dropout),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    # Keras calls the measure "auc" in its logs, whatever it is asked for by.
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
def class_weights(labels: np.ndarray) -> dict[int, float]:
    """Return weights under which both classes count the same in the loss."""
    positives = float(labels.mean())
    return {0: 0.5 / max(1.0 - positives, 1e-6), 1: 0.5 / max(positives, 1e-6)}


def plot_history(history: keras.callbacks.History, config: Config) -> None:
    """Draw every measure of training and validation over the epochs; without matplotlib, draw nothing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    names = [name for name in history.history if not name.startswith("val_")]
    plt.figure(figsize=(6 * len(names), 4))
    for place, name in enumerate(names, start=1):
        plt.subplot(1, len(names), place)
        plt.plot(history.history[name], label="training")
        if f"val_{name}" in history.history:
            plt.plot(history.history[f"val_{name}"], label="validation")
        plt.title(f"{name} over the epochs")
        plt.xlabel("epoch")
        plt.ylabel(name)
        plt.legend()
    plt.tight_layout()
    plt.savefig(Path(config.output_dir) / "history.png")
    plt.close()


def train(config: Config) -> dict[str, float]:
    """Fit on weighted classes, keep the best weights, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train), validation, _ = load_data(config)
    model = build_model(config)
    model.summary()
    model.layers[0].adapt(x_train)  # statistics of the training rows only
    history = model.fit(
        x_train,
        y_train,
        validation_data=validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        class_weight=class_weights(y_train),
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=config.patience, restore_best_weights=True
            )
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    measures = {name: float(values[-1]) for name, values in history.history.items()}
    (output / "metrics.json").write_text(json.dumps(measures, indent=2), encoding="utf-8")
    return measures


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the saved model on the test rows; precision and recall hold at a threshold of 0.5."""
    _, _, (x_test, y_test) = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(x_test, y_test, batch_size=config.batch_size, return_dict=True, verbose=0)
    flagged = model.predict(x_test, batch_size=config.batch_size, verbose=0)[:, 0] > 0.5
    hits = float(np.sum(flagged & (y_test == 1)))
    measures["precision"] = hits / max(float(flagged.sum()), 1.0)
    measures["recall"] = hits / max(float(y_test.sum()), 1.0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probability of churn (rows, 1) for the test rows and save it."""
    _, _, (x_test, _) = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(x_test, batch_size=config.batch_size, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
