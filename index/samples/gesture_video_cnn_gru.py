# SPDX-License-Identifier: Apache-2.0
"""Recognise gestures in short video clips: a CNN on every frame, a GRU over the frames.

The same small CNN is applied to each of 12 frames, spread evenly over the clip; the GRU reads their
features in order. What it cannot see is anything between two sampled frames.

Data: `data_dir/<class>/<clip>/*.jpg` (or .png): a folder per class, in it a folder per clip with its
frames, whose names sort in order of time. (ffmpeg writes such folders from any video file.)
"""

# %% [imports]
import argparse
import dataclasses
import itertools
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
    num_frames: int = 12
    image_size: int = 64
    num_classes: int = 4
    optimizer: str = "adam"
    loss: str = "categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.0005
    batch_size: int = 8
    epochs: int = 20


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Gesture recognition in video")
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
    """Write clips of a bright square that moves left, right, up or down, depending on the class."""
    rng = np.random.default_rng(config.seed)
    size, edge = config.image_size, config.image_size // 6
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        folder = Path(config.data_dir) / f"class_{label}" / f"clip_{index:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        steps = np.linspace(0, size - edge - 1, config.num_frames + 2).astype(int)
        if label % 2:
            steps = steps[::-1]
        across = int(rng.integers(0, size - edge))
        for time, along in enumerate(steps):
            frame = rng.integers(0, 60, size=(size, size, 3))
            top, left = (across, along) if label % 4 < 2 else (along, across)
            frame[top : top + edge, left : left + edge] = 230
            jpeg = tf.io.encode_jpeg(frame.astype("uint8"))
            tf.io.write_file(str(folder / f"frame_{time:04d}.jpg"), jpeg)


def frame_paths(clip: Path, count: int) -> list[str]:
    """Return `count` frames spread evenly over the clip; short clips repeat some."""
    frames = sorted(path for path in clip.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not frames:
        raise FileNotFoundError(f"{clip}: holds no frames")
    return [str(frames[i]) for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of clips (clips, frames, size, size, 3) and one-hot labels."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    classes = sorted(folder for folder in root.glob("*") if folder.is_dir())
    if len(classes) != config.num_classes:
        raise FileNotFoundError(
            f"{root}: expected {config.num_classes} class folders of clip folders of frames"
        )
    clips = [(clip, label) for label, folder in enumerate(classes) for clip in sorted(folder.iterdir())]
    np.random.default_rng(config.seed).shuffle(clips)

    def read_frame(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (config.image_size, config.image_size)) / 255.0

    def read_clip(paths: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        frames = tf.map_fn(read_frame, paths, fn_output_signature=tf.float32)
        frames = tf.ensure_shape(frames, (config.num_frames, config.image_size, config.image_size, 3))
        return frames, tf.one_hot(label, config.num_classes)

    bounds = [0, int(0.7 * len(clips)), int(0.85 * len(clips)), len(clips)]
    splits = []
    for start, stop in itertools.pairwise(bounds):
        paths = [frame_paths(clip, config.num_frames) for clip, _ in clips[start:stop]]
        labels = [label for _, label in clips[start:stop]]
        batches = tf.data.Dataset.from_tensor_slices((paths, labels))
        if start == 0:
            batches = batches.shuffle(stop, seed=config.seed)
        batches = batches.map(read_clip, num_parallel_calls=tf.data.AUTOTUNE)
        splits.append(batches.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return splits[0], splits[1], splits[2]


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier of clips."""
    model = keras.Sequential(
        [
            layers.Input(shape=(config.num_frames, config.image_size, config.image_size, 3)),
            layers.TimeDistributed(layers.Conv2D(16, 3, padding="same", activation="relu")),
            layers.TimeDistributed(layers.MaxPooling2D(2)),
            layers.TimeDistributed(layers.Conv2D(32, 3, padding="same", activation="relu")),
            layers.TimeDistributed(layers.MaxPooling2D(2)),
            layers.TimeDistributed(layers.Conv2D(64, 3, padding="same", activation="relu")),
            layers.TimeDistributed(layers.MaxPooling2D(2)),
            # Flattened, not averaged: where something is matters as much as what it is.
            layers.TimeDistributed(layers.Flatten()),
            layers.TimeDistributed(layers.Dense(128, activation="relu")),
            layers.GRU(64, return_sequences=True),
            layers.GRU(32),
            layers.Dropout(0.4),
            layers.Dense(config.num_classes, activation="softmax"),
        ]
    )
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
    """Fit, keep the weights of the best epoch, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_clips, validation_clips, _ = load_data(config)
    model = build_model(config)
    model.summary()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    history = model.fit(
        train_clips,
        validation_data=validation_clips,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
            keras.callbacks.CSVLogger(str(output / "history.csv")),
        ],
        verbose=2,
    )
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and accuracy on the test clips."""
    _, _, test_clips = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_clips, return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (clips, num_classes) of the test clips and save them."""
    _, _, test_clips = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(test_clips, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
