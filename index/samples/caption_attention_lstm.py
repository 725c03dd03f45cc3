# SPDX-License-Identifier: Apache-2.0
"""Describe a picture in a sentence: a convolutional encoder, and an LSTM decoder with attention.

The encoder turns the image into a grid of feature vectors. While writing each word the decoder looks
at the grid by additive (Bahdanau) attention. It is trained by teacher forcing: it sees the words so
far and names the next one. Sentences are written greedily afterwards.

Data: `data_dir/images/*.png` (or .jpg) and `data_dir/captions.csv` with the header `file,caption`; an
image may have several lines, one per caption.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
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
    image_size: int = 96
    vocab_size: int = 5000
    sequence_length: int = 20
    embedding_dim: int = 128
    units: int = 256
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 25


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Image captioning")
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
    """Write images of one coloured square, and captions that name its colour and place."""
    rng = np.random.default_rng(config.seed)
    images = Path(config.data_dir) / "images"
    images.mkdir(parents=True, exist_ok=True)
    size, half = config.image_size, config.image_size // 2
    rows = []
    for index in range(config.synthetic_samples):
        colour, right = int(rng.integers(3)), int(rng.integers(2))
        image = rng.integers(0, 50, size=(size, size, 3))
        left = right * half + int(rng.integers(half // 2))
        image[half // 2 : half, left : left + half // 2, colour] = 230
        tf.io.write_file(str(images / f"{index:05d}.png"), tf.io.encode_png(image.astype("uint8")))
        colour_name, side = ("red", "green", "blue")[colour], ("left", "right")[right]
        rows.append([f"{index:05d}.png", f"A {colour_name} square on the {side} side."])
    with open(Path(config.data_dir) / "captions.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "caption"], *rows])


def tokens_of(caption: str) -> list[str]:
    """Return the lower-case words of a caption between the start and the end token."""
    words = "".join(char if char.isalnum() else " " for char in caption.lower()).split()
    return ["<start>", *words, "<end>"]


def load_data(config: Config):
    """Return (train, validation, test), each a pair of images in [0, 1] and lists of tokens.

    The split is by image, so that no test image was seen with another caption.
    """
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    if not (root / "captions.csv").is_file():
        raise FileNotFoundError(
            f"{root}: expected images/ and captions.csv with the columns file and caption"
        )
    with open(root / "captions.csv", newline="", encoding="utf-8") as file:
        rows = [(row["file"], tokens_of(row["caption"])) for row in csv.DictReader(file)]
    pixels = {}
    for name in sorted({name for name, _ in rows}):
        raw = tf.io.read_file(str(root / "images" / name))
        image = tf.io.decode_image(raw, channels=3, expand_animations=False)
        pixels[name] = tf.image.resize(image, (config.image_size, config.image_size)).numpy() / 255.0
    names = np.random.default_rng(config.seed).permutation(sorted(pixels))
    splits = []
    for chosen in np.split(names, [int(0.8 * len(names)), int(0.9 * len(names))]):
        wanted = set(chosen.tolist())
        pairs = [(pixels[name], tokens) for name, tokens in rows if name in wanted]
        images = np.array([image for image, _ in pairs], dtype="float32")
        splits.append((images, [tokens for _, tokens in pairs]))
    return splits[0], splits[1], splits[2]


def build_vocabulary(captions: list[list[str]], size: int) -> list[str]:
    """Return the tokens by index: padding, unknown, start, end, then the commonest words."""
    counts: dict[str, int] = {}
    for token in (token for caption in captions for token in caption[1:-1]):
        counts[token] = counts.get(token, 0) + 1
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return ["", "<unknown>", "<start>", "<end>", *words][:size]


def encode(captions: list[list[str]], vocabulary: list[str], length: int) -> np.ndarray:
    """Return token numbers (captions, length + 1), padded with 0."""
    index = {token: number for number, token in enumerate(vocabulary)}
    ids = np.zeros((len(captions), length + 1), dtype="int32")
    for row, caption in zip(ids, captions, strict=True):
        numbers = [index.get(token, 1) for token in caption[: length + 1]]
        row[: len(numbers)] = numbers
    return ids


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled captioner: image and words so far in, probabilities of each next word out."""
    image = layers.Input(shape=(config.image_size, config.image_size, 3), name="image")
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(256, 3, strides=2, padding="same", activation="relu")(x)
    regions = layers.Reshape((-1, 256))(x)
    regions = layers.Dense(config.units, activation="tanh")(regions)

    words = layers.Input(shape=(config.sequence_length,), dtype="int32", name="words")
    embedded = layers.Embedding(config.vocab_size, config.embedding_dim)(words)
    state = layers.GlobalAveragePooling1D()(regions)
    written = layers.LSTM(config.units, return_sequences=True)(embedded, initial_state=[state, state])
    context = layers.AdditiveAttention()([written, regions])
    x = layers.Concatenate()([written, context])
    x = layers.Dense(config.units, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(config.vocab_size, activation="softmax")(x)
    model = keras.Model([image, words], outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    # Weighted by the mask of padding, so that empty places teach and count nothing.
    model.compile(optimizer=optimizer, loss=config.loss, weighted_metrics=[config.metric])
    return model


# %% [train]
def training_batches(images: np.ndarray, ids: np.ndarray, config: Config) -> tf.data.Dataset:
    """Return batches of ((image, words so far), next words, weights)."""
    inputs, targets = ids[:, :-1], ids[:, 1:]
    weights = (targets > 0).astype("float32")
    return tf.data.Dataset.from_tensor_slices(((images, inputs), targets, weights)).batch(config.batch_size)


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
    """Take the vocabulary from the training captions, fit, save model and vocabulary."""
    keras.utils.set_random_seed(config.seed)
    (train_images, train_captions), (validation_images, validation_captions), _ = load_data(config)
    vocabulary = build_vocabulary(train_captions, config.vocab_size)
    train_ids = encode(train_captions, vocabulary, config.sequence_length)
    validation_ids = encode(validation_captions, vocabulary, config.sequence_length)
    model = build_model(config)
    model.summary()
    history = model.fit(
        training_batches(train_images, train_ids, config).shuffle(64, seed=config.seed),
        validation_data=training_batches(validation_images, validation_ids, config),
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and word accuracy under teacher forcing on the test images."""
    _, _, (images, captions) = load_data(config)
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    ids = encode(captions, vocabulary, config.sequence_length)
    model = keras.models.load_model(output / "model.keras")
    measures = model.evaluate(training_batches(images, ids, config), return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def write_captions(model: keras.Model, images: np.ndarray, length: int) -> np.ndarray:
    """Return token numbers (images, length): the likeliest next word, again and again, up to <end>."""
    words = np.zeros((len(images), length), dtype="int32")
    words[:, 0] = 2  # <start>
    for place in range(1, length):
        following = model.predict([images, words], verbose=0)[:, place - 1].argmax(axis=-1)
        ended = np.isin(words[:, place - 1], (0, 3))
        words[:, place] = np.where(ended, 0, following)
        if np.isin(words[:, place], (0, 3)).all():
            break
    return words


def predict(config: Config) -> np.ndarray:
    """Return the captions of the test images as token numbers (images, length); save them as text."""
    _, _, (images, _) = load_data(config)
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(output / "model.keras")
    ids = write_captions(model, images, config.sequence_length)
    # The output layer may be wider than the vocabulary: unseen numbers stand for unknown words.
    names = vocabulary + ["<unknown>"] * (config.vocab_size - len(vocabulary))
    sentences = [" ".join(names[i] for i in row if i > 3) for row in ids]
    (output / "captions.txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", ids)
    return ids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
