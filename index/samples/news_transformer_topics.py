# SPDX-License-Identifier: Apache-2.0
"""Sort short news texts into topics with a transformer encoder written out in Keras layers.

Token and position embeddings, two encoder blocks (multi-head self-attention and a feed-forward part,
each with a residual connection and layer normalisation), mean over the words, softmax. The words
are numbered outside the model, with a vocabulary that is saved beside it.

Data: `data_dir/<topic>/*.txt`, one UTF-8 text per file, one folder per topic.
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
    num_classes: int = 4
    vocab_size: int = 20000
    sequence_length: int = 128
    embedding_dim: int = 64
    num_heads: int = 4
    feed_forward_dim: int = 128
    optimizer: str = "adamw"
    loss: str = "categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.0005
    batch_size: int = 32
    epochs: int = 8


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Topic classifier")
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
    """Write texts of twenty words, of which about half belong to the topic."""
    rng = np.random.default_rng(config.seed)
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        words = [
            f"topic{label}word{rng.integers(20)}" if rng.random() < 0.5 else f"common{rng.integers(50)}"
            for _ in range(20)
        ]
        folder = Path(config.data_dir) / f"topic_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index:05d}.txt").write_text(" ".join(words) + ".\n", encoding="utf-8")


def load_data(config: Config):
    """Return (train, validation, test), each a pair of a list of texts and one-hot labels."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    topics = sorted(folder for folder in root.glob("*") if folder.is_dir())
    if len(topics) != config.num_classes:
        raise FileNotFoundError(f"{root}: expected {config.num_classes} folders of .txt files, one per topic")
    files = [(path, label) for label, topic in enumerate(topics) for path in sorted(topic.glob("*.txt"))]
    order = np.random.default_rng(config.seed).permutation(len(files))
    texts = [files[i][0].read_text(encoding="utf-8") for i in order]
    numbers = np.array([files[i][1] for i in order], dtype="int32")
    labels = keras.utils.to_categorical(numbers, config.num_classes)
    first, second = int(0.75 * len(texts)), int(0.875 * len(texts))
    return (
        (texts[:first], labels[:first]),
        (texts[first:second], labels[first:second]),
        (texts[second:], labels[second:]),
    )


def make_vectorizer(config: Config, vocabulary: list[str] | None = None) -> layers.TextVectorization:
    """Return the layer that turns texts into word numbers (texts, sequence_length)."""
    return layers.TextVectorization(
        max_tokens=config.vocab_size,
        output_sequence_length=config.sequence_length,
        vocabulary=vocabulary,
    )


# %% [model]
def encoder_block(x, config: Config):
    """Return the words after looking at each other, then each by itself."""
    attention = layers.MultiHeadAttention(config.num_heads, config.embedding_dim // config.num_heads)
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(attention(x, x)))
    feed_forward = layers.Dense(config.feed_forward_dim, activation="gelu")(x)
    feed_forward = layers.Dense(config.embedding_dim)(feed_forward)
    return layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(feed_forward))


def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier of word numbers."""
    words = layers.Input(shape=(config.sequence_length,), dtype="int32")
    # Padding is masked; attention and the mean over the words take the mask from the embedding.
    x = layers.Embedding(config.vocab_size, config.embedding_dim, mask_zero=True)(words)
    positions = keras.ops.cumsum(keras.ops.ones_like(words), axis=1) - 1
    x = x + layers.Embedding(config.sequence_length, config.embedding_dim)(positions)
    x = layers.Dropout(0.1)(x)
    x = encoder_block(x, config)
    x = encoder_block(x, config)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(config.num_classes, activation="softmax")(x)
    model = keras.Model(words, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}
    )
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
    """Take the vocabulary from the training texts, fit, save model and vocabulary."""
    keras.utils.set_random_seed(config.seed)
    (train_texts, train_labels), (validation_texts, validation_labels), _ = load_data(config)
    vectorizer = make_vectorizer(config)
    vectorizer.adapt(tf.constant(train_texts))
    model = build_model(config)
    model.summary()
    history = model.fit(
        vectorizer(tf.constant(train_texts)).numpy(),
        train_labels,
        validation_data=(vectorizer(tf.constant(validation_texts)).numpy(), validation_labels),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    # Padding and unknown, the first two entries, are added again by the layer itself.
    vocabulary = vectorizer.get_vocabulary()[2:]
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def topic_probabilities(config: Config, texts: list[str]) -> np.ndarray:
    """Return class probabilities (texts, num_classes) from what `train` saved."""
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    vectorizer = make_vectorizer(config, vocabulary)
    model = keras.models.load_model(output / "model.keras")
    return model.predict(vectorizer(tf.constant(texts)).numpy(), verbose=0)


def evaluate(config: Config) -> dict[str, float]:
    """Measure accuracy and log loss on the test texts."""
    _, _, (texts, labels) = load_data(config)
    probabilities = topic_probabilities(config, texts)
    topics = labels.argmax(axis=1)
    likelihood = probabilities[np.arange(len(topics)), topics]
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == topics)),
        "log_loss": float(-np.log(likelihood + 1e-9).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (texts, num_classes) of the test texts and save them."""
    _, _, (texts, _) = load_data(config)
    probabilities = topic_probabilities(config, texts)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
