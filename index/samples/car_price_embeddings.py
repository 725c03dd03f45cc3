# SPDX-License-Identifier: Apache-2.0
"""Price used cars with a PyTorch network: embeddings for make, model and fuel, one-cycle training.

The target is the logarithm of the price, standardised: an error of ten per cent then costs the same for
a small car and a limousine. Each categorical column has an embedding whose index 0 means "never seen",
and training sometimes replaces a category by it, so that this row of the table is learnt as well.

Data: `data_dir/cars.csv` with the header `make,model,fuel,gearbox,seller,year,mileage,power,doors,price`;
the first five are texts, the others numbers; rows without a price are skipped.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; `max_categories` bounds the embedding tables, rarer values share index 0."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    max_categories: int = 50
    embedding_dim: int = 8
    hidden: int = 128
    category_dropout: float = 0.02
    patience: int = 12
    optimizer: str = "adamw"
    loss: str = "mean_squared_error"
    metric: str = "mean_absolute_error"
    learning_rate: float = 0.005
    batch_size: int = 128
    epochs: int = 60


CATEGORIES = ("make", "model", "fuel", "gearbox", "seller")
NUMBERS = ("year", "mileage", "power", "doors")


def parse_config(argv: list[str] | None = None) -> Config:
    """Return the settings with what the command line changes."""
    parser = argparse.ArgumentParser(description="Used car prices")
    for name, kind in Config.__annotations__.items():
        option = f"--{name}".replace("_", "-")
        if kind in (bool, "bool"):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=kind, default=argparse.SUPPRESS)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write cars that lose value with age and mileage and whose make sets the level."""
    rng = np.random.default_rng(config.seed)
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    levels = {"Alder": 9.2, "Birch": 9.8, "Cedar": 10.4, "Dogwood": 9.5}
    with open(Path(config.data_dir) / "cars.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*CATEGORIES, *NUMBERS, "price"])
        writer.writeheader()
        for _ in range(config.synthetic_samples):
            make = str(rng.choice(list(levels)))
            size = int(rng.integers(1, 4))
            year, mileage = int(rng.integers(2005, 2025)), int(rng.integers(1, 200)) * 1000
            power = 60 + 30 * size + int(rng.integers(0, 30))
            log_price = levels[make] + 0.15 * size + 0.06 * (year - 2015) - mileage / 300_000
            row = {
                "make": make,
                "model": f"{make} {size}",
                "fuel": rng.choice(["petrol", "diesel", "electric"]),
            }
            row |= {
                "gearbox": rng.choice(["manual", "automatic"]),
                "seller": rng.choice(["dealer", "private"]),
            }
            row |= {"year": year, "mileage": mileage, "power": power, "doors": int(rng.choice([3, 5]))}
            writer.writerow(row | {"price": round(math.exp(log_price + rng.normal(0, 0.05)))})


def read_cars(path: Path) -> list[dict[str, str]]:
    """Return the rows that have a price."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected a CSV file, header {','.join([*CATEGORIES, *NUMBERS, 'price'])}"
        )
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["price"].strip()]


def fit_encoding(rows: list[dict[str, str]], limit: int) -> dict[str, dict]:
    """Return what training rows teach: indices of categories, mean and deviation of numbers and target."""
    encoding: dict[str, dict] = {}
    for name in CATEGORIES:
        counts: dict[str, int] = {}
        for row in rows:
            counts[row[name]] = counts.get(row[name], 0) + 1
        common = sorted(counts, key=lambda value: (-counts[value], value))[: limit - 1]
        encoding[name] = {value: place for place, value in enumerate(common, start=1)}
    for name in NUMBERS:
        column = np.array([float(row[name]) for row in rows])
        encoding[name] = {"mean": float(column.mean()), "std": float(column.std()) or 1.0}
    logs = np.log([float(row["price"]) for row in rows])
    encoding["price"] = {"mean": float(logs.mean()), "std": float(logs.std()) or 1.0}
    return encoding


class CarDataset(Dataset):
    """Rows as (category indices (5,), standardised numbers (4,), standardised log price ())."""

    def __init__(self, rows: list[dict[str, str]], encoding: dict[str, dict]):
        indices = [[encoding[name].get(row[name], 0) for name in CATEGORIES] for row in rows]
        numbers = [
            [(float(row[name]) - encoding[name]["mean"]) / encoding[name]["std"] for name in NUMBERS]
            for row in rows
        ]
        target = encoding["price"]
        logs = [(math.log(float(row["price"])) - target["mean"]) / target["std"] for row in rows]
        self.indices = torch.tensor(indices, dtype=torch.long)
        self.numbers = torch.tensor(numbers, dtype=torch.float32)
        self.logs = torch.tensor(logs, dtype=torch.float32)
        self.encoding = encoding

    def __len__(self) -> int:
        return len(self.logs)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.indices[row], self.numbers[row], self.logs[row]


def load_data(config: Config) -> tuple[CarDataset, CarDataset, CarDataset]:
    """Return (train, validation, test), all encoded by what the training rows teach."""
    if config.synthetic:
        make_synthetic(config)
    rows = read_cars(Path(config.data_dir) / "cars.csv")
    order = np.random.default_rng(config.seed).permutation(len(rows))
    rows = [rows[place] for place in order]
    tenth = max(1, len(rows) // 10)
    test, validation, rest = rows[:tenth], rows[tenth : 2 * tenth], rows[2 * tenth :]
    encoding = fit_encoding(rest, config.max_categories)
    return CarDataset(rest, encoding), CarDataset(validation, encoding), CarDataset(test, encoding)


def to_money(logs: np.ndarray, config: Config) -> np.ndarray:
    """Turn standardised log prices back into prices."""
    text = (Path(config.output_dir) / "encoding.json").read_text(encoding="utf-8")
    scale = json.loads(text)["price"]
    return np.exp(logs * scale["std"] + scale["mean"])


# %% [model]
class PriceNetwork(nn.Module):
    """Embeddings and numbers side by side, then two hidden layers."""

    def __init__(self, config: Config):
        super().__init__()
        self.category_dropout = config.category_dropout
        self.make = nn.Embedding(config.max_categories, config.embedding_dim)
        self.model = nn.Embedding(config.max_categories, config.embedding_dim)
        self.fuel = nn.Embedding(config.max_categories, config.embedding_dim)
        self.gearbox = nn.Embedding(config.max_categories, config.embedding_dim)
        self.seller = nn.Embedding(config.max_categories, config.embedding_dim)
        joined = len(CATEGORIES) * config.embedding_dim + len(NUMBERS)
        self.layers = nn.Sequential(
            nn.Linear(joined, config.hidden),
            nn.ReLU(),
            nn.BatchNorm1d(config.hidden),
            nn.Dropout(0.1),
            nn.Linear(config.hidden, config.hidden // 2),
            nn.ReLU(),
            nn.Linear(config.hidden // 2, 1),
        )

    def forward(self, indices: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return standardised log prices (rows, 1)."""
        if self.training:
            forgotten = torch.rand(indices.shape, device=indices.device) < self.category_dropout
            indices = indices.masked_fill(forgotten, 0)
        make, model, fuel, gearbox, seller = indices.unbind(dim=1)
        parts = [
            self.make(make),
            self.model(model),
            self.fuel(fuel),
            self.gearbox(gearbox),
            self.seller(seller),
        ]
        return self.layers(torch.cat([*parts, numbers], dim=1))


def build_model(config: Config) -> nn.Module:
    """Return the network with small embeddings: large ones would drown the numbers at the start."""
    network = PriceNetwork(config)
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.05)
    return network


