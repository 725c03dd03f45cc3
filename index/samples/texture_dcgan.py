# SPDX-License-Identifier: Apache-2.0
"""Generate images in the style of a folder of pictures with a deep convolutional GAN.

Generator and discriminator train in turns in one `train_step`: the discriminator learns to tell
real images from generated ones (with smoothed labels, so that it does not become too sure), the
generator to be taken for real. Only the generator is needed afterwards.

Data: `data_dir/images/*.png` (or .jpg), RGB pictures of one kind; they are resized to 64x64.
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
    image_size: int = 64
    latent_dim: int = 100
    label_smoothing: float = 0.1
    optimizer: str = "adam"
    loss: str = "binary_crossentropy"
    metric: str = "generator_loss"
    learning_rate: float = 0.0002
    beta_1: float = 0.5
    batch_size: int = 64
    epochs: int = 100


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Deep convolutional GAN")
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
    """Write striped textures of random colour, width and direction."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: config.image_size, : config.image_size]
    for index in range(config.synthetic_samples):
        angle, period = rng.uniform(0, np.pi), rng.uniform(8, 24)
        wave = np.sin(2 * np.pi * (rows * np.cos(angle) + columns * np.sin(angle)) / period)
        image = (wave[..., None] + 1) / 2 * rng.integers(60, 256, size=3)
        tf.io.write_file(str(folder / f"{index:05d}.png"), tf.io.encode_png(image.astype("uint8")))


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of images in [-1, 1], the range of the generator's tanh."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir) / "images"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected RGB pictures as .png or .jpg files")
    images = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        image_size=(config.image_size, config.image_size),
        batch_size=None,
        shuffle=True,
        seed=config.seed,
        verbose=False,
    )
    # The order is drawn once and kept: iterating again must not move images between the splits.
    pixels = np.stack([image.numpy() for image in images]) / 127.5 - 1.0
    held_out = max(1, len(pixels) // 10)
    parts = np.split(pixels.astype("float32"), [len(pixels) - 2 * held_out, len(pixels) - held_out])
    train_images = tf.data.Dataset.from_tensor_slices(parts[0]).shuffle(1024, seed=config.seed)
    splits = [train_images, *(tf.data.Dataset.from_tensor_slices(part) for part in parts[1:])]
    return tuple(split.batch(config.batch_size).prefetch(tf.data.AUTOTUNE) for split in splits)


# %% [model]
def build_generator(config: Config) -> keras.Model:
    """Return the network from noise (latent_dim,) to an image in [-1, 1]; it doubles the size four times."""
    start = config.image_size // 16
    return keras.Sequential(
        [
            layers.Input(shape=(config.latent_dim,)),
            layers.Dense(start * start * 256, use_bias=False),
            layers.Reshape((start, start, 256)),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(128, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(64, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(32, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh"),
        ],
        name="generator",
    )


def build_discriminator(config: Config) -> keras.Model:
    """Return the network from an image to the probability that it is real."""
    return keras.Sequential(
        [
            layers.Input(shape=(config.image_size, config.image_size, 3)),
            layers.Conv2D(32, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(64, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(128, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ],
        name="discriminator",
    )


class GAN(keras.Model):
    """Train a generator against a discriminator, one step of each per batch."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.generator = build_generator(config)
        self.discriminator = build_discriminator(config)
        self.adversarial_loss = keras.losses.get(config.loss)
        self.generator_optimizer = make_optimizer(config)
        self.discriminator_optimizer = make_optimizer(config)
        self.generator_loss = keras.metrics.Mean(name="generator_loss")
        self.discriminator_loss = keras.metrics.Mean(name="discriminator_loss")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Name the running means that Keras resets at the start of every epoch."""
        return [self.generator_loss, self.discriminator_loss]

    def call(self, noise: tf.Tensor) -> tf.Tensor:
        """Return generated images for noise (images, latent_dim)."""
        return self.generator(noise, training=False)

    def losses_of(self, real: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the mean losses (generator, discriminator) on real images and as many generated ones."""
        noise = tf.random.normal((tf.shape(real)[0], self.config.latent_dim))
        generated = self.generator(noise, training=training)
        real_score = self.discriminator(real, training=training)
        fake_score = self.discriminator(generated, training=training)
        ones, zeros = tf.ones_like(real_score), tf.zeros_like(fake_score)
        smooth = ones * (1.0 - self.config.label_smoothing)
        on_real = tf.reduce_mean(self.adversarial_loss(smooth, real_score))
        on_fake = tf.reduce_mean(self.adversarial_loss(zeros, fake_score))
        fooled = tf.reduce_mean(self.adversarial_loss(ones, fake_score))
        return fooled, (on_real + on_fake) / 2

    def train_step(self, real: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take one step of each network."""
        with tf.GradientTape(persistent=True) as tape:
            generator_loss, discriminator_loss = self.losses_of(real, training=True)
        for network, optimizer, loss in (
            (self.discriminator, self.discriminator_optimizer, discriminator_loss),
            (self.generator, self.generator_optimizer, generator_loss),
        ):
            variables = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        del tape
        return self.record(generator_loss, discriminator_loss)

    def test_step(self, real: tf.Tensor) -> dict[str, tf.Tensor]:
        """Measure both losses without learning."""
        return self.record(*self.losses_of(real, training=False))

    def record(self, generator_loss: tf.Tensor, discriminator_loss: tf.Tensor) -> dict[str, tf.Tensor]:
        """Add a batch to the running means and return them."""
        self.generator_loss.update_state(generator_loss)
        self.discriminator_loss.update_state(discriminator_loss)
        return {"loss": self.generator_loss.result() + self.discriminator_loss.result()} | {
            metric.name: metric.result() for metric in self.metrics
        }


def make_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Return an optimizer; Adam gets the low momentum that keeps GANs from swinging."""
    settings = {"learning_rate": config.learning_rate}
    if config.optimizer.lower() == "adam":
        settings["beta_1"] = config.beta_1
    return keras.optimizers.get({"class_name": config.optimizer, "config": settings})


def build_model(config: Config) -> keras.Model:
    """Return the GAN, compiled: both of its optimizers are its own."""
    model = GAN(config)
    model.build((None, config.latent_dim))
    model.compile()
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
    """Fit, save the weights of both networks and the generator for itself, return the last losses."""
    keras.utils.set_random_seed(config.seed)
    train_images, validation_images, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(train_images, validation_data=validation_images, epochs=config.epochs, verbose=2)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.generator.save(output / "generator.keras")
    model.discriminator.save_weights(output / "discriminator.weights.h5")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure both losses on held-out images, and how often the discriminator is fooled."""
    _, _, test_images = load_data(config)
    keras.utils.set_random_seed(config.seed)
    output = Path(config.output_dir)
    model = build_model(config)
    model.generator.set_weights(keras.models.load_model(output / "generator.keras").get_weights())
    model.discriminator.load_weights(output / "discriminator.weights.h5")
    measures = model.evaluate(test_images, return_dict=True, verbose=0)
    noise = np.random.default_rng(config.seed).normal(size=(64, config.latent_dim)).astype("float32")
    scores = model.discriminator(model(noise), training=False).numpy()
    return {name: float(value) for name, value in measures.items()} | {"fooled": float((scores > 0.5).mean())}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return 16 new images (16, size, size, 3) in [-1, 1] and save them, as PNG too."""
    output = Path(config.output_dir)
    generator = keras.models.load_model(output / "generator.keras")
    noise = np.random.default_rng(config.seed).normal(size=(16, config.latent_dim)).astype("float32")
    images = generator.predict(noise, verbose=0)
    np.save(output / "predictions.npy", images)
    for index, image in enumerate(images):
        png = tf.io.encode_png(((image + 1.0) * 127.5).round().astype("uint8"))
        tf.io.write_file(str(output / f"generated_{index:02d}.png"), png)
    return images


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
