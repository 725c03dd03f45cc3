# SPDX-License-Identifier: Apache-2.0
"""Enlarge photographs three times with a sub-pixel convolutional network.

All convolutions work on the small image; the last one makes nine values per channel and pixel, which
are then laid out as a 3x3 patch (depth to space). The network only adds what bicubic enlargement
misses. Small images are made from large ones, so any folder of sharp photographs will do.

Data: `data_dir/photos/*.png` (or .jpg), RGB, at least `crop_size` pixels wide and high.
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
    crop_size: int = 120
    scale: int = 3
    optimizer: str = "adam"
    loss: str = "mse"
    metric: str = "mae"
    learning_rate: float = 0.0005
    batch_size: int = 8
    epochs: int = 40


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Super-resolution of photographs")
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
    """Write images of random polygons of light: hard edges are what enlargement blurs."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    size = config.crop_size + 12
    rows, columns = np.mgrid[:size, :size]
    for index in range(config.synthetic_samples):
        image = np.full((size, size, 3), rng.integers(0, 256, size=3))
        for _ in range(6):
            slope, offset = rng.normal(size=2), rng.normal(0, size / 3)
            half = (rows - size / 2) * slope[0] + (columns - size / 2) * slope[1] > offset
            image[half] = (image[half] + rng.integers(0, 256, size=3)) // 2
        tf.io.write_file(str(folder / f"{index:05d}.png"), tf.io.encode_png(image.astype("uint8")))


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of (small, sharp) crops in [0, 1]."""
    if config.synthetic:
        make_synthetic(config)
    if config.crop_size % config.scale:
        raise ValueError("--crop-size must be a multiple of --scale")
    folder = Path(config.data_dir) / "photos"
    paths = sorted(str(path) for pattern in ("*.png", "*.jpg", "*.jpeg") for path in folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"{folder}: expected sharp RGB photographs as .png or .jpg files")
    np.random.default_rng(config.seed).shuffle(paths)
    crop, small = (config.crop_size,) * 2, (config.crop_size // config.scale,) * 2

    def read(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.cast(image, tf.float32) / 255.0

    def random_crop(image: tf.Tensor) -> tf.Tensor:
        return tf.image.random_flip_left_right(tf.image.random_crop(image, (*crop, 3)))

    def central_crop(image: tf.Tensor) -> tf.Tensor:
        return tf.image.resize_with_crop_or_pad(image, *crop)

    def with_small(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        reduced = tf.image.resize(image, small, method="area")
        return reduced, image

    bounds = [0, int(0.8 * len(paths)), int(0.9 * len(paths)), len(paths)]
    splits = []
    for place in range(3):
        images = tf.data.Dataset.from_tensor_slices(paths[bounds[place] : bounds[place + 1]]).map(read)
        cropped = central_crop if place else random_crop
        splits.append(images.map(cropped).map(with_small).batch(config.batch_size))
    return splits[0].prefetch(tf.data.AUTOTUNE), splits[1], splits[2]


# %% [model]
class PixelShuffle(layers.Layer):
    """Lay out scale * scale channels of each pixel as a patch of pixels."""

    def __init__(self, scale: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        """Return (images, scale * height, scale * width, channels / scale**2)."""
        return tf.nn.depth_to_space(inputs, self.scale)

    def compute_output_shape(self, input_shape):
        """Return the shape of the enlarged images."""
        batch, height, width, channels = input_shape
        return batch, height * self.scale, width * self.scale, channels // self.scale**2

    def get_config(self) -> dict[str, object]:
        """Return what the layer is made from."""
        return {**super().get_config(), "scale": self.scale}


def build_model(config: Config) -> keras.Model:
    """Return the compiled network from small to large images."""
    small = config.crop_size // config.scale
    inputs = layers.Input(shape=(small, small, 3))
    x = layers.Conv2D(64, 5, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    # Starts as plain enlargement: with zeros here nothing is added at first.
    x = layers.Conv2D(3 * config.scale**2, 3, padding="same", kernel_initializer="zeros")(x)
    details = PixelShuffle(config.scale)(x)
    enlarged = layers.UpSampling2D(config.scale, interpolation="bicubic")(inputs)
    outputs = layers.Add()([enlarged, details])
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
    """Fit with a learning rate that is halved on plateaus, save, return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_pairs, validation_pairs, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        train_pairs,
        validation_data=validation_pairs,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=4, min_lr=1e-5),
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
    return keras.models.load_model(path, custom_objects={"PixelShuffle": PixelShuffle})


def evaluate(config: Config) -> dict[str, float]:
    """Measure PSNR and structural similarity on the test crops, beside bicubic enlargement."""
    _, _, test_pairs = load_data(config)
    model = load_trained(config)
    measures: dict[str, list[float]] = {"psnr": [], "ssim": [], "bicubic_psnr": []}
    for small, sharp in test_pairs:
        answer = tf.clip_by_value(model(small, training=False), 0.0, 1.0)
        bicubic = tf.clip_by_value(tf.image.resize(small, sharp.shape[1:3], method="bicubic"), 0.0, 1.0)
        measures["psnr"] += tf.image.psnr(answer, sharp, 1.0).numpy().tolist()
        measures["ssim"] += tf.image.ssim(answer, sharp, 1.0).numpy().tolist()
        measures["bicubic_psnr"] += tf.image.psnr(bicubic, sharp, 1.0).numpy().tolist()
    return {name: float(np.mean(values)) for name, values in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the enlarged test crops (images, crop_size, crop_size, 3) and save them, as PNG too."""
    _, _, test_pairs = load_data(config)
    images = load_trained(config).predict(test_pairs, verbose=0).clip(0.0, 1.0)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", images)
    for index, image in enumerate(images):
        png = tf.io.encode_png((255 * image).round().astype("uint8"))
        tf.io.write_file(str(output / f"enlarged_{index:05d}.png"), png)
    return images


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
