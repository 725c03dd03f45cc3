# SPDX-License-Identifier: Apache-2.0
"""Read licence plates as text with a convolutional recurrent network (CRNN) and the CTC loss.

The convolutions shrink height faster than width, each remaining column becomes one step of a
sequence, a bidirectional GRU reads it in both directions. CTC needs no position of any
character: it sums over all ways to spread the text over the steps, with a blank between.

Data: `data_dir/plates/*.png` (or .jpg), one cropped plate each, and `data_dir/labels.csv` with lines
`file name,text` and no header. Plates may have any size and any length of text up to `max_length`;
characters other than A-Z and 0-9 are dropped from the texts.
"""

# %% [imports]
import argparse
import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; width / 4 is the number of steps, which must exceed twice the length of a text."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_height: int = 32
    image_width: int = 128
    max_length: int = 10
    gru_units: int = 32
    weight_decay: float = 0.0001
    optimizer: str = "adamw"
    loss: str = "ctc"
    metric: str = "character_error_rate"
    learning_rate: float = 0.002
    batch_size: int = 32
    epochs: int = 60


ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Class 0 is CTC's blank and also the padding of labels; the characters follow.
NUM_CLASSES = 1 + len(ALPHABET)


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line into the settings."""
    parser = argparse.ArgumentParser(description="Licence plate reader")
    for field in dataclasses.fields(Config):
        name = "--" + field.name.replace("_", "-")
        match field.default:
            case bool():
                parser.add_argument(name, action="store_true")
            case default:
                parser.add_argument(name, type=type(default), default=default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
# A dot matrix for each character of the alphabet: five rows of three dots, each row an octal digit.
DOTS = (
    "755572622771747717175571174717747577112275757757172575565656344436555674647746443455355755722271115255655"
    "444475775565555255526564425531656553421672222555575555255775552555522271247"
)


def make_synthetic(config: Config) -> None:
    """Write plates in a dot-matrix font: digits and letters, on grounds that tilt, fade and carry noise."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "plates"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(config.synthetic_samples):
        text = "".join(rng.choice(list(ALPHABET[10:]), 2)) + "".join(rng.choice(list(ALPHABET[:10]), 3))
        glyphs = [DOTS[5 * place : 5 * place + 5] for place in map(ALPHABET.index, text)]
        # Bit 3 is never set: the gap between two characters.
        dots = [[[int(row) >> bit & 1 for bit in (2, 1, 0, 3)] for row in glyph] for glyph in glyphs]
        ink = np.kron(np.concatenate(dots, axis=1), np.ones((4, 4)))
        height, width = ink.shape[0] + int(rng.integers(8, 14)), ink.shape[1] + int(rng.integers(8, 18))
        plate = rng.uniform(170, 230) + np.linspace(0, rng.uniform(-30, 30), width)[None, :] * np.ones(
            (height, 1)
        )
        top, left = rng.integers(2, height - ink.shape[0] - 1), rng.integers(2, width - ink.shape[1] - 1)
        plate[top : top + ink.shape[0], left : left + ink.shape[1]] -= 130 * ink
        plate = (plate + rng.normal(0, 8, size=plate.shape)).clip(0, 255).astype("uint8")
        tf.io.write_file(str(folder / f"{index:05d}.png"), tf.io.encode_png(plate[..., None]))
        rows.append((f"{index:05d}.png", text))
    with open(Path(config.data_dir) / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def encode(text: str, length: int) -> list[int]:
    """Return class numbers, padded with 0; what is not in the alphabet is dropped."""
    numbers = [ALPHABET.index(char) + 1 for char in text.upper() if char in ALPHABET][:length]
    return numbers + [0] * (length - len(numbers))


def load_plate(path: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Return a grey plate (height, width, 1) with mean 0 and deviation 1, scaled to fit and padded."""
    plate = tf.io.decode_image(tf.io.read_file(path), channels=1, expand_animations=False)
    plate = tf.cast(plate, tf.float32) / 255.0
    # Stretching would make narrow plates look like others; padding keeps the shape of characters.
    padded = tf.image.resize_with_pad(plate - tf.reduce_mean(plate), height, width)
    return tf.image.per_image_standardization(padded)


def distort(plate: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Shift by a few pixels, change the contrast, add noise; never mirror text."""
    plate = tf.roll(plate, tf.random.uniform((2,), -2, 3, dtype=tf.int32), axis=(0, 1))
    plate = plate * tf.random.uniform((), 0.8, 1.2)
    return plate + tf.random.normal(tf.shape(plate), stddev=0.1), label


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return batches of (plates, labels) for training, validation and test."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    table = root / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(f"{table}: expected lines `file name,text` for the pictures in plates/")
    with open(table, newline="", encoding="utf-8") as file:
        pairs = [
            (str(root / "plates" / row[0]), encode(row[1], config.max_length)) for row in csv.reader(file)
        ]
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    # Frames of one car may show the same plate: a text belongs to one split only.
    texts = list(dict.fromkeys(tuple(pairs[i][1]) for i in order))
    held = max(1, len(texts) // 10)
    chosen = {text: 1 + (place >= held) for place, text in enumerate(texts[: 2 * held])}
    splits = []
    for number in range(3):
        part = [pairs[i] for i in order if chosen.get(tuple(pairs[i][1]), 0) == number]
        paths, labels = zip(*part, strict=True)
        plates = tf.data.Dataset.from_tensor_slices((list(paths), np.array(labels, dtype="int32")))
        plates = plates.map(
            lambda path, label: (load_plate(path, config.image_height, config.image_width), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        ).cache()
        if number == 0:
            plates = plates.shuffle(2048, seed=config.seed).map(distort, tf.data.AUTOTUNE)
        splits.append(plates.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return splits[0], splits[1], splits[2]


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled network: plates in, logits of each class at each of width / 4 steps out."""
    plates = keras.Input(shape=(config.image_height, config.image_width, 1))
    x = plates
    for filters, pool in ((32, (2, 2)), (64, (2, 2)), (96, (2, 1)), (96, (2, 1))):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D(pool)(x)
    # (height / 16, width / 4, channels) -> a sequence of columns.
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Reshape((config.image_width // 4, config.image_height // 16 * 96))(x)
    seen = layers.Dense(64, activation="relu")(x)
    read = layers.Bidirectional(layers.GRU(config.gru_units, return_sequences=True))(seen)
    # What each column shows also goes past the GRU. Without this way CTC can stay for thousands of
    # steps where it answers with the commonest characters, whatever it sees.
    x = layers.Concatenate()([seen, read])
    x = layers.Dropout(0.1)(x)
    logits = layers.Dense(NUM_CLASSES)(x)
    model = keras.Model(plates, logits)
    settings = {"learning_rate": config.learning_rate, "clipnorm": 5.0}
    if config.optimizer.lower() == "adamw":
        settings["weight_decay"] = config.weight_decay
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
    # Keras' CTC takes class 0 for blank and for padding of labels, as it is here.
    model.compile(optimizer=optimizer, loss=config.loss)
    return model


# %% [train]
def read_text(logits: np.ndarray) -> str:
    """Return the likeliest class of each step, repetitions merged and blanks dropped."""
    best = logits.argmax(axis=-1)
    kept = best[np.append(True, best[1:] != best[:-1])]
    return "".join(ALPHABET[number - 1] for number in kept if number)


def levenshtein(a: str, b: str) -> int:
    """Return the least number of edits between two texts."""
    row = np.arange(len(b) + 1)
    for i, char in enumerate(a, 1):
        above, row = row, np.full(len(b) + 1, i)
        for j, other in enumerate(b, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (char != other))
    return int(row[-1])


def compare(model: keras.Model, batches: tf.data.Dataset) -> tuple[list[str], list[str], np.ndarray]:
    """Return what is read, what is written on the plates, and the logits."""
    read, truth, outputs = [], [], []
    for plates, labels in batches:
        logits = model.predict_on_batch(plates)
        outputs.append(logits)
        read += [read_text(item) for item in logits]
        truth += ["".join(ALPHABET[n - 1] for n in row if n) for row in labels.numpy()]
    return read, truth, np.concatenate(outputs)


def character_error_rate(read: list[str], truth: list[str]) -> float:
    """Return edits per true character."""
    edits = sum(levenshtein(a, b) for a, b in zip(read, truth, strict=True))
    return edits / max(1, sum(map(len, truth)))


class KeepBestReader(keras.callbacks.Callback):
    """Measure the character error rate after each epoch and save the model when it has not been beaten.

    The CTC loss can fall while the texts read stay as wrong as they are: so texts decide.
    """

    def __init__(self, batches: tf.data.Dataset, path: Path) -> None:
        super().__init__()
        self.batches = batches
        self.path = path
        self.best = float("inf")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add `val_character_error_rate` to the measures."""
        read, truth, _ = compare(self.model, self.batches)
        rate = character_error_rate(read, truth)
        if logs is not None:
            logs["val_character_error_rate"] = rate
        if rate <= self.best:
            self.best = rate
            self.model.save(self.path)


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
    """Fit, keep the best reader, return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    plates, held_out, _ = load_data(config)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model = build_model(config)
    model.summary()
    history = model.fit(
        plates,
        validation_data=held_out,
        epochs=config.epochs,
        callbacks=[
            KeepBestReader(held_out, output / "model.keras"),
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=5),
            keras.callbacks.TerminateOnNaN(),
        ],
        verbose=2,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the character error rate and the share of plates read without an error."""
    _, _, plates = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    read, truth, _ = compare(model, plates)
    exact = np.mean([a == b for a, b in zip(read, truth, strict=True)])
    return {"character_error_rate": character_error_rate(read, truth), "exact": float(exact)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return logits (plates, steps, classes) of the test plates; write the texts to plates.csv."""
    _, _, plates = load_data(config)
    output = Path(config.output_dir)
    read, truth, logits = compare(keras.models.load_model(output / "model.keras"), plates)
    with open(output / "plates.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("read", "truth"), *zip(read, truth, strict=True)])
    np.save(output / "predictions.npy", logits)
    return logits


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
