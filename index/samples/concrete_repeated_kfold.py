# SPDX-License-Identifier: Apache-2.0
"""Predict the strength of concrete from its recipe in Keras: repeated k-fold, averaged weights, plots.

A table of a few hundred rows is too small for one split: the mean absolute error is estimated over several
rounds of k-fold, each with other folds, and reported with its spread. Each fit ends with the mean of its
weights over the last epochs, which generalises better than the last step. The folds choose nothing;
the model that is kept is then fitted on all rows outside of the test set.

Data: `data_dir/mixes.csv` with a header line, nine numeric columns: cement, slag, ash, water, plasticiser,
coarse, fine (kg per cubic metre), age (days) and, last, strength (MPa).
"""

# %% [imports]
import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; `average_share` is the last part of the epochs whose weights are averaged."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 8
    folds: int = 3
    rounds: int = 2
    average_share: float = 0.4
    optimizer: str = "adam"
    loss: str = "huber"
    metric: str = "mean_absolute_error"
    learning_rate: float = 0.01
    batch_size: int = 32
    epochs: int = 80


def parse_config(argv: list[str] | None = None) -> Config:
    """Build the settings from the command line."""
    parser = argparse.ArgumentParser(description="Concrete strength with repeated k-fold")
    parser.add_argument("--synthetic", action="store_true", help="make up a table first")
    for field in dataclasses.fields(Config):
        if field.name != "synthetic":
            option = "--" + field.name.replace("_", "-")
            parser.add_argument(option, type=type(field.default), default=field.default)
    return Config(**vars(parser.parse_args(argv)))


COLUMNS = ("cement", "slag", "ash", "water", "plasticiser", "coarse", "fine", "age")
# Mixes of the same recipe at different ages must not be torn apart: they count as one group.
RECIPE = slice(0, 7)


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write mixes whose strength follows from water, cement and, logarithmically, age."""
    rng = np.random.default_rng(config.seed)
    low = np.array([150, 0, 0, 140, 0, 800, 600])
    high = np.array([500, 200, 150, 230, 20, 1100, 900])
    recipes = rng.uniform(low, high, (max(4, config.synthetic_samples // 2), 7)).round(1)
    rows = recipes[np.arange(config.synthetic_samples) % len(recipes)]
    age = rng.choice([3, 7, 14, 28, 56, 90], (len(rows), 1))
    binder = rows[:, :1] + 0.7 * rows[:, 1:2] + 0.4 * rows[:, 2:3]
    strength = 22 * (binder / rows[:, 3:4]) * np.log1p(age) / np.log(29) + rng.normal(0, 1.5, age.shape)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    header = ",".join([*COLUMNS, "strength"])
    table = np.concatenate([rows, age, strength.clip(1)], axis=1)
    np.savetxt(folder / "mixes.csv", table, fmt="%.2f", delimiter=",", header=header, comments="")


def group_folds(x: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return a fold number (rows,) such that rows of one recipe share it."""
    recipes, group = np.unique(x[:, RECIPE], axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(recipes))
    return (order % min(folds, len(recipes)))[group.reshape(-1)]


def load_data(config: Config):
    """Return (train, validation, test) as pairs x (rows, features), y (rows, 1).

    Validation is a first fold of what is not for testing; `train` makes its own folds of both parts.
    """
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "mixes.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a header and the columns {', '.join(COLUMNS)}, strength")
    table = np.loadtxt(path, delimiter=",", skiprows=1, dtype="float32", ndmin=2)
    if table.shape[1] != config.num_features + 1:
        raise ValueError(f"{path} has {table.shape[1]} columns, not {config.num_features + 1}")
    table = table[~np.isnan(table).any(axis=1)]
    fold = group_folds(table, 6, config.seed)
    parts = (table[fold > 1], table[fold == 1], table[fold == 0])
    return tuple((part[:, :-1], part[:, -1:]) for part in parts)


# %% [model]
def build_model(config: Config, x: np.ndarray | None = None, y: np.ndarray | None = None) -> keras.Model:
    """Return the compiled network. Its first and last layer hold the scales of the rows it is built for.

    The saved file thus takes kilograms and days, and answers in megapascals.
    """
    normalise = layers.Normalization(name="standardise")
    normalise.adapt(np.zeros((1, config.num_features)) if x is None else x)
    mean, spread = (0.0, 1.0) if y is None else (float(y.mean()), float(y.std()) or 1.0)
    model = keras.Sequential(
        [
            layers.Input(shape=(config.num_features,)),
            normalise,
            layers.Dense(64, activation="gelu"),
            layers.Dense(64, activation="gelu"),
            layers.Dense(32, activation="gelu"),
            layers.Dense(1),
            layers.Rescaling(spread, offset=mean),
        ]
    )
    settings = {"learning_rate": config.learning_rate}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
