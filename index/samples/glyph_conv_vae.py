# SPDX-License-Identifier: Apache-2.0
"""Learn a smooth space of handwritten signs with a convolutional variational autoencoder.

The encoder answers with a mean and a spread for each of a few hidden numbers; the decoder paints the
sign again from a draw. The KL term pulls the draws towards a standard normal distribution, so that
every point of the space stands for a plausible sign: new signs are decoded from random points,
and walking from one sign to another passes through signs in between. The weight of the KL term
rises over the first epochs, else the decoder may learn to ignore the hidden numbers.

Data: `data_dir/<sign>/*.png`, a folder per sign, 8-bit pictures of dark ink on light paper, any size.
The names of the folders are used only to take each split evenly from all signs.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting; `kl_weight` above 1 gives a tidier space and blurrier signs (beta-VAE)."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 28
    latent_dim: int = 8
    kl_weight: float = 1.0
    kl_warmup_epochs: int = 10
    walk_steps: int = 9
    optimizer: str = "nadam"
    loss: str = "binary_crossentropy"
    metric: str = "kl_divergence"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 80


def parse_config(argv: list[str] | None = None) -> Config:
    """Return the settings from the command line: one option for each field."""
    parser = argparse.ArgumentParser(description="Variational autoencoder of handwritten signs")
    defaults = Config()
    for name, kind in Config.__annotations__.items():
        option, value = "--" + name.replace("_", "-"), getattr(defaults, name)
        if kind is bool:
            parser.add_argument(option, action="store_true", default=value)
        else:
            parser.add_argument(option, type=kind, default=value)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write four signs (bar, cross, corner, ring) with a hand that shifts, leans and presses unevenly."""
    rng = np.random.default_rng(config.seed)
    size = 32
    y, x = np.mgrid[:size, :size] - size / 2
    for index in range(config.synthetic_samples):
        lean, pen = rng.uniform(-0.35, 0.35), rng.uniform(1.3, 2.4)
        u, v = x - rng.uniform(-3, 3) + lean * y, y - rng.uniform(-3, 3)
        reach = rng.uniform(8, 11)
        upright = np.where(abs(v) < reach, abs(u), 99.0)
        level = np.where(abs(u) < reach, abs(v), 99.0)
        foot = np.where((u > 0) & (u < reach), abs(v - reach), 99.0)
        distances = {
            "bar": upright,
            "cross": np.minimum(upright, level),
            "corner": np.minimum(upright, foot),
            "ring": abs(np.hypot(u, v) - 0.8 * reach),
        }
        sign = sorted(distances)[index % 4]
        ink = 1.0 / (1.0 + np.exp(2.5 * (distances[sign] - pen)))
        paper = (255 * (1.0 - ink) + rng.normal(0, 3, size=ink.shape)).clip(0, 255).astype("uint8")
        folder = pathlib.Path(config.data_dir, sign)
        folder.mkdir(parents=True, exist_ok=True)
        tf.io.write_file(str(folder / f"{index:05d}.png"), tf.io.encode_png(paper[..., None]))


