# SPDX-License-Identifier: Apache-2.0
"""Turn summer landscapes into winter ones, and back, without a single matching pair: CycleGAN.

Two generators translate in opposite directions, a PatchGAN discriminator guards each domain. Three
terms hold the translation to the picture: the least-squares adversarial loss, the cycle loss (there
and back again must give the original) and the identity loss (a winter picture needs no winter).

Data: `data_dir/trainA`, `data_dir/trainB`, `data_dir/testA` and `data_dir/testB`, each with .png or .jpg
pictures of one domain. A and B need neither the same number of pictures nor the same scenes.
"""

# %% [imports]
import argparse
import dataclasses
import json
from collections.abc import Callable
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
    filters: int = 32
    residual_blocks: int = 3
    cycle_weight: float = 10.0
    identity_weight: float = 5.0
    pool_size: int = 50
    optimizer: str = "adam"
    loss: str = "mean_squared_error"
    metric: str = "cycle_error"
    learning_rate: float = 0.0002
    beta_1: float = 0.5
    batch_size: int = 4
    epochs: int = 100


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Unpaired translation between two folders of pictures")
    for field in dataclasses.fields(Config):
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Draw hills under a sky: green ones with a blue sky for A, white ones with a grey sky for B."""
    rng = np.random.default_rng(config.seed)
    size = config.image_size
    columns = np.arange(size)
    palettes = {"A": ((90, 160, 235), (50, 140, 40)), "B": ((170, 175, 185), (235, 240, 250))}
    for index in range(config.synthetic_samples):
        domain = "AB"[index % 2]
        part = "test" if index % 8 >= 6 else "train"
        folder = Path(config.data_dir) / f"{part}{domain}"
        folder.mkdir(parents=True, exist_ok=True)
        ridge = size * (0.5 + 0.15 * np.sin(columns * rng.uniform(0.05, 0.25) + rng.uniform(0, 6)))
        sky, ground = (np.array(colour) + rng.integers(-12, 13, size=3) for colour in palettes[domain])
        image = np.where((np.arange(size)[:, None] < ridge)[..., None], sky, ground)
        image = np.clip(image + rng.normal(0, 6, size=image.shape), 0, 255).astype("uint8")
        tf.io.write_file(str(folder / f"{index:05d}.png"), tf.io.encode_png(image))


def read_folder(folder: Path, size: int) -> np.ndarray:
    """Return the pictures of a folder (pictures, size, size, 3) in [-1, 1], ordered by name."""
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"})
    if not files:
        raise FileNotFoundError(
            f"{folder}: expected .png or .jpg pictures (also in trainA, trainB, testA, testB)"
        )
    pictures = []
    for file in files:
        picture = tf.io.decode_image(tf.io.read_file(str(file)), channels=3, expand_animations=False)
        pictures.append(tf.image.resize(picture, (size, size), antialias=True).numpy() / 127.5 - 1.0)
    return np.stack(pictures).astype("float32")


def jitter(picture: tf.Tensor) -> tf.Tensor:
    """Enlarge a little, crop at random, mirror at random."""
    size = picture.shape[0]
    picture = tf.image.resize(picture, (size + size // 8, size + size // 8))
    return tf.image.random_flip_left_right(tf.image.random_crop(picture, (size, size, 3)))


def load_data(config: Config):
    """Return training batches of (A, B), and the arrays (A, B) for validation and for testing."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    streams, held_out = [], []
    for domain in "AB":
        pictures = read_folder(root / f"train{domain}", config.image_size)
        order = np.random.default_rng(config.seed).permutation(len(pictures))
        kept = max(1, len(pictures) // 10)
        held_out.append(pictures[order[:kept]])
        stream = tf.data.Dataset.from_tensor_slices(pictures[order[kept:]])
        streams.append(stream.shuffle(1000, seed=config.seed).map(jitter, tf.data.AUTOTUNE))
    # An epoch sees every picture of the larger domain once; the smaller one starts over meanwhile.
    longest = max(int(stream.cardinality()) for stream in streams)
    pairs = tf.data.Dataset.zip(tuple(stream.repeat() for stream in streams)).take(longest)
    test = tuple(read_folder(root / f"test{domain}", config.image_size) for domain in "AB")
    return pairs.batch(config.batch_size).prefetch(tf.data.AUTOTUNE), tuple(held_out), test


class ImagePool:
    """Keep generated pictures and hand out an old one for a new one half of the time.

    Judging old fakes too stops the two networks from chasing each other in circles.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.rng = np.random.default_rng(seed)
        self.pictures: list[np.ndarray] = []

    def exchange(self, fakes: np.ndarray) -> np.ndarray:
        """Return as many pictures as given, some of them from earlier batches."""
        answer = []
        for fake in fakes:
            if len(self.pictures) < self.size:
                self.pictures.append(fake)
            elif self.rng.random() < 0.5:
                place = self.rng.integers(self.size)
                fake, self.pictures[place] = self.pictures[place], fake
            answer.append(fake)
        return np.stack(answer)


# %% [model]
def normalised(x, activation: str | None = "relu"):
    """Normalise every channel of every picture by itself (instance normalisation)."""
    x = layers.GroupNormalization(groups=-1)(x)
    return layers.Activation(activation)(x) if activation else x


def build_generator(config: Config, name: str) -> keras.Model:
    """Return a network from picture to picture: down twice, residual blocks, up twice."""
    width = config.filters
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = normalised(layers.Conv2D(width, 7, padding="same", use_bias=False)(inputs))
    x = normalised(layers.Conv2D(2 * width, 3, strides=2, padding="same", use_bias=False)(x))
    x = normalised(layers.Conv2D(4 * width, 3, strides=2, padding="same", use_bias=False)(x))
    for _ in range(config.residual_blocks):
        inner = normalised(layers.Conv2D(4 * width, 3, padding="same", use_bias=False)(x))
        inner = normalised(layers.Conv2D(4 * width, 3, padding="same", use_bias=False)(inner), None)
        x = layers.Add()([x, inner])
    x = normalised(layers.Conv2DTranspose(2 * width, 3, strides=2, padding="same", use_bias=False)(x))
    x = normalised(layers.Conv2DTranspose(width, 3, strides=2, padding="same", use_bias=False)(x))
    outputs = layers.Conv2D(3, 7, padding="same", activation="tanh")(x)
    return keras.Model(inputs, outputs, name=name)


def build_discriminator(config: Config, name: str) -> keras.Model:
    """Return a network that scores overlapping patches, not the picture as a whole."""
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = layers.Conv2D(config.filters, 4, strides=2, padding="same")(inputs)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.Conv2D(2 * config.filters, 4, strides=2, padding="same", use_bias=False)(x)
    x = layers.GroupNormalization(groups=-1)(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.Conv2D(4 * config.filters, 4, strides=2, padding="same", use_bias=False)(x)
    x = layers.GroupNormalization(groups=-1)(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    return keras.Model(inputs, layers.Conv2D(1, 4, padding="same")(x), name=name)


class CycleGAN(keras.Model):
    """Hold both directions; calling it translates A to B."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.to_b = build_generator(config, "to_b")
        self.to_a = build_generator(config, "to_a")
        self.judge_b = build_discriminator(config, "judge_b")
        self.judge_a = build_discriminator(config, "judge_a")
        self.networks = [self.to_b, self.to_a, self.judge_b, self.judge_a]
        self.distance = keras.losses.MeanAbsoluteError()

    def compile(self, generator_optimizer, judge_optimizer, loss) -> None:
        """Take what trains the networks: one optimizer for each side."""
        super().compile()
        self.generator_optimizer = generator_optimizer
        self.judge_optimizer = judge_optimizer
        self.adversarial = keras.losses.get(loss)
        generator_optimizer.build(self.to_b.trainable_variables + self.to_a.trainable_variables)
        judge_optimizer.build(self.judge_b.trainable_variables + self.judge_a.trainable_variables)

    def call(self, pictures):
        """Return the pictures of domain A as pictures of domain B."""
        return self.to_b(pictures)

    def verdict(self, scores, is_real: bool) -> tf.Tensor:
        """Return the adversarial loss of patch scores that should say real (1) or generated (0)."""
        target = tf.ones_like(scores) if is_real else tf.zeros_like(scores)
        return tf.reduce_mean(self.adversarial(target, scores))

    @tf.function
    def generator_step(self, real_a, real_b):
        """Improve both generators; return (loss, cycle error, fakes of A, fakes of B)."""
        both = tf.concat([real_a, real_b], axis=0)
        with tf.GradientTape() as tape:
            # No picture depends on its neighbours, so translation and identity share one pass.
            fake_b, same_b = tf.split(self.to_b(both), 2)
            same_a, fake_a = tf.split(self.to_a(both), 2)
            fooling = self.verdict(self.judge_b(fake_b), True) + self.verdict(self.judge_a(fake_a), True)
            cycle = self.distance(real_a, self.to_a(fake_b)) + self.distance(real_b, self.to_b(fake_a))
            same = self.distance(real_a, same_a) + self.distance(real_b, same_b)
            loss = fooling + self.config.cycle_weight * cycle + self.config.identity_weight * same
        variables = self.to_b.trainable_variables + self.to_a.trainable_variables
        self.generator_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss, cycle / 2, fake_a, fake_b

    @tf.function
    def judge_step(self, real_a, real_b, fake_a, fake_b) -> tf.Tensor:
        """Improve both discriminators; return their loss, halved so that they learn more slowly."""
        with tf.GradientTape() as tape:
            loss = 0.0
            for judge, real, fake in ((self.judge_a, real_a, fake_a), (self.judge_b, real_b, fake_b)):
                on_real, on_fake = tf.split(judge(tf.concat([real, fake], axis=0)), 2)
                loss += self.verdict(on_real, True) + self.verdict(on_fake, False)
            loss /= 2.0
        variables = self.judge_b.trainable_variables + self.judge_a.trainable_variables
        self.judge_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def cycle_errors(self, pictures_a: np.ndarray, pictures_b: np.ndarray) -> dict[str, float]:
        """Return the mean absolute error of going there and back, by where the way starts."""
        back_a = in_batches(lambda x: self.to_a(self.to_b(x)), pictures_a, self.config.batch_size)
        back_b = in_batches(lambda x: self.to_b(self.to_a(x)), pictures_b, self.config.batch_size)
        errors = float(np.abs(back_a - pictures_a).mean()), float(np.abs(back_b - pictures_b).mean())
        return {"cycle_error": sum(errors) / 2, "cycle_error_a": errors[0], "cycle_error_b": errors[1]}


def in_batches(network: Callable, pictures: np.ndarray, size: int) -> np.ndarray:
    """Return what the network makes of the pictures, `size` of them at a time."""
    starts = range(0, len(pictures), size)
    return np.concatenate([network(pictures[start : start + size]).numpy() for start in starts])


def make_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Return an optimizer; Adam gets the low momentum usual for adversarial training."""
    settings = {"learning_rate": config.learning_rate}
    if config.optimizer.lower() in {"adam", "adamw", "nadam"}:
        settings["beta_1"] = config.beta_1
    return keras.optimizers.get({"class_name": config.optimizer, "config": settings})


def build_model(config: Config) -> keras.Model:
    """Return the four networks as one model; image_size must be a multiple of 8."""
    model = CycleGAN(config)
    model.build((None, config.image_size, config.image_size, 3))
    model.compile(make_optimizer(config), make_optimizer(config), loss=config.loss)
    return model


# %% [train]
def train(config: Config) -> dict[str, float]:
    """Train both directions; the learning rate falls to zero over the second half."""
    keras.utils.set_random_seed(config.seed)
    batches, validation, _ = load_data(config)
    model = build_model(config)
    pools = ImagePool(config.pool_size, config.seed), ImagePool(config.pool_size, config.seed + 1)
    measures: dict[str, float] = {}
    for epoch in range(config.epochs):
        rate = config.learning_rate * min(1.0, 2.0 * (1.0 - epoch / config.epochs))
        model.generator_optimizer.learning_rate = rate
        model.judge_optimizer.learning_rate = rate
        sums = []
        for real_a, real_b in batches:
            loss, _, fake_a, fake_b = model.generator_step(real_a, real_b)
            old_a, old_b = pools[0].exchange(fake_a.numpy()), pools[1].exchange(fake_b.numpy())
            sums.append((float(loss), float(model.judge_step(real_a, real_b, old_a, old_b))))
        loss, judge_loss = np.mean(sums, axis=0)
        measures = {"loss": float(loss), "judge_loss": float(judge_loss)}
        measures["val_cycle_error"] = model.cycle_errors(*validation)["cycle_error"]
        print(f"epoch {epoch + 1}:", ", ".join(f"{name} {value:.4f}" for name, value in measures.items()))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    for network in model.networks:
        network.save_weights(output / f"{network.name}.weights.h5")
    return measures


# %% [evaluate]
def load_trained(config: Config) -> CycleGAN:
    """Return the model with the weights that `train` saved."""
    model = build_model(config)
    for network in model.networks:
        network.load_weights(Path(config.output_dir) / f"{network.name}.weights.h5")
    return model


def evaluate(config: Config) -> dict[str, float]:
    """Measure the cycle error of both ways, and how real the discriminators find the translations."""
    _, _, (pictures_a, pictures_b) = load_data(config)
    model = load_trained(config)
    measures = model.cycle_errors(pictures_a, pictures_b)
    for name, translator, judge, pictures in (
        ("realism_b", model.to_b, model.judge_b, pictures_a),
        ("realism_a", model.to_a, model.judge_a, pictures_b),
    ):
        scores = in_batches(lambda x, t=translator, j=judge: j(t(x)), pictures, config.batch_size)
        measures[name] = float(scores.mean())
    (Path(config.output_dir) / "metrics.json").write_text(json.dumps(measures, indent=2), encoding="utf-8")
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the test pictures of A as B (pictures, size, size, 3) in [-1, 1]; save before and after."""
    _, _, (pictures, _) = load_data(config)
    output = Path(config.output_dir)
    translated = in_batches(load_trained(config).to_b, pictures, config.batch_size)
    np.save(output / "predictions.npy", translated)
    for index, sides in enumerate(zip(pictures[:16], translated[:16], strict=True)):
        both = np.clip((np.concatenate(sides, axis=1) + 1.0) * 127.5, 0, 255).astype("uint8")
        tf.io.write_file(str(output / f"a_to_b_{index:02d}.png"), tf.io.encode_png(both))
    return translated


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
