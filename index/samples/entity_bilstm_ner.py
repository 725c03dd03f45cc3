# SPDX-License-Identifier: Apache-2.0
"""Find names of persons, places and organisations in sentences with a bidirectional LSTM tagger.

A word is read twice: as a whole word, and through its characters by a small convolution, which helps
with names never seen in training. Each word gets one IOB tag; whole entities, not words, are scored.

Data: `data_dir/{train,validation,test}.conll`, UTF-8, one "word tag" pair per line, an empty line after
every sentence, tags such as O, B-PER, I-PER.
"""

# %% [imports]
import argparse
import dataclasses
import json
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
    vocab_size: int = 20000
    sequence_length: int = 50
    word_length: int = 15
    num_characters: int = 128
    num_tags: int = 7
    embedding_dim: int = 100
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 15


TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
Sentence = list[tuple[str, str]]


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Named entity recognition")
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
    """Write sentences of one pattern with invented persons, places and companies."""
    rng = np.random.default_rng(config.seed)
    people, places = ("Ada Moss", "Jon Reed", "Mia"), ("Oslo", "New Haven", "Lima")
    firms = ("Orion Works", "Telmo")
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    sentences = []
    for _ in range(config.synthetic_samples):
        lines = []
        parts = ((rng.choice(people), "PER"), ("works for", ""), (rng.choice(firms), "ORG"), ("in", ""))
        for text, kind in (*parts, (rng.choice(places), "LOC"), (".", "")):
            for place, word in enumerate(str(text).split()):
                tag = f"{'I' if place else 'B'}-{kind}" if kind else "O"
                lines.append(f"{word} {tag}")
        sentences.append("\n".join(lines) + "\n")
    first, second = int(0.7 * len(sentences)), int(0.85 * len(sentences))
    splits = {"train": sentences[:first], "validation": sentences[first:second], "test": sentences[second:]}
    for name, chosen in splits.items():
        (folder / f"{name}.conll").write_text("\n".join(chosen), encoding="utf-8")


def read_conll(path: Path) -> list[Sentence]:
    """Return the sentences of a file as lists of (word, tag); a tag that is not in TAGS counts as O."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected lines of a word and its tag, sentences parted by empty lines"
        )
    sentences: list[Sentence] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if not fields and sentences[-1]:
            sentences.append([])
        elif fields and not line.startswith("-DOCSTART-"):
            sentences[-1].append((fields[0], fields[-1] if fields[-1] in TAGS else "O"))
    return [sentence for sentence in sentences if sentence]


def load_data(config: Config) -> tuple[list[Sentence], list[Sentence], list[Sentence]]:
    """Return the sentences of train, validation and test."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    names = ("train", "validation", "test")
    train_part, validation_part, test_part = (read_conll(folder / f"{name}.conll") for name in names)
    return train_part, validation_part, test_part


def build_vocabulary(sentences: list[Sentence], size: int) -> dict[str, int]:
    """Return a number over 1 for each of the commonest words, lower-cased; 0 is padding, 1 unknown."""
    counts: dict[str, int] = {}
    for word in (word.lower() for sentence in sentences for word, _ in sentence):
        counts[word] = counts.get(word, 0) + 1
    words = sorted(counts, key=lambda word: (-counts[word], word))[: size - 2]
    return {word: number for number, word in enumerate(words, start=2)}


