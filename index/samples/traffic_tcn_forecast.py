# SPDX-License-Identifier: Apache-2.0
"""Forecast traffic counts with a temporal convolutional network and quantiles instead of one number.

Dilated causal convolutions see the past 64 steps without any recurrence. The network answers with the
10%, 50% and 90% quantile of each coming step, learnt by the pinball loss, so that a plan can be made
for the bad case too. Time of day and day of the week enter as sine and cosine.

Data: `data_dir/counts.csv` with the header `timestamp,count`: one row per hour in order of time, the
timestamp in ISO form (2024-05-01T13:00).
"""

# %% [imports]
import argparse
import csv
import dataclasses
import datetime
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
    sequence_length: int = 64
    horizon: int = 12
    filters: int = 32
    optimizer: str = "adam"
    loss: str = "pinball"
    metric: str = "median_error"
    learning_rate: float = 0.001
    batch_size: int = 128
    epochs: int = 25


QUANTILES = (0.1, 0.5, 0.9)


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Traffic forecast with quantiles")
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
    """Write hourly counts with rush hours and quiet weekends, in all about `synthetic_samples` windows."""
    rng = np.random.default_rng(config.seed)
    window = config.sequence_length + config.horizon
    start = datetime.datetime(2024, 1, 1)
    rows = []
    for hour in range(3 * window + config.synthetic_samples):
        time = start + datetime.timedelta(hours=hour)
        rush = np.exp(-((time.hour - 8) ** 2) / 4) + np.exp(-((time.hour - 17) ** 2) / 6)
        expected = 50 + 400 * rush * (0.4 if time.weekday() >= 5 else 1.0)
        rows.append([time.isoformat(timespec="minutes"), int(rng.poisson(expected))])
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "counts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["timestamp", "count"], *rows])


def read_series(path: Path) -> np.ndarray:
    """Return (hours, 5): log count, then sine and cosine of the time of day and of the week."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns timestamp and count")
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            time = datetime.datetime.fromisoformat(row["timestamp"])
            day = 2 * np.pi * (time.hour + time.minute / 60) / 24
            week = 2 * np.pi * time.weekday() / 7
            count = np.log1p(float(row["count"]))
            rows.append([count, np.sin(day), np.cos(day), np.sin(week), np.cos(week)])
    return np.array(rows, dtype="float32")


def make_windows(series: np.ndarray, config: Config, shuffle: bool) -> tf.data.Dataset:
    """Return batches of (past (windows, sequence_length, 5), coming log counts (windows, horizon))."""
    length, horizon = config.sequence_length, config.horizon
    count = len(series) - length - horizon + 1
    if count < 1:
        raise ValueError(f"{len(series)} hours are too few for windows of {length} + {horizon}")
    # The target of the window that starts at i begins at i + length.
    future = np.lib.stride_tricks.sliding_window_view(series[length:, 0], horizon)
    return keras.utils.timeseries_dataset_from_array(
        series[: length + count - 1],
        future[:count],
        sequence_length=length,
        batch_size=config.batch_size,
        shuffle=shuffle,
        seed=config.seed,
    )


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches; the last stretches of time are held out."""
    if config.synthetic:
        make_synthetic(config)
    series = read_series(Path(config.data_dir) / "counts.csv")
    held_out = max(config.sequence_length + config.horizon, len(series) // 10)
    parts = np.split(series, [len(series) - 2 * held_out, len(series) - held_out])
    return tuple(make_windows(part, config, shuffle=place == 0) for place, part in enumerate(parts))


# %% [model]
def pinball(y_true, y_pred):
    """Return the quantile loss of targets (windows, horizon) under answers (windows, horizon, quantiles)."""
    error = y_true[..., None] - y_pred
    quantiles = tf.constant(QUANTILES, dtype=error.dtype)
    return tf.reduce_mean(tf.maximum(quantiles * error, (quantiles - 1.0) * error))


def median_error(y_true, y_pred):
    """Return the mean absolute error of the median."""
    return tf.reduce_mean(tf.abs(y_true - y_pred[..., len(QUANTILES) // 2]))


def build_model(config: Config) -> keras.Model:
    """Return the compiled network; each block looks back twice as far as the one before."""
    inputs = layers.Input(shape=(config.sequence_length, 5))
    x = layers.Conv1D(config.filters, 1)(inputs)
    for dilation in (1, 2, 4, 8, 16):
        block = layers.Conv1D(config.filters, 3, padding="causal", dilation_rate=dilation, activation="relu")(
            x
        )
        block = layers.SpatialDropout1D(0.1)(block)
        block = layers.Conv1D(config.filters, 1)(block)
        x = layers.Add()([x, block])
    # Causal, so the last step has seen everything.
    x = layers.Cropping1D((config.sequence_length - 1, 0))(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dense(config.horizon * len(QUANTILES))(x)
    outputs = layers.Reshape((config.horizon, len(QUANTILES)))(x)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=pinball, metrics=[median_error])
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
    """Fit, keep the weights of the best epoch, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_windows, validation_windows, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        train_windows,
        validation_data=validation_windows,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def forecast(config: Config, windows: tf.data.Dataset) -> np.ndarray:
    """Return quantiles of counts (windows, horizon, quantiles), in rising order."""
    model = keras.models.load_model(Path(config.output_dir) / "model.keras", compile=False)
    return np.expm1(np.sort(model.predict(windows, verbose=0), axis=-1)).clip(0)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the error of the median in vehicles, and how often the truth lies between the quantiles."""
    _, _, test_windows = load_data(config)
    truth = np.expm1(np.concatenate([future.numpy() for _, future in test_windows]))
    low, median, high = np.moveaxis(forecast(config, test_windows), -1, 0)
    return {
        "mae": float(np.abs(median - truth).mean()),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return quantiles of counts (windows, horizon, quantiles) for the test windows and save them."""
    _, _, test_windows = load_data(config)
    quantiles = forecast(config, test_windows)
    np.save(Path(config.output_dir) / "predictions.npy", quantiles)
    return quantiles


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
