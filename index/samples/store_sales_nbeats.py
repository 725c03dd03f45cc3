# SPDX-License-Identifier: Apache-2.0
"""Forecast two weeks of daily sales of every store with N-BEATS, fed with promotions, prices and holidays.

Blocks explain the past one after the other: each gets what the blocks before it left unexplained, and adds
its share to the forecast. The first ones may only draw a trend, the next only waves with the length of a
week and of a month, the last anything. What is known in advance (promotion, price, holiday, weekday) is
given for the past and for the days to come. The forecast is held against the seasonal naive one, which
repeats last week.

Data: `data_dir/sales.csv` with the header `store,date,sales,promotion,price,holiday`: one row per store
and day without gaps, the date in ISO form, promotion and holiday 0 or 1. The rows may stand in any order.
"""

# %% [imports]
import argparse
import copy
import csv
import dataclasses
import datetime
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    sequence_length: int = 56
    horizon: int = 14
    num_covariates: int = 5
    units: int = 128
    polynomial_degree: int = 2
    optimizer: str = "adam"
    loss: str = "huber"
    metric: str = "mean_absolute_error"
    learning_rate: float = 0.001
    batch_size: int = 128
    epochs: int = 40
    patience: int = 6


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="N-BEATS for store sales")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
LOSSES = {"huber": nn.HuberLoss, "mean_absolute_error": nn.L1Loss, "mean_squared_error": nn.MSELoss}
METRICS = {
    "mean_absolute_error": lambda errors: np.abs(errors).mean(),
    "root_mean_squared_error": lambda errors: np.sqrt(np.square(errors).mean()),
}


