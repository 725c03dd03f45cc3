# SPDX-License-Identifier: Apache-2.0
"""Label abstracts with all subjects that they belong to: a convolutional network with several kernel widths.

Filters of width 2 to 5 look for short phrases, the strongest find of each filter is kept, and every
subject gets a probability of its own, so a text may have none, one or many. Rare subjects weigh more in
the loss, and each has its own threshold, chosen on the validation texts for the highest F1.

Data: `data_dir/abstracts.jsonl`, UTF-8, one JSON object per line: `text`, and `subjects`, a list of names.
"""

# %% [imports]
import argparse
import dataclasses
import json
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
    num_classes: int = 6
    vocab_size: int = 20000
    sequence_length: int = 180
    embedding_dim: int = 100
    filters: int = 64
    max_class_weight: float = 10.0
    optimizer: str = "nadam"
    loss: str = "binary_crossentropy"
    metric: str = "macro_f1_score"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 15


KERNEL_WIDTHS = (2, 3, 4, 5)


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Subjects of abstracts")
    for field in dataclasses.fields(Config):
        settings: dict = {"default": field.default}
        settings |= {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument("--" + field.name.replace("_", "-"), **settings)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write abstracts in which each subject shows by one of its phrases; later subjects are rarer."""
    rng = np.random.default_rng(config.seed)
    phrases = [
        ("neural network", "training data"),
        ("gene expression", "protein folding"),
        ("dark matter", "distant galaxies"),
        ("market prices", "interest rates"),
        ("clinical trial", "blood pressure"),
        ("carbon emissions", "sea level"),
    ]
    phrases += [(f"subject{i} alpha", f"subject{i} beta") for i in range(len(phrases), config.num_classes)]
    fillers = ("we study", "this paper shows", "results on", "a new view of", "in detail", "for many years")
    lines = []
    for _ in range(config.synthetic_samples):
        chances = np.linspace(0.5, 0.2, config.num_classes)
        subjects = np.flatnonzero(rng.random(config.num_classes) < chances)
        parts = [str(rng.choice(phrases[i])) for i in subjects] + [str(f) for f in rng.choice(fillers, 5)]
        text = " ".join(parts[i] for i in rng.permutation(len(parts)))
        lines.append(json.dumps({"text": text, "subjects": [phrases[i][0].split()[0] for i in subjects]}))
    # With very few texts a rare subject may be missing: the first one names them all.
    everything = {"text": " ".join(" ".join(pair) for pair in phrases[: config.num_classes])}
    everything["subjects"] = [pair[0].split()[0] for pair in phrases[: config.num_classes]]
    lines[0] = json.dumps(everything)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "abstracts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_data(config: Config):
    """Return (train, validation, test), each texts and 0/1 labels (texts, num_classes), and the subjects."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "abstracts.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected one JSON object with text and subjects per line")
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.strip()]
    subjects = sorted({subject for record in records for subject in record["subjects"]})
    if len(subjects) != config.num_classes:
        raise ValueError(f"{path} names {len(subjects)} subjects, num_classes is {config.num_classes}")
    labels = np.array([[s in record["subjects"] for s in subjects] for record in records], dtype="float32")
    texts = np.array([record["text"] for record in records])
    order = np.random.default_rng(config.seed).permutation(len(texts))
    cuts = [int(0.7 * len(texts)), int(0.85 * len(texts))]
    return *((texts[part], labels[part]) for part in np.split(order, cuts)), subjects


def class_weights(labels: np.ndarray, highest: float) -> np.ndarray:
    """Return how much a present subject weighs: the ratio of texts without it to those with it."""
    present = labels.sum(axis=0)
    return np.clip((len(labels) - present) / np.maximum(present, 1.0), 1.0, highest).astype("float32")


def batches_of(part, vectorizer: layers.TextVectorization, config: Config, shuffle: bool = False):
    """Return a tf.data pipeline of (word numbers, labels)."""
    dataset = tf.data.Dataset.from_tensor_slices(part)
    if shuffle:
        dataset = dataset.shuffle(len(part[0]), seed=config.seed)
    dataset = dataset.batch(config.batch_size)
    return dataset.map(lambda texts, labels: (vectorizer(texts), labels)).prefetch(tf.data.AUTOTUNE)


