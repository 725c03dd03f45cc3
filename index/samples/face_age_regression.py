# SPDX-License-Identifier: Apache-2.0
"""Estimate the age of a person from a photograph of the face with a separable residual network.

One linear output in years. The loss is Huber, since a few wrong labels are normal in such data, and
the bias of the output starts at the mean age, which saves the first epochs.

Data: `data_dir/faces/*.jpg` (or .png) and `data_dir/ages.csv` with the header `file,age`.
"""

# %% [imports]
import argparse
import csv
import dataclasses
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
    image_size: int = 128
    optimizer: str = "adamw"
    loss: str = "huber"
    metric: str = "mae"
    learning_rate: float = 0.001
    weight_decay: float = 0.0001
    batch_size: int = 32
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Age from a face")
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
    """Write portraits in which the number of wrinkles (dark lines) and the grey of the hair tell the age."""
    rng = np.random.default_rng(config.seed)
    faces = Path(config.data_dir) / "faces"
    faces.mkdir(parents=True, exist_ok=True)
    size = config.image_size
    lines = ["file,age"]
    for index in range(config.synthetic_samples):
        age = int(rng.integers(5, 90))
        image = np.full((size, size, 3), (200, 160, 130)) + rng.normal(0, 8, size=(size, size, 3))
        image[: size // 4] = 40 + 2 * age
        for row in rng.integers(size // 4, size, size=age // 8):
            image[row, size // 4 : 3 * size // 4] = 90
        name = f"face_{index:05d}.jpg"
        jpeg = tf.io.encode_jpeg(np.clip(image, 0, 255).astype("uint8"), quality=92)
        tf.io.write_file(str(faces / name), jpeg)
        lines.append(f"{name},{age}")
    (Path(config.data_dir) / "ages.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of images in [0, 255] and ages (images, 1)."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    if not (root / "ages.csv").is_file():
        raise FileNotFoundError(
            f"{root}: expected faces/ with images and ages.csv with the columns file, age"
        )
    with open(root / "ages.csv", newline="", encoding="utf-8") as file:
        rows = [(str(root / "faces" / row["file"]), float(row["age"])) for row in csv.DictReader(file)]
    np.random.default_rng(config.seed).shuffle(rows)

    def read(path: tf.Tensor, age: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (config.image_size, config.image_size)), age[None]

    train_count, test_count = int(0.7 * len(rows)), max(1, int(0.15 * len(rows)))
    splits = []
    for part in (rows[:train_count], rows[train_count:-test_count], rows[-test_count:]):
        paths, ages = [path for path, _ in part], np.array([age for _, age in part], dtype="float32")
        photos = tf.data.Dataset.from_tensor_slices((paths, ages)).map(read, tf.data.AUTOTUNE)
        splits.append(photos.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    # Shuffled by batch: the rows themselves already stand in random order.
    return splits[0].shuffle(64, seed=config.seed), splits[1], splits[2]


# %% [model]
def build_model(config: Config, mean_age: float = 40.0) -> keras.Model:
    """Return the compiled network; its answer starts at the mean age."""
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomBrightness(0.1)(x)
    x = layers.Rescaling(1.0 / 255)(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    for filters in (64, 128, 256):
        shortcut = layers.Conv2D(filters, 1, strides=2, padding="same")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.SeparableConv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.Add()([x, shortcut])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(1, bias_initializer=keras.initializers.Constant(mean_age))(x)
    model = keras.Model(inputs, outputs)
    settings = {"learning_rate": config.learning_rate, "weight_decay": config.weight_decay}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
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
    """Fit, keep the weights of the best epoch, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    mean_age = float(np.mean(np.concatenate([ages.numpy() for _, ages in train_batches])))
    model = build_model(config, mean_age)
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(monitor="val_mae", patience=6, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(monitor="val_mae", factor=0.3, patience=3),
            keras.callbacks.TerminateOnNaN(),
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the error in years on the test faces, and the share of answers within five years."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    ages = np.concatenate([ages.numpy() for _, ages in test_batches])
    errors = np.abs(model.predict(test_batches, verbose=0) - ages)
    measures["within_5_years"] = np.mean(errors <= 5)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return ages in years (faces, 1) of the test faces and save them."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    ages = model.predict(test_batches, verbose=0).clip(0.0)
    np.savetxt(Path(config.output_dir) / "predictions.csv", ages, header="age", comments="", fmt="%.1f")
    return ages


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
