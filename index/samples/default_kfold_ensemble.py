# SPDX-License-Identifier: Apache-2.0
"""Predict which loans default with an ensemble of PyTorch networks, one for each fold of the data.

The rows outside the test set are cut into stratified folds. Every fold trains a network on the others
and stops by itself; the answer for a new customer is the mean of their probabilities. Out-of-fold
answers, in which no row is judged by a network that saw it, give an honest estimate and the threshold.
Defaults are rare: they weigh more in the loss, and average precision is what counts.

Data: `data_dir/loans.csv` with a header line. The column `default` is 0 or 1; every other column whose
cells are all numbers or empty is numeric, the rest are categories. Empty cells are allowed.
"""

# %% [imports]
import argparse
import copy
import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


# %% [config]
@dataclass
class Config:
    """Settings of a run."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 16
    folds: int = 5
    patience: int = 6
    dropout: float = 0.25
    weight_decay: float = 0.0001
    optimizer: str = "adam"
    loss: str = "binary_crossentropy"
    metric: str = "average_precision"
    learning_rate: float = 0.002
    batch_size: int = 64
    epochs: int = 40


TARGET = "default"


def parse_config(argv: list[str] | None = None) -> Config:
    """Fill a Config from the command line."""
    config = Config()
    parser = argparse.ArgumentParser(description="Fold ensemble for loan defaults")
    for name, value in asdict(config).items():
        if isinstance(value, bool):
            parser.add_argument("--" + name.replace("_", "-"), action="store_true")
        else:
            parser.add_argument("--" + name.replace("_", "-"), type=type(value))
    parser.set_defaults(**asdict(config))
    parser.parse_args(argv, namespace=config)
    return config


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write loans of which the riskiest quarter defaults: high rates and debts, short employment."""
    draw = np.random.default_rng(config.seed)
    count = config.synthetic_samples
    table = {
        "amount": draw.lognormal(9, 0.5, count).round(),
        "rate": draw.uniform(2, 18, count).round(2),
        "debt_to_income": draw.beta(2, 5, count).round(3),
        "age": draw.integers(20, 75, count),
        "employed_years": draw.integers(0, 30, count),
        "open_accounts": draw.integers(0, 12, count),
        "purpose": draw.permutation(np.resize(["car", "home", "travel", "business"], count)),
        "housing": draw.permutation(np.resize(["owner", "tenant", "family"], count)),
        "region": draw.permutation(np.resize(["north", "south", "west"], count)),
    }
    risk = 0.3 * table["rate"] + 6 * table["debt_to_income"] - 0.1 * table["employed_years"]
    risk = risk + 1.5 * (table["purpose"] == "business") + draw.normal(0, 0.4, count)
    table[TARGET] = (risk >= np.quantile(risk, 0.75)).astype(int)
    columns = [[str(cell) for cell in values] for values in table.values()]
    for row in draw.choice(count, count // 10, replace=False):
        columns[3][row] = ""
    path = Path(config.data_dir) / "loans.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(table), *zip(*columns, strict=True)])


def is_number(cell: str) -> bool:
    """Say whether a cell is empty or a number."""
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


class Encoder:
    """Turns columns of text into features: numbers standardised, categories one-hot.

    Medians, means and deviations come from the rows of `fit`; which categories there are, from all.
    """

    def __init__(self, columns: dict[str, list[str]], fit: np.ndarray):
        self.steps: list[tuple[str, list]] = []
        for name, cells in columns.items():
            if all(is_number(cell) for cell in cells):
                known = np.array([float(cells[row]) for row in fit if cells[row]] or [0.0])
                spread = float(known.std()) or 1.0
                self.steps.append((name, [float(np.median(known)), float(known.mean()), spread]))
            else:
                self.steps.append((name, sorted(set(cells))))

    def __call__(self, columns: dict[str, list[str]]) -> np.ndarray:
        """Return the features (rows, num_features)."""
        blocks = []
        for name, learnt in self.steps:
            if isinstance(learnt[0], str):
                blocks.append(np.array([[cell == value for value in learnt] for cell in columns[name]]))
            else:
                median, mean, spread = learnt
                numbers = np.array([float(cell) if cell else median for cell in columns[name]])
                blocks.append((numbers[:, None] - mean) / spread)
        return np.concatenate(blocks, axis=1).astype(np.float32)


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return a fold for each row; the classes are dealt out in turn, so that each fold has its share."""
    shuffle = np.random.default_rng(seed)
    assigned = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        rows = shuffle.permutation(np.flatnonzero(labels == label))
        assigned[rows] = np.arange(len(rows)) % folds
    return assigned


def load_data(config: Config):
    """Return ((x, y), folds (rows,), (x_test, y_test)): validation is a fold of the first pair."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "loans.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with a header and the column {TARGET}")
    with open(path, newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    labels = np.array([int(record[TARGET]) for record in records])
    names = [name for name in records[0] if name != TARGET]
    is_test = stratified_folds(labels, 6, config.seed) == 0
    columns = {name: [record[name].strip() for record in records] for name in names}
    features = Encoder(columns, np.flatnonzero(~is_test))(columns)
    if features.shape[1] != config.num_features:
        raise ValueError(f"the columns make {features.shape[1]} features: --num-features {features.shape[1]}")
    x, y = features[~is_test], labels[~is_test]
    folds = stratified_folds(y, min(config.folds, int(np.bincount(y).min())), config.seed + 1)
    return (x, y), folds, (features[is_test], labels[is_test])


# %% [model]
def build_model(config: Config) -> nn.Module:
    """Return one member of the ensemble; it answers with a logit (rows, 1)."""
    return nn.Sequential(
        nn.Linear(config.num_features, 64),
        nn.LayerNorm(64),
        nn.SiLU(),
        nn.Dropout(config.dropout),
        nn.Linear(64, 32),
        nn.LayerNorm(32),
        nn.SiLU(),
        nn.Dropout(config.dropout),
        nn.Linear(32, 1),
    )


# %% [train]
def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the precision-recall curve; NaN where no row is positive."""
    order = np.argsort(-scores, kind="stable")
    hits = truth[order] == 1
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean()) if hits.any() else float("nan")


def best_threshold(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the score from which on "default" gives the highest F1."""
    candidates = np.unique(scores)
    found = [(scores >= cut) for cut in candidates]
    f1 = [2 * np.sum(answer & (truth == 1)) / (answer.sum() + truth.sum()) for answer in found]
    return float(candidates[int(np.argmax(f1))])


def fit_member(config: Config, fit: tuple, check: tuple, device: torch.device) -> tuple[nn.Module, float]:
    """Return a network fitted on `fit`, as it was when its loss on `check` was lowest, and its last loss."""
    x, y = (torch.as_tensor(part, dtype=torch.float32, device=device) for part in fit)
    x_check, y_check = (torch.as_tensor(part, dtype=torch.float32, device=device) for part in check)
    losses = {"binary_crossentropy": F.binary_cross_entropy_with_logits}
    optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    if config.loss not in losses or config.optimizer not in optimizers:
        raise ValueError(f"known losses: {', '.join(losses)}; known optimizers: {', '.join(optimizers)}")
    criterion = losses[config.loss]
    # Weighs the rare class up to the same total as the other one; the root takes off the extreme.
    weight = ((len(y) - y.sum()) / y.sum().clamp(min=1)).sqrt()
    model = build_model(config).to(device)
    optimizer = optimizers[config.optimizer](
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    loader = DataLoader(TensorDataset(x, y), batch_size=config.batch_size, shuffle=True, num_workers=0)
    best, kept, waited, mean_loss = float("inf"), copy.deepcopy(model.state_dict()), 0, 0.0
    for _ in range(config.epochs):
        model.train()
        total = 0.0
        for rows, target in loader:
            loss = criterion(model(rows).squeeze(1), target, pos_weight=weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(target)
        mean_loss = total / len(y)
        model.eval()
        with torch.no_grad():
            check_loss = criterion(model(x_check).squeeze(1), y_check, pos_weight=weight).item()
        plateau.step(check_loss)
        waited += 1
        if check_loss < best:
            best, kept, waited = check_loss, copy.deepcopy(model.state_dict()), 0
        if waited > config.patience:
            break
    model.load_state_dict(kept)
    return model.eval(), mean_loss


def train(config: Config) -> dict[str, float]:
    """Fit a member for every fold and save all of them, with the threshold from the out-of-fold answers."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    (x, y), folds, _ = load_data(config)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    out_of_fold, losses, members = np.zeros(len(y)), [], {}
    for fold in range(folds.max() + 1):
        inside = folds == fold
        member, loss = fit_member(config, (x[~inside], y[~inside]), (x[inside], y[inside]), device)
        with torch.no_grad():
            out_of_fold[inside] = member(torch.from_numpy(x[inside]).to(device)).sigmoid().cpu().squeeze(1)
        members[str(fold)] = member.state_dict()
        losses.append(loss)
        precision = average_precision(y[inside], out_of_fold[inside])
        print(f"fold {fold}: loss {loss:.4f}, average precision {precision:.3f}")
    torch.save(members, output / "model.pt")
    settings = {"threshold": best_threshold(y, out_of_fold)}
    (output / "threshold.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"loss": float(np.mean(losses)), "oof_average_precision": average_precision(y, out_of_fold)}


# %% [evaluate]
def ensemble_probabilities(config: Config, x: np.ndarray) -> np.ndarray:
    """Return the mean probability (rows, 1) of all saved members."""
    members = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location="cpu")
    answers = []
    for state in members.values():
        model = build_model(config)
        model.load_state_dict(state)
        with torch.no_grad():
            answers.append(model.eval()(torch.from_numpy(x)).sigmoid())
    return torch.stack(answers).mean(0).numpy()


def evaluate(config: Config) -> dict[str, float]:
    """Measure the ensemble on the test rows: average precision, and precision and recall at the threshold."""
    _, _, (x_test, y_test) = load_data(config)
    scores = ensemble_probabilities(config, x_test)[:, 0]
    settings = json.loads((Path(config.output_dir) / "threshold.json").read_text(encoding="utf-8"))
    flagged = scores >= settings["threshold"]
    caught = float(np.sum(flagged & (y_test == 1)))
    likelihood = np.where(y_test == 1, scores, 1 - scores).clip(1e-7)
    return {
        "loss": float(-np.log(likelihood).mean()),
        "average_precision": average_precision(y_test, scores),
        "base_rate": float(y_test.mean()),
        "precision": caught / max(1, int(flagged.sum())),
        "recall": caught / max(1, int(y_test.sum())),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the default probability (rows, 1) of the test rows and save it as CSV."""
    _, _, (x_test, _) = load_data(config)
    probabilities = ensemble_probabilities(config, x_test)
    target = Path(config.output_dir) / "predictions.csv"
    np.savetxt(target, probabilities, header="default_probability", comments="", fmt="%.5f")
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
