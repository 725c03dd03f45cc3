# SPDX-License-Identifier: Apache-2.0
"""Segment cell nuclei in microscope images with a U-Net trained on cross-entropy plus Dice.

The encoder halves the image four times, the decoder doubles it again and joins in the encoder's
features of the same size. Dice in the loss keeps small foregrounds from being ignored.

Data: `data_dir/images/*.png` (RGB) and `data_dir/masks/*.png` (one channel, foreground over 127),
an image and its mask under the same file name.
"""

# %% [imports]
import argparse
import dataclasses
import itertools
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
    image_size: int = 128
    base_filters: int = 16
    optimizer: str = "adam"
    loss: str = "bce_dice"
    metric: str = "dice_coefficient"
    learning_rate: float = 0.001
    batch_size: int = 16
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Nuclei segmentation")
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
    """Write dark images with bright discs, and the discs as masks."""
    rng = np.random.default_rng(config.seed)
    size = config.image_size
    rows, columns = np.mgrid[:size, :size]
    for folder in ("images", "masks"):
        (Path(config.data_dir) / folder).mkdir(parents=True, exist_ok=True)
    for index in range(config.synthetic_samples):
        mask = np.zeros((size, size), dtype=bool)
        for _ in range(rng.integers(2, 7)):
            centre, radius = rng.integers(0, size, size=2), rng.integers(size // 16, size // 6)
            mask |= (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        image = np.clip(rng.normal(60, 15, (size, size, 3)) + 90 * mask[..., None], 0, 255)
        name = f"{index:05d}.png"
        for folder, pixels in (("images", image), ("masks", 255 * mask[..., None])):
            path = str(Path(config.data_dir) / folder / name)
            tf.io.write_file(path, tf.io.encode_png(pixels.astype("uint8")))


def read_pair(image_path: tf.Tensor, mask_path: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return an image (size, size, 3) in [0, 1] and its mask (size, size, 1) of zeros and ones."""
    image = tf.io.decode_png(tf.io.read_file(image_path), channels=3)
    mask = tf.io.decode_png(tf.io.read_file(mask_path), channels=1)
    image = tf.image.resize(image, (size, size)) / 255.0
    mask = tf.image.resize(mask, (size, size), method="nearest") > 127
    return image, tf.cast(mask, tf.float32)


def flip_pair(image: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirror image and mask alike, half of the time along each axis."""
    both = tf.concat([image, mask], axis=-1)
    both = tf.image.random_flip_left_right(tf.image.random_flip_up_down(both))
    return both[..., :3], both[..., 3:]


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of images and masks; only training pairs are mirrored."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    images = sorted((root / "images").glob("*.png"))
    if not images:
        raise FileNotFoundError(f"{root}: expected images/*.png and masks/*.png with the same names")
    if missing := [path.name for path in images if not (root / "masks" / path.name).is_file()]:
        raise FileNotFoundError(f"{root}: no mask for {', '.join(missing[:3])}")
    np.random.default_rng(config.seed).shuffle(images)
    bounds = [0, int(0.7 * len(images)), int(0.85 * len(images)), len(images)]
    splits = []
    for start, stop in itertools.pairwise(bounds):
        names = [path.name for path in images[start:stop]]
        paths = ([str(root / "images" / n) for n in names], [str(root / "masks" / n) for n in names])
        pairs = tf.data.Dataset.from_tensor_slices(paths)
        pairs = pairs.map(lambda image, mask: read_pair(image, mask, config.image_size))
        if start == 0:
            pairs = pairs.shuffle(256, seed=config.seed).map(flip_pair)
        splits.append(pairs.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return splits[0], splits[1], splits[2]


# %% [model]
def dice_coefficient(y_true, y_pred):
    """Return the overlap of mask and prediction, 1 for a perfect match, mean of the batch."""
    axes = (1, 2, 3)
    overlap = ops.sum(y_true * y_pred, axis=axes)
    total = ops.sum(y_true, axis=axes) + ops.sum(y_pred, axis=axes)
    return ops.mean((2.0 * overlap + 1.0) / (total + 1.0))


def bce_dice(y_true, y_pred):
    """Return cross-entropy of the pixels plus one minus Dice."""
    return ops.mean(keras.losses.binary_crossentropy(y_true, y_pred)) + 1.0 - dice_coefficient(y_true, y_pred)


def conv_block(x, filters: int):
    """Return two normalised 3x3 convolutions."""
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    return x


def build_model(config: Config) -> keras.Model:
    """Return the compiled U-Net; it answers with one foreground probability per pixel."""
    filters = config.base_filters
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    down1 = conv_block(inputs, filters)
    down2 = conv_block(layers.MaxPooling2D(2)(down1), filters * 2)
    down3 = conv_block(layers.MaxPooling2D(2)(down2), filters * 4)
    down4 = conv_block(layers.MaxPooling2D(2)(down3), filters * 8)
    x = layers.Conv2DTranspose(filters * 4, 2, strides=2, padding="same")(down4)
    x = conv_block(layers.Concatenate()([x, down3]), filters * 4)
    x = layers.Conv2DTranspose(filters * 2, 2, strides=2, padding="same")(x)
    x = conv_block(layers.Concatenate()([x, down2]), filters * 2)
    x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
    x = conv_block(layers.Concatenate()([x, down1]), filters)
    outputs = layers.Conv2D(1, 1, activation="sigmoid")(x)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(
        optimizer=optimizer,
        loss=bce_dice if config.loss == "bce_dice" else config.loss,
        metrics=[dice_coefficient if config.metric == "dice_coefficient" else config.metric],
    )
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
    model = build_model(config)
    model.summary()
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True)],
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
    own = {"bce_dice": bce_dice, "dice_coefficient": dice_coefficient}
    return keras.models.load_model(Path(config.output_dir) / "model.keras", custom_objects=own)


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and Dice on the test pairs, and the intersection over union at a threshold of 0.5."""
    _, _, test_batches = load_data(config)
    model = load_trained(config)
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    truth = np.concatenate([masks.numpy() for _, masks in test_batches]) > 0.5
    predicted = model.predict(test_batches, verbose=0) > 0.5
    measures["iou"] = np.sum(truth & predicted) / max(np.sum(truth | predicted), 1)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return foreground probabilities (images, size, size, 1) and save them, the masks as PNG too."""
    _, _, test_batches = load_data(config)
    probabilities = load_trained(config).predict(test_batches, verbose=0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", probabilities)
    for index, mask in enumerate(probabilities > 0.5):
        png = tf.io.encode_png((255 * mask).astype("uint8"))
        tf.io.write_file(str(output / f"mask_{index:05d}.png"), png)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
