# SPDX-License-Identifier: Apache-2.0
"""Forecast a river's level with prediction intervals from an ensemble of convolution and attention networks.

A single network does not know when it does not know. Several are trained here from different seeds; each
answers with a mean and a deviation (Gaussian likelihood). They are averaged as a mixture, whose variance
has two parts: the noise that the members expect, and their disagreement, which grows in weather they have
never seen. The deviations are finally rescaled on the validation stretch, so that a 90% interval holds 90%
of the time. Pictures of the calibration and of a forecast are saved.

Data: `data_dir/gauge.csv` with the header `time,level,rain,temperature`: one row per hour in order of
time, level in metres, rain in millimetres. Empty fields are filled by straight lines (rain: by zero).
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from pathlib import Path
from statistics import NormalDist

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib.figure import Figure


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    members: int = 3
    sequence_length: int = 72
    num_features: int = 3
    horizon: int = 12
    filters: int = 32
    optimizer: str = "adamw"
    loss: str = "gaussian_nll"
    metric: str = "mean_absolute_error"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 20
    coverage: float = 0.9


COLUMNS = ("level", "rain", "temperature")


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="River level, deep ensemble")
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
    """Write hours in which showers run off into the river within a day, with gaps in the record."""
    rng = np.random.default_rng(config.seed)
    hours = 3 * (config.sequence_length + config.horizon) + config.synthetic_samples
    rain = np.where(rng.random(hours) < 0.04, rng.gamma(2.0, 4.0, hours), 0.0)
    delay = np.arange(48)
    runoff = np.convolve(rain, delay / 36 * np.exp(1 - delay / 6))[:hours]
    temperature = 10 + 5 * np.sin(2 * np.pi * np.arange(hours) / 24) + rng.normal(0, 0.5, hours)
    level = 1.5 + 0.04 * runoff + rng.normal(0, 0.01, hours) * (1 + runoff / 10)
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "gauge.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *COLUMNS])
        for hour in range(hours):
            day, clock = divmod(hour, 24)
            values = [f"{level[hour]:.3f}", f"{rain[hour]:.1f}", f"{temperature[hour]:.1f}"]
            writer.writerow(
                [f"day {day:04d} {clock:02d}:00", *(["", ""] if hour % 97 == 50 else values[:2]), values[2]]
            )


def read_gauge(path: Path) -> np.ndarray:
    """Return (hours, 3): level, logarithm of the rain, temperature; gaps filled."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected a CSV file with the columns time, level, rain, temperature"
        )
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[float(row[name] or "nan") for name in COLUMNS] for row in csv.DictReader(file)]
    series = np.array(rows)
    series[:, 1] = np.log1p(np.nan_to_num(series[:, 1]))
    hours = np.arange(len(series))
    for column in (0, 2):
        known = ~np.isnan(series[:, column])
        series[:, column] = np.interp(hours, hours[known], series[known, column])
    return series.astype("float32")


def windows(series: np.ndarray, config: Config) -> tf.data.Dataset:
    """Return (past (sequence_length, 3), levels to come (horizon,)) for every hour, one by one, in order."""
    length = config.sequence_length + config.horizon
    rows = tf.data.Dataset.from_tensor_slices(series).window(length, shift=1, drop_remainder=True)
    rows = rows.flat_map(lambda window: window.batch(length, drop_remainder=True))
    return rows.map(lambda window: (window[: config.sequence_length], window[config.sequence_length :, 0]))


def load_data(config: Config):
    """Return (train, validation, test) stretches of time (hours, 3), raw; the test is the latest."""
    if config.synthetic:
        make_synthetic(config)
    series = read_gauge(Path(config.data_dir) / "gauge.csv")
    held_out = max(config.sequence_length + config.horizon, len(series) // 7)
    if len(series) < 3 * held_out:
        raise ValueError(f"{len(series)} hours are too few: three stretches of {held_out} are needed")
    return series[: -2 * held_out], series[-2 * held_out : -held_out], series[-held_out:]


# %% [model]
def gaussian_nll(y_true, y_pred):
    """Return the negative log likelihood of levels (batch, horizon) under answers (batch, horizon, 2)."""
    deviation = tf.nn.softplus(y_pred[..., 1]) + 1e-3
    return tf.reduce_mean(tf.math.log(deviation) + 0.5 * tf.square((y_true - y_pred[..., 0]) / deviation))


def mean_absolute_error(y_true, y_pred):
    """Return the error of the answered means."""
    return tf.reduce_mean(tf.abs(y_true - y_pred[..., 0]))


def build_model(config: Config) -> keras.Model:
    """Return one compiled member: past hours in, mean and raw deviation of each hour to come out."""
    inputs = keras.Input(shape=(config.sequence_length, config.num_features))
    x = layers.Conv1D(config.filters, 5, padding="causal", activation="relu")(inputs)
    x = layers.Conv1D(config.filters, 5, strides=2, padding="same", activation="relu")(x)
    attended = layers.MultiHeadAttention(num_heads=4, key_dim=8, dropout=0.1)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    recent = layers.Cropping1D((config.sequence_length // 2 - 1, 0))(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.Flatten()(recent)])
    x = layers.Dense(64, activation="gelu")(x)
    x = layers.Dense(2 * config.horizon)(x)
    outputs = layers.Reshape((config.horizon, 2))(x)
    model = keras.Model(inputs, outputs)
    losses = {"gaussian_nll": gaussian_nll}
    if config.loss not in losses:
        raise ValueError(f"unknown loss {config.loss!r}; known: {', '.join(losses)}")
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate, "clipnorm": 1.0}}
    )
    model.compile(optimizer=optimizer, loss=losses[config.loss], metrics=[mean_absolute_error])
    return model