class AverageWeights(keras.callbacks.Callback):
    """Replace the weights at the end of training by their mean over the epochs from `first` on."""

    def __init__(self, first: int):
        super().__init__()
        self.first, self.taken, self.mean = first, 0, []

    def on_epoch_end(self, epoch, logs=None):
        """Fold the weights of this epoch into the running mean."""
        if epoch < self.first:
            return
        weights = self.model.get_weights()
        self.taken += 1
        if self.taken == 1:
            self.mean = weights
        else:
            self.mean = [old + (new - old) / self.taken for old, new in zip(self.mean, weights, strict=True)]

    def on_train_end(self, logs=None):
        """Put the mean in place."""
        if self.taken:
            self.model.set_weights(self.mean)


def fit(config: Config, x: np.ndarray, y: np.ndarray) -> tuple[keras.Model, keras.callbacks.History]:
    """Return a network fitted on these rows alone, with its history."""
    model = build_model(config, x, y)
    halve = keras.callbacks.LearningRateScheduler(
        # Constant for the first half, then smaller steps, around which averaging makes sense.
        lambda epoch, rate: config.learning_rate * (1.0 if epoch < config.epochs // 2 else 0.3)
    )
    average = AverageWeights(first=int(config.epochs * (1 - config.average_share)))
    history = model.fit(
        x, y, batch_size=config.batch_size, epochs=config.epochs, callbacks=[halve, average], verbose=0
    )
    return model, history


def train(config: Config) -> dict[str, float]:
    """Cross-validate, save every left-out residual for the plot, then fit and save the final network."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train), (x_validation, y_validation), _ = load_data(config)
    x, y = np.concatenate([x_train, x_validation]), np.concatenate([y_train, y_validation])
    errors, left_out = [], []
    for turn in range(config.rounds):
        folds = group_folds(x, config.folds, config.seed + 1 + turn)
        for fold in range(folds.max() + 1):
            inside = folds == fold
            model, _ = fit(config, x[~inside], y[~inside])
            answer = model.predict(x[inside], verbose=0)
            errors.append(float(np.abs(answer - y[inside]).mean()))
            left_out.append(np.concatenate([y[inside], answer], axis=1))
        print(f"round {turn + 1}: MAE {np.mean(errors[-(folds.max() + 1) :]):.2f}")
    final, history = fit(config, x, y)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    np.save(output / "left_out.npy", np.concatenate(left_out))
    final.save(output / "model.keras")
    return {
        "loss": float(history.history["loss"][-1]),
        "cv_mae": float(np.mean(errors)),
        "cv_mae_std": float(np.std(errors)),
    }


# %% [evaluate]
def plot_residuals(pairs: np.ndarray, path: Path) -> None:
    """Draw found against true values, and the residuals over the found value and as a histogram."""
    truth, answer = pairs.T
    residual = answer - truth
    figure = Figure(figsize=(12, 4), layout="constrained")
    agreement, spread, shape = figure.subplots(1, 3)
    agreement.scatter(truth, answer, s=8, alpha=0.5)
    ends = [float(truth.min()), float(truth.max())]
    agreement.plot(ends, ends, color="black", linewidth=1)
    agreement.set(xlabel="measured [MPa]", ylabel="predicted [MPa]", title="left-out rows")
    # A funnel or a bend here says that the model lacks something.
    spread.scatter(answer, residual, s=8, alpha=0.5)
    spread.axhline(0.0, color="black", linewidth=1)
    spread.set(xlabel="predicted [MPa]", ylabel="residual [MPa]")
    shape.hist(residual, bins=30)
    shape.set(xlabel="residual [MPa]", ylabel="rows")
    FigureCanvasAgg(figure).print_png(path)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the test mixes and draw `residuals.png` from the rows that were left out in the folds."""
    output = Path(config.output_dir)
    model = keras.models.load_model(output / "model.keras")
    _, _, (x_test, y_test) = load_data(config)
    residual = model.predict(x_test, verbose=0) - y_test
    plot_residuals(np.load(output / "left_out.npy"), output / "residuals.png")
    return {
        "mean_absolute_error": float(np.abs(residual).mean()),
        "rmse": float(np.sqrt(np.square(residual).mean())),
        "r2": float(
            1 - np.square(residual).sum() / max(float(np.square(y_test - y_test.mean()).sum()), 1e-9)
        ),
        "bias": float(residual.mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the strength (mixes, 1) in MPa of the test mixes and save it."""
    _, _, (x_test, _) = load_data(config)
    strength = keras.models.load_model(Path(config.output_dir) / "model.keras").predict(x_test, verbose=0)
    np.savetxt(
        Path(config.output_dir) / "predictions.csv", strength, fmt="%.2f", header="strength", comments=""
    )
    return strength


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
