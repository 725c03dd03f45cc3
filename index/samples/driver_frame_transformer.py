# SPDX-License-Identifier: Apache-2.0
"""Tell alert, yawning and nodding drivers apart in clips of unequal length: frame CNN and transformer.

A small CNN, the same for every frame, turns frames into vectors; a transformer encoder lets them attend to
each other, with positions added, as order matters. Short clips are padded at the end; padded frames are
masked in the attention and left out of the final mean: only real frames decide. The training loop is
written out with a gradient tape.

Data: `data_dir/clips/<clip>/*.png`, frames that sort in order of time, and `data_dir/{train,val,test}.txt`,
a line `<clip> <label>` for each clip, labels from 0. Drivers should not be shared between the three.
"""

# %% [imports]
import argparse
import dataclasses
import json
import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; of clips longer than `max_frames` every second, third, ... frame is read."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    max_frames: int = 16
    image_size: int = 48
    num_classes: int = 3
    model_size: int = 64
    num_heads: int = 4
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 8
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Return a Config; `--synthetic` is a switch, everything else takes a value."""
    parser = argparse.ArgumentParser(description="Driver state from video clips")
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Config)}
    for name, kind in kinds.items():
        option = "--" + name.replace("_", "-")
        if kind is bool:
            parser.add_argument(option, action="store_const", const=True, default=argparse.SUPPRESS)
        else:
            parser.add_argument(option, type=kind, default=argparse.SUPPRESS)
    return dataclasses.replace(Config(), **vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write faces: the mouth opens slowly (yawning), the head sinks (nodding), or neither (alert)."""
    rng = np.random.default_rng(config.seed)
    root, size = Path(config.data_dir), config.image_size
    rows, columns = np.mgrid[:size, :size] / size
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number in range(config.synthetic_samples):
        label = int(rng.integers(3))
        length = int(rng.integers(config.max_frames // 2, config.max_frames + 6))
        x, y = rng.uniform(0.4, 0.6), rng.uniform(0.35, 0.45)
        for time in range(length):
            progress = time / length
            down = y + 0.25 * progress * (label == 2)
            mouth = 0.03 + 0.11 * np.sin(np.pi * progress) * (label == 1)
            frame = rng.normal(50, 10, (size, size, 3))
            frame[((columns - x) / 0.22) ** 2 + ((rows - down) / 0.3) ** 2 < 1] = (200, 160, 130)
            frame[((columns - x) / 0.1) ** 2 + ((rows - down - 0.13) / mouth) ** 2 < 1] = (90, 20, 30)
            path = root / "clips" / f"clip_{number:04d}" / f"{time:03d}.png"
            tf.io.write_file(str(path), tf.io.encode_png(frame.clip(0, 255).astype("uint8")))
        place = number % 8
        lists["val" if place == 6 else "test" if place == 7 else "train"].append(f"clip_{number:04d} {label}")
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def clips_of(config: Config, split: str) -> tf.data.Dataset:
    """Return batches of ({"frames": (batch, time, size, size, 3), "mask": (batch, time)}, labels (batch,)).

    The mask is true for real frames. Training clips are mirrored half of the time and lose some frames.
    """
    root = Path(config.data_dir)
    if not (root / f"{split}.txt").is_file():
        raise FileNotFoundError(f"{root}: expected clips/<clip>/*.png and train.txt, val.txt and test.txt")
    lines = (root / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.rsplit(maxsplit=1) for line in lines if line.strip()]
    training, size = split == "train", config.image_size
    rng = np.random.default_rng(config.seed)

    def read_clips():
        """Yield the clips of an epoch one after the other, those for training in a new order."""
        order = rng.permutation(len(entries)) if training else range(len(entries))
        for place in order:
            clip, label = entries[place]
            files = sorted((root / "clips" / clip).glob("*.png"))
            files = files[:: -(-len(files) // config.max_frames)]
            if training and len(files) > 4:
                kept = np.sort(rng.permutation(len(files))[rng.integers(0, 3) :])
                files = [files[i] for i in kept]
            frames = [tf.io.decode_png(tf.io.read_file(str(file)), channels=3) for file in files]
            frames = tf.image.resize(tf.stack(frames), (size, size)) / 255.0
            if training and rng.random() < 0.5:
                frames = frames[:, :, ::-1]
            yield {"frames": frames, "mask": tf.ones(len(files), tf.bool)}, int(label)

    signature = (
        {"frames": tf.TensorSpec((None, size, size, 3)), "mask": tf.TensorSpec((None,), tf.bool)},
        tf.TensorSpec((), tf.int32),
    )
    clips = tf.data.Dataset.from_generator(read_clips, output_signature=signature)
    shapes = ({"frames": (config.max_frames, size, size, 3), "mask": (config.max_frames,)}, ())
    batches = clips.padded_batch(config.batch_size, padded_shapes=shapes).prefetch(tf.data.AUTOTUNE)
    return batches.apply(tf.data.experimental.assert_cardinality(-(-len(entries) // config.batch_size)))


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return the batches that train.txt, val.txt and test.txt list."""
    if config.synthetic:
        make_synthetic(config)
    return clips_of(config, "train"), clips_of(config, "val"), clips_of(config, "test")


# %% [model]
@keras.saving.register_keras_serializable("driver")
class AddPositions(layers.Layer):
    """Adds a learnt vector for each place in time."""

    def __init__(self, max_frames: int, **kwargs):
        super().__init__(**kwargs)
        self.max_frames = max_frames

    def build(self, input_shape):
        """Create the table of positions."""
        self.table = self.add_weight(
            shape=(self.max_frames, input_shape[-1]), initializer=keras.initializers.RandomNormal(stddev=0.02)
        )

    def call(self, x):
        """Return x (batch, time, size) plus the positions."""
        return x + self.table

    def get_config(self):
        """Return what `__init__` takes."""
        return {**super().get_config(), "max_frames": self.max_frames}


@keras.saving.register_keras_serializable("driver")
class MaskedMean(layers.Layer):
    """The mean over the frames whose mask is true."""

    def call(self, x, mask):
        """Return (batch, size) from x (batch, time, size) and mask (batch, time)."""
        weight = ops.cast(mask, x.dtype)[:, :, None]
        return ops.sum(x * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)


def encoder_layer(x, attention_mask, config: Config):
    """Return x after attention among the frames and a feed-forward part, each normalised before."""
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.MultiHeadAttention(config.num_heads, config.model_size // config.num_heads, dropout=0.1)(
        y, y, attention_mask=attention_mask
    )
    x = layers.Add()([x, y])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(2 * config.model_size, activation="gelu")(y)
    y = layers.Dense(config.model_size)(y)
    return layers.Add()([x, layers.Dropout(0.1)(y)])


def build_model(config: Config) -> keras.Model:
    """Return the network; it takes padded frames and their mask and answers with logits."""
    frames = layers.Input(shape=(config.max_frames, config.image_size, config.image_size, 3), name="frames")
    mask = layers.Input(shape=(config.max_frames,), dtype="bool", name="mask")
    x = frames
    for filters in (16, 32, 64):
        x = layers.TimeDistributed(layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu"))(x)
    x = layers.TimeDistributed(layers.Flatten())(x)
    x = layers.TimeDistributed(layers.Dense(config.model_size))(x)
    x = AddPositions(config.max_frames)(x)
    # (batch, 1, time): every frame may look at every real frame.
    attention_mask = layers.Reshape((1, config.max_frames))(mask)
    for _ in range(2):
        x = encoder_layer(x, attention_mask, config)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = MaskedMean()(x, mask)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(config.num_classes)(x)
    return keras.Model({"frames": frames, "mask": mask}, outputs)


# %% [train]
def chosen_loss(config: Config) -> keras.losses.Loss:
    """Return the loss on logits that the settings name."""
    known = {"sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy}
    if config.loss not in known:
        raise ValueError(f"--loss {config.loss}: known are {', '.join(known)}")
    return known[config.loss](from_logits=True)


def chosen_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Return the optimizer that the settings name."""
    known = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}
    if config.optimizer not in known:
        raise ValueError(f"--optimizer {config.optimizer}: known are {', '.join(known)}")
    return known[config.optimizer](learning_rate=config.learning_rate, global_clipnorm=config.clip_norm)


def rate_at(step: int, steps: int, config: Config) -> float:
    """Return the learning rate of a step: in a line up to its peak, then down along a cosine."""
    warmup = max(1, int(config.warmup_share * steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def measure(model: keras.Model, batches: tf.data.Dataset, criterion: keras.losses.Loss) -> dict[str, float]:
    """Return loss and accuracy over all clips of the batches."""
    logits, labels = zip(*((model(clips, training=False), truth) for clips, truth in batches), strict=True)
    answers, truth = tf.concat(logits, axis=0), tf.concat(labels, axis=0)
    right = np.argmax(answers, axis=1) == truth.numpy()
    return {"loss": float(criterion(truth, answers)), "accuracy": float(np.mean(right))}


def train(config: Config) -> dict[str, float]:
    """Fit step by step, keep the weights that validate best, and write the course of all epochs."""
    keras.utils.set_random_seed(config.seed)
    batches, validation, _ = load_data(config)
    model, criterion = build_model(config), chosen_loss(config)
    optimizer = chosen_optimizer(config)
    steps = config.epochs * len(batches)

    @tf.function(reduce_retracing=True)  # or a smaller last batch would be traced anew
    def step(clips, labels):
        with tf.GradientTape() as tape:
            logits = model(clips, training=True)
            loss = criterion(labels, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    course, best = [], float("inf")
    for epoch in range(config.epochs):
        losses = []
        for clips, labels in batches:
            optimizer.learning_rate.assign(rate_at(int(optimizer.iterations), steps, config))
            losses.append(float(step(clips, labels)))
        checked = measure(model, validation, criterion)
        course.append({"loss": float(np.mean(losses)), **{f"val_{key}": v for key, v in checked.items()}})
        print(f"epoch {epoch + 1}: {course[-1]}")
        if checked["loss"] < best:
            best = checked["loss"]
            model.save(output / "model.keras")
    (output / "course.json").write_text(json.dumps(course, indent=1), encoding="utf-8")
    return course[-1]


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss, accuracy and the F1 of every state on the test clips."""
    _, _, test = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = measure(model, test, chosen_loss(config))
    pairs = [(np.argmax(model(clips, training=False), axis=1), labels.numpy()) for clips, labels in test]
    found, truth = (np.concatenate(part) for part in zip(*pairs, strict=True))
    for state in range(config.num_classes):
        both = np.sum((found == state) & (truth == state))
        measures[f"f1_state_{state}"] = float(
            2 * both / max(1, np.sum(found == state) + np.sum(truth == state))
        )
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probabilities (clips, num_classes) of the test clips and save them."""
    _, _, test = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = np.concatenate([ops.softmax(model(clips, training=False)) for clips, _ in test])
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
