# SPDX-License-Identifier: Apache-2.0
"""Spot spoken keywords in one-second recordings with a small separable-convolution and GRU network.

Made for a device that listens all day: depthwise separable convolutions keep the network under 100,000
weights, and besides the keywords there are two answers for everything else, `_unknown_` (another word) and
`_silence_`. All of the input work is a `tf.data` pipeline: reading, moving in time, mixing in background
noise at a random level, log-mel spectrograms by `tf.signal`. A speaker is in one split only.

Data: one folder per word (`data_dir/yes`, `data_dir/no`, ...) of WAV files, 16 bit, one channel, 16 kHz,
named `<speaker>_<anything>.wav`; those of words that are no keyword become `_unknown_`. Long recordings of
noise lie in `data_dir/_background_noise_`.
"""

# %% [imports]
import argparse
import dataclasses
import json
import wave
import zlib
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
    keywords: str = "yes,no,up,down"
    num_classes: int = 6
    sample_rate: int = 16000
    frame_length: int = 640
    frame_step: int = 320
    num_frames: int = 49
    num_mels: int = 40
    silence_share: float = 0.1
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.002
    batch_size: int = 64
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Keyword spotting")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


def class_names(config: Config) -> list[str]:
    """Return the answers in order: silence, other words, the keywords."""
    names = ["_silence_", "_unknown_", *config.keywords.split(",")]
    if len(names) != config.num_classes:
        raise ValueError(f"{len(names)} answers ({', '.join(names)}), --num-classes is {config.num_classes}")
    return names


# %% [data]
def write_wav(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write samples in [-1, 1] as 16-bit mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())


