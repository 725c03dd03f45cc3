"""Two small scripts in the section contract, and plans for them, for tests of the stages."""

import re
from dataclasses import dataclass, replace

from dlcodegen_local.plan.schema import Plan

PLAN = Plan(
    category="Tabular Classification",
    dataset_input="(batch_size, 4), numeric columns",
    dataset_output="(batch_size, 3), class probabilities",
    preprocess="Columns standardised.",
    layers=("Input(shape=(4,))", "Dense(8, activation='relu')", "Dense(3, activation='softmax')"),
    optimizer="adam",
    loss="sparse_categorical_crossentropy",
    learning_rate=0.001,
    batch_size=32,
    epochs=20,
    metric="accuracy",
)
OTHER_PLAN = replace(
    PLAN,
    dataset_input="(batch_size, 9), numeric columns",
    dataset_output="(batch_size, 5), class probabilities",
    layers=(
        "Input(shape=(9,))",
        "Dense(16, activation='relu')",
        "Dropout(0.5)",
        "Dense(5, activation='softmax')",
    ),
    optimizer="SGD",
    learning_rate=0.01,
    batch_size=8,
    epochs=3,
)
TABLE = '''# SPDX-License-Identifier: Apache-2.0
"""Classify rows of a table.

Data: `data_dir/table.npy`, one row an item.
"""


# %% [imports]
import argparse
import dataclasses

import keras
import numpy as np


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings."""

    data_dir: str = "data"
    num_features: int = 4
    num_classes: int = 3
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 20


def parse_config(argv=None):
    """Read the command line."""
    argparse.ArgumentParser().parse_args(argv)
    return Config()


# %% [data]
def make_synthetic(config):
    """Write rows."""
    np.save(config.data_dir, np.zeros((config.num_features,)))


def load_data(config):
    """Return three pairs."""
    rows = np.load(config.data_dir)
    return (rows, rows), (rows, rows), (rows, rows)


# %% [model]
def build_model(config):
    """Return the model."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.num_features,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(config.num_classes, activation="softmax"),
        ]
    )
    model.compile(optimizer=config.optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
def train(config):
    """Fit."""
    (x, y), validation, _ = load_data(config)
    history = build_model(config).fit(x, y, epochs=config.epochs, validation_data=validation)
    return {"loss": history.history["loss"][-1]}


# %% [evaluate]
def evaluate(config):
    """Measure."""
    _, _, (x, y) = load_data(config)
    return {"loss": float(np.mean(x - y))}


# %% [predict]
def predict(config):
    """Predict."""
    _, _, (x, _) = load_data(config)
    return np.asarray(x)


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
'''
# The same task with batches instead of arrays, and with names of its own.
BATCHES = (
    TABLE.replace("import numpy as np", "import numpy as np\nimport tensorflow as tf")
    .replace("Classify rows of a table.", "Classify batches of rows.")
    .replace("    epochs: int = 20", "    epochs: int = 20\n    shuffle_size: int = 100")
    .replace("    rows = np.load(config.data_dir)\n", "    rows = as_batches(config)\n")
    .replace("    return (rows, rows), (rows, rows), (rows, rows)\n", "    return rows, rows, rows\n")
    .replace(
        "def load_data(config):",
        'def as_batches(config):\n    """Return shuffled batches."""\n'
        "    rows = tf.data.Dataset.from_tensor_slices(np.load(config.data_dir))\n"
        "    return rows.shuffle(config.shuffle_size).batch(config.batch_size)\n\n\ndef load_data(config):",
    )
    .replace(
        "    (x, y), validation, _ = load_data(config)\n", "    batches, validation, _ = load_data(config)\n"
    )
    .replace(".fit(x, y, epochs", ".fit(batches.repeat(config.shuffle_size), epochs")
    .replace("    _, _, (x, y) = load_data(config)\n", "    _, _, batches = load_data(config)\n")
    .replace("np.mean(x - y)", "len(batches)")
    .replace("    _, _, (x, _) = load_data(config)\n", "    _, _, batches = load_data(config)\n")
    .replace("np.asarray(x)", "np.asarray(list(batches))")
)


@dataclass(frozen=True)
class PooledSample:
    """A retrieved sample as the stages see it."""

    id: str
    source: str
    plan: Plan = PLAN


def section(source: str, name: str) -> str:
    """Return the body of a section of a script."""
    return re.split(r"^# %% \[\w+\]\n", source.split(f"# %% [{name}]\n", 1)[1], flags=re.MULTILINE)[0].strip()
