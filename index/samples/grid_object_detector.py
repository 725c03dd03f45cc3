# SPDX-License-Identifier: Apache-2.0
"""Detect objects with a one-stage detector that predicts one box per cell of a grid.

A small convolutional backbone shrinks the image to an 8x8 grid. Every cell answers with objectness,
the box (centre within the cell, width and height relative to the image) and the class of an object
whose centre lies in it. Overlapping answers are merged by non-maximum suppression.

Data: `data_dir/images/*.png` and `data_dir/annotations.csv` with the header
`file,xmin,ymin,xmax,ymax,class`: one line per object, corners in pixels, class a whole number from 0.
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
    grid_size: int = 8
    num_classes: int = 3
    score_threshold: float = 0.4
    optimizer: str = "adam"
    loss: str = "detection_loss"
    metric: str = "mean_iou"
    learning_rate: float = 0.001
    batch_size: int = 16
    epochs: int = 40


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="One-stage object detector")
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
    """Write grey images with one or two coloured rectangles; the colour is the class."""
    rng = np.random.default_rng(config.seed)
    images = Path(config.data_dir) / "images"
    images.mkdir(parents=True, exist_ok=True)
    size, rows = config.image_size, []
    for index in range(config.synthetic_samples):
        image = rng.integers(90, 130, size=(size, size, 3))
        for _ in range(rng.integers(1, 3)):
            label, extent = int(rng.integers(config.num_classes)), rng.integers(size // 8, size // 3, size=2)
            left, top = (int(rng.integers(0, size - extent[i])) for i in range(2))
            right, bottom = left + int(extent[0]), top + int(extent[1])
            image[top:bottom, left:right] = 40
            image[top:bottom, left:right, label % 3] = 230
            rows.append([f"{index:05d}.png", left, top, right, bottom, label])
        tf.io.write_file(str(images / f"{index:05d}.png"), tf.io.encode_png(image.astype("uint8")))
    with open(Path(config.data_dir) / "annotations.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "xmin", "ymin", "xmax", "ymax", "class"])
        writer.writerows(rows)


def encode_boxes(boxes: list[list[float]], config: Config) -> np.ndarray:
    """Return the target grid (grid, grid, 5 + classes) for boxes (xmin, ymin, xmax, ymax, class)."""
    target = np.zeros((config.grid_size, config.grid_size, 5 + config.num_classes), dtype="float32")
    for left, top, right, bottom, label in boxes:
        x, y = (left + right) / 2 * config.grid_size, (top + bottom) / 2 * config.grid_size
        row, column = min(int(y), config.grid_size - 1), min(int(x), config.grid_size - 1)
        target[row, column] = 0.0
        target[row, column, :5] = [1.0, x - column, y - row, right - left, bottom - top]
        target[row, column, 5 + int(label)] = 1.0
    return target


def load_data(config: Config):
    """Return (train, validation, test), each a pair of images in [0, 1] and target grids."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    if not (root / "annotations.csv").is_file():
        raise FileNotFoundError(f"{root}: expected images/*.png and annotations.csv with one line per object")
    names = sorted(path.name for path in (root / "images").glob("*.png"))
    objects: dict[str, list[list[float]]] = {name: [] for name in names}
    images = []
    with open(root / "annotations.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        corners = [float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")]
        objects[row["file"]].append([*corners, float(row["class"])])
    targets = []
    for name, boxes in objects.items():
        image = tf.io.decode_png(tf.io.read_file(str(root / "images" / name)), channels=3)
        height, width = image.shape[:2]
        scale = np.array([width, height, width, height, 1.0])
        targets.append(encode_boxes([list(np.array(box) / scale) for box in boxes], config))
        images.append(tf.image.resize(image, (config.image_size, config.image_size)).numpy() / 255.0)
    order = np.random.default_rng(config.seed).permutation(len(images))
    bounds = [int(0.7 * len(images)), int(0.85 * len(images))]
    x, y = np.stack(images)[order].astype("float32"), np.stack(targets)[order]
    return tuple(zip(np.split(x, bounds), np.split(y, bounds), strict=True))


