# SPDX-License-Identifier: Apache-2.0
"""Tag words with their part of speech: a transformer over words and their first and last letters (Keras).

In most languages the ending of a word gives its part of speech away, also for words never seen before, so
each word comes with a few letters of its beginning and its end. Padding has the tag number 0, which neither
loss nor accuracy counts. Accuracy is reported for known and for unknown words.

Data: `data_dir/{train,dev,test}.conllu` in the CoNLL-U format of Universal Dependencies: tab-separated
columns, the word in the second and its tag (UPOS) in the fourth, empty lines between sentences.
"""

# %% [imports]
import argparse
import dataclasses
import json
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops


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
    sequence_length: int = 60
    num_classes: int = 18
    first_letters: int = 3
    last_letters: int = 5
    num_letters: int = 256
    letter_dim: int = 16
    embedding_dim: int = 128
    num_heads: int = 4
    num_layers: int = 2
    dropout: float = 0.2
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 12


# The 17 parts of speech of Universal Dependencies, after padding.
TAGS = (
    *("", "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN"),
    *("NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)
PAD, UNKNOWN = 0, 1


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Part-of-speech tagger")
    for field in dataclasses.fields(Config):
        dashed = field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(f"--{dashed}", dest=field.name, action="store_true")
        else:
            parser.add_argument(f"--{dashed}", dest=field.name, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write sentences of invented words whose endings show their part of speech."""
    rng = np.random.default_rng(config.seed)
    endings = {"NOUN": ("ness", "tion"), "VERB": ("izes", "ates"), "ADJ": ("ful", "ous"), "ADV": ("ly",)}
    stems = ["bra", "dolo", "fen", "gri", "hul", "kam", "lir", "mopa", "nast", "plu", "quin", "rov"]
    patterns = ("DET ADJ NOUN VERB ADV PUNCT", "DET NOUN VERB DET NOUN PUNCT", "ADV DET NOUN VERB PUNCT")
    fixed = {"DET": ("the", "a"), "PUNCT": (".", "!")}
    sentences = []
    for number in range(config.synthetic_samples):
        lines = [f"# sent_id = {number}"]
        for place, tag in enumerate(str(rng.choice(patterns)).split(), start=1):
            word = str(rng.choice(fixed.get(tag) or [s + e for s in stems for e in endings[tag]]))
            lines.append("\t".join([str(place), word, word, tag, *["_"] * 6]))
        sentences.append("\n".join(lines) + "\n\n")
    cuts = (0, int(0.7 * len(sentences)), int(0.85 * len(sentences)), len(sentences))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, start, stop in zip(("train", "dev", "test"), cuts, cuts[1:], strict=False):
        (folder / f"{name}.conllu").write_text("".join(sentences[start:stop]), encoding="utf-8")


def read_conllu(path: Path, longest: int) -> list[list[tuple[str, str]]]:
    """Return sentences as lists of (word, tag), cut after `longest` words."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected sentences in the CoNLL-U format")
    sentences, words = [], []
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        columns = line.split("\t")
        # Numbers such as 3-4 are contractions and 5.1 left-out words: their parts have lines of their own.
        if len(columns) == 10 and columns[0].isdigit():
            words.append((columns[1], columns[3] if columns[3] in TAGS else "X"))
        elif not line.strip() and words:
            sentences.append(words[:longest])
            words = []
    return sentences


def load_data(config: Config):
    """Return the sentences of (train, validation, test)."""
    if config.synthetic:
        make_synthetic(config)
    return tuple(
        read_conllu(Path(config.data_dir) / f"{name}.conllu", config.sequence_length)
        for name in ("train", "dev", "test")
    )


def letters_of(word: str, config: Config) -> list[int]:
    """Return first and last letters as numbers; what is not in the first code page shares number 1."""
    codes = [ord(letter) if 1 < ord(letter) < config.num_letters else 1 for letter in word]
    head = (codes + [0] * config.first_letters)[: config.first_letters]
    tail = ([0] * config.last_letters + codes)[-config.last_letters :]
    return head + tail


def to_arrays(sentences, numbers: dict[str, int], config: Config) -> dict[str, np.ndarray]:
    """Return words (n, length), letters (n, length, letters) and tags (n, length), all padded with 0."""
    shape = (len(sentences), config.sequence_length)
    arrays = {name: np.zeros(shape, dtype="int32") for name in ("words", "tags")}
    arrays["letters"] = np.zeros((*shape, config.first_letters + config.last_letters), dtype="int32")
    for i, sentence in enumerate(sentences):
        for j, (word, tag) in enumerate(sentence):
            arrays["words"][i, j] = numbers.get(word.lower(), UNKNOWN)
            arrays["letters"][i, j] = letters_of(word, config)
            arrays["tags"][i, j] = TAGS.index(tag)
    return arrays


# %% [model]
@keras.saving.register_keras_serializable(package="treebank")
class MaskedAccuracy(keras.metrics.Metric):
    """Count right tags among real words only."""

    def __init__(self, name: str = "accuracy", **kwargs) -> None:
        super().__init__(name=name, **kwargs)
        self.hits = self.add_weight(name="hits", initializer="zeros")
        self.words = self.add_weight(name="words", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch of tags (n, length) and probabilities (n, length, num_classes)."""
        y_true = ops.cast(y_true, "int32")
        is_word = ops.cast(ops.not_equal(y_true, PAD), "float32")
        is_right = ops.cast(ops.equal(y_true, ops.cast(ops.argmax(y_pred, axis=-1), "int32")), "float32")
        self.hits.assign_add(ops.sum(is_right * is_word))
        self.words.assign_add(ops.sum(is_word))

    def result(self):
        """Return the share of words tagged rightly."""
        return self.hits / ops.maximum(self.words, 1.0)


LOSSES = {"sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy}
METRICS = {"accuracy": MaskedAccuracy}


def build_model(config: Config) -> keras.Model:
    """Return the compiled tagger of words and letters."""
    length, letter_count = config.sequence_length, config.first_letters + config.last_letters
    words = keras.Input((length,), dtype="int32", name="words")
    letters = keras.Input((length, letter_count), dtype="int32", name="letters")

    x = keras.layers.Embedding(config.vocab_size, config.embedding_dim)(words)
    x = keras.layers.Dropout(config.dropout)(x)
    y = keras.layers.Embedding(config.num_letters, config.letter_dim)(letters)
    y = keras.layers.Reshape((length, letter_count * config.letter_dim))(y)
    y = keras.layers.Dense(config.embedding_dim, activation="relu")(y)
    x = keras.layers.Concatenate()([x, y])
    x = keras.layers.Dense(config.embedding_dim)(x)
    # A convolution over three words tells the order, so that no places need be numbered.
    x = keras.layers.Conv1D(config.embedding_dim, 3, padding="same", activation="gelu")(x)

    visible = ops.expand_dims(ops.not_equal(words, PAD), axis=1)
    for _ in range(config.num_layers):
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.MultiHeadAttention(
            num_heads=config.num_heads,
            key_dim=config.embedding_dim // config.num_heads,
            dropout=config.dropout,
        )(y, y, attention_mask=visible)
        x = keras.layers.Add()([x, y])
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.Dense(2 * config.embedding_dim, activation="gelu")(y)
        y = keras.layers.Dense(config.embedding_dim)(y)
        y = keras.layers.Dropout(config.dropout)(y)
        x = keras.layers.Add()([x, y])
    x = keras.layers.LayerNormalization()(x)
    outputs = keras.layers.Dense(config.num_classes, activation="softmax", name="tags")(x)

    model = keras.Model({"words": words, "letters": letters}, outputs)
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = config.learning_rate
    loss = LOSSES[config.loss](ignore_class=PAD)
    model.compile(optimizer, loss, metrics=[METRICS[config.metric](name=config.metric)])
    return model


# %% [train]
def batches_of(arrays: dict[str, np.ndarray], config: Config, shuffle: bool = False) -> tf.data.Dataset:
    """Return batches of ({words, letters}, tags)."""
    inputs = {name: arrays[name] for name in ("words", "letters")}
    dataset = tf.data.Dataset.from_tensor_slices((inputs, arrays["tags"]))
    if shuffle:
        dataset = dataset.cache().shuffle(4096, seed=config.seed)
    return dataset.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)


def hide_rare_words(arrays: dict[str, np.ndarray], rare: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the arrays with half of the rare words unknown, so that tags are also learnt from letters."""
    hidden = np.isin(arrays["words"], rare) & (
        np.random.default_rng(seed).random(arrays["words"].shape) < 0.5
    )
    return {**arrays, "words": np.where(hidden, UNKNOWN, arrays["words"])}


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
    """Fit until validation accuracy rests; save the model and the numbers of the words."""
    keras.utils.set_random_seed(config.seed)
    sentences, held_out, _ = load_data(config)
    counts = Counter(word.lower() for sentence in sentences for word, _ in sentence)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[: config.vocab_size - 2]
    numbers = {word: number for number, word in enumerate(ranked, start=2)}
    rare = np.array([number for word, number in numbers.items() if counts[word] < 3], dtype="int32")
    arrays = hide_rare_words(to_arrays(sentences, numbers, config), rare, config.seed)
    model = build_model(config)
    model.summary()
    history = model.fit(
        batches_of(arrays, config, shuffle=True),
        validation_data=batches_of(to_arrays(held_out, numbers, config), config),
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1),
            keras.callbacks.EarlyStopping(
                f"val_{config.metric}", mode="max", patience=4, restore_best_weights=True
            ),
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "tagger.keras")
    (output / "words.json").write_text(json.dumps(numbers), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def tag_probabilities(config: Config):
    """Return probabilities (sentences, length, num_classes), the test arrays and the test sentences."""
    output = Path(config.output_dir)
    numbers = json.loads((output / "words.json").read_text(encoding="utf-8"))
    known = {"MaskedAccuracy": MaskedAccuracy}
    model = keras.models.load_model(output / "tagger.keras", custom_objects=known, compile=False)
    _, _, sentences = load_data(config)
    arrays = to_arrays(sentences, numbers, config)
    inputs = {name: arrays[name] for name in ("words", "letters")}
    return model.predict(inputs, batch_size=config.batch_size, verbose=0), arrays, sentences


def evaluate(config: Config) -> dict[str, float]:
    """Measure accuracy on all, known and unknown test words; write which tags are taken for which."""
    probabilities, arrays, _ = tag_probabilities(config)
    # Padding is no tag that a word could have.
    best, true = probabilities[:, :, 1:].argmax(axis=2) + 1, arrays["tags"]
    confusion = Counter(zip(true[true != PAD].tolist(), best[true != PAD].tolist(), strict=True))
    faults = [f"{TAGS[a]} as {TAGS[b]}\t{n}" for (a, b), n in confusion.most_common() if a != b]
    (Path(config.output_dir) / "faults.tsv").write_text("\n".join(faults) + "\n", encoding="utf-8")
    is_unknown = arrays["words"] == UNKNOWN
    groups = {"": true != PAD, "_of_known": (true != PAD) & ~is_unknown, "_of_unknown": is_unknown}
    right = best == true
    return {f"accuracy{name}": float(right[group].mean()) for name, group in groups.items() if group.any()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return tag probabilities (sentences, length, num_classes); write the words with their tags."""
    probabilities, _, sentences = tag_probabilities(config)
    best = probabilities[:, :, 1:].argmax(axis=2) + 1
    lines = [
        " ".join(f"{word}_{TAGS[number]}" for (word, _), number in zip(sentence, row, strict=False))
        for sentence, row in zip(sentences, best, strict=True)
    ]
    output = Path(config.output_dir)
    (output / "tagged.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
