# SPDX-License-Identifier: Apache-2.0
"""Write text in the style of a book, one character at a time, with a GRU language model.

The text is cut into windows; the network sees the characters so far and names the next one at every
place. New text is drawn from these probabilities, sharpened or flattened by a temperature.

Data: `data_dir/*.txt`, UTF-8 texts, read in order of their names as one long text.
"""

# %% [imports]
import argparse
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
    vocab_size: int = 96
    sequence_length: int = 80
    embedding_dim: int = 64
    units: int = 256
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.002
    batch_size: int = 64
    epochs: int = 30
    temperature: float = 0.8
    num_texts: int = 4
    generated_length: int = 40


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Character language model")
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
    """Write a text of simple sentences, long enough for `synthetic_samples` windows."""
    rng = np.random.default_rng(config.seed)
    who, does, what = ("the cat", "a fox", "my owl"), ("sees", "likes", "finds"), ("milk", "rain", "stones")
    text = ""
    while len(text) < (config.synthetic_samples + 4) * (config.sequence_length + 1):
        text += f"{rng.choice(who)} {rng.choice(does)} {rng.choice(what)}.\n"
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "book.txt").write_text(text, encoding="utf-8")


def load_data(config: Config) -> tuple[str, str, str]:
    """Return the text cut into (train, validation, test) stretches of 80, 10 and 10 percent."""
    if config.synthetic:
        make_synthetic(config)
    paths = sorted(Path(config.data_dir).glob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"{config.data_dir}: expected one or more .txt files")
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    first, second = int(0.8 * len(text)), int(0.9 * len(text))
    return text[:first], text[first:second], text[second:]


def encode(text: str, characters: list[str]) -> np.ndarray:
    """Return the number of every character; those that are not known become 0."""
    index = {character: number for number, character in enumerate(characters, start=1)}
    return np.array([index.get(character, 0) for character in text], dtype="int32")


def windows(ids: np.ndarray, config: Config, shuffle: bool) -> tf.data.Dataset:
    """Return batches of (characters, the same moved on by one), both (windows, sequence_length)."""
    length = min(config.sequence_length, len(ids) - 1)
    pieces = tf.data.Dataset.from_tensor_slices(ids).batch(length + 1, drop_remainder=True)
    if shuffle:
        pieces = pieces.shuffle(10_000, seed=config.seed)
    return pieces.map(lambda piece: (piece[:-1], piece[1:])).batch(config.batch_size)


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled language model; it reads texts of any length."""
    model = keras.Sequential(
        [
            layers.Input(shape=(None,), dtype="int32"),
            layers.Embedding(config.vocab_size, config.embedding_dim),
            layers.GRU(config.units, return_sequences=True),
            layers.Dropout(0.2),
            layers.GRU(config.units, return_sequences=True),
            layers.Dropout(0.2),
            layers.Dense(config.vocab_size, activation="softmax"),
        ]
    )
    # Gradients through a hundred steps explode now and then.
    settings = {"learning_rate": config.learning_rate, "clipnorm": 1.0}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
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
    """Take the commonest characters of the training text as the alphabet, fit, save model and alphabet."""
    keras.utils.set_random_seed(config.seed)
    train_text, validation_text, _ = load_data(config)
    found = sorted(set(train_text), key=lambda character: (-train_text.count(character), character))
    characters = found[: config.vocab_size - 1]
    model = build_model(config)
    model.summary()
    history = model.fit(
        windows(encode(train_text, characters), config, shuffle=True),
        validation_data=windows(encode(validation_text, characters), config, shuffle=False),
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "characters.json").write_text(json.dumps(characters), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def load_trained(config: Config) -> tuple[keras.Model, list[str]]:
    """Return the model and the alphabet that `train` saved."""
    output = Path(config.output_dir)
    characters = json.loads((output / "characters.json").read_text(encoding="utf-8"))
    return keras.models.load_model(output / "model.keras"), characters


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss, accuracy and perplexity per character on the last tenth of the text."""
    _, _, test_text = load_data(config)
    model, characters = load_trained(config)
    batches = windows(encode(test_text, characters), config, shuffle=False)
    measures = model.evaluate(batches, return_dict=True, verbose=0)
    measures["perplexity"] = np.exp(measures["loss"])
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def continue_texts(model: keras.Model, ids: np.ndarray, config: Config) -> np.ndarray:
    """Return the given beginnings (texts, length) with `generated_length` drawn characters after them."""
    rng = np.random.default_rng(config.seed)
    window = ids.shape[1]  # always the same length, so that the graph is compiled once
    for _ in range(config.generated_length):
        probabilities = model.predict_on_batch(ids[:, -window:])[:, -1]
        logits = np.log(probabilities + 1e-9) / config.temperature
        logits[:, 0] = -np.inf  # never write the unknown character
        # The highest of logits with Gumbel noise is a draw from their softmax.
        following = (logits + rng.gumbel(size=logits.shape)).argmax(axis=-1)
        ids = np.concatenate([ids, following[:, None].astype(ids.dtype)], axis=1)
    return ids


def predict(config: Config) -> np.ndarray:
    """Return continuations of the test text as numbers (texts, generated_length); save them as text."""
    _, _, test_text = load_data(config)
    model, characters = load_trained(config)
    beginning = encode(test_text[: config.sequence_length // 2], characters)
    ids = continue_texts(model, np.tile(beginning, (config.num_texts, 1)), config)
    generated = ids[:, len(beginning) :]
    alphabet = ["", *characters, *[""] * config.vocab_size]
    texts = ["".join(alphabet[i] for i in row) for row in ids]
    output = Path(config.output_dir)
    (output / "generated.txt").write_text("\n----\n".join(texts) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", generated)
    return generated


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
