# SPDX-License-Identifier: Apache-2.0
"""Estimate house prices from numeric features with a dense network.

Prices are skewed, so the network learns the standardised logarithm of the price and the answers are
turned back into money. Features and targets are scaled with statistics of the training rows, which
are saved beside the model. Training keeps the best checkpoint and lowers the learning rate on plateaus.

Data: `data_dir/houses.csv` with a header line; every column but the last is a number (area, rooms,
age, ...), the last one, `price`, is the price, over 0. Empty cells are filled with the median.
"""

# %% [imports]
import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np
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
    num_features: int = 8
    optimizer: str = "rmsprop"
    loss: str = "huber"
    metric: str = "mae"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 100
    l2: float = 0.0001


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="House price regression")
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
    """Write houses whose price grows with area and falls with age; some cells are left empty."""
    rng = np.random.default_rng(config.seed)
    features = rng.uniform(1, 10, size=(config.synthetic_samples, config.num_features))
    noise = rng.lognormal(0, 0.1, size=len(features))
    price = 30_000 * features[:, 0] * np.exp(-0.05 * features[:, 1]) * noise
    lines = [",".join([f"feature_{i}" for i in range(config.num_features)] + ["price"])]
    for row, amount in zip(features, price, strict=True):
        cells = ["" if rng.random() < 0.02 else f"{value:.3f}" for value in row]
        lines.append(",".join([*cells, f"{amount:.0f}"]))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "houses.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_data(config: Config):
    """Return (train, validation, test), each a pair of raw features and prices."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "houses.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV table of numbers whose last column is the price")
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float64")
    table = table[table[:, -1] > 0]
    np.random.default_rng(config.seed).shuffle(table)
    first, second = int(0.7 * len(table)), int(0.85 * len(table))
    train_rows, validation_rows, test_rows = np.split(table, [first, second])
    median = np.nanmedian(train_rows[:, :-1], axis=0)
    splits = []
    for rows in (train_rows, validation_rows, test_rows):
        features = np.where(np.isnan(rows[:, :-1]), median, rows[:, :-1])
        splits.append((features, rows[:, -1]))
    return tuple(splits)


@dataclasses.dataclass
class Scaling:
    """Map features and prices to what the network sees, and its answers back to prices."""

    mean: np.ndarray
    std: np.ndarray
    target_mean: float
    target_std: float

    @classmethod
    def fit(cls, features: np.ndarray, prices: np.ndarray) -> "Scaling":
        """Take the statistics of the training rows."""
        logs = np.log(prices)
        return cls(features.mean(axis=0), features.std(axis=0) + 1e-9, logs.mean(), logs.std() + 1e-9)

    def features(self, features: np.ndarray) -> np.ndarray:
        """Return standardised features."""
        return ((features - self.mean) / self.std).astype("float32")

    def targets(self, prices: np.ndarray) -> np.ndarray:
        """Return standardised logarithms of prices."""
        return ((np.log(prices) - self.target_mean) / self.target_std).astype("float32")

    def prices(self, targets: np.ndarray) -> np.ndarray:
        """Return prices for what the network answered."""
        return np.exp(targets * self.target_std + self.target_mean)

    def save(self, path: Path) -> None:
        """Write the statistics as an .npz file."""
        np.savez(path, mean=self.mean, std=self.std, target=[self.target_mean, self.target_std])

    @classmethod
    def load(cls, path: Path) -> "Scaling":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["mean"], arrays["std"], *map(float, arrays["target"]))


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled regression network with one linear output."""
    l2 = keras.regularizers.L2(config.l2)
    inputs = layers.Input(shape=(config.num_features,))
    x = layers.Dense(128, activation="relu", kernel_regularizer=l2)(inputs)
    x = layers.Dropout(0.1)(x)
    x = layers.Dense(64, activation="relu", kernel_regularizer=l2)(x)
    x = layers.Dense(32, activation="relu", kernel_regularizer=l2)(x)
    outputs = layers.Dense(1)(x)
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
    """Fit on scaled values; the best epoch by validation loss is what is kept on disk."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train), (x_validation, y_validation), _ = load_data(config)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    scaling = Scaling.fit(x_train, y_train)
    scaling.save(output / "scaling.npz")
    model = build_model(config)
    model.summary()
    history = model.fit(
        scaling.features(x_train),
        scaling.targets(y_train),
        validation_data=(scaling.features(x_validation), scaling.targets(y_validation)),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ModelCheckpoint(str(output / "model.keras"), save_best_only=True),
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=5, min_lr=1e-5),
            keras.callbacks.EarlyStopping(patience=15),
            keras.callbacks.CSVLogger(str(output / "history.csv")),
        ],
        verbose=2,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def estimate_prices(config: Config, features: np.ndarray) -> np.ndarray:
    """Return what the saved model says of raw features, in money (houses, 1)."""
    output = Path(config.output_dir)
    scaling = Scaling.load(output / "scaling.npz")
    model = keras.models.load_model(output / "model.keras")
    return scaling.prices(model.predict(scaling.features(features), verbose=0))


def evaluate(config: Config) -> dict[str, float]:
    """Measure the errors on the test houses in money, and the share of variance explained."""
    _, _, (x_test, y_test) = load_data(config)
    prices = estimate_prices(config, x_test)[:, 0]
    errors = prices - y_test
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "mape": float(np.abs(errors / y_test).mean()),
        "r2": float(1 - (errors**2).sum() / max(((y_test - y_test.mean()) ** 2).sum(), 1e-9)),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the estimated prices (houses, 1) of the test houses and save them."""
    _, _, (x_test, _) = load_data(config)
    prices = estimate_prices(config, x_test)
    np.savetxt(Path(config.output_dir) / "predictions.csv", prices, header="price", comments="", fmt="%.2f")
    return prices


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