def encode(sentences: list[Sentence], vocabulary: dict[str, int], config: Config) -> dict[str, np.ndarray]:
    """Return words (n, length), characters (n, length, word_length), tags (n, length) and their weights."""
    shape = (len(sentences), config.sequence_length)
    words, tags = np.zeros(shape, dtype="int32"), np.zeros(shape, dtype="int32")
    characters = np.zeros((*shape, config.word_length), dtype="int32")
    for i, sentence in enumerate(sentences):
        for j, (word, tag) in enumerate(sentence[: config.sequence_length]):
            words[i, j] = vocabulary.get(word.lower(), 1)
            codes = [min(ord(letter), config.num_characters - 1) for letter in word[: config.word_length]]
            characters[i, j, : len(codes)] = codes
            tags[i, j] = TAGS.index(tag)
    return {"words": words, "characters": characters, "tags": tags, "weights": (words > 0).astype("float32")}


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled tagger; capital letters reach it through the characters."""
    words = layers.Input(shape=(config.sequence_length,), dtype="int32", name="words")
    word_vectors = layers.Embedding(config.vocab_size, config.embedding_dim)(words)

    characters = layers.Input(
        shape=(config.sequence_length, config.word_length), dtype="int32", name="characters"
    )
    letters = layers.Embedding(config.num_characters, 16)(characters)
    letters = layers.TimeDistributed(layers.Conv1D(32, 3, padding="same", activation="relu"))(letters)
    letters = layers.TimeDistributed(layers.GlobalMaxPooling1D())(letters)

    x = layers.Concatenate()([word_vectors, letters])
    x = layers.SpatialDropout1D(0.3)(x)
    x = layers.Bidirectional(layers.LSTM(100, return_sequences=True))(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(config.num_tags, activation="softmax")(x)
    model = keras.Model([words, characters], outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
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
    """Take the vocabulary from the training sentences, fit, save model and vocabulary."""
    keras.utils.set_random_seed(config.seed)
    train_sentences, validation_sentences, _ = load_data(config)
    vocabulary = build_vocabulary(train_sentences, config.vocab_size)
    seen = encode(train_sentences, vocabulary, config)
    held_out = encode(validation_sentences, vocabulary, config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        [seen["words"], seen["characters"]],
        seen["tags"],
        sample_weight=seen["weights"],  # padding teaches nothing
        validation_data=([held_out["words"], held_out["characters"]], held_out["tags"], held_out["weights"]),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def entities(tags: list[str]) -> set[tuple[int, int, str]]:
    """Return (first word, word after the last, kind) of every entity; an I- without a B- opens one."""
    found, start, kind = set(), 0, ""
    for place, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.add((start, place, kind))
            kind = ""
        if tag != "O" and not kind:
            start, kind = place, tag[2:]
    return found


def tag_probabilities(config: Config, sentences: list[Sentence]) -> np.ndarray:
    """Return tag probabilities (sentences, length, num_tags) from what `train` saved."""
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    coded = encode(sentences, vocabulary, config)
    model = keras.models.load_model(output / "model.keras")
    return model.predict([coded["words"], coded["characters"]], verbose=0)


def evaluate(config: Config) -> dict[str, float]:
    """Measure precision, recall and F1 of whole entities on the test sentences."""
    _, _, sentences = load_data(config)
    best = tag_probabilities(config, sentences).argmax(axis=-1)
    hits = named = true = 0
    for row, sentence in zip(best, sentences, strict=True):
        gold = [tag for _, tag in sentence[: config.sequence_length]]
        answer = entities([TAGS[number] for number in row[: len(gold)]])
        hits += len(answer & entities(gold))
        named, true = named + len(answer), true + len(entities(gold))
    precision, recall = hits / max(named, 1), hits / max(true, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"precision": precision, "recall": recall, "f1": f1}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return tag probabilities (sentences, length, num_tags) and save them, the tagged words as text."""
    _, _, sentences = load_data(config)
    probabilities = tag_probabilities(config, sentences)
    output = Path(config.output_dir)
    with open(output / "tagged.conll", "w", encoding="utf-8") as file:
        for row, sentence in zip(probabilities.argmax(axis=-1), sentences, strict=True):
            pairs = zip(sentence, row, strict=False)  # words beyond the length limit stay untagged
            file.write("\n".join(f"{word} {TAGS[number]}" for (word, _), number in pairs) + "\n\n")
    np.save(output / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
