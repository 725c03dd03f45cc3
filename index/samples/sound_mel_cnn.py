# SPDX-License-Identifier: Apache-2.0
"""Recognise everyday sounds from recordings with a CNN on log-mel spectrograms.

The spectrogram is a layer of the model, so the saved file takes raw waveforms. Recordings are cut or
padded to two seconds; bands of time and frequency are masked at random while training (SpecAugment).

Data: `data_dir/<class>/*.wav`, 16-bit mono or stereo recordings at 16 kHz, one folder per class.
"""

# %% [imports]
import argparse
import dataclasses
import wave
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    sample_rate: int = 16000
    clip_samples: int = 32000
    num_mel_bins: int = 64
    num_classes: int = 4
    optimizer: str = "adam"
    loss: str = "categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 25


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Sound classifier")
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
    """Write tones with noise whose pitch depends on the class, 1.5 to 2.5 seconds long."""
    rng = np.random.default_rng(config.seed)
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        folder = Path(config.data_dir) / f"class_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        count = int(config.sample_rate * rng.uniform(1.5, 2.5))
        time = np.arange(count) / config.sample_rate
        tone = np.sin(2 * np.pi * 300 * 2.0**label * rng.uniform(0.95, 1.05) * time)
        samples = (8000 * tone + rng.normal(0, 800, count)).astype("<i2")
        with wave.open(str(folder / f"clip_{index:05d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(config.sample_rate)
            file.writeframes(samples.tobytes())


def read_wav(path: Path, config: Config) -> np.ndarray:
    """Return the waveform (clip_samples,) in [-1, 1], stereo mixed down, cut or padded with silence."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2 or file.getframerate() != config.sample_rate:
            raise ValueError(f"{path}: expected 16-bit samples at {config.sample_rate} Hz")
        channels = file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    mono = samples.reshape(-1, channels).mean(axis=1) / 32768.0
    clip = np.zeros(config.clip_samples, dtype="float32")
    clip[: len(mono)] = mono[: config.clip_samples]
    return clip


def load_data(config: Config):
    """Return (train, validation, test), each a pair of waveforms (clips, samples) and one-hot labels."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    folders = sorted(folder for folder in root.glob("*") if folder.is_dir())
    if len(folders) != config.num_classes:
        raise FileNotFoundError(f"{root}: expected {config.num_classes} folders of .wav files, one per class")
    pairs = [(path, label) for label, folder in enumerate(folders) for path in sorted(folder.glob("*.wav"))]
    clips = np.stack([read_wav(path, config) for path, _ in pairs])
    numbers = np.array([label for _, label in pairs], dtype="int32")
    labels = keras.utils.to_categorical(numbers, config.num_classes)
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    bounds = [int(0.7 * len(pairs)), int(0.85 * len(pairs))]
    return tuple((clips[rows], labels[rows]) for rows in np.split(order, bounds))


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier of waveforms."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.clip_samples,)),
            keras.layers.MelSpectrogram(
                num_mel_bins=config.num_mel_bins,
                sampling_rate=config.sample_rate,
                fft_length=1024,
                sequence_stride=256,
                power_to_db=True,
            ),
            keras.layers.Rescaling(1.0 / 80),  # decibels lie in [-80, 0]
            keras.layers.Reshape((config.num_mel_bins, -1, 1)),
            keras.layers.RandomErasing(
                factor=0.5, scale=(0.02, 0.1), fill_value=0.0, value_range=(-1.0, 0.0)
            ),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(128, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(2),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(config.num_classes, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
def random_shift(clip: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the clip rolled in time by up to a tenth of its length, and made louder or quieter."""
    limit = tf.shape(clip)[0] // 10
    clip = tf.roll(clip, tf.random.uniform([], -limit, limit, dtype=tf.int32), axis=0)
    return clip * tf.random.uniform([], 0.7, 1.3), label


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
    batches = tf.data.Dataset.from_tensor_slices(train_clips)
    batches = batches.shuffle(len(train_clips[0]), seed=config.seed).map(random_shift)
    model = build_model(config)
    model.summary()
    history = model.fit(
        batches.batch(config.batch_size).prefetch(tf.data.AUTOTUNE),
        validation_data=validation_clips,
        validation_batch_size=config.batch_size,
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
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and accuracy on the test clips."""
    _, _, (clips, labels) = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(clips, labels, batch_size=config.batch_size, return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (clips, num_classes) of the test clips and save them."""
    _, _, (clips, _) = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(clips, batch_size=config.batch_size, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