def make_synthetic(config: Config) -> None:
    """Write words, each two vowels of its own by one of ten voices, and a recording of noise."""
    rng = np.random.default_rng(config.seed)
    root = Path(config.data_dir)
    words = [*config.keywords.split(","), "tree", "house"]
    time = np.arange(config.sample_rate // 5) / config.sample_rate
    for number in range(config.synthetic_samples):
        word, speaker = number % len(words), number % 10
        voice = 1.0 + 0.02 * (speaker - 5)
        vowels = [500 + 400 * word, 2600 - 350 * word]
        parts = [np.hanning(len(time)) * np.sin(2 * np.pi * pitch * voice * time) for pitch in vowels]
        clip = rng.normal(0, 0.01, config.sample_rate)
        start = int(rng.integers(0, config.sample_rate - 2 * len(time)))
        clip[start : start + 2 * len(time)] += 0.4 * np.concatenate(parts)
        write_wav(root / words[word] / f"voice{speaker}_{number:05d}.wav", clip, config.sample_rate)
    noise = np.convolve(rng.normal(0, 0.2, 6 * config.sample_rate), np.ones(8) / 8, mode="same")
    write_wav(root / "_background_noise_" / "fan.wav", noise, config.sample_rate)


def split_speakers(speakers: set[str]) -> dict[str, int]:
    """Return 0 (train), 1 (validation) or 2 (test) for each speaker, by a hash: new ones move nobody much."""
    ranked = sorted(speakers, key=lambda name: (zlib.crc32(name.encode()), name))
    held_out = max(1, len(ranked) // 8)
    return {
        name: 1 if rank < held_out else 2 if rank < 2 * held_out else 0 for rank, name in enumerate(ranked)
    }


def load_noise(folder: Path, config: Config) -> np.ndarray:
    """Return all background noise, one recording after the other; at least a second (silence)."""
    pieces = [np.zeros(config.sample_rate, dtype="float32")]
    for path in sorted(folder.glob("*.wav")):
        samples, rate = tf.audio.decode_wav(tf.io.read_file(str(path)), desired_channels=1)
        if int(rate) != config.sample_rate:
            raise ValueError(f"{path}: expected {config.sample_rate} Hz, found {int(rate)}")
        pieces.append(samples[:, 0].numpy())
    return np.concatenate(pieces)


def mel_frames(clips: tf.Tensor, config: Config) -> tf.Tensor:
    """Return log-mel spectrograms (clips, num_frames, num_mels) of one-second clips."""
    spectra = tf.abs(tf.signal.stft(clips, config.frame_length, config.frame_step, fft_length=1024))
    bank = tf.signal.linear_to_mel_weight_matrix(config.num_mels, 513, config.sample_rate, 60.0, 7600.0)
    return tf.math.log(tf.matmul(tf.square(spectra), bank) + 1e-5)


def make_pipeline(
    paths: list[str], labels: list[int], noise: np.ndarray, config: Config, augment: bool
) -> tf.data.Dataset:
    """Return batches of spectrograms and labels; an empty path stands for silence."""
    second, noise = config.sample_rate, tf.constant(noise, tf.float32)

    def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if path == "":
            return tf.zeros([second]), label
        contents = tf.io.read_file(path)
        samples, _ = tf.audio.decode_wav(contents, desired_channels=1, desired_samples=second)
        return samples[:, 0], label

    def disturb(clip: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shift = tf.random.uniform([], -second // 10, second // 10, dtype=tf.int32)
        padded = tf.pad(clip, [[second // 10, second // 10]])
        clip = padded[second // 10 + shift :][:second]
        start = tf.random.uniform([], 0, tf.shape(noise)[0] - second + 1, dtype=tf.int32)
        volume = tf.random.uniform([], -0.1, 0.3)  # a quarter stays clean
        return clip + tf.maximum(volume, 0.0) * noise[start : start + second], label

    rows = tf.data.Dataset.from_tensor_slices((paths, np.array(labels, dtype="int32")))
    rows = rows.map(read, num_parallel_calls=tf.data.AUTOTUNE).cache()
    if augment:
        rows = rows.shuffle(len(paths), seed=config.seed).map(disturb, num_parallel_calls=tf.data.AUTOTUNE)
    batches = rows.batch(config.batch_size).map(lambda clips, y: (mel_frames(clips, config), y))
    return batches.prefetch(tf.data.AUTOTUNE)


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches; voices of one split are in no other."""
    if config.synthetic:
        make_synthetic(config)
    root, names = Path(config.data_dir), class_names(config)
    files = sorted(path for path in root.glob("[!_]*/*.wav"))
    found = {path.parent.name for path in files}
    if missing := sorted(set(names[2:]) - found):
        raise FileNotFoundError(f"{root}: expected a folder of WAV files for {', '.join(missing)}")
    places = split_speakers({path.stem.split("_")[0] for path in files})
    noise = load_noise(root / "_background_noise_", config)
    splits = []
    for place in range(3):
        chosen = [path for path in files if places[path.stem.split("_")[0]] == place]
        labels = [names.index(path.parent.name) if path.parent.name in names else 1 for path in chosen]
        silent = max(1, int(config.silence_share * len(chosen)))
        paths = [str(path) for path in chosen] + [""] * silent
        splits.append(make_pipeline(paths, labels + [0] * silent, noise, config, augment=place == 0))
    return tuple(splits)


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled spotter: spectrograms in, probabilities of the answers out."""
    model = keras.Sequential(name="keyword_crnn")
    model.add(keras.layers.Input(shape=(config.num_frames, config.num_mels)))
    model.add(keras.layers.Normalization(axis=-1))
    model.add(keras.layers.Reshape((config.num_frames, config.num_mels, 1)))
    model.add(keras.layers.Conv2D(48, (8, 4), strides=(1, 2), padding="same", use_bias=False))
    model.add(keras.layers.BatchNormalization(momentum=0.9))
    model.add(keras.layers.Activation("relu"))
    for strides in (2, 1):
        model.add(keras.layers.SeparableConv2D(48, 3, strides=strides, padding="same", use_bias=False))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
        model.add(keras.layers.Activation("relu"))
    model.add(keras.layers.TimeDistributed(keras.layers.Flatten()))
    model.add(keras.layers.GRU(48))
    model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(config.num_classes, activation="softmax"))
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
def train(config: Config) -> dict[str, float]:
    """Fit with less and less learning, keep the best weights and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.layers[0].adapt(train_batches.map(lambda frames, _: frames))
    logs = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.4, patience=3, min_lr=1e-5),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=8, restore_best_weights=True),
            keras.callbacks.TerminateOnNaN(),
        ],
        verbose=2,
    )
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "spotter.keras")
    (folder / "answers.json").write_text(json.dumps(class_names(config)), encoding="utf-8")
    return {name: float(values[-1]) for name, values in logs.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure accuracy, and what counts for the device: keywords missed, and false alarms on all else."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "spotter.keras")
    measures = dict(model.evaluate(test_batches, return_dict=True, verbose=0))
    truth = np.concatenate([labels.numpy() for _, labels in test_batches])
    answers = model.predict(test_batches, verbose=0).argmax(axis=1)
    spoken = truth > 1
    measures["miss_rate"] = float((answers != truth)[spoken].mean()) if spoken.any() else 0.0
    measures["false_alarm_rate"] = float((answers > 1)[~spoken].mean())
    table = tf.math.confusion_matrix(truth, answers, config.num_classes).numpy()
    np.savetxt(Path(config.output_dir) / "confusion.csv", table, fmt="%d", delimiter=",")
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probabilities of the answers (clips, num_classes) for the test clips and save them."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "spotter.keras")
    probabilities = model.predict(test_batches, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
