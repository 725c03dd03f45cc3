# SPDX-License-Identifier: Apache-2.0
"""Spot strange behaviour in multichannel machine runs with an LSTM autoencoder.

An LSTM sums up a window of all channels in one vector, a second one writes the window again from it.
Only normal runs are learnt. Errors are standardised channel by channel with those of other normal
runs, so that a calm channel counts as much as a restless one; the score of a window is the
largest of them, and the channel that it comes from points at the cause.

Data: `data_dir/runs/*.csv`, one file per run, with a header of channel names (the same in all files) and one
row per time step; `data_dir/runs.csv` with the header `run,anomalous` names each file (without .csv)
and tells whether the run went wrong (1) or not (0).
"""

# %% [imports]
import argparse
import csv
import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
from keras import layers


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; windows overlap by `sequence_length - stride` steps."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 6
    sequence_length: int = 30
    stride: int = 10
    units: int = 64
    code_size: int = 24
    tolerance: float = 1.2
    optimizer: str = "rmsprop"
    loss: str = "mean_absolute_error"
    metric: str = "auc"
    learning_rate: float = 0.002
    batch_size: int = 64
    epochs: int = 60


def parse_config(argv: list[str] | None = None) -> Config:
    """Return the settings that the options ask for."""
    parser = argparse.ArgumentParser(description="Anomalies in machine runs")
    for field in dataclasses.fields(Config):
        flag = "--" + field.name.replace("_", "-")
        if field.default is False:
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write runs whose channels follow one load; in a quarter of them a channel comes loose for a while."""
    rng = np.random.default_rng(config.seed)
    mixing = rng.uniform(0.5, 2.0, size=(2, config.num_features))
    folder = Path(config.data_dir) / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    steps, index = 120, []
    for number in range(config.synthetic_samples):
        time = np.arange(steps)
        load = np.sin(2 * np.pi * time / 24 + rng.uniform(0, 6)) + 0.3 * np.sin(2 * np.pi * time / 60)
        signals = np.stack([load, np.roll(load, 4)], axis=1) @ mixing + 10.0
        signals += rng.normal(0, 0.08, size=signals.shape)
        anomalous = number % 4 == 3
        if anomalous:
            start, channel = int(rng.integers(20, 60)), int(rng.integers(config.num_features))
            stretch = slice(start, start + 45)
            # Of usual height at every step, but no longer in time with the other channels.
            signals[stretch, channel] = rng.permutation(signals[stretch, channel])
        with open(folder / f"run_{number:04d}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([f"channel_{i}" for i in range(config.num_features)])
            writer.writerows(signals.round(4).tolist())
        index.append((f"run_{number:04d}", int(anomalous)))
    with open(Path(config.data_dir) / "runs.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("run", "anomalous"), *index])


def read_run(path: Path, channels: int) -> np.ndarray:
    """Return a run (steps, channels); gaps are filled with the value before them."""
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32", ndmin=2)
    if table.shape[1] != channels:
        raise ValueError(f"{path}: {table.shape[1]} channels, expected {channels}")
    last_known = np.where(np.isnan(table), 0, np.arange(len(table))[:, None])
    np.maximum.accumulate(last_known, axis=0, out=last_known)
    return np.nan_to_num(np.take_along_axis(table, last_known, axis=0))


def load_data(config: Config):
    """Return normal runs for training, normal runs for validation, and (runs, labels, names) for the test.

    Runs are kept whole: overlapping windows of one run on both sides of a split would be a leak.
    """
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    if not (root / "runs.csv").is_file():
        raise FileNotFoundError(
            f"{root / 'runs.csv'}: expected the columns run and anomalous, and runs/<run>.csv"
        )
    with open(root / "runs.csv", newline="", encoding="utf-8") as file:
        listed = [(row["run"], int(row["anomalous"])) for row in csv.DictReader(file)]
    normal = [name for name, anomalous in listed if not anomalous]
    normal = np.random.default_rng(config.seed).permutation(normal).tolist()
    first, second = int(0.6 * len(normal)), int(0.8 * len(normal))
    tested = normal[second:] + [name for name, anomalous in listed if anomalous]
    labels = np.arange(len(tested)) >= len(normal) - second

    def read(names: list[str]) -> list[np.ndarray]:
        return [read_run(root / "runs" / f"{name}.csv", config.num_features) for name in names]

    return read(normal[:first]), read(normal[first:second]), (read(tested), labels, tested)


class Windows(keras.utils.PyDataset):
    """Cut windows out of runs batch by batch, so that overlapping ones are never all in memory."""

    def __init__(self, runs: list[np.ndarray], config: Config, shuffle: bool = False) -> None:
        super().__init__()
        self.runs = runs
        self.length = config.sequence_length
        self.batch_size = config.batch_size
        self.rng = np.random.default_rng(config.seed) if shuffle else None
        last = config.sequence_length - 1
        self.places = np.array(
            [(i, at) for i, run in enumerate(runs) for at in range(0, len(run) - last, config.stride)]
        ).reshape(-1, 2)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.places) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.places[index * self.batch_size : (index + 1) * self.batch_size]
        windows = np.stack([self.runs[i][at : at + self.length] for i, at in chosen])
        return windows, windows

    def on_epoch_end(self) -> None:
        """Draw a new order, where one was asked for."""
        if self.rng is not None:
            self.rng.shuffle(self.places)


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled autoencoder of windows."""
    model = keras.Sequential(name="window_autoencoder")
    model.add(keras.Input((config.sequence_length, config.num_features)))
    model.add(layers.LSTM(config.units, return_sequences=True))
    model.add(layers.Dropout(0.1))
    model.add(layers.LSTM(config.code_size))
    model.add(layers.RepeatVector(config.sequence_length))
    model.add(layers.LSTM(config.code_size, return_sequences=True))
    model.add(layers.LSTM(config.units, return_sequences=True))
    model.add(layers.TimeDistributed(layers.Dense(config.num_features)))
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer,
            "config": {"learning_rate": config.learning_rate, "global_clipnorm": 1.0},
        }
    )
    model.compile(optimizer=optimizer, loss=config.loss)
    return model


