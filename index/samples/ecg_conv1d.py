# SPDX-License-Identifier: Apache-2.0
"""Classify single heartbeats of an ECG by rhythm with a residual 1D convolutional network.

Every beat is standardised by itself, since the gain of electrodes differs between patients, and
training beats get a random shift, gain and noise. Residual blocks with a stride shorten the signal.

Data: `data_dir/signals.npy`, float array (beats, samples) or (beats, samples, leads), and
`data_dir/labels.npy`, whole numbers from 0 (beats,), for example normal, atrial, ventricular, fusion, paced.
"""

# %% [imports]
import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    sequence_length: int = 187
    num_channels: int = 1
    num_classes: int = 5
    optimizer: str = "adam"
    loss: str = "categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Heartbeat classifier")
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
    """Write beats with one sharp peak; the class moves and widens it."""
    rng = np.random.default_rng(config.seed)
    labels = np.arange(config.synthetic_samples) % config.num_classes
    time = np.linspace(0, 1, config.sequence_length)
    centre = 0.2 + 0.6 * labels / config.num_classes
    width = 0.01 + 0.01 * labels
    peaks = np.exp(-((time[None, :] - centre[:, None]) ** 2) / (2 * width[:, None] ** 2))
    gain = rng.uniform(0.5, 2.0, size=(len(labels), 1, config.num_channels))
    signals = gain * peaks[:, :, None]
    signals = signals + rng.normal(0, 0.05, size=signals.shape)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "signals.npy", signals.astype("float32"))
    np.save(folder / "labels.npy", labels.astype("int32"))


def augment(signal: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the beat shifted by up to 10 samples, amplified and with noise."""
    signal = tf.roll(signal, tf.random.uniform([], -10, 11, dtype=tf.int32), axis=0)
    signal = signal * tf.random.uniform([], 0.8, 1.2)
    return signal + tf.random.normal(tf.shape(signal), stddev=0.02), label


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of signals (beats, samples, channels) and one-hot labels."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "signals.npy").is_file() or not (folder / "labels.npy").is_file():
        raise FileNotFoundError(f"{folder}: expected signals.npy (beats, samples) and labels.npy (beats,)")
    signals = np.load(folder / "signals.npy", allow_pickle=False).astype("float32")
    numbers = np.load(folder / "labels.npy", allow_pickle=False)
    labels = keras.utils.to_categorical(numbers, config.num_classes)
    signals = signals.reshape(len(signals), config.sequence_length, config.num_channels)
    signals -= signals.mean(axis=1, keepdims=True)
    signals /= signals.std(axis=1, keepdims=True) + 1e-6
    order = np.random.default_rng(config.seed).permutation(len(labels))
    bounds = [int(0.7 * len(labels)), int(0.85 * len(labels))]
    train_rows, validation_rows, test_rows = np.split(order, bounds)
    train_beats = tf.data.Dataset.from_tensor_slices((signals[train_rows], labels[train_rows]))
    train_beats = train_beats.shuffle(len(train_rows), seed=config.seed).map(augment)
    held_out = [
        tf.data.Dataset.from_tensor_slices((signals[rows], labels[rows])).batch(config.batch_size)
        for rows in (validation_rows, test_rows)
    ]
    return train_beats.batch(config.batch_size), held_out[0], held_out[1]


# %% [model]
def residual_block(x, filters: int, kernel_size: int):
    """Return two convolutions beside a shortcut; the first one halves the length."""
    shortcut = layers.Conv1D(filters, 1, strides=2, padding="same")(x)
    x = layers.Conv1D(filters, kernel_size, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv1D(filters, kernel_size, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([x, shortcut])
    return layers.ReLU()(x)


def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier."""
    inputs = layers.Input(shape=(config.sequence_length, config.num_channels))
    x = layers.Conv1D(32, 7, padding="same", activation="relu")(inputs)
    x = residual_block(x, 32, 5)
    x = residual_block(x, 64, 5)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(config.num_classes, activation="softmax")(x)
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
    """Fit, keep the best weights by validation loss, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.summary()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[keras.callbacks.ModelCheckpoint(str(output / "model.keras"), save_best_only=True)],
        verbose=2,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean F1 of the classes that occur: rare rhythms count as much as common ones."""
    scores = []
    for label in np.unique(truth):
        hits = np.sum((truth == label) & (predicted == label))
        scores.append(2 * hits / (np.sum(truth == label) + np.sum(predicted == label)))
    return float(np.mean(scores))


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss, accuracy and macro F1 on the test beats."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    labels = np.concatenate([labels.numpy() for _, labels in test_batches])
    predicted = model.predict(test_batches, verbose=0).argmax(axis=1)
    measures["macro_f1"] = macro_f1(labels.argmax(axis=1), predicted)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (beats, num_classes) of the test beats and save them."""
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
