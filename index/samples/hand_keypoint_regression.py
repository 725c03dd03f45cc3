# SPDX-License-Identifier: Apache-2.0
"""Locate the keypoints of a hand in an image by regression of their coordinates.

A fully convolutional network makes one heat map per keypoint; the coordinates are the expected place
under its softmax (soft-argmax), so the error is measured in coordinates while the network stays
free to look at any part of the image. Mirrored copies double the training data.

Data: `data_dir/images/*.png` (or .jpg) and `data_dir/keypoints.csv` with the header
`file,x0,y0,x1,y1,...`, coordinates in pixels of the original image.
"""

# %% [imports]
import argparse
import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 96
    num_keypoints: int = 5
    optimizer: str = "adam"
    loss: str = "mae"
    metric: str = "mse"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 40


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Hand keypoints")
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
    """Write dark images with a palm and fingers whose tips are the keypoints."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    size, count = config.image_size, config.num_keypoints
    rows = [["file", *(f"{axis}{i}" for i in range(count) for axis in "xy")]]
    for index in range(config.synthetic_samples):
        image = rng.integers(0, 40, size=(size, size, 3))
        palm = rng.uniform(0.4, 0.6, size=2) * size
        angles = np.linspace(-2.6, -0.5, count) + rng.normal(0, 0.1)
        tips = palm + 0.3 * size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        for tip in tips:
            for along in np.linspace(0, 1, size // 2):
                x, y = (palm + along * (tip - palm)).astype(int)
                image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = (220, 180, 150)
        name = f"{index:05d}.png"
        tf.io.write_file(str(folder / "images" / name), tf.io.encode_png(image.astype("uint8")))
        rows.append([name, *tips.round(2).ravel().tolist()])
    with open(folder / "keypoints.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def load_data(config: Config):
    """Return (train, validation, test): images and coordinates (images, 2 * keypoints), both in [0, 1]."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "keypoints.csv").is_file():
        raise FileNotFoundError(
            f"{folder}: expected images/ and keypoints.csv with the columns file,x0,y0,..."
        )
    with open(folder / "keypoints.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    images, points = [], []
    for name, *numbers in rows:
        if len(numbers) != 2 * config.num_keypoints:
            raise ValueError(f"{name}: {len(numbers) // 2} keypoints, --num-keypoints {config.num_keypoints}")
        raw = tf.io.read_file(str(folder / "images" / name))
        image = tf.io.decode_image(raw, channels=3, expand_animations=False)
        height, width = image.shape[:2]
        images.append(tf.image.resize(image, (config.image_size, config.image_size)).numpy() / 255.0)
        points.append(np.array(numbers, dtype="float32") / np.tile([width, height], config.num_keypoints))
    x, y = np.stack(images).astype("float32"), np.stack(points).astype("float32")
    order = np.random.default_rng(config.seed).permutation(len(x))
    bounds = [int(0.7 * len(x)), int(0.85 * len(x))]
    return tuple((x[part], y[part]) for part in np.split(order, bounds))


def add_mirrored(images: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and their mirror images, with the x coordinates turned round."""
    turned = points.copy()
    turned[:, 0::2] = 1.0 - turned[:, 0::2]
    return np.concatenate([images, images[:, :, ::-1]]), np.concatenate([points, turned])


# %% [model]
class SoftArgmax(layers.Layer):
    """Turn heat maps (images, height, width, keypoints) into coordinates x0, y0, x1, ... in [0, 1]."""

    def call(self, inputs):
        """Return the expected place under the softmax of each map."""
        _, height, width, count = inputs.shape
        weights = ops.softmax(ops.reshape(inputs, (-1, height * width, count)), axis=1)
        weights = ops.reshape(weights, (-1, height, width, count))
        columns = (ops.arange(width, dtype="float32") + 0.5) / width
        rows = (ops.arange(height, dtype="float32") + 0.5) / height
        x = ops.einsum("bhwk,w->bk", weights, columns)
        y = ops.einsum("bhwk,h->bk", weights, rows)
        return ops.reshape(ops.stack([x, y], axis=-1), (-1, 2 * count))

    def compute_output_shape(self, input_shape):
        """Return the shape of the coordinates."""
        return input_shape[0], 2 * input_shape[-1]


def build_model(config: Config) -> keras.Model:
    """Return the compiled network from images to coordinates."""
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    # Dilation widens the view without losing resolution.
    x = layers.Conv2D(64, 3, dilation_rate=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(64, 3, dilation_rate=4, padding="same", activation="relu")(x)
    x = layers.Conv2D(config.num_keypoints, 1)(x)
    outputs = SoftArgmax()(x)
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
    """Fit on images and mirror images, keep the best weights, return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    (images, points), validation, _ = load_data(config)
    images, points = add_mirrored(images, points)
    model = build_model(config)
    model.summary()
    history = model.fit(
        images,
        points,
        validation_data=validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=4),
            keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True),
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def load_trained(config: Config) -> keras.Model:
    """Return the model that `train` saved."""
    path = Path(config.output_dir) / "model.keras"
    return keras.models.load_model(path, custom_objects={"SoftArgmax": SoftArgmax})


def evaluate(config: Config) -> dict[str, float]:
    """Measure distances on the test images as a share of the image size, and how many are under 5%."""
    _, _, (images, points) = load_data(config)
    offsets = load_trained(config).predict(images, verbose=0) - points
    distances = np.linalg.norm(offsets.reshape(-1, 2), axis=1)
    return {"mean_distance": float(distances.mean()), "pck_5": float((distances < 0.05).mean())}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return coordinates (images, 2 * num_keypoints) in [0, 1] for the test images and save them."""
    _, _, (images, _) = load_data(config)
    points = load_trained(config).predict(images, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", points)
    return points


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