# %% [train]
def channel_errors(model: keras.Model, windows: Windows) -> np.ndarray:
    """Return the mean absolute error of each window and channel (windows, channels)."""
    batches = [windows[index][0] for index in range(len(windows))]
    errors = [np.abs(model.predict_on_batch(batch) - batch).mean(axis=1) for batch in batches]
    return np.concatenate(errors)


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
    """Fit on normal runs; save the model, the scaling and how large errors normally are."""
    keras.utils.set_random_seed(config.seed)
    normal, held_out, _ = load_data(config)
    values = np.concatenate(normal)
    # Median and quartiles: a few outliers among the normal values do not bend the scale.
    low, centre, high = np.percentile(values, [25, 50, 75], axis=0).astype("float32")
    spread = np.maximum(high - low, 1e-6)
    normal, held_out = ([(run - centre) / spread for run in runs] for runs in (normal, held_out))
    checked = Windows(held_out, config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        Windows(normal, config, shuffle=True),
        validation_data=checked,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=8, restore_best_weights=True),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * (0.97 if epoch > 5 else 1.0)),
        ],
        verbose=2,
    )
    errors = channel_errors(model, checked)
    mean, deviation = errors.mean(axis=0), errors.std(axis=0) + 1e-6
    threshold = config.tolerance * ((errors - mean) / deviation).max()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    np.savez(
        output / "normal.npz",
        centre=centre,
        spread=spread,
        mean=mean,
        deviation=deviation,
        threshold=threshold,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def score_runs(config: Config, runs: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """Return the standardised errors of each run's windows (windows, channels), and the threshold."""
    output = Path(config.output_dir)
    model = keras.models.load_model(output / "model.keras")
    with np.load(output / "normal.npz", allow_pickle=False) as saved:
        normal = {name: saved[name] for name in saved.files}
    scored = []
    for run in runs:
        errors = channel_errors(model, Windows([(run - normal["centre"]) / normal["spread"]], config))
        scored.append((errors - normal["mean"]) / normal["deviation"])
    return scored, float(normal["threshold"])


def evaluate(config: Config) -> dict[str, float]:
    """Measure AUC, precision and recall over whole runs: a run counts as its strangest window."""
    _, _, (runs, labels, _) = load_data(config)
    scored, threshold = score_runs(config, runs)
    scores = np.array([run.max() for run in scored])
    auc = keras.metrics.AUC(num_thresholds=500)
    # The metric wants scores in [0, 1]; the order of the scores is all that counts.
    auc.update_state(labels, scores.argsort().argsort() / max(1, len(scores) - 1))
    alarms = scores > threshold
    found = int((alarms & labels).sum())
    return {
        "auc": float(auc.result()),
        "precision": found / max(1, int(alarms.sum())),
        "recall": found / max(1, int(labels.sum())),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the scores of all test windows (windows, channels); list alarms with place and cause."""
    _, _, (runs, _, names) = load_data(config)
    scored, threshold = score_runs(config, runs)
    output = Path(config.output_dir)
    with open(output / "alarms.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "from_step", "to_step", "channel", "score"])
        for name, scores in zip(names, scored, strict=True):
            for number in np.flatnonzero(scores.max(axis=1) > threshold):
                start, channel = number * config.stride, int(scores[number].argmax())
                row = [name, start, start + config.sequence_length - 1, channel]
                writer.writerow([*row, f"{scores[number, channel]:.3f}"])
    answer = np.concatenate(scored)
    np.save(output / "predictions.npy", answer)
    return answer


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
