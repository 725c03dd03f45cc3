# SPDX-License-Identifier: Apache-2.0
"""Draw new small icons with a Wasserstein GAN whose critic is held by a gradient penalty (WGAN-GP).

The critic puts a number on how real an icon is, without a sigmoid; it takes several steps for each
one of the generator. The penalty pulls the length of its gradient to 1 along the lines between
real and generated icons. How far the two sides are apart (`wasserstein_distance`) can be watched
during training: once the critic knows its trade, it falls as the icons get better.

Data: `data_dir/icons.npz` with an array `images` of uint8, (icons, 32, 32, 3). Use this file to bring
any set of small pictures: `np.savez_compressed("icons.npz", images=pixels)`.
"""

# %% [imports]
import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers


# %% [config]
@dataclass
class Config:
    """Settings of a run; the penalty and the number of critic steps are those of the paper."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 32
    latent_dim: int = 64
    critic_steps: int = 5
    penalty_weight: float = 10.0
    preview_every: int = 10
    optimizer: str = "adam"
    loss: str = "wasserstein"
    metric: str = "wasserstein_distance"
    learning_rate: float = 0.0001
    batch_size: int = 64
    epochs: int = 150


def parse_config(argv: list[str] | None = None) -> Config:
    """Read options such as `--critic-steps 3`; what is not given keeps its default."""
    parser = argparse.ArgumentParser(description="WGAN-GP for small icons")
    for item in fields(Config):
        if item.type is bool:
            parser.add_argument(f"--{item.name.replace('_', '-')}", action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(f"--{item.name.replace('_', '-')}", type=item.type)
    given = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    return Config(**given)


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write icons of one filled shape (disc, square or ring) in a strong colour on a light ground."""
    rng = np.random.default_rng(config.seed)
    size = config.image_size
    y, x = np.mgrid[:size, :size]
    icons = np.empty((config.synthetic_samples, size, size, 3), dtype="uint8")
    for icon in icons:
        centre, radius = rng.uniform(0.42, 0.58, size=2) * size, rng.uniform(0.2, 0.38) * size
        far = np.hypot(y - centre[0], x - centre[1])
        square = np.maximum(abs(y - centre[0]), abs(x - centre[1]))
        shape = (far < radius, square < radius * 0.8, (far < radius) & (far > radius * 0.55))[rng.integers(3)]
        colour = rng.permutation([230, 60, int(rng.integers(40, 200))])
        icon[:] = np.where(shape[..., None], colour, rng.integers(225, 256))
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    np.savez_compressed(Path(config.data_dir) / "icons.npz", images=icons)


