# SPDX-License-Identifier: Apache-2.0
"""Find fraudulent accounts in a network of payments with GraphSAGE and neighbour sampling.

An account is judged by its own numbers and by those of the accounts it has dealt with, two steps deep. For
training, only a few neighbours of each account in the batch are drawn, so the graph may be larger than
memory for activations; for answers all neighbours count. Most accounts were never looked at: unlabelled
ones take part as neighbours and in nothing else. Fraud is rare, so the positive class weighs more, and
average precision is watched.

Data: `data_dir/accounts.csv` with the header `account,split,label` and then `num_features` numeric columns;
the split is `train`, `validation`, `test` or empty, the label 1 (fraud), 0 or empty for unknown.
`data_dir/payments.csv` with the header `source,target`: one line per payment; it is followed in both
directions.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 16
    units: int = 64
    fanout_near: int = 10
    fanout_far: int = 5
    dropout: float = 0.3
    optimizer: str = "adam"
    loss: str = "binary_crossentropy"
    metric: str = "average_precision"
    learning_rate: float = 0.003
    batch_size: int = 256
    epochs: int = 30


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="GraphSAGE for payment fraud")
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
    """Write accounts of whom some belong to rings: they pay each other, and their numbers differ a little."""
    rng = np.random.default_rng(config.seed)
    count = max(5 * config.synthetic_samples, 80)
    ring = np.where(rng.random(count) < 0.2, rng.integers(0, 4, count), -1)
    fraud = ring >= 0
    features = rng.normal(size=(count, config.num_features)) + 0.4 * fraud[:, None]
    splits = rng.choice(["train", "validation", "test", ""], size=count, p=[0.4, 0.15, 0.15, 0.3])
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "accounts.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["account", "split", "label", *(f"f{i}" for i in range(config.num_features))])
        for i in range(count):
            label = int(fraud[i]) if splits[i] else ""
            writer.writerow([f"acc{i:06d}", splits[i], label, *(f"{value:.3f}" for value in features[i])])
    with open(folder / "payments.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "target"])
        for i in range(count):
            partners = rng.integers(0, count, 2)
            if fraud[i]:
                partners = np.append(partners, rng.choice(np.flatnonzero(ring == ring[i]), 3))
            writer.writerows([f"acc{i:06d}", f"acc{j:06d}"] for j in partners if j != i)


@dataclasses.dataclass
class PaymentGraph:
    """Hold the graph in compressed rows: neighbours of i are `neighbours[starts[i]:starts[i + 1]]`."""

    accounts: list[str]
    features: np.ndarray
    labels: np.ndarray
    starts: np.ndarray
    neighbours: np.ndarray

    def sample(self, nodes: np.ndarray, fanout: int, rng: np.random.Generator) -> np.ndarray:
        """Return `fanout` neighbours (nodes, fanout) of each node with replacement; itself if it has none."""
        degree = self.starts[nodes + 1] - self.starts[nodes]
        picks = (rng.random((len(nodes), fanout)) * np.maximum(degree, 1)[:, None]).astype(int)
        places = np.minimum(self.starts[nodes][:, None] + picks, len(self.neighbours) - 1)
        return np.where(degree[:, None] > 0, self.neighbours[places], nodes[:, None])


def read_graph(config: Config) -> tuple[PaymentGraph, dict[str, np.ndarray]]:
    """Return the graph and the labelled accounts' numbers of each split."""
    folder = Path(config.data_dir)
    for name in ("accounts.csv", "payments.csv"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: expected account,split,label,... and source,target")
    with open(folder / "accounts.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if len(header) - 3 != config.num_features:
        raise ValueError(f"accounts.csv has {len(header) - 3} features, --num-features {config.num_features}")
    accounts = [row[0] for row in rows]
    number = {account: place for place, account in enumerate(accounts)}
    labels = np.array([int(row[2]) if row[2] else -1 for row in rows])
    features = np.array([row[3:] for row in rows], dtype="float32")
    with open(folder / "payments.csv", newline="", encoding="utf-8") as file:
        payments = [(row["source"], row["target"]) for row in csv.DictReader(file)]
    if not payments:
        raise ValueError("payments.csv holds no payment: there is no graph to learn from")
    if unknown := sorted({account for payment in payments for account in payment} - number.keys()):
        raise ValueError(f"payments.csv: not in accounts.csv: {', '.join(unknown[:5])}")
    pairs = [(number[source], number[target]) for source, target in payments]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)  # sorted by the source
    starts = np.searchsorted(edges[:, 0], np.arange(len(accounts) + 1))
    splits = {
        name: np.array([i for i, row in enumerate(rows) if row[1] == name and labels[i] >= 0], dtype=np.int64)
        for name in ("train", "validation", "test")
    }
    if empty := sorted(name for name, nodes in splits.items() if not len(nodes)):
        raise ValueError(f"accounts.csv: no labelled account for {', '.join(empty)}")
    mean, std = features[splits["train"]].mean(axis=0), features[splits["train"]].std(axis=0) + 1e-6
    return PaymentGraph(accounts, (features - mean) / std, labels, starts, edges[:, 1]), splits


def load_data(config: Config):
    """Return (train, validation, test), each the graph and the numbers of the accounts of the split."""
    if config.synthetic:
        make_synthetic(config)
    graph, splits = read_graph(config)
    return tuple((graph, splits[name]) for name in ("train", "validation", "test"))


# %% [model]
class SageLayer(nn.Module):
    """Join a node with the mean of its neighbours; a linear map for each, and unit length at the end."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, outputs)
        self.around = nn.Linear(inputs, outputs, bias=False)

    def forward(self, nodes: Tensor, neighbour_mean: Tensor) -> Tensor:
        """Return the new features (nodes, outputs)."""
        return F.normalize(F.relu(self.own(nodes) + self.around(neighbour_mean)), dim=-1)


class GraphSage(nn.Module):
    """Judge accounts by the features of two rings of neighbours."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.first = SageLayer(config.num_features, config.units)
        self.second = SageLayer(config.units, config.units)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.units, 1)

    def forward(self, nodes: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """Return logits (batch,); the features are (batch, f), (batch, n, f) and (batch, n, m, f)."""
        inner = self.dropout(self.first(nodes, near.mean(dim=1)))
        outer = self.dropout(self.first(near, far.mean(dim=2)))
        joined = self.dropout(self.second(inner, outer.mean(dim=1)))
        return self.classifier(joined).squeeze(-1)


def build_model(config: Config) -> nn.Module:
    """Return the untrained network."""
    return GraphSage(config)


# %% [train]
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
LOSSES = {"binary_crossentropy": nn.BCEWithLogitsLoss}


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean precision at each fraudulent account, ranked by score; 0 if none is."""
    hits = truth[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits > 0].mean()) if hits.any() else 0.0


def precision_in_top_tenth(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of frauds among the most suspect tenth: those that can be looked at."""
    return float(truth[np.argsort(-scores, kind="stable")[: max(1, len(truth) // 10)]].mean())


METRICS = {"average_precision": average_precision, "precision_in_top_tenth": precision_in_top_tenth}


@torch.no_grad()
def score_accounts(model: GraphSage, graph: PaymentGraph) -> np.ndarray:
    """Return the probability of fraud of every account, layer by layer over all of its neighbours."""
    model.eval()
    degree = np.diff(graph.starts)
    owners = torch.from_numpy(np.repeat(np.arange(len(degree)), degree))
    partners = torch.from_numpy(graph.neighbours)
    lonely = torch.from_numpy(degree == 0)[:, None]
    x = torch.from_numpy(graph.features)
    model = model.to("cpu")
    for layer in (model.first, model.second):
        total = torch.zeros_like(x).index_add_(0, owners, x[partners])
        mean = total / torch.from_numpy(np.maximum(degree, 1))[:, None]
        x = layer(x, torch.where(lonely, x, mean))
    return model.classifier(x).squeeze(-1).sigmoid().numpy()


def train(config: Config) -> dict[str, float]:
    """Fit on sampled neighbourhoods, keep the best weights and return the last measures."""
    torch.manual_seed(config.seed)
    if not (config.optimizer in OPTIMIZERS and config.loss in LOSSES and config.metric in METRICS):
        raise ValueError(f"known are {', '.join([*OPTIMIZERS, *LOSSES, *METRICS])}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    (graph, train_nodes), (_, validation_nodes), _ = load_data(config)
    features, rng = torch.from_numpy(graph.features), np.random.default_rng(config.seed)

    def gather(batch: list[int]) -> tuple[Tensor, ...]:
        nodes = np.array(batch)
        near = graph.sample(nodes, config.fanout_near, rng)
        far = graph.sample(near.ravel(), config.fanout_far, rng).reshape(*near.shape, config.fanout_far)
        targets = torch.from_numpy(graph.labels[nodes]).float()
        return features[nodes], features[near], features[far], targets

    loader = DataLoader(
        train_nodes.tolist(), batch_size=config.batch_size, shuffle=True, collate_fn=gather, num_workers=0
    )
    positives = max(1, int((graph.labels[train_nodes] == 1).sum()))
    weight = torch.tensor((len(train_nodes) - positives) / positives, device=device)
    model = build_model(config).to(device)
    criterion = LOSSES[config.loss](pos_weight=weight.clamp(1.0, 20.0))
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best = -1.0
    for epoch in range(config.epochs):
        model.train()
        model.to(device)
        losses = []
        for batch in loader:
            nodes, near, far, targets = (part.to(device) for part in batch)
            loss = criterion(model(nodes, near, far), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scores = score_accounts(model, graph)[validation_nodes]
        measure = METRICS[config.metric](scores, graph.labels[validation_nodes])
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, validation {config.metric} {measure:.3f}")
        if measure > best:
            best = measure
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": float(np.mean(losses)), f"val_{config.metric}": measure, "best": best}


# %% [evaluate]
def load_scores(config: Config) -> tuple[np.ndarray, PaymentGraph, np.ndarray]:
    """Return the scores of all accounts by the saved model, the graph, and the test accounts."""
    _, _, (graph, nodes) = load_data(config)
    model = build_model(config)
    path = Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return score_accounts(model, graph), graph, nodes


def evaluate(config: Config) -> dict[str, float]:
    """Measure how well the test accounts are ranked, beside the share of frauds among them."""
    scores, graph, nodes = load_scores(config)
    scores, truth = scores[nodes], graph.labels[nodes]
    measures = {name: metric(scores, truth) for name, metric in METRICS.items()}
    measures["fraud_rate"] = float(truth.mean())
    (Path(config.output_dir) / "metrics.json").write_text(json.dumps(measures, indent=2), encoding="utf-8")
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probability of fraud (accounts,) of the test accounts; write all accounts, worst first."""
    scores, graph, nodes = load_scores(config)
    output = Path(config.output_dir)
    with open(output / "suspects.csv", "w", newline="", encoding="utf-8") as file:
        rows = ((graph.accounts[i], f"{scores[i]:.4f}") for i in np.argsort(-scores, kind="stable"))
        csv.writer(file).writerows([("account", "probability"), *rows])
    np.save(output / "predictions.npy", scores[nodes])
    return scores[nodes]


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
