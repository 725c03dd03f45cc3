# SPDX-License-Identifier: Apache-2.0
"""Classify photographs of plant leaves by disease with a small convolutional network.

Augmentation is part of the model, so it runs only while training and is saved with it. The network
has four convolution blocks that halve the image and a global pooling head, which keeps it small
enough to train on a laptop.

Data: `data_dir/train/<class>/*.png`, `data_dir/validation/<class>/*.png` and
`data_dir/test/<class>/*.png` (or .jpg); one folder per class, the same classes in all three.
"""

# %% [imports]
import argparse
import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 128
    num_classes: int = 4
    optimizer: str = "adam"
    loss: str = "categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 25
    dropout: float = 0.4


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Leaf disease classifier")
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
    """Write noisy green images; the class decides the colour and the number of the spots."""
    rng = np.random.default_rng(config.seed)
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        # Every class is present in every split, however few images are asked for.
        split = ("train", "train", "validation", "test")[(index // config.num_classes) % 4]
        image = rng.integers(0, 60, size=(config.image_size, config.image_size, 3))
        image[..., 1] += 90
        for _ in range(3 * (label + 1)):
            row, column = rng.integers(0, config.image_size - 10, size=2)
            image[row : row + 10, column : column + 10, label % 3] = 220
        folder = Path(config.data_dir) / split / f"class_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        png = tf.io.encode_png(image.astype("uint8"))
        tf.io.write_file(str(folder / f"leaf_{index:05d}.png"), png)


def load_split(config: Config, split: str) -> tf.data.Dataset:
    """Return batches of images in [0, 255] and one-hot labels; only training batches are shuffled."""
    folder = Path(config.data_dir) / split
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected one folder of images per class")
    batches = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(config.image_size, config.image_size),
        batch_size=config.batch_size,
        shuffle=split == "train",
        seed=config.seed,
        verbose=False,
    )
    if len(batches.class_names) != config.num_classes:
        raise ValueError(f"{folder}: {len(batches.class_names)} classes, --num-classes {config.num_classes}")
    return batches.prefetch(tf.data.AUTOTUNE)


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return the train, validation and test batches."""
    if config.synthetic:
        make_synthetic(config)
    return load_split(config, "train"), load_split(config, "validation"), load_split(config, "test")


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier; pixels are rescaled inside it."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.image_size, config.image_size, 3)),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.1),
            keras.layers.Rescaling(1.0 / 255),
            keras.layers.Conv2D(32, (3, 3), padding="same", activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Conv2D(64, (3, 3), padding="same", activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Conv2D(128, (3, 3), padding="same", activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Conv2D(128, (3, 3), padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(config.dropout),
            keras.layers.Dense(config.num_classes, activation="softmax"),
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
    """Fit with a learning rate that falls on plateaus; keep the weights of the best epoch."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.summary()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=6, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=3),
    ]
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=callbacks,
        verbose=2,
    )
    model.save(output / "model.keras")
    (output / "history.json").write_text(json.dumps(history.history, default=float), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and accuracy on the test images, and the recall of every class."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    truth = np.concatenate([labels.numpy().argmax(axis=1) for _, labels in test_batches])
    predicted = model.predict(test_batches, verbose=0).argmax(axis=1)
    for label in np.unique(truth):
        measures[f"recall_class_{label}"] = np.mean(predicted[truth == label] == label)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (images, num_classes) of the test images and save them."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(test_batches, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
