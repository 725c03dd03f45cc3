# SPDX-License-Identifier: Apache-2.0
"""Translate sentences from one language into another with an encoder-decoder transformer.

Positions are sinusoids, the decoder sees its own past only (causal mask) and the whole source
sentence. The learning rate warms up and then falls with the root of the step, as transformers need.
Translations are written greedily.

Data: `data_dir/pairs.tsv`, UTF-8, one pair per line: source sentence, tab, target sentence.
"""

# %% [imports]
import argparse
import dataclasses
import json
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
    vocab_size: int = 15000
    sequence_length: int = 24
    embedding_dim: int = 128
    feed_forward_dim: int = 512
    num_heads: int = 8
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    warmup_steps: int = 1000
    batch_size: int = 64
    epochs: int = 20


PAD, UNKNOWN, START, END = range(4)
Sentences = list[list[str]]


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Sentence translation")
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
    """Write sentences of a toy language whose adjectives follow the noun, as in French."""
    rng = np.random.default_rng(config.seed)
    words = {
        "red": "rouge",
        "small": "petit",
        "old": "ancien",
        "car": "auto",
        "house": "maison",
        "dog": "chien",
    }
    adjectives, nouns = ("red", "small", "old"), ("car", "house", "dog")
    lines = []
    for _ in range(config.synthetic_samples):
        adjective, noun = str(rng.choice(adjectives)), str(rng.choice(nouns))
        lines.append(f"I see the {adjective} {noun} .\tje vois {words[noun]} {words[adjective]} .")
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_data(config: Config) -> tuple[tuple[Sentences, Sentences], ...]:
    """Return (train, validation, test), each as source and target sentences in words."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "pairs.tsv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a source and a target sentence per line, parted by a tab")
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    order = np.random.default_rng(config.seed).permutation(len(lines))
    limit = config.sequence_length
    source = [re.findall(r"\w+|[^\w\s]", lines[i][0].lower())[:limit] for i in order]
    # One place less: the target also needs its start or end token.
    target = [re.findall(r"\w+|[^\w\s]", lines[i][1].lower())[: limit - 1] for i in order]
    first, second = int(0.8 * len(lines)), int(0.9 * len(lines))
    parts = ((0, first), (first, second), (second, len(lines)))
    return tuple((source[start:stop], target[start:stop]) for start, stop in parts)


def vocabulary_of(sentences: Sentences, size: int) -> list[str]:
    """Return the tokens by number: four special ones, then the commonest words."""
    counts = Counter(word for sentence in sentences for word in sentence)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return ["", "<unknown>", "<start>", "<end>", *words][:size]


def encode(sentences: Sentences, vocabulary: list[str], length: int) -> np.ndarray:
    """Return token numbers (sentences, length), padded at the end."""
    index = {word: number for number, word in enumerate(vocabulary)}
    ids = np.full((len(sentences), length), PAD, dtype="int32")
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = [index.get(word, UNKNOWN) for word in sentence]
    return ids


def shifted(sentences: Sentences, vocabulary: list[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the decoder reads (from <start>) and what it should write (to <end>)."""
    read = encode([["<start>", *sentence] for sentence in sentences], vocabulary, length)
    write = encode([[*sentence, "<end>"] for sentence in sentences], vocabulary, length)
    return read, write


# %% [model]
def sinusoids(length: int, dim: int) -> np.ndarray:
    """Return position signals (1, length, dim)."""
    angles = np.arange(length)[:, None] / 10000 ** (np.arange(0, dim, 2) / dim)
    signals = np.zeros((1, length, dim), dtype="float32")
    signals[0, :, 0::2], signals[0, :, 1::2] = np.sin(angles), np.cos(angles)
    return signals


def feed_forward(x, config: Config):
    """Return the words after two dense layers, each word by itself."""
    hidden = layers.Dense(config.feed_forward_dim, activation="relu")(x)
    hidden = layers.Dense(config.embedding_dim)(hidden)
    return layers.LayerNormalization()(x + layers.Dropout(0.1)(hidden))


