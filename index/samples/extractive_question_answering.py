# SPDX-License-Identifier: Apache-2.0
"""Answer questions by marking the span of a paragraph that holds the answer.

Question and paragraph share an embedding and a bidirectional GRU. Every word of the paragraph attends
to the question; two softmax heads say where the answer starts and where it ends. Answers that are
not in the paragraph word for word cannot be given.

Data: `data_dir/questions.json`, a list of objects with `context`, `question` and `answer`, all texts,
where the answer occurs in the context.
"""

# %% [imports]
import argparse
import dataclasses
import json
import re
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
    vocab_size: int = 20000
    context_length: int = 150
    question_length: int = 20
    max_answer_length: int = 15
    embedding_dim: int = 100
    units: int = 64
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 12


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Extractive question answering")
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
    """Write paragraphs on where three people live, and questions about one of them."""
    rng = np.random.default_rng(config.seed)
    people, towns = ("Ada", "Ben", "Cleo", "Dan", "Eva"), ("Oslo", "Lima", "Cape Town", "Kyoto", "Quito")
    items = []
    for _ in range(config.synthetic_samples):
        names, places = rng.permutation(people)[:3], rng.permutation(towns)[:3]
        facts = [f"{name} lives in {place}." for name, place in zip(names, places, strict=True)]
        asked = int(rng.integers(3))
        question = f"Where does {names[asked]} live?"
        items.append({"context": " ".join(facts), "question": question, "answer": str(places[asked])})
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "questions.json").write_text(json.dumps(items, indent=1), encoding="utf-8")


def words_of(text: str) -> list[str]:
    """Return the words and numbers of a text in lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def find_span(context: list[str], answer: list[str]) -> tuple[int, int] | None:
    """Return the first and the last place of the answer within the context."""
    for start in range(len(context) - len(answer) + 1):
        if answer and context[start : start + len(answer)] == answer:
            return start, start + len(answer) - 1
    return None


Item = tuple[list[str], list[str], tuple[int, int]]


def load_data(config: Config) -> tuple[list[Item], list[Item], list[Item]]:
    """Return (train, validation, test) as lists of context words, question words and answer span.

    Items whose answer lies beyond `context_length` are left out: nothing could be learnt from them.
    """
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "questions.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a JSON list of objects with context, question and answer")
    items: list[Item] = []
    for entry in json.loads(path.read_text(encoding="utf-8")):
        context = words_of(entry["context"])[: config.context_length]
        span = find_span(context, words_of(entry["answer"]))
        if span is not None:
            items.append((context, words_of(entry["question"])[: config.question_length], span))
    order = np.random.default_rng(config.seed).permutation(len(items))
    items = [items[i] for i in order]
    first, second = int(0.8 * len(items)), int(0.9 * len(items))
    return items[:first], items[first:second], items[second:]


def encode(items: list[Item], vocabulary: dict[str, int], config: Config):
    """Return ([contexts (n, context_length), questions (n, question_length)], [starts, ends])."""
    contexts = np.zeros((len(items), config.context_length), dtype="int32")
    questions = np.zeros((len(items), config.question_length), dtype="int32")
    for row, (context, question, _) in enumerate(items):
        contexts[row, : len(context)] = [vocabulary.get(word, 1) for word in context]
        questions[row, : len(question)] = [vocabulary.get(word, 1) for word in question]
    spans = np.array([span for _, _, span in items], dtype="int32").reshape(-1, 2)
    return [contexts, questions], [spans[:, 0], spans[:, 1]]


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled reader: start and end probabilities for every word of the context."""
    context = layers.Input(shape=(config.context_length,), dtype="int32", name="context")
    question = layers.Input(shape=(config.question_length,), dtype="int32", name="question")
    embedding = layers.Embedding(config.vocab_size, config.embedding_dim)
    reader = layers.Bidirectional(layers.GRU(config.units, return_sequences=True))
    context_words = reader(layers.Dropout(0.2)(embedding(context)))
    question_words = reader(layers.Dropout(0.2)(embedding(question)))
    # For each word of the context: the part of the question that concerns it.
    aware = layers.Attention(use_scale=True)([context_words, question_words])
    product = layers.Multiply()([context_words, aware])
    x = layers.Concatenate()([context_words, aware, product])
    x = layers.Bidirectional(layers.GRU(config.units, return_sequences=True))(x)
    x = layers.Dropout(0.2)(x)
    # Padding gets a very low score, hence no probability.
    blocked = -1e9 * ops.cast(ops.equal(context, 0), "float32")
    start = layers.Reshape((-1,))(layers.Dense(1)(x))
    start = layers.Softmax(name="start")(layers.Add()([start, blocked]))
    end = layers.Reshape((-1,))(layers.Dense(1)(x))
    end = layers.Softmax(name="end")(layers.Add()([end, blocked]))
    model = keras.Model([context, question], [start, end])
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
    model.compile(
        optimizer=optimizer,
        loss=[config.loss, config.loss],
        metrics=[[config.metric], [config.metric]],
    )
    return model


# %% [train]
def build_vocabulary(items: list[Item], size: int) -> dict[str, int]:
    """Return a number over 1 for each of the commonest words; 0 is padding, 1 unknown."""
    counts: dict[str, int] = {}
    for context, question, _ in items:
        for word in context + question:
            counts[word] = counts.get(word, 0) + 1
    words = sorted(counts, key=lambda word: (-counts[word], word))[: size - 2]
    return {word: number for number, word in enumerate(words, start=2)}


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
    """Take the vocabulary from the training items, fit, save model and vocabulary."""
    keras.utils.set_random_seed(config.seed)
    train_items, validation_items, _ = load_data(config)
    vocabulary = build_vocabulary(train_items, config.vocab_size)
    inputs, targets = encode(train_items, vocabulary, config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        inputs,
        targets,
        validation_data=encode(validation_items, vocabulary, config),
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
def answer_spans(config: Config, items: list[Item]) -> np.ndarray:
    """Return the likeliest (start, end) of each item (items, 2), ends not before starts nor too far away."""
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(output / "model.keras")
    start, end = model.predict(encode(items, vocabulary, config)[0], verbose=0)
    scores = start[:, :, None] * end[:, None, :]
    allowed = np.triu(np.ones(scores.shape[1:])) - np.triu(
        np.ones(scores.shape[1:]), config.max_answer_length
    )
    best = (scores * allowed).reshape(len(items), -1).argmax(axis=1)
    return np.stack(np.unravel_index(best, scores.shape[1:]), axis=1)


def evaluate(config: Config) -> dict[str, float]:
    """Measure exact match and word F1 of the answers to the test questions."""
    _, _, items = load_data(config)
    exact, f1 = [], []
    for (start, end), (_, _, gold) in zip(answer_spans(config, items), items, strict=True):
        exact.append((start, end) == gold)
        shared = max(0, min(end, gold[1]) - max(start, gold[0]) + 1)
        f1.append(2 * shared / ((end - start + 1) + (gold[1] - gold[0] + 1)))
    return {"exact_match": float(np.mean(exact)), "f1": float(np.mean(f1))}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the spans (questions, 2) as places of the first and last word; save the answers as JSON."""
    _, _, items = load_data(config)
    spans = answer_spans(config, items)
    answers = [
        {"question": " ".join(question), "answer": " ".join(context[start : end + 1])}
        for (context, question, _), (start, end) in zip(items, spans.tolist(), strict=True)
    ]
    output = Path(config.output_dir)
    (output / "answers.json").write_text(json.dumps(answers, indent=1), encoding="utf-8")
    np.save(output / "predictions.npy", spans)
    return spans


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
