# SPDX-License-Identifier: Apache-2.0
"""Choose the right answer of an exam question about a text: multiple-choice reading with a BERT-like encoder.

Passage, question and one option at a time form one sequence, `[CLS] passage [SEP] question option [SEP]`. The
encoder reads the sequences of all options with the same weights; one number for each, softmax over the
options. Every token carries its role and whether it occurs on the other side too, which lets a network
without pretraining find the place in the passage.

Data: `data_dir/{train,dev,test}/*.json`, one passage per file in RACE's format: `{"article": text,
"questions": [text], "options": [[text, ...]], "answers": ["B"]}`, with `num_classes` options for each.
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
    num_classes: int = 4
    vocab_size: int = 10000
    sequence_length: int = 160
    embedding_dim: int = 96
    num_heads: int = 4
    feed_forward_dim: int = 192
    num_layers: int = 2
    dropout: float = 0.1
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.0005
    warmup_share: float = 0.1
    batch_size: int = 8
    epochs: int = 15


PAD, UNKNOWN, CLS, SEP = range(4)
# Roles: 0 padding and marks, then passage, question and option, each without and with a twin elsewhere.
PASSAGE, QUESTION, OPTION = 1, 3, 5
NUM_ROLES = 7


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Multiple-choice reading comprehension")
    for field in dataclasses.fields(Config):
        keywords = {"type": field.type, "default": field.default}
        if field.type is bool:
            keywords = {"action": "store_true"}
        parser.add_argument(f"--{field.name.replace('_', '-')}", **keywords)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
@dataclasses.dataclass
class Item:
    """Hold a question with its passage and options in words; `answer` is the place of the right option."""

    passage: list[str]
    question: list[str]
    options: list[list[str]]
    answer: int
    name: str


def make_synthetic(config: Config) -> None:
    """Write passages on what two people bought; at times a wrong option is what the other one bought."""
    rng = np.random.default_rng(config.seed)
    people = ("Anna", "Boris", "Clara", "David")
    goods = ("apples", "books", "candles", "drums", "envelopes", "flowers", "gloves", "hats", "ink", "jars")
    splits = ["train"] * 6 + ["dev", "test"]
    for number in range(max(len(splits), config.synthetic_samples // 2)):
        buyers = rng.permutation(people)[:2]
        bought = rng.permutation(goods)
        article = "It was market day. " + " ".join(
            f"{name} bought {thing} there." for name, thing in zip(buyers, bought, strict=False)
        )
        questions, options, answers = [], [], []
        for name, thing in zip(buyers, bought, strict=False):
            wrong = [str(other) for other in bought[2:]]
            if rng.random() < 0.3:
                wrong[0] = str(bought[1] if thing == bought[0] else bought[0])
            wrong = [wrong[i] for i in rng.permutation(config.num_classes - 1)]
            place = int(rng.integers(config.num_classes))
            questions.append(f"What did {name} buy?")
            options.append([*wrong[:place], str(thing), *wrong[place:]])
            answers.append("ABCDEFGH"[place])
        folder = Path(config.data_dir) / splits[number % len(splits)]
        folder.mkdir(parents=True, exist_ok=True)
        record = {"article": article, "questions": questions, "options": options, "answers": answers}
        (folder / f"{number:04d}.json").write_text(json.dumps(record), encoding="utf-8")


def read_folder(folder: Path, num_options: int) -> list[Item]:
    """Return the questions of all passages in a folder; those with another number of options are left out."""
    items = []
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        words = [re.findall(r"\w+", record["article"].lower())]
        rows = zip(record["questions"], record["options"], record["answers"], strict=True)
        for place, (question, options, letter) in enumerate(rows):
            if len(options) == num_options:
                texts = [re.findall(r"\w+", text.lower()) for text in (question, *options)]
                items.append(
                    Item(words[0], texts[0], texts[1:], ord(letter) - ord("A"), f"{path.stem}:{place}")
                )
    if not items:
        raise FileNotFoundError(f"{folder}: expected JSON files with article, questions, options and answers")
    return items


def load_data(config: Config) -> tuple[list[Item], list[Item], list[Item]]:
    """Return the questions of (train, validation, test)."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    train_items, dev_items, test_items = (
        read_folder(root / name, config.num_classes) for name in ("train", "dev", "test")
    )
    return train_items, dev_items, test_items


def encode_pair(item: Item, option: list[str], vocabulary: dict[str, int], length: int):
    """Return token numbers and roles of one option's sequence; the passage is cut where it is too long."""
    room = max(0, length - 3 - len(item.question) - len(option))
    passage = item.passage[:room]
    asked = {*item.question, *option}
    told = set(passage)
    ids, roles = [CLS], [0]
    for words, role, others in (
        (passage, PASSAGE, asked),
        (None, 0, None),
        (item.question, QUESTION, told),
        (option, OPTION, told),
        (None, 0, None),
    ):
        if words is None:
            ids.append(SEP)
            roles.append(0)
        else:
            ids += [vocabulary.get(word, UNKNOWN) for word in words]
            roles += [role + (word in others) for word in words]
    return ids[:length], roles[:length]