# %% [train]
class EarlyStopping:
    """Keep the best weights on disk and say when there was no better epoch for a while."""

    def __init__(self, path: Path, patience: int):
        self.path, self.patience = path, patience
        self.best, self.bad_epochs = math.inf, 0

    def __call__(self, value: float, model: nn.Module) -> bool:
        """Take an epoch's value, lower is better; true means stop."""
        if value < self.best:
            self.best, self.bad_epochs = value, 0
            torch.save(model.state_dict(), self.path)
        else:
            self.bad_epochs += 1
        return self.bad_epochs >= self.patience


def chosen(name: str, known: dict, what: str):
    """Return the entry of a table, or say which there are."""
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; known: {', '.join(sorted(known))}")
    return known[name]


def answers(model: nn.Module, dataset: CarDataset, device: torch.device) -> np.ndarray:
    """Return the standardised log prices (rows, 1) that the network gives."""
    model.eval()
    with torch.inference_mode():
        return model(dataset.indices.to(device), dataset.numbers.to(device)).cpu().numpy()


def train(config: Config) -> dict[str, float]:
    """Fit with a one-cycle schedule, which ends after `epochs` unless validation stops improving before."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_set, validation_set, _ = load_data(config)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "encoding.json").write_text(json.dumps(train_set.encoding, indent=1), encoding="utf-8")
    # A last batch of one row would stop BatchNorm.
    ragged = len(train_set) % config.batch_size == 1 and len(train_set) > 1
    loader = DataLoader(
        train_set, batch_size=config.batch_size, shuffle=True, num_workers=0, drop_last=ragged
    )
    model = build_model(config).to(device)
    losses = {"mean_squared_error": nn.MSELoss, "huber": nn.HuberLoss, "mean_absolute_error": nn.L1Loss}
    criterion = chosen(config.loss, losses, "loss")()
    optimizers = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    optimizer = chosen(config.optimizer, optimizers, "optimizer")(model.parameters(), lr=config.learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        epochs=config.epochs,
        steps_per_epoch=len(loader),
        pct_start=0.3,
    )
    stop = EarlyStopping(output / "model.pt", config.patience)
    truth = to_money(validation_set.logs.numpy(), config)
    result: dict[str, float] = {}
    for epoch in range(config.epochs):
        model.train()
        total = count = 0.0
        for indices, numbers, target in loader:
            answer = model(indices.to(device), numbers.to(device))
            loss = criterion(answer.squeeze(1), target.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
            total, count = total + loss.item() * len(target), count + len(target)
        found = to_money(answers(model, validation_set, device)[:, 0], config)
        result = {"loss": total / count, "val_mae": float(np.abs(found - truth).mean())}
        print(f"{epoch + 1:3d}  loss {result['loss']:.4f}  MAE {result['val_mae']:.0f}")
        if stop(result["val_mae"], model):
            print(f"no better epoch for {config.patience}: stopped")
            break
    return result


# %% [evaluate]
def test_prices(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return found and true prices of the test cars, each (cars, 1)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _, _, test_set = load_data(config)
    model = build_model(config).to(device)
    path = Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    found = to_money(answers(model, test_set, device), config)
    return found, to_money(test_set.logs.numpy()[:, None], config)


def evaluate(config: Config) -> dict[str, float]:
    """Measure errors in money and in per cent on the test cars."""
    found, truth = test_prices(config)
    return {
        "mean_absolute_error": float(np.abs(found - truth).mean()),
        "median_percentage_error": float(np.median(np.abs(found / truth - 1)) * 100),
        "rmsle": float(np.sqrt(np.mean((np.log1p(found) - np.log1p(truth)) ** 2))),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the prices (cars, 1) of the test cars; writes them beside the true ones."""
    found, truth = test_prices(config)
    with open(Path(config.output_dir) / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["predicted", "actual"])
        writer.writerows(
            [round(float(a)), round(float(b))] for a, b in zip(found[:, 0], truth[:, 0], strict=True)
        )
    return found


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