def attend(x, memory, config: Config, mask=None, causal: bool = False):
    """Return the words after looking at `memory`."""
    attention = layers.MultiHeadAttention(config.num_heads, config.embedding_dim // config.num_heads)
    found = attention(x, memory, attention_mask=mask, use_causal_mask=causal)
    return layers.LayerNormalization()(x + layers.Dropout(0.1)(found))


class WarmupRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rise to the peak in a straight line, then fall with the root of the step."""

    def __init__(self, peak: float, warmup_steps: int) -> None:
        self.peak = peak
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        """Return the learning rate of a step."""
        step = ops.cast(step, "float32") + 1.0
        return self.peak * ops.minimum(step / self.warmup_steps, ops.sqrt(self.warmup_steps / step))

    def get_config(self) -> dict[str, float]:
        """Return what the schedule is made from."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}


def build_model(config: Config) -> keras.Model:
    """Return the compiled transformer: source and target so far in, each next word out."""
    source = layers.Input(shape=(config.sequence_length,), dtype="int32", name="source")
    target = layers.Input(shape=(config.sequence_length,), dtype="int32", name="target")
    positions = sinusoids(config.sequence_length, config.embedding_dim)
    # Nobody looks at the padding of the source: mask (batch, 1, source length).
    visible = ops.expand_dims(ops.not_equal(source, PAD), axis=1)

    x = layers.Embedding(config.vocab_size, config.embedding_dim)(source)
    x = layers.Dropout(0.1)(x * config.embedding_dim**0.5 + positions)
    for _ in range(2):
        x = attend(x, x, config, mask=visible)
        x = feed_forward(x, config)
    memory = x

    y = layers.Embedding(config.vocab_size, config.embedding_dim)(target)
    y = layers.Dropout(0.1)(y * config.embedding_dim**0.5 + positions)
    for _ in range(2):
        y = attend(y, y, config, causal=True)
        y = attend(y, memory, config, mask=visible)
        y = feed_forward(y, config)
    outputs = layers.Dense(config.vocab_size, activation="softmax")(y)

    model = keras.Model([source, target], outputs)
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = WarmupRoot(config.learning_rate, config.warmup_steps)
    model.compile(optimizer=optimizer, loss=config.loss, weighted_metrics=[config.metric])
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
    """Take both vocabularies from the training pairs, fit, save model and vocabularies."""
    keras.utils.set_random_seed(config.seed)
    (source, target), (held_source, held_target), _ = load_data(config)
    vocabularies = [vocabulary_of(sentences, config.vocab_size) for sentences in (source, target)]
    length = config.sequence_length
    read, write = shifted(target, vocabularies[1], length)
    held_read, held_write = shifted(held_target, vocabularies[1], length)
    held_inputs = [encode(held_source, vocabularies[0], length), held_read]
    model = build_model(config)
    model.summary()
    history = model.fit(
        [encode(source, vocabularies[0], length), read],
        write,
        sample_weight=(write != PAD).astype("float32"),
        validation_data=(held_inputs, held_write, (held_write != PAD).astype("float32")),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "vocabularies.json").write_text(json.dumps(vocabularies), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def translate(config: Config, sentences: Sentences) -> tuple[np.ndarray, Sentences]:
    """Return greedy translations as token numbers (sentences, length) and as words."""
    output = Path(config.output_dir)
    vocabularies = json.loads((output / "vocabularies.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(output / "model.keras", compile=False)
    source = encode(sentences, vocabularies[0], config.sequence_length)
    ids = np.full_like(source, PAD)
    ids[:, 0] = START
    for place in range(1, config.sequence_length):
        following = model.predict_on_batch([source, ids])[:, place - 1]
        # The output layer may be wider than the vocabulary.
        following = following[:, : len(vocabularies[1])].argmax(axis=-1)
        ended = np.isin(ids[:, place - 1], (PAD, END))
        ids[:, place] = np.where(ended, PAD, following)
        if np.isin(ids[:, place], (PAD, END)).all():
            break
    return ids, [[vocabularies[1][i] for i in row if i > END] for row in ids]


def evaluate(config: Config) -> dict[str, float]:
    """Measure exact matches and corpus BLEU of one and two words on the test pairs."""
    _, _, (source, target) = load_data(config)
    _, answers = translate(config, source)
    precisions = []
    for size in (1, 2):
        shared = total = 0
        for answer, gold in zip(answers, target, strict=True):
            ours, theirs = (Counter(zip(*(s[i:] for i in range(size)), strict=False)) for s in (answer, gold))
            shared, total = shared + sum((ours & theirs).values()), total + sum(ours.values())
        precisions.append(shared / max(total, 1))
    written, wanted = (max(sum(map(len, sentences)), 1) for sentences in (answers, target))
    brevity = min(1.0, float(np.exp(1 - wanted / written)))
    return {
        "bleu_2": brevity * float(np.prod(precisions)) ** 0.5,
        "exact_match": float(np.mean([a == b for a, b in zip(answers, target, strict=True)])),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the translations of the test sentences as token numbers (sentences, length); save the texts."""
    _, _, (source, _) = load_data(config)
    ids, answers = translate(config, source)
    output = Path(config.output_dir)
    (output / "translations.txt").write_text("\n".join(map(" ".join, answers)) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", ids)
    return ids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