def load_data(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ink (signs, size, size, 1) in [0, 1] of (train, validation, test)."""
    if config.synthetic:
        make_synthetic(config)
    root = pathlib.Path(config.data_dir)
    folders = sorted(path for path in root.glob("*") if path.is_dir() and any(path.glob("*.png")))
    if not folders:
        raise FileNotFoundError(f"{root}: expected a folder of .png pictures for each sign")
    rng = np.random.default_rng(config.seed)
    parts: tuple[list, list, list] = ([], [], [])
    for folder in folders:
        files = sorted(folder.glob("*.png"))
        for place, choice in enumerate(rng.permutation(len(files))):
            # Of each ten signs of a kind one is for validation and one for the test, starting at once.
            parts[{1: 1, 2: 2}.get(place % 10, 0)].append(read_ink(files[choice], config.image_size))
    return tuple(np.stack(part).astype("float32") for part in parts)


def read_ink(file: pathlib.Path, size: int) -> np.ndarray:
    """Return how much ink there is at each place: 0 paper, 1 full ink."""
    picture = tf.io.decode_png(tf.io.read_file(str(file)), channels=1)
    return 1.0 - tf.image.resize(picture, (size, size), antialias=True).numpy().clip(0, 255) / 255.0


# %% [model]
class Sampling(layers.Layer):
    """Draw from the normal distributions given by mean and log variance, so that gradients pass."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        """Return one draw for each row."""
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


def build_encoder(config: Config) -> keras.Model:
    """Return the network from a sign to mean, log variance and a draw."""
    sign = layers.Input(shape=(config.image_size, config.image_size, 1))
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(sign)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    mean = layers.Dense(config.latent_dim, name="mean")(x)
    log_variance = layers.Dense(config.latent_dim, name="log_variance")(x)
    draw = Sampling()([mean, log_variance])
    return keras.Model(sign, [mean, log_variance, draw], name="encoder")


def build_decoder(config: Config) -> keras.Model:
    """Return the network from hidden numbers to a sign."""
    side = config.image_size // 4
    hidden = layers.Input(shape=(config.latent_dim,))
    x = layers.Dense(side * side * 64, activation="relu")(hidden)
    x = layers.Reshape((side, side, 64))(x)
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
    sign = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(hidden, sign, name="decoder")


class VAE(keras.Model):
    """Encoder and decoder with the two terms of the evidence lower bound."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = build_encoder(config)
        self.decoder = build_decoder(config)
        self.pixel_loss = keras.losses.get(config.loss)
        # A variable, for a callback to change: a plain number would be frozen into the graph.
        self.kl_weight = self.add_weight(name="kl_weight", initializer="zeros", trainable=False)
        self.total = keras.metrics.Mean(name="loss")
        self.reconstruction = keras.metrics.Mean(name="reconstruction")
        self.divergence = keras.metrics.Mean(name="kl_divergence")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Name the running means."""
        return [self.total, self.reconstruction, self.divergence]

    def call(self, signs, training: bool = False):
        """Return the signs painted again; from the means, without chance, except while training."""
        mean, _, draw = self.encoder(signs, training=training)
        return self.decoder(draw if training else mean, training=training)

    def bound(self, signs, training: bool):
        """Return (weighted sum, reconstruction, divergence), mean per sign and summed over pixels."""
        mean, log_variance, draw = self.encoder(signs, training=training)
        painted = self.decoder(draw, training=training)
        reconstruction = ops.mean(ops.sum(self.pixel_loss(signs, painted), axis=(1, 2)))
        divergence = -0.5 * ops.sum(1.0 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=1)
        divergence = ops.mean(divergence)
        return reconstruction + self.kl_weight * divergence, reconstruction, divergence

    def train_step(self, signs):
        """Take one step."""
        with tf.GradientTape() as tape:
            total, reconstruction, divergence = self.bound(signs, training=True)
        gradients = tape.gradient(total, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self.note(total, reconstruction, divergence)

    def test_step(self, signs):
        """Measure without learning."""
        return self.note(*self.bound(signs, training=False))

    def note(self, *values):
        """Add to the running means and return them."""
        for metric, value in zip(self.metrics, values, strict=True):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self.metrics}


def build_model(config: Config) -> keras.Model:
    """Return the compiled autoencoder; image_size must be a multiple of 4."""
    model = VAE(config)
    model.build((None, config.image_size, config.image_size, 1))
    settings = {"learning_rate": config.learning_rate, "clipnorm": 5.0}
    model.compile(optimizer=keras.optimizers.get({"class_name": config.optimizer, "config": settings}))
    return model


# %% [train]
class KLWarmup(keras.callbacks.Callback):
    """Raise the weight of the KL term in even steps to its final value."""

    def __init__(self, final: float, epochs: int) -> None:
        super().__init__()
        self.final = final
        self.epochs = max(1, epochs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set the weight of this epoch."""
        self.model.kl_weight.assign(self.final * min(1.0, (epoch + 1) / self.epochs))


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
    plt.savefig(pathlib.Path(config.output_dir) / "history.png")
    plt.close()


def train(config: Config) -> dict[str, float]:
    """Fit, save the weights and a CSV of the losses."""
    keras.utils.set_random_seed(config.seed)
    signs, held_out, _ = load_data(config)
    output = pathlib.Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model = build_model(config)
    model.summary()
    history = model.fit(
        signs,
        validation_data=(held_out,),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[
            KLWarmup(config.kl_weight, config.kl_warmup_epochs),
            # By the reconstruction: the total rises while the weight of the KL term does.
            keras.callbacks.ReduceLROnPlateau("val_reconstruction", 0.5, patience=6, mode="min"),
            keras.callbacks.CSVLogger(str(output / "history.csv")),
        ],
        verbose=2,
    )
    model.encoder.save_weights(output / "encoder.weights.h5")
    model.decoder.save_weights(output / "decoder.weights.h5")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def restore(config: Config) -> VAE:
    """Return the trained autoencoder with the full weight of the KL term."""
    model = build_model(config)
    for network in (model.encoder, model.decoder):
        network.load_weights(pathlib.Path(config.output_dir) / f"{network.name}.weights.h5")
    model.kl_weight.assign(config.kl_weight)
    return model


def evaluate(config: Config) -> dict[str, float]:
    """Measure the bound on test signs, and how many hidden numbers are in use."""
    _, _, signs = load_data(config)
    model = restore(config)
    measures = model.evaluate(signs, batch_size=config.batch_size, return_dict=True, verbose=0)
    means, _, _ = model.encoder.predict(signs, verbose=0)
    # A hidden number that has the same mean for every sign says nothing.
    active = int((means.var(axis=0) > 0.01).sum())
    with open(pathlib.Path(config.output_dir) / "codes.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(means.round(4).tolist())
    return {name: float(value) for name, value in measures.items()} | {"active_dimensions": active}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return new signs (16, size, size, 1) from random points; save them, and a walk between two signs."""
    _, _, signs = load_data(config)
    model = restore(config)
    output = pathlib.Path(config.output_dir)
    points = np.random.default_rng(config.seed).normal(size=(16, config.latent_dim)).astype("float32")
    painted = model.decoder.predict(points, verbose=0)
    np.save(output / "predictions.npy", painted)

    ends = model.encoder.predict(signs[[0, -1]], verbose=0)[0]
    share = np.linspace(0.0, 1.0, config.walk_steps, dtype="float32")[:, None]
    walk = model.decoder.predict((1.0 - share) * ends[0] + share * ends[1], verbose=0)
    for name, row in (("samples.png", painted), ("walk.png", walk)):
        strip = (255 * (1.0 - np.concatenate(list(row), axis=1))).astype("uint8")
        tf.io.write_file(str(output / name), tf.io.encode_png(strip))
    return painted


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
