# SPDX-License-Identifier: Apache-2.0
"""Shorten articles to a headline with an LSTM encoder and decoder joined by attention.

The encoder reads the article in both directions; its last state starts the decoder, which writes the
summary word by word and looks back at the article through dot-product attention. Both share one
vocabulary and one embedding. At inference the decoder keeps the three best beginnings (beam search).

Data: `data_dir/articles.jsonl`, UTF-8, one JSON object per line with the texts `document` and `summary`.
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
    vocab_size: int = 10000
    document_length: int = 120
    sequence_length: int = 16
    embedding_dim: int = 128
    units: int = 128
    num_beams: int = 3
    optimizer: str = "rmsprop"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 20


PAD, UNKNOWN, START, END = range(4)


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Headlines for articles")
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
    """Write reports with one important sentence among others; the summary says it in short."""
    rng = np.random.default_rng(config.seed)
    teams, filler = (
        ("reds", "blues", "lions", "hawks"),
        ("It rained.", "Fans sang.", "Tickets were sold out."),
    )
    lines = []
    for _ in range(config.synthetic_samples):
        winner, loser = rng.permutation(teams)[:2]
        goals = int(rng.integers(1, 6))
        report = [f"After a long match the {winner} won against the {loser} by {goals} goals."]
        report += list(rng.choice(filler, size=3))
        document = " ".join(report[i] for i in rng.permutation(len(report)))
        lines.append(json.dumps({"document": document, "summary": f"{winner} beat {loser} by {goals}"}))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "articles.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


Pair = tuple[list[str], list[str]]


def load_data(config: Config) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Return (train, validation, test) lists of document words and summary words."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "articles.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected one JSON object with document and summary per line")
    pairs: list[Pair] = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            article = json.loads(line)
            document, summary = (
                re.findall(r"[\w'-]+", article[key].lower()) for key in ("document", "summary")
            )
            pairs.append((document[: config.document_length], summary[: config.sequence_length - 1]))
    np.random.default_rng(config.seed).shuffle(pairs)
    held_out = max(1, len(pairs) // 10)
    return pairs[: -2 * held_out], pairs[-2 * held_out : -held_out], pairs[-held_out:]


def encode_documents(documents: list[list[str]], index: dict[str, int], length: int) -> np.ndarray:
    """Return word numbers (documents, length); the end is padded."""
    ids = np.full((len(documents), length), PAD, dtype="int32")
    for row, words in zip(ids, documents, strict=True):
        row[: len(words)] = [index.get(word, UNKNOWN) for word in words]
    return ids


def encode_pairs(pairs: list[Pair], index: dict[str, int], config: Config):
    """Return ([documents, summaries from <start>], summaries to <end>)."""
    documents = encode_documents([document for document, _ in pairs], index, config.document_length)
    inputs = np.full((len(pairs), config.sequence_length), PAD, dtype="int32")
    targets = np.full_like(inputs, PAD)
    for row, (_, summary) in enumerate(pairs):
        ids = [index.get(word, UNKNOWN) for word in summary]
        inputs[row, : len(ids) + 1] = [START, *ids]
        targets[row, : len(ids) + 1] = [*ids, END]
    return [documents, inputs], targets


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled summariser: document and summary so far in, each next word out."""
    document = layers.Input(shape=(config.document_length,), dtype="int32", name="document")
    summary = layers.Input(shape=(config.sequence_length,), dtype="int32", name="summary")
    embedding = layers.Embedding(config.vocab_size, config.embedding_dim)
    encoder = layers.Bidirectional(layers.LSTM(config.units, return_sequences=True, return_state=True))
    encoded, forward_h, forward_c, backward_h, backward_c = encoder(embedding(document))
    state_h = layers.Concatenate()([forward_h, backward_h])
    state_c = layers.Concatenate()([forward_c, backward_c])
    decoder = layers.LSTM(2 * config.units, return_sequences=True)
    decoded = decoder(embedding(summary), initial_state=[state_h, state_c])
    context = layers.Attention()([decoded, encoded])
    x = layers.Concatenate()([decoded, context])
    x = layers.Dense(config.units, activation="tanh")(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(config.vocab_size, activation="softmax")(x)
    model = keras.Model([document, summary], outputs)
    settings = {"learning_rate": config.learning_rate, "clipnorm": 5.0}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
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
    """Take the vocabulary from the training pairs, fit, save model and vocabulary."""
    keras.utils.set_random_seed(config.seed)
    train_pairs, validation_pairs, _ = load_data(config)
    counts = Counter(word for document, summary in train_pairs for word in document + summary)
    words = sorted(counts, key=lambda word: (-counts[word], word))[: config.vocab_size - 4]
    index = {word: number for number, word in enumerate(words, start=4)}
    inputs, targets = encode_pairs(train_pairs, index, config)
    held_inputs, held_targets = encode_pairs(validation_pairs, index, config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        inputs,
        targets,
        sample_weight=(targets != PAD).astype("float32"),
        validation_data=(held_inputs, held_targets, (held_targets != PAD).astype("float32")),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "words.json").write_text(json.dumps(words), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def beam_search(model: keras.Model, document: np.ndarray, config: Config) -> np.ndarray:
    """Return the likeliest summary (sequence_length,) by mean log-probability of its words."""
    beams = np.full((config.num_beams, config.sequence_length), PAD, dtype="int32")
    beams[:, 0] = START
    scores = np.array([0.0] + [-np.inf] * (config.num_beams - 1))  # all beams are alike at first
    documents = np.tile(document, (config.num_beams, 1))
    for place in range(1, config.sequence_length):
        log_probs = np.log(model.predict_on_batch([documents, beams])[:, place - 1] + 1e-12)
        log_probs[:, [PAD, UNKNOWN, START]] = -np.inf
        ended = np.isin(beams[:, place - 1], (PAD, END))
        log_probs[ended] = -np.inf
        log_probs[ended, PAD] = 0.0  # a finished summary stays as it is
        totals = (scores[:, None] + log_probs).ravel()
        best = np.argsort(-totals, kind="stable")[: config.num_beams]
        parents, words = np.unravel_index(best, log_probs.shape)
        beams, scores = beams[parents], totals[best]
        beams[:, place] = words
        if np.isin(words, (PAD, END)).all():
            break
    lengths = (beams != PAD).sum(axis=1)
    return beams[np.argmax(scores / lengths)]


def summarize(config: Config, pairs: list[Pair]) -> tuple[np.ndarray, list[list[str]]]:
    """Return summaries as word numbers (documents, sequence_length) and as words."""
    output = Path(config.output_dir)
    words = json.loads((output / "words.json").read_text(encoding="utf-8"))
    index = {word: number for number, word in enumerate(words, start=4)}
    model = keras.models.load_model(output / "model.keras")
    documents = encode_documents([document for document, _ in pairs], index, config.document_length)
    ids = np.stack([beam_search(model, document, config) for document in documents])
    return ids, [[words[i - 4] for i in row if 4 <= i < len(words) + 4] for row in ids]


def evaluate(config: Config) -> dict[str, float]:
    """Measure ROUGE-1 and ROUGE-2 (F1) of the summaries of the test documents."""
    _, _, pairs = load_data(config)
    _, answers = summarize(config, pairs)
    measures = {}
    for size in (1, 2):
        scores = []
        for answer, (_, gold) in zip(answers, pairs, strict=True):
            ours, theirs = (Counter(zip(*(t[i:] for i in range(size)), strict=False)) for t in (answer, gold))
            shared = sum((ours & theirs).values())
            scores.append(2 * shared / max(sum(ours.values()) + sum(theirs.values()), 1))
        measures[f"rouge_{size}"] = float(np.mean(scores))
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the summaries of the test documents as word numbers (documents, length); save the texts."""
    _, _, pairs = load_data(config)
    ids, answers = summarize(config, pairs)
    output = Path(config.output_dir)
    (output / "summaries.txt").write_text("\n".join(map(" ".join, answers)) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", ids)
    return ids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