def choose(table: dict, name: str):
    """Return the entry of a table of constructors."""
    if name not in table:
        raise ValueError(f"unknown name {name!r}; known: {', '.join(sorted(table))}")
    return table[name]


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write four stores whose sales follow weekday, promotion and price."""
    rng = np.random.default_rng(config.seed)
    stores = 4
    days = config.sequence_length + 5 * config.horizon + math.ceil(config.synthetic_samples / stores)
    start = datetime.date(2023, 1, 2)
    weekly = np.array([0.9, 0.8, 0.85, 1.0, 1.3, 1.6, 0.6])
    rows = []
    for store in range(stores):
        level = rng.uniform(50, 400)
        for day in range(days):
            date = start + datetime.timedelta(days=day)
            promotion, holiday = int(rng.random() < 0.2), int(rng.random() < 0.03)
            price = round(float(rng.choice([4.5, 5.0, 5.5])), 2)
            mean = level * weekly[date.weekday()] * (1 + 0.001 * day) * (5.0 / price)
            mean *= (1.5 if promotion else 1.0) * (0.3 if holiday else 1.0)
            rows.append(
                [f"store_{store}", date.isoformat(), int(rng.poisson(mean)), promotion, price, holiday]
            )
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "sales.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["store", "date", "sales", "promotion", "price", "holiday"], *rows])


def read_stores(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each store its sales (days,) and its covariates (days, 5), in order of time."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file: store,date,sales,promotion,price,holiday")
    table = defaultdict(list)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            date = datetime.date.fromisoformat(row["date"])
            numbers = [float(row[name]) for name in ("sales", "promotion", "price", "holiday")]
            table[row["store"]].append((date, *numbers))
    stores = []
    for name in sorted(table):
        days = sorted(table[name])
        if (days[-1][0] - days[0][0]).days + 1 != len(days):
            raise ValueError(
                f"{path}: {name} has gaps or repeated days between {days[0][0]} and {days[-1][0]}"
            )
        angle = 2 * np.pi * np.array([day[0].weekday() for day in days]) / 7
        sales, promotion, price, holiday = np.array([day[1:] for day in days], dtype="float32").T
        covariates = np.stack([promotion, price, holiday, np.sin(angle), np.cos(angle)], axis=1)
        stores.append((sales, covariates.astype("float32")))
    return stores


def windows_between(
    store: tuple[np.ndarray, np.ndarray], first: int, last: int, config: Config
) -> list[tuple]:
    """Return (past, covariates, future, scale) for all windows whose future lies in days first..last-1.

    The past may reach back before `first`: at that time it is known. Sales are divided by their mean over the
    window's own past, so that large and small stores look alike to the network.
    """
    sales, covariates = store
    length, horizon = config.sequence_length, config.horizon
    windows = []
    for origin in range(max(first, length), last - horizon + 1):
        past, future = sales[origin - length : origin], sales[origin : origin + horizon]
        known = covariates[origin - length : origin + horizon].copy()
        known[:, 1] = known[:, 1] / known[:length, 1].mean() - 1.0
        scale = np.float32(past.mean() + 1.0)
        windows.append((past / scale, known.ravel(), future / scale, scale))
    return windows


def load_data(config: Config) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Return (train, validation, test); the days to forecast of the three do not overlap."""
    if config.synthetic:
        make_synthetic(config)
    parts: list[list[tuple]] = [[], [], []]
    for store in read_stores(Path(config.data_dir) / "sales.csv"):
        days = len(store[0])
        held_out = max(2 * config.horizon, days // 10)
        bounds = [0, days - 2 * held_out, days - held_out, days]
        for part, first, last in zip(parts, bounds[:-1], bounds[1:], strict=True):
            part.extend(windows_between(store, first, last, config))
    if not all(parts):
        raise ValueError(f"no store has days enough for windows of {config.sequence_length}+{config.horizon}")
    columns = [[np.stack(column) for column in zip(*part, strict=True)] for part in parts]
    return tuple(TensorDataset(*map(torch.from_numpy, part)) for part in columns)


# %% [model]
CYCLES = (1 / 7, 2 / 7, 3 / 7, 1 / 30, 2 / 30)  # a day: harmonics of the week and of thirty days


def trend_basis(length: int, horizon: int, degree: int) -> torch.Tensor:
    """Return the powers 0..degree of time (degree + 1, length + horizon)."""
    time = torch.linspace(-1.0, horizon / length, length + horizon)
    return torch.stack([time**power for power in range(degree + 1)])


def seasonal_basis(length: int, horizon: int) -> torch.Tensor:
    """Return sines and cosines (2 * cycles, length + horizon)."""
    time = torch.arange(length + horizon, dtype=torch.float32)
    angles = torch.stack([2 * math.pi * cycle * time for cycle in CYCLES])
    return torch.cat([angles.sin(), angles.cos()])


class Block(nn.Module):
    """Explain a part of the past and the same part of the future; a basis limits what it can draw."""

    def __init__(self, inputs: int, coefficients: int, config: Config, basis: torch.Tensor | None) -> None:
        super().__init__()
        self.length = config.sequence_length
        self.body = nn.Sequential(
            nn.Linear(inputs, config.units),
            nn.ReLU(),
            nn.Linear(config.units, config.units),
            nn.ReLU(),
            nn.Linear(config.units, config.units),
            nn.ReLU(),
        )
        self.theta = nn.Linear(config.units, coefficients)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the backcast (windows, length) and the forecast (windows, horizon)."""
        curve = self.theta(self.body(x))
        if self.basis is not None:
            curve = curve @ self.basis
        return curve[:, : self.length], curve[:, self.length :]


class NBeats(nn.Module):
    """Add up the forecasts of blocks that work on each other's residuals."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        length, horizon = config.sequence_length, config.horizon
        inputs = length + config.num_covariates * (length + horizon)
        degree, waves = config.polynomial_degree, 2 * len(CYCLES)
        self.trend = Block(inputs, degree + 1, config, trend_basis(length, horizon, degree))
        self.season = Block(inputs, waves, config, seasonal_basis(length, horizon))
        self.generic = Block(inputs, length + horizon, config, None)
        self.rest = Block(inputs, length + horizon, config, None)

    def forward(self, past: torch.Tensor, covariates: torch.Tensor) -> torch.Tensor:
        """Return scaled sales (windows, horizon) from scaled past sales and flattened covariates."""
        forecast = torch.zeros_like(past[:, :1])
        for block in (self.trend, self.season, self.generic, self.rest):
            backcast, share = block(torch.cat([past, covariates], dim=1))
            past = past - backcast
            forecast = forecast + share
        return forecast


def build_model(config: Config) -> nn.Module:
    """Return the untrained forecaster."""
    return NBeats(config)


# %% [train]
def epoch_loss(model: nn.Module, loader: DataLoader, criterion: nn.Module, optimizer=None) -> float:
    """Go once through the windows, learning if there is an optimizer; return the mean loss."""
    device = next(model.parameters()).device
    model.train(optimizer is not None)
    total, count = 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for past, covariates, future, _ in loader:
            forecast = model(past.to(device), covariates.to(device))
            loss = criterion(forecast, future.to(device))
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            total += loss.item() * len(past)
            count += len(past)
    return total / count


def train(config: Config) -> dict[str, float]:
    """Fit until the validation loss rests, keep the best weights and return the last losses."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_windows, validation_windows, _ = load_data(config)
    train_loader = DataLoader(train_windows, batch_size=config.batch_size, shuffle=True, num_workers=0)
    validation_loader = DataLoader(validation_windows, batch_size=config.batch_size)
    model = build_model(config).to(device)
    criterion = choose(LOSSES, config.loss)()
    optimizer = choose(OPTIMIZERS, config.optimizer)(model.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    best, best_state, waited = math.inf, copy.deepcopy(model.state_dict()), 0
    for epoch in range(config.epochs):
        loss = epoch_loss(model, train_loader, criterion, optimizer)
        val_loss = epoch_loss(model, validation_loader, criterion)
        schedule.step(val_loss)
        print(f"epoch {epoch + 1}: loss {loss:.4f}, val_loss {val_loss:.4f}")
        if val_loss < best:
            best, best_state, waited = val_loss, copy.deepcopy(model.state_dict()), 0
        elif (waited := waited + 1) >= config.patience:
            break
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    torch.save(best_state, output / "model.pt")
    return {"loss": loss, "val_loss": val_loss, "best_val_loss": best}


# %% [evaluate]
@torch.no_grad()
def forecast_sales(config: Config, windows: TensorDataset) -> np.ndarray:
    """Return forecasts (windows, horizon) in pieces sold, by the saved model."""
    model = build_model(config)
    model.load_state_dict(
        torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location="cpu")
    )
    model.eval()
    batches = DataLoader(windows, batch_size=config.batch_size)
    pieces = [model(past, known) * scale[:, None] for past, known, _, scale in batches]
    return torch.cat(pieces).clamp(min=0.0).numpy()


def evaluate(config: Config) -> dict[str, float]:
    """Measure the errors in pieces on the last days of all stores, beside those of repeating last week."""
    _, _, test_windows = load_data(config)
    past, _, future, scale = (column.numpy() for column in test_windows.tensors)
    truth = future * scale[:, None]
    week = past[:, -7:] * scale[:, None]
    naive = np.tile(week, (1, math.ceil(config.horizon / 7)))[:, : config.horizon]
    errors = forecast_sales(config, test_windows) - truth
    metric = choose(METRICS, config.metric)
    return {
        config.metric: float(metric(errors)),
        f"naive_{config.metric}": float(metric(naive - truth)),
        "skill": float(1.0 - metric(errors) / max(metric(naive - truth), 1e-6)),
        "share_of_sales_misplaced": float(np.abs(errors).sum() / max(truth.sum(), 1.0)),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the forecasts (windows, horizon) in pieces for the test windows and save them."""
    _, _, test_windows = load_data(config)
    answers = forecast_sales(config, test_windows)
    np.save(Path(config.output_dir) / "predictions.npy", answers)
    return answers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
