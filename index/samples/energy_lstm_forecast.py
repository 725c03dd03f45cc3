# SPDX-License-Identifier: Apache-2.0
"""Forecast the energy use of the next day from the past week with a stacked LSTM.

The last 168 hours of all measured columns are one input window, the next 24 hours of the first
column the target. Windows are cut after the series has been divided in time, so none reaches from
training into test. The measure of success is whether the network beats "the same hour yesterday".

Data: `data_dir/series.csv` with a header line: one row per hour in order of time, first column the
load to forecast, then further measurements (temperature, ...), all of them numbers.
"""

# %% [imports]
import argparse
import dataclasses
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
    sequence_length: int = 168
    horizon: int = 24
    num_features: int = 3
    optimizer: str = "adam"
    loss: str = "mse"
    metric: str = "mae"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Hourly energy forecast")
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
    """Write a series with a daily rhythm that holds about `synthetic_samples` windows."""
    rng = np.random.default_rng(config.seed)
    window = config.sequence_length + config.horizon
    hours = np.arange(3 * window + config.synthetic_samples)
    temperature = 12 + 8 * np.sin(2 * np.pi * hours / (24 * 30)) + rng.normal(0, 1, len(hours))
    weekend = (hours // 24 % 7 >= 5).astype(float)
    daily = np.sin(2 * np.pi * (hours % 24 - 8) / 24)
    load = 100 + 25 * daily - 1.5 * temperature - 10 * weekend + rng.normal(0, 2, len(hours))
    others = rng.normal(size=(len(hours), max(0, config.num_features - 3)))
    table = np.column_stack([load, temperature, weekend, others])[:, : config.num_features]
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    names = ["load", "temperature", "weekend"] + [f"extra_{i}" for i in range(others.shape[1])]
    header = ",".join(names[: config.num_features])
    np.savetxt(folder / "series.csv", table, delimiter=",", header=header, comments="", fmt="%.3f")


def read_series(config: Config) -> np.ndarray:
    """Return the measurements (hours, num_features); gaps are filled with the value before them."""
    path = Path(config.data_dir) / "series.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table, one row per hour, first column the target")
    series = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32")
    series = series.reshape(len(series), -1)
    if series.shape[1] != config.num_features:
        raise ValueError(f"{path}: {series.shape[1]} columns, --num-features {config.num_features}")
    for row in range(1, len(series)):
        gaps = np.isnan(series[row])
        series[row, gaps] = series[row - 1, gaps]
    return series


def cut_windows(series: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (windows, sequence_length, num_features) and targets (windows, horizon)."""
    length, horizon = config.sequence_length, config.horizon
    count = len(series) - length - horizon + 1
    if count < 1:
        raise ValueError(f"{len(series)} rows are too few for windows of {length} + {horizon} rows")
    inputs = np.stack([series[i : i + length] for i in range(count)])
    targets = np.stack([series[i + length : i + length + horizon, 0] for i in range(count)])
    return inputs, targets


def load_data(config: Config):
    """Return (train, validation, test), each a pair of raw windows and targets, in order of time."""
    if config.synthetic:
        make_synthetic(config)
    series = read_series(config)
    window = config.sequence_length + config.horizon
    held_out = max(window, int(0.15 * len(series)))
    bounds = [len(series) - 2 * held_out, len(series) - held_out]
    return tuple(cut_windows(part, config) for part in np.split(series, bounds))


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled forecaster; all hours of the horizon are answered at once."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.sequence_length, config.num_features)),
            keras.layers.LSTM(64, return_sequences=True),
            keras.layers.Dropout(0.2),
            keras.layers.LSTM(32),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(config.horizon),
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
    """Fit on standardised windows; save the model and the statistics that it needs."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train), (x_validation, y_validation), _ = load_data(config)
    mean = x_train.mean(axis=(0, 1))
    std = x_train.std(axis=(0, 1)) + 1e-6
    model = build_model(config)
    model.summary()
    history = model.fit(
        (x_train - mean) / std,
        (y_train - mean[0]) / std[0],
        validation_data=((x_validation - mean) / std, (y_validation - mean[0]) / std[0]),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2),
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    np.savez(output / "scaling.npz", mean=mean, std=std)
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def forecast(config: Config, inputs: np.ndarray) -> np.ndarray:
    """Return forecasts (windows, horizon) in the unit of the series for raw windows."""
    output = Path(config.output_dir)
    with np.load(output / "scaling.npz", allow_pickle=False) as scaling:
        mean, std = scaling["mean"], scaling["std"]
    model = keras.models.load_model(output / "model.keras")
    answers = model.predict((inputs - mean) / std, batch_size=config.batch_size, verbose=0)
    return answers * std[0] + mean[0]


def evaluate(config: Config) -> dict[str, float]:
    """Measure the errors on the last stretch of the series, beside those of the naive forecast."""
    _, _, (x_test, y_test) = load_data(config)
    errors = forecast(config, x_test) - y_test
    naive = x_test[:, -config.horizon :, 0] - y_test
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "naive_mae": float(np.abs(naive).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the forecasts (windows, horizon) of the test windows and save them."""
    _, _, (x_test, _) = load_data(config)
    answers = forecast(config, x_test)
    np.save(Path(config.output_dir) / "predictions.npy", answers)
    return answers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