class ExamBatches(keras.utils.PyDataset):
    """Encode questions batch by batch: ([tokens, roles], answers), tokens (batch, options, length)."""

    def __init__(self, items, vocabulary, config: Config, shuffle: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.items, self.vocabulary, self.config, self.shuffle = items, vocabulary, config, shuffle
        self.rng = np.random.default_rng(config.seed)
        self.order = np.arange(len(items))
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.items) / self.config.batch_size)

    def __getitem__(self, number: int):
        start = number * self.config.batch_size
        chosen = [self.items[i] for i in self.order[start : start + self.config.batch_size]]
        shape = (2, len(chosen), self.config.num_classes, self.config.sequence_length)
        inputs = np.zeros(shape, dtype="int32")
        for i, item in enumerate(chosen):
            for j, option in enumerate(item.options):
                for kind, row in enumerate(encode_pair(item, option, self.vocabulary, shape[-1])):
                    inputs[kind, i, j, : len(row)] = row
        return (inputs[0], inputs[1]), np.array([item.answer for item in chosen], dtype="int32")

    def on_epoch_end(self) -> None:
        """Draw a new order for the next epoch."""
        if self.shuffle:
            self.rng.shuffle(self.order)


# %% [model]
def encoder_layer(x, visible, config: Config):
    """Return the tokens after self-attention and two dense layers, normalised after each, as in BERT."""
    attention = layers.MultiHeadAttention(config.num_heads, config.embedding_dim // config.num_heads)
    attended = layers.Dropout(config.dropout)(attention(x, x, attention_mask=visible))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, attended]))
    y = layers.Dense(config.feed_forward_dim, activation="gelu")(x)
    y = layers.Dropout(config.dropout)(layers.Dense(config.embedding_dim)(y))
    return layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))


def build_model(config: Config) -> keras.Model:
    """Return the compiled reader: probabilities of the options."""
    shape = (config.num_classes, config.sequence_length)
    tokens = layers.Input(shape=shape, dtype="int32", name="tokens")
    roles = layers.Input(shape=shape, dtype="int32", name="roles")
    # The options of all questions go through the encoder as one large batch.
    ids = ops.reshape(tokens, (-1, config.sequence_length))
    kinds = ops.reshape(roles, (-1, config.sequence_length))
    visible = ops.expand_dims(ops.not_equal(ids, PAD), axis=1)
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    x = layers.Embedding(config.vocab_size, config.embedding_dim)(ids)
    y = layers.Embedding(NUM_ROLES, config.embedding_dim)(kinds)
    z = layers.Embedding(config.sequence_length, config.embedding_dim)(places)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y, z]))
    x = layers.Dropout(config.dropout)(x)
    for _ in range(config.num_layers):
        x = encoder_layer(x, visible, config)
    x = layers.Dense(config.embedding_dim, activation="tanh")(x[:, 0])
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dense(1)(x)
    x = layers.Reshape((config.num_classes,))(ops.reshape(x, (-1, config.num_classes)))
    outputs = layers.Softmax()(x)
    model = keras.Model([tokens, roles], outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate, "clipnorm": 1.0}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


# %% [train]
class WarmUp(keras.callbacks.Callback):
    """Raise the learning rate batch by batch to its height, then let it fall in a straight line."""

    def __init__(self, height: float, warmup_steps: int, total_steps: int) -> None:
        super().__init__()
        self.height, self.warmup_steps, self.total_steps = height, warmup_steps, total_steps
        self.step = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Set the rate of this batch."""
        rise = (self.step + 1) / self.warmup_steps
        fall = (self.total_steps - self.step) / max(1, self.total_steps - self.warmup_steps)
        self.model.optimizer.learning_rate = self.height * min(rise, fall)
        self.step += 1


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
    """Fit, keep the epoch that answers most validation questions, save model and vocabulary."""
    keras.utils.set_random_seed(config.seed)
    items, held_out, _ = load_data(config)
    counts: Counter[str] = Counter()
    for item in items:
        for words in (item.passage, item.question, *item.options):
            counts.update(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[: config.vocab_size - 4]
    vocabulary = {word: number for number, word in enumerate(ranked, start=4)}
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    batches = ExamBatches(items, vocabulary, config, shuffle=True)
    steps = len(batches) * config.epochs
    model = build_model(config)
    model.summary()
    best_only = keras.callbacks.ModelCheckpoint(
        output / "model.keras", monitor=f"val_{config.metric}", mode="max", save_best_only=True
    )
    warm_up = WarmUp(config.learning_rate, max(1, int(config.warmup_share * steps)), steps)
    history = model.fit(
        batches,
        validation_data=ExamBatches(held_out, vocabulary, config),
        epochs=config.epochs,
        callbacks=[warm_up, best_only],
        verbose=2,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def option_probabilities(config: Config) -> tuple[np.ndarray, list[Item]]:
    """Return probabilities (questions, num_classes) of the test questions, and the questions."""
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(output / "model.keras")
    _, _, items = load_data(config)
    return model.predict(ExamBatches(items, vocabulary, config), verbose=0), items


def evaluate(config: Config) -> dict[str, float]:
    """Measure accuracy on the test questions; guessing, and always one letter, for comparison."""
    probabilities, items = option_probabilities(config)
    answers = np.array([item.answer for item in items])
    return {
        "accuracy": float((probabilities.argmax(axis=1) == answers).mean()),
        "accuracy_of_guessing": 1 / config.num_classes,
        "accuracy_of_one_letter": float(np.bincount(answers).max() / len(answers)),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return option probabilities (questions, num_classes); write the chosen letters by question."""
    probabilities, items = option_probabilities(config)
    letters = {
        item.name: chr(ord("A") + int(row.argmax())) for item, row in zip(items, probabilities, strict=True)
    }
    (Path(config.output_dir) / "answers.json").write_text(json.dumps(letters, indent=1), encoding="utf-8")
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
