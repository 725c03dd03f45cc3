# SPDX-License-Identifier: Apache-2.0
"""Classify census records with categorical and numeric columns, categories as learned embeddings.

Each categorical column goes through a lookup, which maps values never seen in training to one
"unknown" index, and an embedding of its own; the numeric columns are standardised; everything is
concatenated into a dense network. Lookups and statistics are part of the saved model.

Data: `data_dir/records.csv` with the header `workclass,education,occupation,country,age,hours,
capital_gain,capital_loss,income`; the first four columns are texts, the next four numbers, the last
one is the class as a text.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_classes: int = 2
    embedding_dim: int = 8
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.002
    batch_size: int = 128
    epochs: int = 15


CATEGORICAL = ("workclass", "education", "occupation", "country")
NUMERIC = ("age", "hours", "capital_gain", "capital_loss")
LABEL = "income"


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Income class from census records")
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
    """Write records whose class follows from education and weekly hours."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    schools = ("primary", "secondary", "bachelor", "master")
    with open(folder / "records.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*CATEGORICAL, *NUMERIC, LABEL])
        for index in range(config.synthetic_samples):
            level, hours = int(rng.integers(len(schools))), int(rng.integers(10, 60))
            label = (level * 15 + hours > 55) if index >= config.num_classes else index
            work, job, country = (f"{name}_{rng.integers(5)}" for name in ("work", "job", "country"))
            money = [int(rng.exponential(500)), int(rng.exponential(100))]
            row = [work, schools[level], job, country, int(rng.integers(18, 80)), hours, *money]
            writer.writerow([*row, f"class_{int(label)}"])


def read_records(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns by name and the labels as texts."""
    if not path.is_file():
        expected = ", ".join([*CATEGORICAL, *NUMERIC, LABEL])
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns {expected}")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([row[name].strip() for row in rows], dtype=str) for name in CATEGORICAL}
    columns |= {name: np.array([float(row[name]) for row in rows], dtype="float32") for name in NUMERIC}
    return columns, np.array([row[LABEL].strip() for row in rows])


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of ({column: values (rows, 1)}, label)."""
    if config.synthetic:
        make_synthetic(config)
    columns, texts = read_records(Path(config.data_dir) / "records.csv")
    classes, labels = np.unique(texts, return_inverse=True)
    if len(classes) > config.num_classes:
        raise ValueError(f"{len(classes)} classes in the file, --num-classes {config.num_classes}")
    order = np.random.default_rng(config.seed).permutation(len(labels))
    first, second = int(0.8 * len(labels)), int(0.9 * len(labels))
    splits = []
    for rows in np.split(order, [first, second]):
        features = {name: tf.constant(values[rows, None]) for name, values in columns.items()}
        batches = tf.data.Dataset.from_tensor_slices((features, labels[rows]))
        if not splits:
            batches = batches.shuffle(len(rows), seed=config.seed)
        splits.append(batches.batch(config.batch_size))
    return splits[0], splits[1], splits[2]


def column_values(batches: tf.data.Dataset, name: str) -> np.ndarray:
    """Return all values of one column, (rows, 1)."""
    return np.concatenate([features[name].numpy() for features, _ in batches])


# %% [model]
def build_model(config: Config, train_batches: tf.data.Dataset | None = None) -> keras.Model:
    """Return the compiled classifier; lookups and statistics are taken from the training batches."""
    inputs, encoded = {}, []
    for name in CATEGORICAL:
        inputs[name] = keras.layers.Input(shape=(1,), name=name, dtype="string")
        vocabulary = ["unknown"]
        if train_batches is not None:
            vocabulary = sorted({v.decode() for v in column_values(train_batches, name)[:, 0]})
        lookup = keras.layers.StringLookup(vocabulary=vocabulary)
        embedding = keras.layers.Embedding(lookup.vocabulary_size(), config.embedding_dim)
        encoded.append(keras.layers.Flatten()(embedding(lookup(inputs[name]))))
    for name in NUMERIC:
        inputs[name] = keras.layers.Input(shape=(1,), name=name)
        values = np.zeros((1, 1)) if train_batches is None else column_values(train_batches, name)
        scale = keras.layers.Normalization(mean=float(values.mean()), variance=float(values.var()) + 1e-6)
        encoded.append(scale(inputs[name]))
    x = keras.layers.Concatenate()(encoded)
    x = keras.layers.Dense(64, activation="relu")(x)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    outputs = keras.layers.Dense(config.num_classes, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
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
    """Fit, save the model with its lookups, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config, train_batches)
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the model on the test records, next to the accuracy of always naming the commonest class."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    labels = np.concatenate([label.numpy() for _, label in test_batches])
    measures["majority_accuracy"] = np.bincount(labels).max() / len(labels)
    measures = {name: float(value) for name, value in measures.items()}
    report = Path(config.output_dir) / "test_metrics.json"
    report.write_text(json.dumps(measures, indent=2), encoding="utf-8")
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (records, num_classes) of the test records and save them."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(test_batches, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
