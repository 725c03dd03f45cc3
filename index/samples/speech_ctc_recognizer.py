# SPDX-License-Identifier: Apache-2.0
"""Transcribe short spoken commands into letters with a convolutional recurrent network and CTC.

Log-spectrogram frames go through two convolutions, which shorten time by four, and two bidirectional
GRUs; connectionist temporal classification aligns the answer with the letters, so no timing of the
letters is needed. Transcripts are decoded greedily and scored by character error rate.

Data: `data_dir/transcripts.csv` with the header `file,text` and the recordings in `data_dir/wav/*.wav`,
16-bit mono at 8 kHz. Letters a to z, apostrophe and space are kept, everything else is dropped.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import wave
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
    sample_rate: int = 8000
    max_seconds: float = 2.0
    frame_length: int = 200
    frame_step: int = 80
    num_bins: int = 129
    vocab_size: int = 29
    max_characters: int = 24
    units: int = 96
    optimizer: str = "adam"
    loss: str = "ctc"
    metric: str = "character_error_rate"
    learning_rate: float = 0.0005
    batch_size: int = 16
    epochs: int = 30


# Number 0 is padding of the labels and CTC's blank at once.
CHARACTERS = "abcdefghijklmnopqrstuvwxyz' "


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Speech recognition with CTC")
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
    """Write words spelled in tones: every letter has a pitch of its own."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    words = ("yes", "no", "stop", "go", "left", "right")
    rows = [["file", "text"]]
    time = np.arange(int(0.15 * config.sample_rate)) / config.sample_rate
    for index in range(config.synthetic_samples):
        text = str(rng.choice(words))
        pitches = [300 + 100 * CHARACTERS.index(letter) for letter in text]
        tones = np.concatenate([np.sin(2 * np.pi * pitch * time) for pitch in pitches])
        samples = (9000 * tones + rng.normal(0, 300, len(tones))).astype("<i2")
        with wave.open(str(folder / "wav" / f"{index:05d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(config.sample_rate)
            file.writeframes(samples.tobytes())
        rows.append([f"{index:05d}.wav", text])
    with open(folder / "transcripts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def spectrogram(path: Path, config: Config) -> np.ndarray:
    """Return standardised log magnitudes (frames, num_bins), cut or padded to `max_seconds`."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, config.sample_rate):
            raise ValueError(f"{path}: expected 16-bit mono at {config.sample_rate} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32768.0
    limit = int(config.max_seconds * config.sample_rate)
    samples = np.pad(samples[:limit], (0, max(0, limit - len(samples)))).astype("float32")
    bins = tf.signal.stft(samples, config.frame_length, config.frame_step, 2 * (config.num_bins - 1))
    logs = np.log(np.abs(bins.numpy()) + 1e-4)
    return (logs - logs.mean()) / (logs.std() + 1e-6)


def encode_text(text: str, config: Config) -> np.ndarray:
    """Return the letters' numbers from 1 (max_characters,), padded with 0."""
    ids = [CHARACTERS.index(letter) + 1 for letter in text.lower() if letter in CHARACTERS]
    ids = ids[: config.max_characters]
    return np.array(ids + [0] * (config.max_characters - len(ids)), dtype="int32")


def load_data(config: Config):
    """Return (train, validation, test), each a pair of spectrograms and letter numbers."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "transcripts.csv").is_file():
        raise FileNotFoundError(
            f"{folder}: expected transcripts.csv (file, text) and wav/ with the recordings"
        )
    with open(folder / "transcripts.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    frames = np.stack([spectrogram(folder / "wav" / row["file"], config) for row in rows])
    letters = np.stack([encode_text(row["text"], config) for row in rows])
    order = np.random.default_rng(config.seed).permutation(len(rows))
    bounds = [int(0.75 * len(rows)), int(0.875 * len(rows))]
    return tuple((frames[part], letters[part]) for part in np.split(order, bounds))


# %% [model]
def ctc_loss(labels, probabilities):
    """Return the CTC loss of letter numbers (padded with 0) under frame probabilities."""
    labels = tf.cast(labels, tf.int32)
    label_lengths = tf.reduce_sum(tf.cast(labels > 0, tf.int32), axis=-1)
    frames = tf.fill([tf.shape(probabilities)[0]], tf.shape(probabilities)[1])
    return keras.ops.ctc_loss(
        labels, keras.ops.log(probabilities + 1e-7), label_lengths, frames, mask_index=0
    )


def build_model(config: Config) -> keras.Model:
    """Return the compiled recogniser: letter probabilities for every fourth frame."""
    count = 1 + (int(config.max_seconds * config.sample_rate) - config.frame_length) // config.frame_step
    inputs = layers.Input(shape=(count, config.num_bins))
    x = layers.Conv1D(128, 11, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv1D(128, 11, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Bidirectional(layers.GRU(config.units, return_sequences=True))(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Bidirectional(layers.GRU(config.units, return_sequences=True))(x)
    x = layers.Dense(config.units, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(config.vocab_size, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    settings = {"learning_rate": config.learning_rate, "clipnorm": 5.0}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
    model.compile(optimizer=optimizer, loss=ctc_loss if config.loss == "ctc" else config.loss)
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
    (frames, letters), validation, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        frames,
        letters,
        validation_data=validation,
        batch_size=config.batch_size,
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
def frame_probabilities(config: Config, frames: np.ndarray) -> np.ndarray:
    """Return letter probabilities (recordings, frames, vocab_size) from what `train` saved."""
    model = keras.models.load_model(Path(config.output_dir) / "model.keras", compile=False)
    return model.predict(frames, batch_size=config.batch_size, verbose=0)


def greedy_text(probabilities: np.ndarray) -> str:
    """Return the letters of the best path: repetitions are merged, blanks dropped."""
    best = probabilities.argmax(axis=-1)
    kept = [int(n) for n, before in zip(best, [0, *best[:-1]], strict=True) if n not in (0, before)]
    return "".join(CHARACTERS[number - 1] for number in kept)


def edit_distance(left: str, right: str) -> int:
    """Return how many letters must be inserted, removed or replaced."""
    distances = list(range(len(right) + 1))
    for row, a in enumerate(left, start=1):
        corner, distances[0] = distances[0], row
        for column, b in enumerate(right, start=1):
            best = min(distances[column] + 1, distances[column - 1] + 1, corner + (a != b))
            corner, distances[column] = distances[column], best
    return distances[-1]


def evaluate(config: Config) -> dict[str, float]:
    """Measure the character error rate and the share of perfect transcripts on the test recordings."""
    _, _, (frames, letters) = load_data(config)
    truth = ["".join(CHARACTERS[n - 1] for n in row if n) for row in letters]
    texts = [greedy_text(item) for item in frame_probabilities(config, frames)]
    errors = sum(edit_distance(text, gold) for text, gold in zip(texts, truth, strict=True))
    return {
        "character_error_rate": errors / max(sum(map(len, truth)), 1),
        "exact": float(np.mean([text == gold for text, gold in zip(texts, truth, strict=True)])),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return letter probabilities (recordings, frames, vocab_size); save them and the transcripts."""
    _, _, (frames, _) = load_data(config)
    probabilities = frame_probabilities(config, frames)
    output = Path(config.output_dir)
    texts = [greedy_text(item) for item in probabilities]
    (output / "transcripts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
