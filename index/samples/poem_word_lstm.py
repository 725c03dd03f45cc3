# SPDX-License-Identifier: Apache-2.0
"""Write verses word by word with an LSTM language model whose output shares the word embedding.

The last hidden state is projected to the size of an embedding and compared with every word vector (weight
tying), which saves a matrix as large as the vocabulary. A callback prints some verses after every few epochs,
so that one sees the model learn. Line breaks are words too: the model decides where a verse ends.

Data: `data_dir/*.txt`, UTF-8, one poem per file, one verse per line.
"""

# %% [imports]
import argparse
import dataclasses
import json
import math
import re
from collections import Counter
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    vocab_size: int = 5000
    sequence_length: int = 40
    embedding_dim: int = 128
    units: int = 256
    dropout: float = 0.3
    untied: bool = False
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.002
    batch_size: int = 32
    epochs: int = 40
    temperature: float = 0.7
    print_every: int = 5
    num_poems: int = 3
    poem_length: int = 30


PAD, UNKNOWN, BEGIN, FINISH, NEW_LINE = range(5)
MARKS = ["", "<unknown>", "<begin>", "<finish>", "\n"]


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Word-level language model of poems")
    for field in dataclasses.fields(Config):
        option, default = "--" + field.name.replace("_", "-"), field.default
        if default is False:
            parser.add_argument(option, action="store_true")
            continue
        parser.add_argument(option, type=field.type, default=default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write poems of four verses, each about one season and its things."""
    rng = np.random.default_rng(config.seed)
    seasons = {
        "winter": (["snow", "frost", "ice"], ["sleeps", "glitters", "waits"]),
        "summer": (["sun", "meadow", "river"], ["sings", "shines", "burns"]),
        "autumn": (["leaf", "wind", "fog"], ["falls", "sighs", "wanders"]),
    }
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(config.synthetic_samples):
        season = str(rng.choice(list(seasons)))
        things, deeds = seasons[season]
        verses = [f"In {season}, the {rng.choice(things)} {rng.choice(deeds)}" for _ in range(2)]
        verses += [f"and my {rng.choice(things)} {rng.choice(deeds)},", f"oh {season}!"]
        (folder / f"poem_{number:04d}.txt").write_text("\n".join(verses) + "\n", encoding="utf-8")


def load_data(config: Config) -> tuple[list[list[str]], ...]:
    """Return the poems of (train, validation, test) as lists of words, line breaks among them."""
    if config.synthetic:
        make_synthetic(config)
    files = sorted(Path(config.data_dir).glob("*.txt"))
    if len(files) < 3:
        raise FileNotFoundError(f"{config.data_dir}: expected at least three poems, one per .txt file")
    poems = [re.findall(r"\n|[\w']+|[^\w\s]", f.read_text(encoding="utf-8").lower().strip()) for f in files]
    order = np.random.default_rng(config.seed).permutation(len(poems))
    share = max(1, len(poems) // 8)
    parts = (order[2 * share :], order[:share], order[share : 2 * share])
    return tuple([poems[i] for i in part] for part in parts)


def choose_words(poems: list[list[str]], size: int) -> list[str]:
    """Return the vocabulary by number: the marks, then words by frequency."""
    counts = Counter(word for poem in poems for word in poem if word != "\n")
    return MARKS + sorted(counts, key=lambda word: (-counts[word], word))[: size - len(MARKS)]


def to_pairs(poems: list[list[str]], words: list[str], config: Config) -> tuple[np.ndarray, ...]:
    """Return what is read and what comes next, both (pieces, sequence_length), and a weight for each word.

    Long poems are cut into pieces; padding weighs nothing.
    """
    number = {word: place for place, word in enumerate(words)}
    pieces = []
    for poem in poems:
        ids = [BEGIN, *(number.get(word, UNKNOWN) for word in poem), FINISH]
        for start in range(0, len(ids) - 1, config.sequence_length):
            piece = ids[start : start + config.sequence_length + 1]
            pieces.append(piece + [PAD] * (config.sequence_length + 1 - len(piece)))
    table = np.array(pieces, dtype="int32")
    weights = (table[:, 1:] != PAD).astype("float32")
    # Keras divides by all places, padded ones too: with a mean weight of 1 the loss is one per real word.
    return table[:, :-1], table[:, 1:], weights / weights.mean()


# %% [model]
class VerseModel(keras.Model):
    """Give the probabilities of the next word at every place of a poem."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = layers.Embedding(config.vocab_size, config.embedding_dim)
        self.first = layers.LSTM(config.units, return_sequences=True)
        self.dropout = layers.Dropout(config.dropout)
        self.second = layers.LSTM(config.units, return_sequences=True)
        self.projection = layers.Dense(config.embedding_dim)
        self.head = layers.Dense(config.vocab_size, activation="softmax") if config.untied else None
        self.shift = self.add_weight(shape=(config.vocab_size,), initializer="zeros", name="shift")

    def call(self, words, training=False):
        """Return probabilities (poems, length, vocab_size)."""
        x = self.embedding(words)
        x = self.first(x)
        x = self.dropout(x, training=training)
        x = self.second(x)
        x = self.projection(x)
        if self.head is not None:
            return self.head(x)
        # The word whose vector points most in the direction of x is the likeliest.
        return ops.softmax(ops.matmul(x, ops.transpose(self.embedding.embeddings)) + self.shift)


def build_model(config: Config) -> keras.Model:
    """Return the compiled language model, its weights already made."""
    model = VerseModel(config)
    optimizers = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    if config.optimizer not in optimizers:
        raise ValueError(f"optimizer must be one of {', '.join(optimizers)}")
    optimizer = optimizers[config.optimizer](learning_rate=config.learning_rate, clipnorm=1.0)
    model.compile(optimizer=optimizer, loss=config.loss, weighted_metrics=[config.metric])
    model(np.zeros((1, config.sequence_length), dtype="int32"))
    return model


def write_poems(model: keras.Model, beginnings: np.ndarray, length: int, config: Config) -> np.ndarray:
    """Return `length` drawn words (poems, length) after the beginnings, PAD once a poem is finished."""
    rng = np.random.default_rng(config.seed)
    poems, start = beginnings, beginnings.shape[1]
    window = config.sequence_length
    for _ in range(length):
        # Always a full window, padded at the end, where a causal model does not look.
        seen = poems[:, -window:]
        place = seen.shape[1] - 1
        padded = np.pad(seen, ((0, 0), (0, window - seen.shape[1])))
        scores = np.log(model.predict_on_batch(padded)[:, place] + 1e-9) / config.temperature
        scores[:, [PAD, UNKNOWN, BEGIN]] = -np.inf
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        drawn = np.array([rng.choice(len(row), p=row) for row in chances], dtype="int32")
        is_over = np.isin(poems[:, -1], (PAD, FINISH)) & (poems.shape[1] > start)
        poems = np.concatenate([poems, np.where(is_over, PAD, drawn)[:, None]], axis=1)
    return poems[:, start:]


def as_text(ids: np.ndarray, words: list[str]) -> str:
    """Return a poem as people write it, without marks."""
    shown = [words[i] if i < len(words) else "" for i in ids if i not in (PAD, BEGIN, FINISH)]
    text = re.sub(r" *\n *", "\n", " ".join(shown))
    return re.sub(r" (?=[,.;:!?])", "", text)


# %% [train]
class ShowVerses(keras.callbacks.Callback):
    """Print a poem every few epochs: numbers do not tell whether it is a poem."""

    def __init__(self, words: list[str], config: Config) -> None:
        super().__init__()
        self.words = words
        self.config = config

    def on_epoch_end(self, epoch, logs=None):
        """Draw one poem from the model as it is now."""
        if (epoch + 1) % self.config.print_every == 0:
            beginning = np.array([[BEGIN]], dtype="int32")
            (poem,) = write_poems(self.model, beginning, self.config.poem_length, self.config)
            print(f"--- after epoch {epoch + 1}:\n{as_text(poem, self.words)}\n---")


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
    """Fit on the training poems with a falling learning rate; save weights and words."""
    keras.utils.set_random_seed(config.seed)
    poems, held_out, _ = load_data(config)
    words = choose_words(poems, config.vocab_size)
    model = build_model(config)
    model.summary()
    read, following, weights = to_pairs(poems, words, config)
    callbacks = [
        ShowVerses(words, config),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 10 else 0.95 * rate),
        keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
    ]
    history = model.fit(
        read,
        following,
        sample_weight=weights,
        validation_data=to_pairs(held_out, words, config),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=callbacks,
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "words.json").write_text(json.dumps(words), encoding="utf-8")
    np.savez(output / "weights.npz", *model.get_weights())
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def load_trained(config: Config) -> tuple[keras.Model, list[str]]:
    """Return the model with the saved weights, and its words."""
    output = Path(config.output_dir)
    model = build_model(config)
    with np.load(output / "weights.npz") as saved:
        model.set_weights([saved[name] for name in saved.files])
    return model, json.loads((output / "words.json").read_text(encoding="utf-8"))


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss, accuracy and perplexity per word on the test poems."""
    _, _, poems = load_data(config)
    model, words = load_trained(config)
    ids, following, weights = to_pairs(poems, words, config)
    probabilities = model.predict(ids, batch_size=config.batch_size, verbose=0)
    of_true = np.take_along_axis(probabilities, following[..., None], axis=2)[..., 0]
    loss = float(-(np.log(of_true + 1e-9) * weights).sum() / weights.sum())
    hits = (probabilities.argmax(axis=2) == following) * weights
    accuracy = float(hits.sum() / weights.sum())
    return {"loss": loss, "accuracy": accuracy, "perplexity": math.exp(loss)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return word numbers (num_poems, poem_length) that follow the first words of test poems; save texts."""
    _, _, poems = load_data(config)
    model, words = load_trained(config)
    number = {word: place for place, word in enumerate(words)}
    first_two = [
        [BEGIN, *(number.get(word, UNKNOWN) for word in poem[:2])] for poem in poems if len(poem) > 1
    ]
    chosen = [first_two[i % len(first_two)] for i in range(config.num_poems)]
    beginnings = np.array(chosen, dtype="int32")
    drawn = write_poems(model, beginnings, config.poem_length, config)
    texts = [as_text(np.concatenate(pair), words) for pair in zip(beginnings, drawn, strict=True)]
    output = Path(config.output_dir)
    (output / "poems.txt").write_text("\n\n***\n\n".join(texts) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", drawn)
    return drawn


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
