# SPDX-License-Identifier: Apache-2.0
"""Guess the next article that a visitor of a web shop looks at from the clicks so far (GRU4Rec).

Most visitors are not logged in, so all that is known of them is the session. Each session is cut into all
of its beginnings; a recurrent network reads one and gives every article a probability. Articles at random
places are left out while training, so that one stray click does not throw the answer off, and the weights
that are kept are an exponential moving average. Sessions are split by the time at which they start: a shop
recommends for tomorrow.

Data: `data_dir/clicks.csv` with the header `session,timestamp,item`, one line per click in any order,
timestamps as numbers.
"""

# %% [imports]
import argparse
import collections
import csv
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
    vocab_size: int = 1000
    sequence_length: int = 20
    embedding_dim: int = 64
    units: int = 100
    click_dropout: float = 0.1
    ema_momentum: float = 0.97
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "sparse_top_k_categorical_accuracy"
    learning_rate: float = 0.003
    batch_size: int = 128
    epochs: int = 15


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Next click with a GRU")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


Session = list[str]


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write sessions that walk along five shelves of eight articles and now and then change the shelf."""
    rng = np.random.default_rng(config.seed)
    lines = []
    for number in range(config.synthetic_samples):
        now = 1_700_000_000 + 600 * number
        shelf, place = int(rng.integers(5)), int(rng.integers(8))
        for _ in range(int(rng.integers(3, 9))):
            lines.append((f"s{number:06d}", now, f"article_{shelf}{place}"))
            now += int(rng.integers(5, 90))
            place = (place + 1) % 8
            if rng.random() < 0.15:
                shelf, place = int(rng.integers(5)), int(rng.integers(8))
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "clicks.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("session", "timestamp", "item"))
        writer.writerows(lines[i] for i in rng.permutation(len(lines)))


def read_sessions(path: Path) -> list[Session]:
    """Return the sessions of two clicks or more in the order in which they start."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns session, timestamp and item")
    clicks: dict[str, list[tuple[float, str]]] = collections.defaultdict(list)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            clicks[row["session"]].append((float(row["timestamp"]), row["item"]))
    ordered = sorted(sorted(session) for session in clicks.values())
    # A reload of the same page is no choice of the visitor.
    sessions = [[item for i, (_, item) in enumerate(s) if i == 0 or item != s[i - 1][1]] for s in ordered]
    return [session for session in sessions if len(session) > 1]


