# SPDX-License-Identifier: Apache-2.0
"""Recognise what a person does from the motion sensors of a phone: BiLSTM with attention pooling.

A network that has seen a person's gait knows the person, so whole people are held out: the test says how
well the activity of a stranger is recognised. Where in the window the telling movement lies is left to an
attention layer, which weighs the time steps before they are summed up. Phones sit in pockets in any
direction: training windows are turned at random in space, acceleration and rotation rate alike.

Data: one file for each person, `data_dir/subject_<name>.csv`, with the header
`ax,ay,az,gx,gy,gz,activity`: one row per sample (50 Hz), acceleration in g, rotation in rad/s, the
activity as a word. All files together name the activities.
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
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    sequence_length: int = 128
    num_features: int = 6
    num_classes: int = 4
    units: int = 48
    attention_units: int = 32
    dropout: float = 0.3
    max_turn_degrees: float = 30.0
    optimizer: str = "rmsprop"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 40


SENSORS = ("ax", "ay", "az", "gx", "gy", "gz")


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Human activity recognition")
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
    """Write five people who lie, walk, run and ride, each at a pace of their own."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    activities = [("lying", 0.05, 0.0), ("walking", 1.8, 0.3), ("running", 2.8, 0.9), ("cycling", 1.2, 0.15)]
    people = 5
    bout = config.sequence_length * max(1, config.synthetic_samples // (2 * people * len(activities)))
    for person in range(people):
        pace, rows = rng.uniform(0.85, 1.15), [[*SENSORS, "activity"]]
        for name, frequency, strength in activities:
            beat = 2 * np.pi * frequency * pace * np.arange(bout) / 50 + rng.uniform(0, 6)
            shares = rng.normal(1.0, 0.2, len(SENSORS)) * (0.5, 0.3, 1.0, 0.8, 0.5, 0.3)
            signal = strength * np.sin(beat[:, None] + np.arange(6)) * shares
            signal[:, 2] += 0.2 if name == "lying" else 1.0  # gravity
            signal += rng.normal(0, 0.05, signal.shape)
            rows += [[*(f"{value:.4f}" for value in sample), name] for sample in signal]
        with open(folder / f"subject_{person:02d}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


def read_person(path: Path, config: Config) -> list[tuple[np.ndarray, str]]:
    """Return half-overlapping windows (sequence_length, 6) with their activity; mixed ones are left out."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    signal = np.array([[row[name] for name in SENSORS] for row in rows], dtype="float32")
    activities = np.array([row["activity"] for row in rows])
    windows = []
    for start in range(0, len(rows) - config.sequence_length + 1, config.sequence_length // 2):
        span = slice(start, start + config.sequence_length)
        if (activities[span] == activities[start]).all():
            windows.append((signal[span], str(activities[start])))
    return windows


def load_data(config: Config):
    """Return (train, validation, test), each a triple of windows, class numbers and the person's number.

    Of the people, shuffled, a fifth (at least one) is for the test and as many for validation.
    """
    if config.synthetic:
        make_synthetic(config)
    paths = sorted(Path(config.data_dir).glob("subject_*.csv"))
    if len(paths) < 3:
        raise FileNotFoundError(
            f"{config.data_dir}: expected subject_*.csv files ({','.join(SENSORS)},activity) of 3 people"
        )
    people = [read_person(path, config) for path in paths]
    names = sorted({activity for windows in people for _, activity in windows})
    if len(names) != config.num_classes:
        raise ValueError(f"found the activities {', '.join(names)}; --num-classes is {config.num_classes}")
    held_out = max(1, len(paths) // 5)
    order = np.random.default_rng(config.seed).permutation(len(paths))
    parts = []
    for members in (order[2 * held_out :], order[held_out : 2 * held_out], order[:held_out]):
        rows = [(*window, person) for person in sorted(members.tolist()) for window in people[person]]
        signals, activities, owners = zip(*rows, strict=True)
        labels = np.array([names.index(activity) for activity in activities], dtype="int32")
        parts.append((np.stack(signals), labels, np.array(owners)))
    return tuple(parts)


def turned(signal: tf.Tensor, label: tf.Tensor, max_degrees: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn a window about a random axis by a random angle (Rodrigues' formula)."""
    axis = tf.math.l2_normalize(tf.random.normal([3]))
    angle = tf.random.uniform([], -max_degrees, max_degrees) * (np.pi / 180.0)
    x, y, z = tf.unstack(axis)
    zero = tf.zeros([])
    cross = tf.reshape(tf.stack([zero, -z, y, z, zero, -x, -y, x, zero]), [3, 3])
    rotation = tf.eye(3) + tf.sin(angle) * cross + (1.0 - tf.cos(angle)) * tf.matmul(cross, cross)
    halves = [tf.matmul(half, rotation, transpose_b=True) for half in tf.split(signal, 2, axis=1)]
    return tf.concat(halves, axis=1), label


# %% [model]
class AttentionPooling(layers.Layer):
    """Sum up the time steps by weights that a small network gives each of them."""

    def __init__(self, units: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="tanh")
        self.score = layers.Dense(1, use_bias=False)

    def build(self, input_shape) -> None:
        """Make the weights of both layers."""
        self.hidden.build(input_shape)
        self.score.build((*input_shape[:-1], self.units))

    def call(self, inputs):
        """Return the weighted sum (windows, channels) of inputs (windows, time, channels)."""
        weights = ops.softmax(self.score(self.hidden(inputs)), axis=1)
        return ops.sum(weights * inputs, axis=1)

    def get_config(self) -> dict:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "units": self.units}


def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier; its Normalization layer is still to be adapted."""
    inputs = keras.Input(shape=(config.sequence_length, config.num_features))
    x = layers.Normalization()(inputs)
    x = layers.Bidirectional(layers.LSTM(config.units, return_sequences=True))(x)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Bidirectional(layers.LSTM(config.units, return_sequences=True))(x)
    x = AttentionPooling(config.attention_units)(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(config.dropout)(x)
    outputs = layers.Dense(config.num_classes, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate, "clipnorm": 1.0}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
def train(config: Config) -> dict[str, float]:
    """Fit on turned windows, watch a person who is not among them, and return the best epoch's measures."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train, _), (x_val, y_val, _), _ = load_data(config)
    batches = (
        tf.data.Dataset.from_tensor_slices((x_train, y_train))
        .shuffle(len(x_train), seed=config.seed)
        .map(lambda signal, label: turned(signal, label, config.max_turn_degrees), tf.data.AUTOTUNE)
        .batch(config.batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )
    model = build_model(config)
    model.layers[1].adapt(x_train)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best = output / "model.keras"
    history = model.fit(
        batches,
        validation_data=(x_val, y_val),
        validation_batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
            keras.callbacks.CSVLogger(output / "history.csv"),
            keras.callbacks.LearningRateScheduler(
                lambda epoch, rate: rate * 0.5 if epoch in (20, 30) else rate
            ),
        ],
        verbose=2,
    ).history
    epoch = int(np.argmin(history["val_loss"]))
    return {name: float(values[epoch]) for name, values in history.items()}


# %% [evaluate]
def load_best(config: Config) -> keras.Model:
    """Return the model of the epoch with the lowest validation loss."""
    path = Path(config.output_dir) / "model.keras"
    return keras.models.load_model(path, custom_objects={"AttentionPooling": AttentionPooling})


def evaluate(config: Config) -> dict[str, float]:
    """Measure on the strangers: accuracy over all windows, the worst person's, and the mean class recall."""
    _, _, (windows, labels, owners) = load_data(config)
    answers = load_best(config).predict(windows, batch_size=config.batch_size, verbose=0).argmax(axis=1)
    right = answers == labels
    people = {int(person): float(right[owners == person].mean()) for person in np.unique(owners)}
    recalls = [float(right[labels == label].mean()) for label in np.unique(labels)]
    (Path(config.output_dir) / "people.json").write_text(json.dumps(people), encoding="utf-8")
    return {
        "accuracy": float(right.mean()),
        "worst_person_accuracy": min(people.values()),
        "balanced_accuracy": float(np.mean(recalls)),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probabilities of the activities (windows, num_classes) for the held-out people."""
    _, _, (windows, _, _) = load_data(config)
    probabilities = load_best(config).predict(windows, batch_size=config.batch_size, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