# %% [train]
def member_path(config: Config, member: int) -> Path:
    """Return where a member is kept."""
    return Path(config.output_dir) / f"member_{member}.keras"


def mixture(config: Config, stretch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, deviation and truth (windows, horizon), standardised, of all saved members together."""
    batches = windows(stretch, config).batch(config.batch_size).cache()
    answers = []
    for member in range(config.members):
        model = keras.models.load_model(member_path(config, member), compile=False)
        answers.append(np.concatenate([model(past, training=False).numpy() for past, _ in batches]))
    means, raw = np.moveaxis(np.stack(answers).astype("float64"), -1, 0)
    noise = np.square(np.logaddexp(0.0, raw) + 1e-3).mean(axis=0)
    truth = np.concatenate([levels.numpy() for _, levels in batches])
    return means.mean(axis=0), np.sqrt(noise + means.var(axis=0)), truth


def train(config: Config) -> dict[str, float]:
    """Fit the members one after the other, calibrate them together and return their mean measures."""
    train_part, validation_part, _ = load_data(config)
    mean, std = train_part.mean(axis=0), train_part.std(axis=0) + 1e-6
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    standardised = [(part - mean) / std for part in (train_part, validation_part)]
    batches = windows(standardised[0], config).cache().shuffle(4096).batch(config.batch_size)
    held_out = windows(standardised[1], config).batch(config.batch_size).cache()
    histories = []
    for member in range(config.members):
        keras.utils.set_random_seed(config.seed + member)  # other weights, another order of the windows
        model = build_model(config)
        stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True)
        print(f"member {member + 1} of {config.members}")
        history = model.fit(
            batches.prefetch(1), validation_data=held_out, epochs=config.epochs, callbacks=[stop], verbose=2
        )
        model.save(member_path(config, member))
        histories.append({name: values[-1] for name, values in history.history.items()})
    means, deviations, truth = mixture(config, standardised[1])
    stretch = float(np.sqrt(np.mean(np.square((truth - means) / deviations))))
    facts = {"mean": mean.tolist(), "std": std.tolist(), "stretch": stretch}
    (output / "scaling.json").write_text(json.dumps(facts), encoding="utf-8")
    return {name: float(np.mean([history[name] for history in histories])) for name in histories[0]}


# %% [evaluate]
def forecast(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, calibrated deviation, truth (windows, horizon) and last level (windows, 1) in metres."""
    _, _, test_part = load_data(config)
    facts = json.loads((Path(config.output_dir) / "scaling.json").read_text(encoding="utf-8"))
    mean, std = np.array(facts["mean"], "float32"), np.array(facts["std"], "float32")
    means, deviations, truth = mixture(config, (test_part - mean) / std)
    last = test_part[config.sequence_length - 1 :, 0][: len(means), None]
    return means * std[0] + mean[0], deviations * std[0] * facts["stretch"], truth * std[0] + mean[0], last


def evaluate(config: Config) -> dict[str, float]:
    """Measure errors in metres beside those of "as it is now", and how often and how wide intervals hold."""
    means, deviations, truth, last = forecast(config)
    shares = np.linspace(0.1, 0.9, 9)
    widths = np.array([NormalDist().inv_cdf(0.5 + share / 2) for share in shares])
    held = [float((np.abs(truth - means) <= width * deviations).mean()) for width in widths]
    figure = Figure(figsize=(4, 4), layout="tight")
    axes = figure.add_subplot(xlabel="promised", ylabel="held", title="Prediction intervals")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey")
    axes.plot(shares, held, marker="o")
    figure.savefig(Path(config.output_dir) / "calibration.png", dpi=120)
    half = NormalDist().inv_cdf(0.5 + config.coverage / 2) * deviations
    return {
        "mean_absolute_error": float(np.abs(means - truth).mean()),
        "persistence_error": float(np.abs(last - truth).mean()),
        "interval_coverage": float((np.abs(truth - means) <= half).mean()),
        "interval_width": float(2 * half.mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return mean and deviation (windows, horizon, 2) in metres; save them and draw the highest level."""
    means, deviations, truth, _ = forecast(config)
    answers = np.stack([means, deviations], axis=-1)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", answers)
    flood = int(truth.max(axis=1).argmax())
    hours = np.arange(1, config.horizon + 1)
    half = NormalDist().inv_cdf(0.5 + config.coverage / 2) * deviations[flood]
    figure = Figure(figsize=(7, 4), layout="tight")
    axes = figure.add_subplot(
        xlabel="hours ahead", ylabel="level [m]", title="Highest level of the test stretch"
    )
    axes.fill_between(
        hours, means[flood] - half, means[flood] + half, alpha=0.3, label=f"{config.coverage:.0%}"
    )
    axes.plot(hours, means[flood], label="forecast")
    axes.plot(hours, truth[flood], color="black", linestyle=":", label="measured")
    axes.legend()
    figure.savefig(output / "highest_level.png", dpi=120)
    return answers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
