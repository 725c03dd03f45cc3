# SPDX-License-Identifier: Apache-2.0
"""Remove noise from photographs with a convolutional autoencoder that learns the noise itself.

The network answers with the residual, which is subtracted from its input: "no noise" is then the
easy answer. Noise of random strength is drawn anew for each training image in every epoch, while
validation and test images get the same noise each time so that their figures can be compared.

Data: `data_dir/images/*.png` (or .jpg), clean RGB photographs of any size; noisy ones are made here.
"""

# %% [imports]
import argparse
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
    image_size: int = 96
    max_noise: float = 0.2
    optimizer: str = "adam"
    loss: str = "mae"
    metric: str = "psnr"
    learning_rate: float = 0.001
    batch_size: int = 16
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Photo denoising")
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
    """Write clean images of smooth colour waves with sharp edges."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: config.image_size, : config.image_size] / config.image_size
    for index in range(config.synthetic_samples):
        phases = rng.uniform(0, 2 * np.pi, size=3)
        slopes = rng.uniform(2, 12, size=(2, 3))
        angles = rows[..., None] * slopes[0] + columns[..., None] * slopes[1] + phases
        image = 127 + 100 * np.sin(angles)
        edge = int(rng.integers(config.image_size))
        image[:, edge:] = 255 - image[:, edge:]
        png = tf.io.encode_png(np.clip(image, 0, 255).astype("uint8"))
        tf.io.write_file(str(folder / f"photo_{index:05d}.png"), png)


def read_image(path: tf.Tensor, size: int) -> tf.Tensor:
    """Return a centre crop (size, size, 3) in [0, 1]; small images are enlarged first."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.maximum(1.0, size / tf.reduce_min(shape))
    image = tf.image.resize(image, tf.cast(tf.math.ceil(shape * scale), tf.int32))
    return tf.image.resize_with_crop_or_pad(image, size, size) / 255.0


def add_noise(image: tf.Tensor, seed: tf.Tensor, config: Config) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (noisy, clean); the strength of the noise is drawn from [0, max_noise] by the seed."""
    strength = tf.random.stateless_uniform([], seed, 0.0, config.max_noise)
    noise = tf.random.stateless_normal(tf.shape(image), seed + 1, stddev=1.0)
    return tf.clip_by_value(image + strength * noise, 0.0, 1.0), image


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of noisy and clean images."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir) / "images"
    paths = [
        str(path) for path in sorted(folder.glob("*")) if path.suffix.lower() in {".png", ".jpg", ".jpeg"}
    ]
    if not paths:
        raise FileNotFoundError(f"{folder}: expected clean photographs as .png or .jpg files")
    np.random.default_rng(config.seed).shuffle(paths)
    first, second = int(0.8 * len(paths)), int(0.9 * len(paths))
    splits = []
    for chosen in (paths[:first], paths[first:second], paths[second:]):
        images = tf.data.Dataset.from_tensor_slices(chosen)
        images = images.map(lambda path: read_image(path, config.image_size)).cache()
        if not splits:
            images = images.shuffle(512, seed=config.seed)
            seeds = tf.data.Dataset.random(seed=config.seed).batch(2, drop_remainder=True)
        else:
            seeds = tf.data.Dataset.range(2 * len(chosen)).batch(2, drop_remainder=True)
        pairs = tf.data.Dataset.zip((images, seeds)).map(lambda image, seed: add_noise(image, seed, config))
        splits.append(pairs.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return splits[0], splits[1], splits[2]


# %% [model]
def psnr(y_true, y_pred):
    """Return the peak signal-to-noise ratio in decibels, mean of the batch."""
    return tf.reduce_mean(tf.image.psnr(y_true, y_pred, max_val=1.0))


def build_model(config: Config) -> keras.Model:
    """Return the compiled autoencoder; image_size must be a multiple of 4."""
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    skip = x
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
    # The finest details never pass the bottleneck.
    x = layers.Concatenate()([x, skip])
    noise = layers.Conv2D(3, 3, padding="same", name="noise")(x)
    outputs = layers.Subtract()([inputs, noise])
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    metric = psnr if config.metric == "psnr" else config.metric
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[metric])
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
    """Fit, keep the epoch with the highest validation PSNR, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.summary()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = keras.callbacks.ModelCheckpoint(
        str(output / "model.keras"),
        monitor=f"val_{config.metric}",
        mode="max" if config.metric == "psnr" else "min",
        save_best_only=True,
    )
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[checkpoint],
        verbose=2,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def load_trained(config: Config) -> keras.Model:
    """Return the model of the best epoch."""
    path = Path(config.output_dir) / "model.keras"
    return keras.models.load_model(path, custom_objects={"psnr": psnr})


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and PSNR on the test images, beside the PSNR before denoising."""
    _, _, test_batches = load_data(config)
    measures = load_trained(config).evaluate(test_batches, return_dict=True, verbose=0)
    before = np.mean([psnr(clean, noisy) for noisy, clean in test_batches])
    return {name: float(value) for name, value in measures.items()} | {"psnr_before": float(before)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the denoised test images (images, size, size, 3) in [0, 1] and save them, as PNG too."""
    _, _, test_batches = load_data(config)
    images = load_trained(config).predict(test_batches, verbose=0).clip(0.0, 1.0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", images)
    for index, image in enumerate(images):
        png = tf.io.encode_png((255 * image).round().astype("uint8"))
        tf.io.write_file(str(output / f"denoised_{index:05d}.png"), png)
    return images


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
