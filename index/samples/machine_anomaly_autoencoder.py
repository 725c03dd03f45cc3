# SPDX-License-Identifier: Apache-2.0
"""Notice faults of a machine from its sensors with an autoencoder trained on normal operation only.

What the network cannot reconstruct is unusual. The threshold is a high quantile of the reconstruction
error on normal readings held out from training, so the share of false alarms is chosen beforehand.
Faulty readings are needed for testing only.

Data: `data_dir/normal.csv` (readings in normal operation) and `data_dir/test.csv` (mixed, with a last
column `anomaly` of 0 or 1); both have a header line, all cells are numbers.
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
    num_features: int = 16
    noise: float = 0.1
    false_alarm_rate: float = 0.02
    optimizer: str = "adam"
    loss: str = "mse"
    metric: str = "mae"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 50


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Anomaly detection on sensor readings")
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
    """Write readings that depend on three hidden causes; faults break the dependence in some sensors."""
    rng = np.random.default_rng(config.seed)
    mixing = rng.normal(size=(3, config.num_features))

    def readings(count: int) -> np.ndarray:
        noise = rng.normal(0, 0.1, size=(count, config.num_features))
        return 20 + 5 * (np.tanh(rng.normal(size=(count, 3))) @ mixing + noise)

    test, labels = readings(config.synthetic_samples), np.zeros(config.synthetic_samples)
    for row in range(0, len(test), 4):
        test[row, rng.choice(config.num_features, size=4, replace=False)] += rng.normal(0, 15, size=4)
        labels[row] = 1
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    header = ",".join(f"sensor_{i}" for i in range(config.num_features))
    options = {"delimiter": ",", "comments": "", "fmt": "%.4f"}
    np.savetxt(folder / "normal.csv", readings(2 * config.synthetic_samples), header=header, **options)
    np.savetxt(folder / "test.csv", np.column_stack([test, labels]), header=header + ",anomaly", **options)


def read_numbers(path: Path, columns: int) -> np.ndarray:
    """Return the rows of a CSV table that have a number in each column."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table of {columns} columns of numbers with a header")
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32", ndmin=2)
    if table.shape[1] != columns:
        raise ValueError(f"{path}: {table.shape[1]} columns instead of {columns}")
    return table[~np.isnan(table).any(axis=1)]


def load_data(config: Config):
    """Return (train, validation, test): normal readings twice, then a pair of readings and labels."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    normal = read_numbers(folder / "normal.csv", config.num_features)
    test = read_numbers(folder / "test.csv", config.num_features + 1)
    # In order of time: readings next to each other are alike, a random split would leak.
    cut = int(0.8 * len(normal))
    return normal[:cut], normal[cut:], (test[:, :-1], test[:, -1].astype(bool))


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled autoencoder; the four numbers in its middle are all that passes."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.num_features,)),
            keras.layers.GaussianNoise(config.noise),
            keras.layers.Dense(32, activation="elu"),
            keras.layers.Dense(16, activation="elu"),
            keras.layers.Dense(4, name="code"),
            keras.layers.Dense(16, activation="elu"),
            keras.layers.Dense(32, activation="elu"),
            keras.layers.Dense(config.num_features),
        ]
    )
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
def reconstruction_errors(model: keras.Model, readings: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each standardised reading (rows,)."""
    return np.mean((model.predict(readings, verbose=0) - readings) ** 2, axis=1)


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
    """Fit on normal readings, choose the threshold, save both with the scaling."""
    keras.utils.set_random_seed(config.seed)
    normal, held_out, _ = load_data(config)
    mean, std = normal.mean(axis=0), normal.std(axis=0) + 1e-6
    normal, held_out = (normal - mean) / std, (held_out - mean) / std
    model = build_model(config)
    model.summary()
    history = model.fit(
        normal,
        normal,
        validation_data=(held_out, held_out),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
        verbose=2,
    )
    threshold = float(np.quantile(reconstruction_errors(model, held_out), 1 - config.false_alarm_rate))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    np.savez(output / "detector.npz", mean=mean, std=std, threshold=threshold)
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()} | {"threshold": threshold}


# %% [evaluate]
def reconstruct(config: Config, readings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings as the network sees them (rows, num_features), and their scores (rows,).

    The score is the error as a multiple of the threshold: over 1 is an alarm.
    """
    output = Path(config.output_dir)
    model = keras.models.load_model(output / "model.keras")
    with np.load(output / "detector.npz", allow_pickle=False) as detector:
        mean, std, threshold = (detector[name] for name in ("mean", "std", "threshold"))
    scaled = (readings - mean) / std
    return model.predict(scaled, verbose=0) * std + mean, reconstruction_errors(model, scaled) / threshold


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the chance that an anomaly scores higher than a normal reading; ties count half."""
    above = scores[labels][:, None] - scores[~labels][None, :]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def evaluate(config: Config) -> dict[str, float]:
    """Measure ROC AUC, and precision and recall of the alarms on the test readings."""
    _, _, (readings, labels) = load_data(config)
    _, scores = reconstruct(config, readings)
    alarms = scores > 1
    hits = float(np.sum(alarms & labels))
    measures = {
        "roc_auc": roc_auc(scores, labels),
        "precision": hits / max(float(alarms.sum()), 1.0),
        "recall": hits / max(float(labels.sum()), 1.0),
    }
    (Path(config.output_dir) / "test_metrics.json").write_text(json.dumps(measures), encoding="utf-8")
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the reconstructed test readings (rows, num_features); save them, and the scores as CSV."""
    _, _, (readings, _) = load_data(config)
    reconstructed, scores = reconstruct(config, readings)
    output = Path(config.output_dir)
    np.savetxt(output / "scores.csv", scores, header="score", comments="", fmt="%.5f")
    np.save(output / "predictions.npy", reconstructed)
    return reconstructed


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