def load_data(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the icons of (train, validation, test) in [-1, 1], split 80/10/10."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "icons.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an array `images` of uint8 (icons, size, size, 3)")
    with np.load(path, allow_pickle=False) as archive:
        images = archive["images"]
    wanted = (config.image_size, config.image_size, 3)
    if images.shape[1:] != wanted:
        raise ValueError(f"{path}: icons of {images.shape[1:]}, expected {wanted}")
    order = np.random.default_rng(config.seed).permutation(len(images))
    scaled = images[order].astype("float32") / 127.5 - 1.0
    tenth = max(1, len(scaled) // 10)
    return scaled[: -2 * tenth], scaled[-2 * tenth : -tenth], scaled[-tenth:]


# %% [model]
def build_generator(config: Config) -> keras.Model:
    """Return the network from noise to an icon: enlarging by repetition leaves no chequered pattern."""
    noise = keras.Input(shape=(config.latent_dim,))
    side = config.image_size // 8
    x = layers.Dense(side * side * 128)(noise)
    x = layers.Reshape((side, side, 128))(x)
    for filters in (128, 64, 32):
        x = layers.UpSampling2D(2)(x)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    icon = layers.Conv2D(3, 5, padding="same", activation="tanh")(x)
    return keras.Model(noise, icon, name="generator")


def build_critic(config: Config) -> keras.Model:
    """Return the network from an icon to a number.

    It has no batch normalisation: the penalty is about the gradient of single icons, which must not
    depend on their neighbours.
    """
    icon = keras.Input(shape=(config.image_size, config.image_size, 3))
    x = layers.Conv2D(32, 5, strides=2, padding="same")(icon)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Conv2D(64, 5, strides=2, padding="same")(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Conv2D(128, 5, strides=2, padding="same")(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Flatten()(x)
    return keras.Model(icon, layers.Dense(1)(x), name="critic")


def wasserstein(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """Return how much higher the critic scores real icons than generated ones."""
    return tf.reduce_mean(real_scores) - tf.reduce_mean(fake_scores)


class WGAN(keras.Model):
    """Train the critic `critic_steps` times per batch, then the generator once."""

    def __init__(self, generator: keras.Model, critic: keras.Model, config: Config) -> None:
        super().__init__()
        self.generator = generator
        self.critic = critic
        self.latent_dim = config.latent_dim
        self.critic_steps = config.critic_steps
        self.penalty_weight = config.penalty_weight

    def compile(self, generator_optimizer, critic_optimizer, loss) -> None:
        """Set one optimizer for each network and the distance between both sides."""
        super().compile()
        self.generator_optimizer = generator_optimizer
        self.critic_optimizer = critic_optimizer
        self.distance = loss

    def call(self, noise):
        """Return icons for noise."""
        return self.generator(noise)

    def noise(self, count) -> tf.Tensor:
        """Draw starting points for `count` icons."""
        return tf.random.normal((count, self.latent_dim))

    def gradient_penalty(self, real, fake) -> tf.Tensor:
        """Return the mean squared deviation of the gradient's length from 1 between real and fake."""
        mix = tf.random.uniform((tf.shape(real)[0], 1, 1, 1))
        between = real + mix * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = self.critic(between, training=True)
        slopes = tape.gradient(scores, between)
        # Without the small number the root has no derivative where the gradient is zero.
        lengths = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=(1, 2, 3)) + 1e-12)
        return tf.reduce_mean(tf.square(lengths - 1.0))

    @tf.function
    def critic_step(self, real):
        """Improve the critic once; return (its loss, the distance between both sides)."""
        fake = self.generator(self.noise(tf.shape(real)[0]), training=True)
        with tf.GradientTape() as tape:
            distance = self.distance(self.critic(real, training=True), self.critic(fake, training=True))
            loss = self.penalty_weight * self.gradient_penalty(real, fake) - distance
        slopes = tape.gradient(loss, self.critic.trainable_variables)
        self.critic_optimizer.apply(slopes, self.critic.trainable_variables)
        return loss, distance

    def train_step(self, real):
        """Take the critic's steps and one of the generator on a batch of real icons."""
        # As a function of its own the critic's step is traced once, not once per repetition.
        for _ in range(self.critic_steps):
            critic_loss, distance = self.critic_step(real)
        count = tf.shape(real)[0]
        with tf.GradientTape() as tape:
            fake = self.generator(self.noise(count), training=True)
            generator_loss = -tf.reduce_mean(self.critic(fake, training=True))
        slopes = tape.gradient(generator_loss, self.generator.trainable_variables)
        self.generator_optimizer.apply(slopes, self.generator.trainable_variables)
        return {
            "loss": critic_loss,
            "generator_loss": generator_loss,
            "wasserstein_distance": distance,
        }

    def test_step(self, real):
        """Measure the distance between held-out icons and as many generated ones."""
        fake = self.generator(self.noise(tf.shape(real)[0]), training=False)
        distance = self.distance(self.critic(real, training=False), self.critic(fake, training=False))
        return {"wasserstein_distance": distance}


def build_model(config: Config) -> keras.Model:
    """Return generator and critic in one compiled model; image_size must be a multiple of 8."""
    if config.loss != "wasserstein":
        raise ValueError(f"loss {config.loss!r}: only wasserstein goes with the gradient penalty")

    def optimizer() -> keras.optimizers.Optimizer:
        settings = {"learning_rate": config.learning_rate}
        if config.optimizer == "adam":
            settings["beta_1"], settings["beta_2"] = 0.0, 0.9
        return keras.optimizers.get({"class_name": config.optimizer, "config": settings})

    model = WGAN(build_generator(config), build_critic(config), config)
    model.compile(optimizer(), optimizer(), loss=wasserstein)
    # Built here: `critic_step` is a graph of its own and must not make variables.
    model.critic_optimizer.build(model.critic.trainable_variables)
    model.generator_optimizer.build(model.generator.trainable_variables)
    return model


# %% [train]
def save_sheet(images: np.ndarray, path: Path) -> None:
    """Write up to 16 icons in rows of four as one PNG."""
    shown = images[: len(images) // 4 * 4][:16]
    rows, size = len(shown) // 4, shown.shape[1]
    sheet = shown.reshape(rows, 4, size, size, 3).transpose(0, 2, 1, 3, 4).reshape(rows * size, 4 * size, 3)
    pixels = np.clip((sheet + 1.0) * 127.5, 0, 255).astype("uint8")
    tf.io.write_file(str(path), tf.io.encode_png(pixels))


class Preview(keras.callbacks.Callback):
    """Draw the same 16 noise vectors every few epochs, so that progress can be seen."""

    def __init__(self, config: Config, folder: Path) -> None:
        super().__init__()
        self.every = config.preview_every
        self.folder = folder
        rng = np.random.default_rng(config.seed)
        self.noise = rng.normal(size=(16, config.latent_dim)).astype("float32")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write a sheet if it is time."""
        if (epoch + 1) % self.every == 0:
            icons = self.model.generator(self.noise, training=False).numpy()
            save_sheet(icons, self.folder / f"epoch_{epoch + 1:04d}.png")


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
    """Train both networks, save them, and return the measures of the last epoch."""
    keras.utils.set_random_seed(config.seed)
    icons, held_out, _ = load_data(config)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    batches = tf.data.Dataset.from_tensor_slices(icons).shuffle(len(icons)).batch(config.batch_size)
    model = build_model(config)
    model.summary()
    history = model.fit(
        batches.prefetch(tf.data.AUTOTUNE),
        validation_data=tf.data.Dataset.from_tensor_slices(held_out).batch(config.batch_size),
        epochs=config.epochs,
        callbacks=[Preview(config, output)],
        verbose=2,
    )
    model.generator.save(output / "generator.keras")
    model.critic.save(output / "critic.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure how the critic parts test icons from generated ones, and how varied the latter are."""
    _, _, icons = load_data(config)
    output = Path(config.output_dir)
    generator = keras.models.load_model(output / "generator.keras", compile=False)
    critic = keras.models.load_model(output / "critic.keras", compile=False)
    noise = np.random.default_rng(config.seed + 1).normal(size=(max(len(icons), 32), config.latent_dim))
    fakes = generator(noise.astype("float32"), training=False).numpy()
    real_scores, fake_scores = critic(icons, training=False), critic(fakes, training=False)
    return {
        "wasserstein_distance": float(wasserstein(real_scores, fake_scores)),
        # Far less variety than the test icons have means that the generator repeats itself.
        "variety": float(fakes.std(axis=0).mean()),
        "variety_of_test": float(icons.std(axis=0).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return 16 new icons (16, size, size, 3) in [-1, 1]; save the numbers and a sheet of them."""
    output = Path(config.output_dir)
    generator = keras.models.load_model(output / "generator.keras", compile=False)
    noise = np.random.default_rng(config.seed).normal(size=(16, config.latent_dim)).astype("float32")
    icons = generator(noise, training=False).numpy()
    np.save(output / "predictions.npy", icons)
    save_sheet(icons, output / "icons.png")
    return icons


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
