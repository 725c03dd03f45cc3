# SPDX-License-Identifier: Apache-2.0
"""Rank podcasts for each listener from what was played, with neural matrix factorisation and the BPR loss.

Plays say what somebody likes, never what somebody dislikes. Bayesian personalised ranking therefore only
asks that a played podcast scores above one that was not played, drawn anew each time. Half of the draws
follow popularity: beating an unknown podcast is too easy a lesson. Each listener's last discovery is the
test and the one before it validation; both are ranked against all podcasts that the listener did not know,
not against a sample of them.

Data: `data_dir/plays.csv` with the header `user,item,timestamp`, one line per play, timestamps as numbers.
Only the first play of a podcast by a listener counts; listeners with fewer than three podcasts are for
training only.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_users: int = 2000
    num_items: int = 1000
    embedding_dim: int = 32
    top_k: int = 10
    popular_share: float = 0.5
    weight_decay: float = 0.00001
    optimizer: str = "adam"
    loss: str = "bpr"
    metric: str = "hit_rate"
    learning_rate: float = 0.005
    batch_size: int = 256
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Podcast ranking with BPR")
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
    """Write `synthetic_samples` listeners with two favourite topics of six, who now and then stray."""
    rng = np.random.default_rng(config.seed)
    topics = np.arange(60) % 6
    appeal = rng.pareto(2.0, size=60) + 0.3  # few are heard by many
    rows = []
    for user in range(config.synthetic_samples):
        liked = rng.choice(6, size=2, replace=False)
        chance = appeal * np.where(np.isin(topics, liked), 1.0, 0.03)
        for item in rng.choice(60, size=int(rng.integers(8, 14)), replace=False, p=chance / chance.sum()):
            rows.append(
                [f"listener_{user}", f"podcast_{item}", int(rng.integers(1_700_000_000, 1_710_000_000))]
            )
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "plays.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["user", "item", "timestamp"], *rows])


@dataclasses.dataclass
class Histories:
    """Hold who discovered what, as numbers: `seen` for training, one held-out item a user for each test."""

    users: list[str]
    items: list[str]
    seen: list[list[int]]
    validation: dict[int, int]
    test: dict[int, int]


def read_histories(path: Path) -> Histories:
    """Return the discoveries of all users, each in order of time, the last two held out."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns user, item and timestamp")
    first: dict[str, dict[str, float]] = defaultdict(dict)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            time = float(row["timestamp"])
            first[row["user"]][row["item"]] = min(time, first[row["user"]].get(row["item"], time))
    users = sorted(first)
    items = sorted({item for played in first.values() for item in played})
    number = {item: place for place, item in enumerate(items)}
    histories = Histories(users, items, [], {}, {})
    for user, name in enumerate(users):
        played = sorted(first[name], key=lambda item: (first[name][item], item))
        order = [number[item] for item in played]
        if len(order) >= 3:
            histories.test[user] = order.pop()
            histories.validation[user] = order.pop()
        histories.seen.append(order)
    return histories


class RankingTriples(Dataset):
    """Yield (user, played item, other item); the other one is drawn anew at each access."""

    def __init__(self, histories: Histories, config: Config) -> None:
        self.pairs = [(user, item) for user, items in enumerate(histories.seen) for item in items]
        self.known = [set(items) for items in histories.seen]
        plays = np.bincount([item for _, item in self.pairs], minlength=len(histories.items))
        self.popular = torch.tensor(plays**0.75, dtype=torch.float)
        self.popular_share, self.num_items = config.popular_share, len(histories.items)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[int, int, int]:
        user, played = self.pairs[index]
        for _ in range(20):  # who has played nearly everything gets a repeated item in the end
            if torch.rand(()) < self.popular_share:
                other = int(torch.multinomial(self.popular, 1))
            else:
                other = int(torch.randint(self.num_items, ()))
            if other not in self.known[user]:
                break
        return user, played, other


def load_data(config: Config) -> tuple[Histories, dict[int, int], dict[int, int]]:
    """Return the histories, and per user the held-out item of validation and of the test."""
    if config.synthetic:
        make_synthetic(config)
    histories = read_histories(Path(config.data_dir) / "plays.csv")
    if len(histories.users) > config.num_users or len(histories.items) > config.num_items:
        found = f"{len(histories.users)} users and {len(histories.items)} items"
        raise ValueError(f"{found} exceed --num-users {config.num_users} or --num-items {config.num_items}")
    if not histories.test:
        raise ValueError("no listener has the three podcasts that a test needs")
    return histories, histories.validation, histories.test


# %% [model]
class NeuralFactorisation(nn.Module):
    """Score pairs by an inner product with learned weights beside a small network (NeuMF)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config.embedding_dim
        self.user_factors = nn.Embedding(config.num_users, size)
        self.item_factors = nn.Embedding(config.num_items, size)
        self.user_traits = nn.Embedding(config.num_users, size)
        self.item_traits = nn.Embedding(config.num_items, size)
        self.network = nn.Sequential(
            nn.Linear(2 * size, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 32), nn.ReLU()
        )
        self.score = nn.Linear(size + 32, 1)
        for table in (self.user_factors, self.item_factors, self.user_traits, self.item_traits):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return scores (pairs,)."""
        product = self.user_factors(users) * self.item_factors(items)
        deep = self.network(torch.cat([self.user_traits(users), self.item_traits(items)], dim=1))
        return self.score(torch.cat([product, deep], dim=1)).squeeze(1)


