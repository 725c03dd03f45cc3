# SPDX-License-Identifier: Apache-2.0
"""Recommend films from past ratings with two towers, one for users and one for films.

Each tower turns a number into a vector: an embedding followed by a dense layer. Their dot product,
plus a bias of user and film around the mean, is the predicted rating. Recommendations rank all films
that a user has not rated.

Data: `data_dir/ratings.csv` with the header `user,item,rating`; users and items are any texts or
numbers, ratings lie between 1 and 5.
"""

# %% [imports]
import argparse
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
    num_users: int = 1000
    num_items: int = 2000
    embedding_dim: int = 32
    top_k: int = 5
    optimizer: str = "adam"
    loss: str = "mse"
    metric: str = "mae"
    learning_rate: float = 0.002
    batch_size: int = 256
    epochs: int = 20


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Film recommendations")
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
    """Write ten ratings for each of `synthetic_samples` users with tastes of two dimensions."""
    rng = np.random.default_rng(config.seed)
    users, items = config.synthetic_samples, 40
    tastes, traits = rng.normal(size=(users, 2)), rng.normal(size=(items, 2))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "ratings.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating"])
        for user in range(users):
            for item in rng.choice(items, size=10, replace=False):
                rating = round(3 + float(tastes[user] @ traits[item]) + float(rng.normal(0, 0.3)))
                writer.writerow([f"user_{user}", f"film_{item}", min(5, max(1, rating))])


def read_ratings(config: Config) -> list[tuple[str, str, float]]:
    """Return (user, item, rating) in the order of the file."""
    path = Path(config.data_dir) / "ratings.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns user, item and rating")
    with open(path, newline="", encoding="utf-8") as file:
        return [(row["user"], row["item"], float(row["rating"])) for row in csv.DictReader(file)]


def number_names(names: list[str], size: int) -> dict[str, int]:
    """Return a number from 1 for each name; 0 is anybody who is not known."""
    return {name: number for number, name in enumerate(sorted(set(names))[: size - 1], start=1)}


def load_data(config: Config):
    """Return (train, validation, test) as dicts of users, items and ratings (rows,).

    The numbering of names comes from all rows: who has only test ratings keeps an untrained vector.
    """
    if config.synthetic:
        make_synthetic(config)
    rows = read_ratings(config)
    users = number_names([user for user, _, _ in rows], config.num_users)
    items = number_names([item for _, item, _ in rows], config.num_items)
    columns = {
        "user": np.array([users.get(user, 0) for user, _, _ in rows], dtype="int32"),
        "item": np.array([items.get(item, 0) for _, item, _ in rows], dtype="int32"),
        "rating": np.array([rating for _, _, rating in rows], dtype="float32"),
    }
    order = np.random.default_rng(config.seed).permutation(len(rows))
    bounds = [int(0.8 * len(rows)), int(0.9 * len(rows))]
    return tuple({name: values[part] for name, values in columns.items()} for part in np.split(order, bounds))


# %% [model]
def build_model(config: Config, mean_rating: float = 3.0) -> keras.Model:
    """Return the compiled network: user and item number in, rating out."""
    user = layers.Input(shape=(), dtype="int32", name="user")
    item = layers.Input(shape=(), dtype="int32", name="item")
    l2 = keras.regularizers.L2(1e-6)

    user_vector = layers.Embedding(config.num_users, config.embedding_dim, embeddings_regularizer=l2)(user)
    user_vector = layers.Dense(32, activation="relu")(user_vector)
    user_vector = layers.Dense(32)(user_vector)
    item_vector = layers.Embedding(config.num_items, config.embedding_dim, embeddings_regularizer=l2)(item)
    item_vector = layers.Dense(32, activation="relu")(item_vector)
    item_vector = layers.Dense(32)(item_vector)

    # Some users are strict and some films are loved by all: that is not a matter of taste.
    user_bias = layers.Embedding(config.num_users, 1, embeddings_initializer="zeros")(user)
    item_bias = layers.Embedding(config.num_items, 1, embeddings_initializer="zeros")(item)
    match = layers.Dot(axes=1)([user_vector, item_vector])
    outputs = layers.Add()([match, user_bias, item_bias])
    outputs = layers.Rescaling(1.0, offset=mean_rating)(outputs)
    model = keras.Model([user, item], outputs)
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
    """Fit, keep the weights of the best epoch, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    seen, held_out, _ = load_data(config)
    model = build_model(config, float(seen["rating"].mean()))
    history = model.fit(
        [seen["user"], seen["item"]],
        seen["rating"],
        validation_data=([held_out["user"], held_out["item"]], held_out["rating"]),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure the errors on the test ratings, beside those of always answering the mean."""
    seen, _, unseen = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    answers = model.predict([unseen["user"], unseen["item"]], verbose=0)[:, 0].clip(1, 5)
    errors = answers - unseen["rating"]
    return {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
        "mean_rmse": float(np.sqrt(((seen["rating"].mean() - unseen["rating"]) ** 2).mean())),
    }


# %% [predict]
def recommend(model: keras.Model, user: int, rated: np.ndarray, config: Config) -> np.ndarray:
    """Return the numbers of the best unrated items, best first."""
    known = np.arange(1, config.num_items)
    scores = model.predict([np.full_like(known, user), known], batch_size=4096, verbose=0)[:, 0]
    scores[np.isin(known, rated)] = -np.inf
    return known[np.argsort(-scores, kind="stable")[: config.top_k]]


def predict(config: Config) -> np.ndarray:
    """Return the ratings (rows, 1) of the test pairs; save them, and the best films for five users."""
    seen, _, unseen = load_data(config)
    rows = read_ratings(config)
    titles = {number: name for name, number in number_names([r[1] for r in rows], config.num_items).items()}
    names = {number: name for name, number in number_names([r[0] for r in rows], config.num_users).items()}
    output = Path(config.output_dir)
    model = keras.models.load_model(output / "model.keras")
    lists = {}
    for user in np.unique(seen["user"])[:5]:
        best = recommend(model, int(user), seen["item"][seen["user"] == user], config)
        lists[names.get(int(user), "")] = [titles[i] for i in best.tolist() if i in titles]
    (output / "recommendations.json").write_text(json.dumps(lists, indent=2), encoding="utf-8")
    ratings = model.predict([unseen["user"], unseen["item"]], verbose=0)
    np.save(output / "predictions.npy", ratings)
    return ratings


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
