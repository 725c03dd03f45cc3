# SPDX-License-Identifier: Apache-2.0
"""Tell several classes of rows in a numeric CSV table apart with a dense network and batch normalisation.

Written for grains measured by a scanner (area, perimeter, length, groove ...) and their variety; any table of
numbers whose last column names the class will do. Missing numbers are filled with the median of the
training rows, and columns are standardised by training statistics. The test rows are reported class by
class, with the confusion matrix.

Data: `data_dir/table.csv` with a header line; every column but the last is a number or empty, the last one,
`label`, is the class, a word or a number.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
from keras import layers


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting; the learning rate halves when the validation loss stands still."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 7
    num_classes: int = 4
    optimizer: str = "adam"
    loss: str = "categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.002
    batch_size: int = 32
    epochs: int = 60


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Classes of the rows of a table")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(option, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write rows around one centre a class, one number in fifty missing."""
    rng = np.random.default_rng(config.seed)
    centres = rng.normal(0.0, 2.0, (config.num_classes, config.num_features))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f"x{column}" for column in range(config.num_features)] + ["label"])
        for number in range(max(config.synthetic_samples, 4 * config.num_classes)):
            label = number % config.num_classes
            row = centres[label] + rng.normal(0.0, 1.0, config.num_features)
            cells = ["" if rng.random() < 0.02 else f"{value:.4f}" for value in row]
            writer.writerow([*cells, f"class_{label}"])


def read_table(config: Config) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return features (rows, columns) with NaN for what is missing, one-hot labels, and the class names."""
    path = Path(config.data_dir) / "table.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table of numbers whose last column is the class")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in list(csv.reader(file))[1:] if row and row[-1].strip()]
    if not rows:
        raise ValueError(f"{path}: no row has a class")
    features = np.array([[float(cell) if cell.strip() else np.nan for cell in row[:-1]] for row in rows])
    names = sorted({row[-1].strip() for row in rows})
    if features.shape[1] != config.num_features:
        raise ValueError(f"{path}: {features.shape[1]} features, --num-features {config.num_features}")
    if len(names) > config.num_classes:
        raise ValueError(f"{path}: {len(names)} classes, --num-classes {config.num_classes}")
    numbers = np.array([names.index(row[-1].strip()) for row in rows])
    return features, keras.utils.to_categorical(numbers, config.num_classes), names


def load_data(config: Config):
    """Return (train, validation, test), each features (rows, columns) and one-hot labels, 70/15/15.

    Median, mean and deviation are those of the training rows.
    """
    if config.synthetic:
        make_synthetic(config)
    features, labels, _ = read_table(config)
    order = np.random.default_rng(config.seed).permutation(len(features))
    ends = [max(1, int(0.7 * len(order))), max(2, int(0.85 * len(order)))]
    parts = np.split(order, ends)
    known = features[parts[0]]
    median = np.nan_to_num(np.nanmedian(known, axis=0))
    filled = np.where(np.isnan(features), median, features)
    mean, deviation = filled[parts[0]].mean(axis=0), filled[parts[0]].std(axis=0) + 1e-7
    scaled = ((filled - mean) / deviation).astype("float32")
    return tuple((scaled[rows], labels[rows]) for rows in parts)


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled network: dense blocks, and one probability a class."""
    model = keras.Sequential(
        [
            layers.Input(shape=(config.num_features,)),
            layers.Dense(128, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(32, activation="relu"),
            layers.Dense(config.num_classes, activation="softmax"),
        ]
    )
    settings = {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    model.compile(optimizer=keras.optimizers.get(settings), loss=config.loss, metrics=[config.metric])
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
    """Fit with early stopping, save the network, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train), validation, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        x_train,
        y_train,
        validation_data=validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=5),
            keras.callbacks.EarlyStopping(patience=12, restore_best_weights=True),
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "history.json").write_text(json.dumps(history.history, default=float), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the saved network on the test rows; print the confusion matrix, add every class's F1."""
    _, _, (x_test, labels) = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(x_test, labels, batch_size=config.batch_size, return_dict=True, verbose=0)
    predicted = model.predict(x_test, batch_size=config.batch_size, verbose=0).argmax(axis=1)
    matrix = np.zeros((config.num_classes, config.num_classes), dtype=int)
    np.add.at(matrix, (labels.argmax(axis=1), predicted), 1)
    print("Confusion matrix, a row a true class:")
    print(matrix)
    for label in range(config.num_classes):
        hits = matrix[label, label]
        measures[f"f1_class_{label}"] = 2 * hits / max(1, matrix[label].sum() + matrix[:, label].sum())
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probabilities of the classes (rows, num_classes) for the test rows and save them."""
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
