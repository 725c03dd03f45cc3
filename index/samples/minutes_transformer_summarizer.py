# SPDX-License-Identifier: Apache-2.0
"""Turn transcripts of meetings into short minutes with a transformer encoder-decoder, written by beam search.

Every part of a block is normalised before it and not after it, which trains without warm-up of the rate.
The loss smooths the labels, so that the model is not driven to be certain of one wording among many good
ones. Training is a loop with a gradient tape; minutes are scored with ROUGE-1 and ROUGE-2.

Data: `data_dir/transcripts/*.txt` and `data_dir/minutes/*.txt`, UTF-8; files of one name belong together.
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
import tensorflow as tf
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
    vocab_size: int = 8000
    transcript_length: int = 200
    minutes_length: int = 24
    embedding_dim: int = 128
    feed_forward_dim: int = 256
    num_heads: int = 4
    num_layers: int = 2
    dropout: float = 0.1
    label_smoothing: float = 0.1
    optimizer: str = "adamw"
    loss: str = "categorical_crossentropy"
    metric: str = "rouge"
    learning_rate: float = 0.0005
    batch_size: int = 16
    epochs: int = 25
    num_beams: int = 4
    length_penalty: float = 0.7


PAD, UNKNOWN, START, END = 0, 1, 2, 3


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Minutes of meetings")
    for field in dataclasses.fields(Config):
        how = {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument("--" + field.name.replace("_", "-"), default=field.default, **how)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write talks of which one sentence decides something; the minutes repeat that decision, shortened."""
    rng = np.random.default_rng(config.seed)
    small_talk = (
        "anna: good morning everyone",
        "tom: can you hear me now",
        "li: i was late because of the train",
        "anna: next point please",
        "tom: let us take a break soon",
    )
    what, when = ("budget", "release", "survey", "contract"), ("monday", "june", "next week")
    deeds = {"approve": "approved", "postpone": "postponed", "cancel": "cancelled"}
    folders = [Path(config.data_dir) / name for name in ("transcripts", "minutes")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(config.synthetic_samples):
        deed, thing, date = rng.choice(list(deeds)), rng.choice(what), rng.choice(when)
        lines = [str(line) for line in rng.choice(small_talk, 4)]
        lines.insert(int(rng.integers(5)), f"li: so we {deed} the {thing}, starting {date}, all agreed")
        texts = ("\n".join(lines), f"{thing} {deeds[deed]} from {date}.")
        for folder, text in zip(folders, texts, strict=True):
            (folder / f"meeting_{number:04d}.txt").write_text(text + "\n", encoding="utf-8")


def split_words(text: str) -> list[str]:
    """Return words and punctuation marks in lower case."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def load_data(config: Config):
    """Return (train, validation, test), each a list of (transcript, minutes) in words."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    names = sorted(path.name for path in (root / "minutes").glob("*.txt"))
    if not names:
        raise FileNotFoundError(f"{root}: expected the folders transcripts and minutes with .txt files")
    pairs = []
    for name in names:
        texts = [(root / kind / name).read_text(encoding="utf-8") for kind in ("transcripts", "minutes")]
        transcript, minutes = map(split_words, texts)
        pairs.append((transcript[: config.transcript_length], minutes[: config.minutes_length - 1]))
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    first, second = int(0.8 * len(pairs)), int(0.9 * len(pairs))
    return tuple([pairs[i] for i in part] for part in np.split(order, [first, second]))


class Vocabulary:
    """Map words to numbers and back; one for transcripts and minutes, as minutes repeat the words."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.numbers = {word: number for number, word in enumerate(words)}

    @classmethod
    def of(cls, pairs, size: int) -> "Vocabulary":
        """Take the commonest words."""
        counts = Counter(word for pair in pairs for text in pair for word in text)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(["<pad>", "<unknown>", "<start>", "<end>", *ranked][:size])

    def encode(self, texts: list[list[str]], length: int) -> np.ndarray:
        """Return numbers (texts, length), padded at the end."""
        ids = np.full((len(texts), length), PAD, dtype="int32")
        for row, text in zip(ids, texts, strict=True):
            row[: len(text)] = [self.numbers.get(word, UNKNOWN) for word in text]
        return ids

    def decode(self, ids: np.ndarray) -> list[str]:
        """Return the words up to the end token."""
        ids = ids.tolist()
        ids = ids[: ids.index(END)] if END in ids else ids
        return [self.words[number] for number in ids if number not in (PAD, START)]


def make_dataset(pairs, vocabulary: Vocabulary, config: Config, shuffle: bool = False) -> tf.data.Dataset:
    """Return batches of (transcripts, minutes from the start token on, minutes up to the end token)."""
    minutes = [minutes for _, minutes in pairs]
    columns = (
        vocabulary.encode([transcript for transcript, _ in pairs], config.transcript_length),
        vocabulary.encode([["<start>", *text] for text in minutes], config.minutes_length),
        vocabulary.encode([[*text, "<end>"] for text in minutes], config.minutes_length),
    )
    dataset = tf.data.Dataset.from_tensor_slices(columns)
    if shuffle:
        dataset = dataset.shuffle(len(pairs), seed=config.seed, reshuffle_each_iteration=True)
    return dataset.batch(config.batch_size).prefetch(1)


# %% [model]
def words_and_places(ids, config: Config):
    """Return the sum of a vector for each word and one for its place (texts, length, embedding_dim)."""
    words = layers.Embedding(config.vocab_size, config.embedding_dim)(ids)
    places = layers.Embedding(ids.shape[1], config.embedding_dim)(ops.arange(ids.shape[1]))
    return layers.Dropout(config.dropout)(words + places)


def look(x, config: Config, memory=None, **masks):
    """Return the text after it looked at itself, or at `memory` where that is given."""
    query = layers.LayerNormalization(epsilon=1e-6)(x)
    attention = layers.MultiHeadAttention(
        num_heads=config.num_heads, key_dim=config.embedding_dim // config.num_heads
    )
    found = attention(query, query if memory is None else memory, **masks)
    return x + layers.Dropout(config.dropout)(found)


def think(x, config: Config):
    """Return the text after two dense layers worked on each word alone."""
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(config.feed_forward_dim, activation="gelu")(y)
    y = layers.Dense(config.embedding_dim)(y)
    return x + layers.Dropout(config.dropout)(y)


def build_model(config: Config) -> keras.Model:
    """Return the model: transcript and minutes so far in, scores of each next word out."""
    transcript = layers.Input(shape=(config.transcript_length,), dtype="int32", name="transcript")
    minutes = layers.Input(shape=(config.minutes_length,), dtype="int32", name="minutes")
    is_word = ops.expand_dims(ops.not_equal(transcript, PAD), axis=1)
    x = words_and_places(transcript, config)
    for _ in range(config.num_layers):
        x = look(x, config, attention_mask=is_word)
        x = think(x, config)
    memory = layers.LayerNormalization(epsilon=1e-6, name="memory")(x)
    y = words_and_places(minutes, config)
    for _ in range(config.num_layers):
        y = look(y, config, use_causal_mask=True)
        y = look(y, config, memory, attention_mask=is_word)
        y = think(y, config)
    y = layers.LayerNormalization(epsilon=1e-6)(y)
    scores = layers.Dense(config.vocab_size)(y)
    return keras.Model([transcript, minutes], scores)


# %% [train]
OPTIMIZERS = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}
LOSSES = {"categorical_crossentropy": keras.losses.CategoricalCrossentropy}


def train(config: Config) -> dict[str, float]:
    """Fit with a gradient tape and keep the weights with the lowest loss on validation meetings."""
    keras.utils.set_random_seed(config.seed)
    if config.optimizer not in OPTIMIZERS or config.loss not in LOSSES or config.metric != "rouge":
        raise ValueError(f"known are {sorted(OPTIMIZERS)}, {sorted(LOSSES)} and the metric rouge")
    pairs, held_out, _ = load_data(config)
    vocabulary = Vocabulary.of(pairs, config.vocab_size)
    batches = make_dataset(pairs, vocabulary, config, shuffle=True)
    held_out_batches = make_dataset(held_out, vocabulary, config)
    model = build_model(config)
    optimizer = OPTIMIZERS[config.optimizer](learning_rate=config.learning_rate, global_clipnorm=1.0)
    criterion = LOSSES[config.loss](
        from_logits=True, label_smoothing=config.label_smoothing, reduction="none"
    )

    def loss_of(transcript, read, write, training: bool):
        scores = model([transcript, read], training=training)
        losses = criterion(tf.one_hot(write, config.vocab_size), scores)
        weights = tf.cast(write != PAD, losses.dtype)
        return tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)

    @tf.function
    def train_step(transcript, read, write):
        with tf.GradientTape() as tape:
            loss = loss_of(transcript, read, write, training=True)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    test_step = tf.function(lambda *batch: loss_of(*batch, training=False))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "words.json").write_text(json.dumps(vocabulary.words), encoding="utf-8")
    lowest = float("inf")
    for epoch in range(config.epochs):
        loss = float(np.mean([train_step(*batch).numpy() for batch in batches]))
        held_out_loss = float(np.mean([test_step(*batch).numpy() for batch in held_out_batches]))
        print(f"epoch {epoch + 1}: loss {loss:.4f}, validation loss {held_out_loss:.4f}", flush=True)
        if held_out_loss < lowest:
            lowest = held_out_loss
            model.save(output / "model.keras")
    return {"loss": loss, "lowest_validation_loss": lowest}


# %% [evaluate]
def beam_search(model: keras.Model, transcripts: np.ndarray, known: int, config: Config) -> np.ndarray:
    """Return the best minutes (texts, minutes_length) without the start token, PAD after the end.

    All beams of all texts go through the model together. A beam's score is its log-probability divided
    by its length to the power of `length_penalty`; only the first `known` words are allowed.
    """
    count, beams, length = len(transcripts), config.num_beams, config.minutes_length
    # The model is cut in two, so that the transcripts are read only once.
    memory = model.get_layer("memory").output
    reader = keras.Model(model.inputs[0], memory)
    writer = keras.Model([memory, *model.inputs], model.output)
    predict_step = tf.function(lambda *inputs: writer(inputs, training=False))
    sources = [ops.repeat(reader(transcripts), beams, axis=0), ops.repeat(transcripts, beams, axis=0)]
    ids = np.full((count, beams, length + 1), PAD, dtype="int32")
    ids[:, :, 0] = START
    # At first all beams of a text are the same: only one may go on.
    scores = np.full((count, beams), -np.inf)
    scores[:, 0] = 0.0
    is_over = np.zeros((count, beams), dtype=bool)
    lengths = np.zeros((count, beams))
    for place in range(length):
        flat = ids[:, :, :length].reshape(count * beams, length)
        logits = predict_step(*sources, tf.constant(flat))[:, place, :known]
        log_probs = tf.nn.log_softmax(logits).numpy().reshape(count, beams, known).astype("float64")
        log_probs[:, :, [PAD, UNKNOWN, START]] = -np.inf
        # A finished beam goes on with padding, at no cost.
        log_probs[is_over] = -np.inf
        log_probs[is_over, PAD] = 0.0
        longer = lengths + ~is_over
        totals = scores[:, :, None] + log_probs
        ranked = (totals / np.maximum(longer, 1)[:, :, None] ** config.length_penalty).reshape(count, -1)
        best = np.argsort(-ranked, axis=1, kind="stable")[:, :beams]
        parents, words = best // known, best % known
        rows = np.arange(count)[:, None]
        ids = ids[rows, parents]
        ids[:, :, place + 1] = words
        scores = np.take_along_axis(totals.reshape(count, -1), best, axis=1)
        lengths = longer[rows, parents]
        is_over = is_over[rows, parents] | (words == END)
        if is_over.all():
            break
    return ids[:, 0, 1:]


def write_minutes(config: Config):
    """Return the minutes of the test meetings as numbers and as words, and the true ones."""
    output = Path(config.output_dir)
    vocabulary = Vocabulary(json.loads((output / "words.json").read_text(encoding="utf-8")))
    model = keras.models.load_model(output / "model.keras", compile=False)
    _, _, pairs = load_data(config)
    transcripts = vocabulary.encode([transcript for transcript, _ in pairs], config.transcript_length)
    parts = [
        beam_search(model, transcripts[start : start + config.batch_size], len(vocabulary.words), config)
        for start in range(0, len(transcripts), config.batch_size)
    ]
    ids = np.concatenate(parts)
    return ids, [vocabulary.decode(row) for row in ids], [minutes for _, minutes in pairs]


def evaluate(config: Config) -> dict[str, float]:
    """Measure F1 of shared words (ROUGE-1, as `rouge`) and of shared word pairs (ROUGE-2)."""
    _, written, true = write_minutes(config)
    measures = {}
    for name, size in (("rouge", 1), ("rouge_2", 2)):
        scores = []
        for texts in zip(written, true, strict=True):
            ours, gold = (Counter(zip(*(text[i:] for i in range(size)), strict=False)) for text in texts)
            scores.append(2 * (ours & gold).total() / max(ours.total() + gold.total(), 1))
        measures[name] = float(np.mean(scores))
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return minutes as word numbers (meetings, minutes_length); write them as text."""
    ids, written, _ = write_minutes(config)
    output = Path(config.output_dir)
    (output / "minutes.txt").write_text("\n".join(map(" ".join, written)) + "\n", encoding="utf-8")
    np.save(output / "predictions.npy", ids)
    return ids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