def build_model(config: Config) -> nn.Module:
    """Return the untrained ranker."""
    return NeuralFactorisation(config)


# %% [train]
def bpr(played: Tensor, other: Tensor) -> Tensor:
    """Return the negative log probability that the played item ranks above the other one."""
    return -F.logsigmoid(played - other).mean()


def hinge(played: Tensor, other: Tensor) -> Tensor:
    """Return how much the played item falls short of leading by one."""
    return F.relu(1.0 - played + other).mean()


LOSSES = {"bpr": bpr, "hinge": hinge}
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adagrad": torch.optim.Adagrad}


@torch.no_grad()
def score_all(model: nn.Module, users: list[int], known: list[list[int]], num_items: int) -> np.ndarray:
    """Return scores (users, num_items); items that a user knows score minus infinity."""
    model.eval()
    device = next(model.parameters()).device
    items = torch.arange(num_items, device=device)
    rows = [model(torch.full_like(items, user), items).cpu().numpy() for user in users]
    for row, user_known in zip(rows, known, strict=True):
        row[user_known] = -np.inf
    return np.stack(rows)


def ranking_measures(scores: np.ndarray, wanted: np.ndarray, k: int) -> dict[str, float]:
    """Return hit rate and NDCG at k for one wanted item a row; equal scores count against the model."""
    own = scores[np.arange(len(wanted)), wanted][:, None]
    rank = (scores >= own).sum(axis=1) - 1
    hit = rank < k
    return {"hit_rate": float(hit.mean()), "ndcg": float((hit / np.log2(rank + 2.0)).mean())}


def train(config: Config) -> dict[str, float]:
    """Fit on fresh triples, keep the best weights on validation, and return the last measures."""
    torch.manual_seed(config.seed)
    for name, known in ((config.loss, LOSSES), (config.optimizer, OPTIMIZERS)):
        if name not in known:
            raise ValueError(f"unknown name {name!r}; known: {', '.join(sorted(known))}")
    if config.metric not in ("hit_rate", "ndcg"):
        raise ValueError(f"unknown metric {config.metric!r}; known: hit_rate, ndcg")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    histories, validation, _ = load_data(config)
    triples = RankingTriples(histories, config)
    loader = DataLoader(triples, batch_size=config.batch_size, shuffle=True, num_workers=0)
    model = build_model(config).to(device)
    loss_function = LOSSES[config.loss]
    optimizer = OPTIMIZERS[config.optimizer](
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    users, wanted = list(validation), np.array(list(validation.values()))
    best, measures = -1.0, {}
    for epoch in range(config.epochs):
        model.train()
        total = 0.0
        for user, played, other in loader:
            user, played, other = user.to(device), played.to(device), other.to(device)
            loss = loss_function(model(user, played), model(user, other))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(user)
        scores = score_all(model, users, [histories.seen[user] for user in users], len(histories.items))
        measures = ranking_measures(scores, wanted, config.top_k)
        print(f"epoch {epoch + 1:3d}  loss {total / len(triples):.4f}  {measures}")
        if measures[config.metric] > best:
            best = measures[config.metric]
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": total / len(triples), **{f"val_{name}": value for name, value in measures.items()}}


# %% [evaluate]
def score_test(config: Config) -> tuple[np.ndarray, np.ndarray, Histories]:
    """Return scores (users, items) by the saved model, the wanted items, and the histories."""
    histories, validation, test = load_data(config)
    model = build_model(config)
    path = Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    known = [[*histories.seen[user], validation[user]] for user in test]
    scores = score_all(model, list(test), known, len(histories.items))
    return scores, np.array(list(test.values())), histories


def evaluate(config: Config) -> dict[str, float]:
    """Measure hit rate and NDCG on the last discoveries, beside those of recommending what is popular."""
    scores, wanted, histories = score_test(config)
    plays = np.bincount([i for items in histories.seen for i in items], minlength=len(histories.items))
    # A whisper of noise: many items have equal counts, and ties would count against popularity only.
    plays = plays + np.random.default_rng(config.seed).random(len(plays)) * 0.1
    popular = np.where(np.isneginf(scores), -np.inf, plays)
    measures = ranking_measures(scores, wanted, config.top_k)
    baseline = ranking_measures(popular, wanted, config.top_k)
    return {**measures, **{f"popular_{name}": value for name, value in baseline.items()}}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the numbers of the best unheard podcasts (users, top_k), best first, and save them."""
    scores, _, histories = score_test(config)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : config.top_k]
    lists = {
        histories.users[user]: [histories.items[item] for item in row]
        for user, row in zip(histories.test, best.tolist(), strict=True)
    }
    output = Path(config.output_dir)
    (output / "recommendations.json").write_text(json.dumps(lists, indent=1), encoding="utf-8")
    np.save(output / "predictions.npy", best)
    return best


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
