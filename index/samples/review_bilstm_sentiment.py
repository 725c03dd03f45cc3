# SPDX-License-Identifier: Apache-2.0
"""Decide whether a review is positive or negative with a bidirectional LSTM.

Texts are lower-cased and cut into words by TextVectorization, whose vocabulary comes from the
training reviews only and is part of the saved model: it takes plain strings.

Data: `data_dir/reviews.csv` with the header `text,label`; label is 0 (negative) or 1 (positive).
"""

# %% [imports]
import argparse
import csv
import dataclasses
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
    vocab_size: int = 20000
    sequence_length: int = 200
    embedding_dim: int = 128
    optimizer: str = "adam"
    loss: str = "binary_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 10


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Sentiment of reviews")
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
    """Write short reviews whose adjectives give the label away."""
    rng = np.random.default_rng(config.seed)
    adjectives = (("dull", "awful", "boring", "broken"), ("great", "lovely", "superb", "moving"))
    nouns = ("film", "plot", "cast", "ending", "music", "camera")
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "reviews.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(config.synthetic_samples):
            label = index % 2
            parts = [f"the {rng.choice(nouns)} was {rng.choice(adjectives[label])}" for _ in range(3)]
            writer.writerow([", ".join(parts) + ".", label])


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of texts (reviews, 1) and labels (reviews, 1)."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "reviews.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns text and label (0 or 1)")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [(row["text"], float(row["label"])) for row in csv.DictReader(file)]
    texts = np.array([[text] for text, _ in rows])
    labels = np.array([[label] for _, label in rows], dtype="float32")
    order = np.random.default_rng(config.seed).permutation(len(rows))
    first, second = int(0.8 * len(rows)), int(0.9 * len(rows))
    splits = []
    for chosen in np.split(order, [first, second]):
        pairs = tf.data.Dataset.from_tensor_slices((tf.constant(texts[chosen]), labels[chosen]))
        splits.append(pairs)
    train_pairs = splits[0].shuffle(max(first, 1), seed=config.seed)
    return tuple(pairs.batch(config.batch_size) for pairs in (train_pairs, splits[1], splits[2]))


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier of plain strings; its vectorization is still to be adapted."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(1,), dtype="string"),
            keras.layers.TextVectorization(
                max_tokens=config.vocab_size, output_sequence_length=config.sequence_length
            ),
            # Index 0 is padding: the recurrent layers skip it.
            keras.layers.Embedding(config.vocab_size, config.embedding_dim, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(64, return_sequences=True)),
            keras.layers.Bidirectional(keras.layers.LSTM(32)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
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
    """Take the vocabulary from the training reviews, fit, and save the model."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.summary()
    model.layers[0].adapt(train_batches.map(lambda texts, _: texts))
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and accuracy on the test reviews."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probability of "positive" (reviews, 1) and save it beside each text."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(test_batches, verbose=0)
    texts = [text.numpy()[0].decode() for batch, _ in test_batches for text in batch]
    with open(Path(config.output_dir) / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "positive"])
        writer.writerows(zip(texts, probabilities[:, 0].round(4).tolist(), strict=True))
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