# %% [model]
class MultiLabelModel(keras.Model):
    """Train with a weight for each subject, which counts where the subject is present."""

    class_weights = None

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the weighted mean over texts and subjects."""
        # With an axis more, Keras's loss keeps one value for each text and subject.
        values = keras.losses.get(self.loss)(y[..., None], y_pred[..., None])
        if self.class_weights is not None:
            values = values * (1.0 + y * (self.class_weights - 1.0))
        return ops.mean(values)


def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier of word numbers."""
    words = layers.Input(shape=(config.sequence_length,), dtype="int32", name="words")
    x = layers.Embedding(config.vocab_size, config.embedding_dim)(words)
    x = layers.SpatialDropout1D(0.2)(x)
    found = []
    for width in KERNEL_WIDTHS:
        y = layers.Conv1D(config.filters, width, activation="relu")(x)
        found.append(layers.GlobalMaxPooling1D()(y))
    x = layers.Concatenate()(found)
    x = layers.Dropout(0.4)(x)
    outputs = layers.Dense(config.num_classes, activation="sigmoid")(x)
    model = MultiLabelModel(words, outputs)
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = config.learning_rate
    f1 = keras.metrics.F1Score(average="macro", threshold=0.5, name=config.metric)
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[f1])
    return model


# %% [train]
def best_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for every subject the threshold with the highest F1; the middle one of equals."""
    candidates = np.linspace(0.05, 0.95, 19)
    chosen = candidates[:, None, None] < probabilities[None]
    hits = (chosen * labels).sum(axis=1)
    f1 = 2 * hits / np.maximum(chosen.sum(axis=1) + labels.sum(axis=0), 1.0)
    is_best = f1 == f1.max(axis=0)
    return np.array([np.median(candidates[column]) for column in is_best.T])


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
    """Fit, keep the epoch with the best macro F1, choose thresholds, save all that prediction needs."""
    keras.utils.set_random_seed(config.seed)
    seen, held_out, _, subjects = load_data(config)
    vectorizer = layers.TextVectorization(
        max_tokens=config.vocab_size, output_sequence_length=config.sequence_length
    )
    vectorizer.adapt(seen[0])
    model = build_model(config)
    model.summary()
    model.class_weights = ops.convert_to_tensor(class_weights(seen[1], config.max_class_weight))
    stop = keras.callbacks.EarlyStopping(
        monitor=f"val_{config.metric}", mode="max", patience=4, restore_best_weights=True
    )
    slow_down = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2)
    history = model.fit(
        batches_of(seen, vectorizer, config, shuffle=True),
        validation_data=batches_of(held_out, vectorizer, config),
        epochs=config.epochs,
        callbacks=[stop, slow_down],
        verbose=2,
    )
    thresholds = best_thresholds(
        model.predict(batches_of(held_out, vectorizer, config), verbose=0), held_out[1]
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    saved = {
        "words": vectorizer.get_vocabulary(include_special_tokens=False),
        "subjects": subjects,
        "thresholds": thresholds.tolist(),
    }
    (output / "labels.json").write_text(json.dumps(saved), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def label_texts(config: Config, part) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return probabilities and choices, both (texts, num_classes), and the names of the subjects."""
    output = Path(config.output_dir)
    saved = json.loads((output / "labels.json").read_text(encoding="utf-8"))
    vectorizer = layers.TextVectorization(
        max_tokens=config.vocab_size,
        output_sequence_length=config.sequence_length,
        vocabulary=saved["words"],
    )
    known = {"MultiLabelModel": MultiLabelModel}
    model = keras.models.load_model(output / "model.keras", custom_objects=known, compile=False)
    probabilities = model.predict(batches_of(part, vectorizer, config), verbose=0)
    return probabilities, probabilities > np.array(saved["thresholds"]), saved["subjects"]


def evaluate(config: Config) -> dict[str, float]:
    """Measure macro and micro F1 and the share of texts labelled without a fault; save F1 by subject."""
    _, _, (texts, labels), _ = load_data(config)
    _, chosen, subjects = label_texts(config, (texts, labels))
    hits, named, true = (chosen * labels).sum(axis=0), chosen.sum(axis=0), labels.sum(axis=0)
    by_subject = 2 * hits / np.maximum(named + true, 1)
    report = [f"{s}\t{f1:.3f}\t{int(n)}" for s, f1, n in zip(subjects, by_subject, true, strict=True)]
    text = "\n".join(["subject\tf1\ttexts", *report]) + "\n"
    (Path(config.output_dir) / "f1_by_subject.tsv").write_text(text, encoding="utf-8")
    return {
        "macro_f1_score": float(by_subject.mean()),
        "micro_f1_score": float(2 * hits.sum() / max(named.sum() + true.sum(), 1)),
        "exact_match": float((chosen == (labels > 0)).all(axis=1).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return probabilities (texts, num_classes) of the test texts; write the chosen subjects of each."""
    _, _, part, _ = load_data(config)
    probabilities, chosen, subjects = label_texts(config, part)
    with open(Path(config.output_dir) / "predictions.jsonl", "w", encoding="utf-8") as file:
        for text, row in zip(part[0], chosen, strict=True):
            record = {"text": str(text), "subjects": [subjects[i] for i in np.flatnonzero(row)]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