def load_data(config: Config) -> tuple[list[Session], list[Session], list[Session]]:
    """Return (train, validation, test) sessions: the latest tenth is the test, the one before validation."""
    if config.synthetic:
        make_synthetic(config)
    sessions = read_sessions(Path(config.data_dir) / "clicks.csv")
    held_out = max(1, len(sessions) // 10)
    if len(sessions) < 3:
        raise ValueError(f"{len(sessions)} sessions of two clicks or more are too few to split")
    return sessions[: -2 * held_out], sessions[-2 * held_out : -held_out], sessions[-held_out:]


def count_articles(sessions: list[Session], config: Config) -> dict[str, int]:
    """Return the numbers (from 1; 0 is padding) of the most clicked articles of the training sessions."""
    counts = collections.Counter(item for session in sessions for item in session)
    ranked = sorted(counts, key=lambda item: (-counts[item], item))
    return {item: number for number, item in enumerate(ranked[: config.vocab_size - 1], start=1)}


class Beginnings(keras.utils.PyDataset):
    """Serve (beginning of a session, next article) in batches; articles without a number are skipped."""

    def __init__(
        self, sessions: list[Session], numbers: dict[str, int], config: Config, training: bool
    ) -> None:
        super().__init__()
        self.config, self.training = config, training
        self.rng = np.random.default_rng(config.seed)
        self.rows: list[tuple[list[int], int]] = []
        for session in sessions:
            known = [numbers[item] for item in session if item in numbers]
            self.rows += [(known[:end], known[end]) for end in range(1, len(known))]
        self.on_epoch_end()

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.rows) // self.config.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return clicks (rows, sequence_length), padded in front, and the articles that follow (rows,)."""
        start = index * self.config.batch_size
        chosen = [self.rows[i] for i in self.order[start : start + self.config.batch_size]]
        clicks = np.zeros((len(chosen), self.config.sequence_length), dtype="int32")
        for row, (beginning, _) in enumerate(chosen):
            if self.training and len(beginning) > 1:
                # The last click says most: it always stays.
                stays = self.rng.random(len(beginning)) >= self.config.click_dropout
                stays[-1] = True
                beginning = [item for item, stay in zip(beginning, stays, strict=True) if stay]
            recent = beginning[-self.config.sequence_length :]
            clicks[row, -len(recent) :] = recent
        return clicks, np.array([following for _, following in chosen], dtype="int32")

    def on_epoch_end(self) -> None:
        """Shuffle the rows anew for training; otherwise keep their order."""
        count = len(self.rows)
        self.order = self.rng.permutation(count) if self.training else np.arange(count)


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled network: article numbers in, a probability for each article out."""
    clicks = layers.Input(shape=(config.sequence_length,), dtype="int32")
    x = layers.Embedding(config.vocab_size, config.embedding_dim, mask_zero=True)(clicks)
    x = layers.SpatialDropout1D(0.2)(x)
    x = layers.GRU(config.units)(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(config.embedding_dim, activation="tanh")(x)
    following = layers.Dense(config.vocab_size, activation="softmax")(x)
    model = keras.Model(clicks, following, name="gru4rec")
    average = {"use_ema": True, "ema_momentum": config.ema_momentum}
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate, **average}}
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
    """Fit, save the averaged weights and the article numbers, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_sessions, validation_sessions, _ = load_data(config)
    numbers = count_articles(train_sessions, config)
    validation = Beginnings(validation_sessions, numbers, config, training=False)
    model = build_model(config)
    model.summary()
    history = model.fit(
        Beginnings(train_sessions, numbers, config, training=True),
        validation_data=validation if len(validation) else None,
        epochs=config.epochs,
        # Validation measures the averaged weights, and with them the fit ends.
        callbacks=[keras.callbacks.SwapEMAWeights(), keras.callbacks.TerminateOnNaN()],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "articles.json").write_text(json.dumps(numbers), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure on every click of the latest sessions: recall at 5 and 20, and the mean reciprocal rank."""
    _, _, sessions = load_data(config)
    output = Path(config.output_dir)
    numbers = json.loads((output / "articles.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(output / "model.keras")
    ranks: list[int] = []
    batches = Beginnings(sessions, numbers, config, training=False)
    for clicks, following in (batches[i] for i in range(len(batches))):
        chances = model.predict_on_batch(clicks)
        chances[:, 0] = -1.0  # padding is no article
        own = chances[np.arange(len(following)), following]
        ranks += (chances >= own[:, None]).sum(axis=1).tolist()
    places = np.array(ranks or [config.vocab_size], dtype=float)
    return {
        "recall_at_5": float((places <= 5).mean()),
        "recall_at_20": float((places <= 20).mean()),
        "mean_reciprocal_rank": float((1.0 / places).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the chance of each article (sessions, vocab_size) to come next in the test sessions."""
    _, _, sessions = load_data(config)
    output = Path(config.output_dir)
    numbers = json.loads((output / "articles.json").read_text(encoding="utf-8"))
    clicks = np.zeros((len(sessions), config.sequence_length), dtype="int32")
    for row, session in enumerate(sessions):
        recent = [numbers[item] for item in session if item in numbers][-config.sequence_length :]
        clicks[row, config.sequence_length - len(recent) :] = recent
    chances = keras.models.load_model(output / "model.keras").predict(clicks, verbose=0)
    names = {number: item for item, number in numbers.items()}
    best = np.argsort(-chances[:, 1:], axis=1, kind="stable")[:, :10] + 1
    with open(output / "next_articles.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names[i] for i in row if i in names] for row in best.tolist())
    np.save(output / "predictions.npy", chances)
    return chances


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