# %% [model]
def detection_loss(y_true, y_pred):
    """Return objectness, box and class errors; only cells that hold an object count in the last two."""
    objectness = keras.losses.binary_crossentropy(y_true[..., :1], y_pred[..., :1])
    holds = y_true[..., 0]
    centre = tf.reduce_sum(tf.square(y_true[..., 1:3] - y_pred[..., 1:3]), axis=-1)
    # Roots make an error of five pixels matter more in a small box than in a large one.
    extent = tf.reduce_sum(tf.square(tf.sqrt(y_true[..., 3:5]) - tf.sqrt(y_pred[..., 3:5] + 1e-6)), axis=-1)
    label = keras.losses.binary_crossentropy(y_true[..., 5:], y_pred[..., 5:])
    # Empty cells outnumber the others by far, so they weigh half.
    weight = 0.5 + 0.5 * holds
    per_cell = weight * objectness + holds * (5.0 * (centre + extent) + label)
    return tf.reduce_mean(tf.reduce_sum(per_cell, axis=(1, 2)))


def build_model(config: Config) -> keras.Model:
    """Return the compiled detector; outputs are (grid, grid, 5 + num_classes), all in [0, 1]."""
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = inputs
    for filters in (16, 32, 64, 128):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Conv2D(5 + config.num_classes, 1, activation="sigmoid")(x)
    model = keras.Model(inputs, outputs)
    if model.output_shape[1] != config.grid_size:
        raise ValueError(f"an image of {config.image_size} pixels needs --grid-size {model.output_shape[1]}")
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=detection_loss)
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
    """Fit, save the weights, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    (x_train, y_train), validation, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        x_train,
        y_train,
        validation_data=validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=4)],
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
    return keras.models.load_model(path, custom_objects={"detection_loss": detection_loss})


def decode_grid(grid: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes (n, 4) as (ymin, xmin, ymax, xmax) in [0, 1], scores (n,) and classes (n,)."""
    rows, columns = np.nonzero(grid[..., 0] >= threshold)
    cells = grid[rows, columns]
    x, y = (columns + cells[:, 1]) / grid.shape[1], (rows + cells[:, 2]) / grid.shape[0]
    half_width, half_height = cells[:, 3] / 2, cells[:, 4] / 2
    boxes = np.stack([y - half_height, x - half_width, y + half_height, x + half_width], axis=1)
    keep = tf.image.non_max_suppression(boxes, cells[:, 0], 50, iou_threshold=0.5).numpy()
    return boxes[keep], cells[keep, 0], cells[keep, 5:].argmax(axis=1)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of one box with each of the others (n, 4)."""
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area = shared.clip(0).prod(axis=1)
    return area / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - area + 1e-9)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the loss, and the mean overlap and recall (at 0.5) of the true boxes of the test images."""
    _, _, (x_test, y_test) = load_data(config)
    model = load_trained(config)
    best = []
    for target, grid in zip(y_test, model.predict(x_test, verbose=0), strict=True):
        boxes, _, _ = decode_grid(grid, config.score_threshold)
        for box in decode_grid(target, 0.5)[0]:
            best.append(float(overlap(box, boxes).max()) if len(boxes) else 0.0)
    return {
        "loss": float(model.evaluate(x_test, y_test, batch_size=config.batch_size, verbose=0)),
        "mean_iou": float(np.mean(best)) if best else 0.0,
        "recall": float(np.mean(np.array(best) >= 0.5)) if best else 0.0,
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return raw grids (images, grid, grid, 5 + num_classes); save them and the boxes as CSV."""
    _, _, (x_test, _) = load_data(config)
    model = load_trained(config)
    grids = model.predict(x_test, verbose=0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", grids)
    with open(output / "boxes.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "ymin", "xmin", "ymax", "xmax", "score", "class"])
        for index, grid in enumerate(grids):
            for box, score, label in zip(*decode_grid(grid, config.score_threshold), strict=True):
                writer.writerow([index, *box.round(4).tolist(), round(float(score), 4), int(label)])
    return grids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
