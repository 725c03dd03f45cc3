# SPDX-License-Identifier: Apache-2.0
"""Tell whether two signatures are of the same person with a Siamese network and contrastive loss in Keras.

One encoder turns both pictures into vectors; training pulls pairs of one writer together and pushes
others apart up to a margin. The distance at which to say "different" is chosen on validation pairs.
The splits are made by writer: the question is always about people whom the network never saw.

Data: `data_dir/<writer>/*.png`, at least two signatures a writer, dark ink on light paper.
"""

# %% [imports]
import argparse
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
    """Settings of the run; `pairs_per_image` says how many pairs an epoch has."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_height: int = 48
    image_width: int = 96
    embedding_size: int = 32
    margin: float = 1.0
    pairs_per_image: int = 4
    optimizer: str = "rmsprop"
    loss: str = "contrastive_loss"
    metric: str = "binary_accuracy"
    learning_rate: float = 0.001
    batch_size: int = 16
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Return Config() with the given options changed."""
    config = Config()
    parser = argparse.ArgumentParser(description="Signature verification")
    for name, value in vars(config).items():
        flag = "--" + name.replace("_", "-")
        if value is False:
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(value))
    changed = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    return dataclasses.replace(config, **changed)


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write curves: each writer has frequencies of their own, each signature a slightly different stroke."""
    rng = np.random.default_rng(config.seed)
    height, width = config.image_height, config.image_width
    writers = max(6, config.synthetic_samples // 4)
    styles = np.stack(
        [
            rng.uniform(1, 7, writers),
            rng.uniform(1, 5, writers),
            rng.uniform(0, 6, writers),
            rng.uniform(0, 6, writers),
        ]
    )
    steps = np.linspace(0, 1, 1500)
    for number in range(config.synthetic_samples):
        fast, slow, phase, shift = styles[:, number % writers] + rng.normal(0, 0.06, 4)
        x = 0.5 + 0.36 * (2 * steps - 1) + 0.06 * np.cos(2 * np.pi * fast * steps + phase)
        y = (
            0.5
            + 0.25 * np.sin(2 * np.pi * fast * steps + phase)
            + 0.15 * np.cos(2 * np.pi * slow * steps + shift)
        )
        paper = rng.normal(235, 6, (height, width))
        rows, columns = (
            (y * height).astype(int).clip(1, height - 1),
            (x * width).astype(int).clip(0, width - 1),
        )
        paper[rows, columns] = paper[rows - 1, columns] = 40
        path = Path(config.data_dir) / f"writer_{number % writers:03d}" / f"{number:04d}.png"
        tf.io.write_file(str(path), tf.io.encode_png(paper.clip(0, 255).astype("uint8")[..., None]))


def read_signature(path: Path, height: int, width: int) -> np.ndarray:
    """Return ink (height, width, 1) between 0 and 1: the paper is 0, so that padding is paper too."""
    grey = tf.io.decode_png(tf.io.read_file(str(path)), channels=1)
    ink = 1.0 - tf.cast(grey, tf.float32) / 255.0
    return tf.image.resize_with_pad(ink, height, width).numpy()


class PairBatches(keras.utils.PyDataset):
    """Batches of ((left, right), different): half of the pairs are of one writer, target 0.

    Training draws new pairs each epoch, shifted by a few pixels; without `training` they are always the same.
    """

    def __init__(self, images: np.ndarray, writers: np.ndarray, config: Config, training: bool):
        super().__init__()
        self.images, self.writers, self.config, self.training = images, writers, config, training
        self.epoch = 0
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.different) // self.config.batch_size)

    def on_epoch_end(self) -> None:
        """Draw the pairs of the next epoch."""
        self.rng = np.random.default_rng([self.config.seed, self.epoch])
        self.epoch += int(self.training)
        lefts, rights, different = [], [], []
        for turn in range(self.config.pairs_per_image):
            for left, writer in enumerate(self.writers):
                is_other = turn % 2
                candidates = np.flatnonzero(
                    (self.writers != writer) if is_other else (self.writers == writer)
                )
                rights.append(self.rng.choice(candidates[candidates != left]))
                lefts.append(left)
                different.append(is_other)
        order = self.rng.permutation(len(lefts)) if self.training else np.arange(len(lefts))
        self.lefts, self.rights = np.array(lefts)[order], np.array(rights)[order]
        self.different = np.array(different, dtype="float32")[order, None]

    def shifted(self, images: np.ndarray) -> np.ndarray:
        """Return copies moved by up to 4 pixels each way; ink that leaves one side is lost."""
        padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
        height, width = images.shape[1:3]
        corners = self.rng.integers(0, 9, (len(images), 2))
        moved = [image[y : y + height, x : x + width] for image, (y, x) in zip(padded, corners, strict=True)]
        return np.stack(moved)

    def __getitem__(self, index: int):
        chosen = slice(index * self.config.batch_size, (index + 1) * self.config.batch_size)
        left, right = self.images[self.lefts[chosen]], self.images[self.rights[chosen]]
        if self.training:
            left, right = self.shifted(left), self.shifted(right)
        return (left, right), self.different[chosen]


def load_data(config: Config) -> tuple[PairBatches, PairBatches, PairBatches]:
    """Return (train, validation, test) pairs; every writer is in one of them only."""
    if config.synthetic:
        make_synthetic(config)
    folders = [f for f in sorted(Path(config.data_dir).glob("*")) if len(list(f.glob("*.png"))) >= 2]
    if len(folders) < 6:
        raise FileNotFoundError(
            f"{config.data_dir}: expected 6 folders (writers) or more, 2 PNG files or more in each"
        )
    np.random.default_rng(config.seed).shuffle(folders)
    # Two writers at least, or there are no pairs of different ones.
    held_out = max(2, len(folders) // 6)
    splits = []
    for part in (folders[2 * held_out :], folders[:held_out], folders[held_out : 2 * held_out]):
        files = [
            (path, writer) for writer, folder in enumerate(part) for path in sorted(folder.glob("*.png"))
        ]
        images = np.stack(
            [read_signature(path, config.image_height, config.image_width) for path, _ in files]
        )
        splits.append(PairBatches(images, np.array([w for _, w in files]), config, training=not splits))
    return splits[0], splits[1], splits[2]


# %% [model]
@keras.saving.register_keras_serializable("signatures")
class Distance(layers.Layer):
    """The Euclidean distance of two batches of vectors, (batch, 1)."""

    def call(self, left, right):
        """Return the distances; the small term keeps the gradient finite at distance zero."""
        return ops.sqrt(ops.sum(ops.square(left - right), axis=1, keepdims=True) + 1e-7)

    def compute_output_shape(self, left_shape, right_shape):
        """Return one number for each pair."""
        return (left_shape[0], 1)


@keras.saving.register_keras_serializable("signatures")
class ContrastiveLoss(keras.losses.Loss):
    """The square of the distance for equal writers, of what lacks to the margin for different ones."""

    def __init__(self, margin=1.0, name="contrastive_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true, y_pred):
        """Return the loss of each pair; `y_true` is 1 where the writers differ."""
        lack = ops.maximum(self.margin - y_pred, 0.0)
        return ops.mean((1.0 - y_true) * ops.square(y_pred) + y_true * ops.square(lack), axis=-1)

    def get_config(self):
        """Return what `__init__` takes."""
        return {**super().get_config(), "margin": self.margin}


def build_model(config: Config) -> keras.Model:
    """Return the compiled network; it takes two batches of pictures and answers with distances (batch, 1)."""
    encoder = keras.Sequential(
        [
            layers.Input(shape=(config.image_height, config.image_width, 1)),
            layers.Conv2D(16, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(48, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(config.embedding_size),
            layers.UnitNormalization(),
        ],
        name="encoder",
    )
    left = layers.Input(shape=(config.image_height, config.image_width, 1), name="left")
    right = layers.Input(shape=(config.image_height, config.image_width, 1), name="right")
    distance = Distance()(encoder(left), encoder(right))
    model = keras.Model((left, right), distance)
    if config.loss != "contrastive_loss":
        raise ValueError(f"--loss {config.loss}: distances are trained with contrastive_loss")
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = config.learning_rate
    # Half of the margin is the border while training; the final one is chosen afterwards.
    near = keras.metrics.BinaryAccuracy(name=config.metric, threshold=config.margin / 2)
    model.compile(optimizer=optimizer, loss=ContrastiveLoss(config.margin), metrics=[near])
    return model


# %% [train]
def best_border(distances: np.ndarray, different: np.ndarray) -> float:
    """Return the distance above which pairs count as different, so that both kinds of error are fewest."""
    ordered = np.unique(distances)
    borders = np.concatenate([[0.0], (ordered[1:] + ordered[:-1]) / 2, [2.0]])
    missed = np.array([np.mean(distances[different == 1] <= border) for border in borders])
    refused = np.array([np.mean(distances[different == 0] > border) for border in borders])
    return float(borders[np.argmin(missed + refused)])


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
    """Fit, save network and border, and return the last values."""
    keras.utils.set_random_seed(config.seed)
    pairs, validation, _ = load_data(config)
    model = build_model(config)
    model.summary()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    keep = keras.callbacks.ModelCheckpoint(
        str(output / "model.keras"), monitor="val_loss", save_best_only=True
    )
    history = model.fit(pairs, validation_data=validation, epochs=config.epochs, callbacks=[keep], verbose=2)
    model = keras.models.load_model(output / "model.keras")
    border = best_border(model.predict(validation, verbose=0), validation.different)
    (output / "border.json").write_text(json.dumps({"border": border}), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()} | {"border": border}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the pairs of the test writers at the chosen border, and where both errors are equal."""
    _, _, test = load_data(config)
    output = Path(config.output_dir)
    distances = keras.models.load_model(output / "model.keras").predict(test, verbose=0)[:, 0]
    border = json.loads((output / "border.json").read_text(encoding="utf-8"))["border"]
    other = test.different[:, 0] == 1
    accepted, refused = np.sort(distances[other]), np.sort(distances[~other])
    rates = [(np.mean(accepted <= edge), np.mean(refused > edge)) for edge in np.sort(distances)]
    return {
        "accuracy": float(np.mean((distances > border) == other)),
        "false_acceptance": float(np.mean(accepted <= border)),
        "false_rejection": float(np.mean(refused > border)),
        "equal_error_rate": float(np.mean(min(rates, key=lambda pair: abs(pair[0] - pair[1])))),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the distances (pairs, 1) of the test pairs; saves them with the answer "different" as CSV."""
    _, _, test = load_data(config)
    output = Path(config.output_dir)
    distances = keras.models.load_model(output / "model.keras").predict(test, verbose=0)
    border = json.loads((output / "border.json").read_text(encoding="utf-8"))["border"]
    table = np.concatenate([distances, distances > border], axis=1)
    np.savetxt(
        output / "predictions.csv", table, fmt="%.4f", delimiter=",", header="distance,different", comments=""
    )
    return distances


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
