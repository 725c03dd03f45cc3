# SPDX-License-Identifier: Apache-2.0
"""Tell the state of a rotating machine's bearing from vibration, with an InceptionTime network.

An inception module looks at the signal through convolutions of several lengths at once, from single knocks
to whole turns, after a bottleneck that keeps it cheap; every third module is bridged by a shortcut.
Windows of one recording resemble each other, so recordings, not windows, are shared out between training,
validation and test. A report per class and the confusion matrix say which faults are mixed up.

Data: one folder per state (`data_dir/healthy`, `data_dir/inner_race`, ...) with one CSV file per
recording: no header, one line per sample, the acceleration along x, y and z in g, all recordings at the
same rate.
"""

# %% [imports]
import argparse
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
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
    sequence_length: int = 512
    stride: int = 256
    channels: int = 3
    num_classes: int = 4
    filters: int = 16
    bottleneck: int = 16
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "macro_f1_score"
    learning_rate: float = 0.002
    batch_size: int = 64
    epochs: int = 30
    warmup_epochs: int = 2
    weight_decay: float = 0.01


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="InceptionTime for bearing faults")
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
    """Write recordings of a turning shaft; each fault knocks at a rate of its own, and the case rings."""
    rng = np.random.default_rng(config.seed)
    names = ["healthy", "inner_race", "outer_race", "ball", "cage", "loose", "unbalance", "misaligned"]
    time = np.arange(2 * config.sequence_length, dtype=float)
    for number in range(max(config.synthetic_samples, 3 * config.num_classes)):
        state = number % config.num_classes
        axes = []
        turning = 0.3 * np.sin(2 * np.pi * 0.005 * time + rng.uniform(0, 6))
        knocks = np.zeros_like(time)
        if state:
            period = {1: 37, 2: 61, 3: 97}.get(state, 20 * state)
            knocks[int(rng.integers(period)) :: period] = rng.uniform(0.8, 1.2)
        ringing = np.exp(-np.arange(24) / 6.0) * np.sin(np.arange(24) * 1.3)
        for gain in (1.0, 0.7, 0.4):
            axes.append(
                turning + gain * np.convolve(knocks, ringing)[: len(time)] + rng.normal(0, 0.1, len(time))
            )
        folder = Path(config.data_dir) / names[state % len(names)]
        folder.mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / f"run_{number:04d}.csv", np.stack(axes, axis=1), delimiter=",", fmt="%.4f")


class VibrationWindows(Dataset):
    """Cut recordings into overlapping windows (channels, sequence_length) of zero mean and unit variance."""

    def __init__(self, recordings: list[tuple[Path, int]], config: Config, augment: bool) -> None:
        self.augment = augment
        self.length = config.sequence_length
        self.signals, self.places = [], []
        for path, label in recordings:
            signal = np.loadtxt(path, delimiter=",", dtype="float32", ndmin=2)
            if signal.shape[1] != config.channels or len(signal) < self.length:
                raise ValueError(
                    f"{path}: expected {config.channels} columns and {self.length} lines or more"
                )
            starts = range(0, len(signal) - self.length + 1, config.stride)
            self.places += [(len(self.signals), start, label) for start in starts]
            self.signals.append(signal.T)
        self.labels = np.array([label for _, _, label in self.places])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        recording, start, label = self.places[index]
        signal = self.signals[recording]
        if self.augment:  # another cut and another mounting direction of the sensor say nothing of the fault
            start = min(max(0, start + int(torch.randint(-64, 65, ()))), signal.shape[1] - self.length)
        window = torch.from_numpy(signal[:, start : start + self.length].copy())
        window = (window - window.mean(dim=1, keepdim=True)) / (window.std() + 1e-6)
        if self.augment:
            signs = torch.randint(0, 2, (window.shape[0], 1)) * 2 - 1
            window = window * signs * (0.8 + 0.4 * torch.rand(())) + 0.05 * torch.randn_like(window)
        return window, label


def class_names(config: Config) -> list[str]:
    """Return the folders' names; their order numbers the classes."""
    names = sorted(path.name for path in Path(config.data_dir).glob("*") if path.is_dir())
    if len(names) != config.num_classes:
        raise FileNotFoundError(
            f"{config.data_dir}: expected {config.num_classes} folders of CSV recordings, found {len(names)}"
        )
    return names


def load_data(config: Config) -> tuple[VibrationWindows, VibrationWindows, VibrationWindows]:
    """Return (train, validation, test): of every state about 60/20/20 percent of the recordings."""
    if config.synthetic:
        make_synthetic(config)
    rng = np.random.default_rng(config.seed)
    shares: tuple[list, list, list] = ([], [], [])
    for label, name in enumerate(class_names(config)):
        paths = sorted((Path(config.data_dir) / name).glob("*.csv"))
        if len(paths) < 3:
            raise ValueError(f"{name}: at least 3 recordings are needed, one for each split")
        held_out = max(1, len(paths) // 5)
        order = [paths[i] for i in rng.permutation(len(paths))]
        for share, chosen in zip(
            shares, (order[2 * held_out :], order[:held_out], order[held_out : 2 * held_out]), strict=True
        ):
            share.extend((path, label) for path in chosen)
    return tuple(VibrationWindows(share, config, augment=place == 0) for place, share in enumerate(shares))


# %% [model]
class Inception(nn.Module):
    """Convolve with three kernel lengths and a pooled path side by side."""

    def __init__(self, inputs: int, filters: int, bottleneck: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(inputs, bottleneck, 1, bias=False)
        self.long = nn.Conv1d(bottleneck, filters, 39, padding=19, bias=False)
        self.middle = nn.Conv1d(bottleneck, filters, 19, padding=9, bias=False)
        self.short = nn.Conv1d(bottleneck, filters, 9, padding=4, bias=False)
        self.pool = nn.MaxPool1d(3, stride=1, padding=1)
        self.pooled = nn.Conv1d(inputs, filters, 1, bias=False)
        self.norm = nn.BatchNorm1d(4 * filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (windows, 4 * filters, time)."""
        narrow = self.bottleneck(x)
        paths = [self.long(narrow), self.middle(narrow), self.short(narrow), self.pooled(self.pool(x))]
        return F.relu(self.norm(torch.cat(paths, dim=1)))


class ResidualGroup(nn.Module):
    """Put a shortcut around three inception modules."""

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__()
        width = 4 * config.filters
        self.first = Inception(inputs, config.filters, config.bottleneck)
        self.second = Inception(width, config.filters, config.bottleneck)
        self.third = Inception(width, config.filters, config.bottleneck)
        self.shortcut = nn.Conv1d(inputs, width, 1, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (windows, 4 * filters, time)."""
        y = self.third(self.second(self.first(x)))
        return F.relu(y + self.norm(self.shortcut(x)))


class InceptionTime(nn.Module):
    """Classify windows (windows, channels, time); the answers are logits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.group1 = ResidualGroup(config.channels, config)
        self.group2 = ResidualGroup(4 * config.filters, config)
        self.head = nn.Linear(4 * config.filters, config.num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (windows, num_classes)."""
        x = self.group2(self.group1(x))
        return self.head(x.mean(dim=2))


def build_model(config: Config) -> nn.Module:
    """Return the untrained classifier."""
    return InceptionTime(config)


# %% [train]
def make_optimizer(config: Config, parameters) -> torch.optim.Optimizer:
    """Return the optimizer that the configuration names."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=config.learning_rate)
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=config.learning_rate, momentum=0.9, nesterov=True)
    raise ValueError(f"unknown optimizer {config.optimizer!r}; known: adam, adamw, sgd")


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Return the factor of the learning rate: a straight rise, then half a cosine down to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


@torch.no_grad()
def class_probabilities(model: nn.Module, windows: VibrationWindows, config: Config) -> torch.Tensor:
    """Return the probabilities (windows, num_classes) of all windows in order."""
    model.eval()
    device = next(model.parameters()).device
    batches = DataLoader(windows, batch_size=config.batch_size)
    return torch.cat([F.softmax(model(x.to(device)), dim=1).cpu() for x, _ in batches])


def confusion_matrix(truth: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """Return counts (classes, classes): rows are true, columns answered."""
    return np.bincount(truth * classes + answers, minlength=classes**2).reshape(classes, classes)


def macro_f1_score(matrix: np.ndarray) -> float:
    """Return the mean F1 over the classes of a confusion matrix; a class that never occurs counts as 0."""
    return float((2 * matrix.diagonal() / np.maximum(matrix.sum(0) + matrix.sum(1), 1)).mean())


def accuracy(matrix: np.ndarray) -> float:
    """Return the share of windows on the diagonal."""
    return float(matrix.diagonal().sum() / matrix.sum())


METRICS = {"macro_f1_score": macro_f1_score, "accuracy": accuracy}


def train(config: Config) -> dict[str, float]:
    """Fit, keep the weights that are best on the validation recordings and return the last measures."""
    torch.manual_seed(config.seed)
    if config.metric not in METRICS:
        raise ValueError(f"unknown metric {config.metric!r}; known: {', '.join(METRICS)}")
    if config.loss != "sparse_categorical_crossentropy":
        raise ValueError(f"unknown loss {config.loss!r}; known: sparse_categorical_crossentropy")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_windows, validation_windows, _ = load_data(config)
    loader = DataLoader(train_windows, batch_size=config.batch_size, shuffle=True, num_workers=0)
    model = build_model(config).to(device)
    counts = np.bincount(train_windows.labels, minlength=config.num_classes)
    weights = torch.tensor(counts.sum() / (config.num_classes * counts), dtype=torch.float32, device=device)
    criterion = nn.CrossEntropyLoss(weight=weights, label_smoothing=0.05)
    optimizer = make_optimizer(config, model.parameters())
    steps = [count * len(loader) for count in (config.warmup_epochs, config.epochs)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, *steps))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best = -1.0
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for windows, labels in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(windows.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        answers = class_probabilities(model, validation_windows, config).argmax(dim=1).numpy()
        matrix = confusion_matrix(validation_windows.labels, answers, config.num_classes)
        measure = METRICS[config.metric](matrix)
        print(f"epoch {epoch + 1} of {config.epochs}: loss {np.mean(losses):.4f}, validation {measure:.3f}")
        if measure > best:
            best = measure
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": float(np.mean(losses)), f"val_{config.metric}": measure, "best": best}


# %% [evaluate]
def load_trained(config: Config) -> nn.Module:
    """Return the model with the weights that train kept."""
    model = build_model(config)
    state = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location="cpu")
    model.load_state_dict(state)
    return model


def evaluate(config: Config) -> dict[str, float]:
    """Measure accuracy and macro F1 on recordings never seen; write `report.json` with a row per class."""
    _, _, test_windows = load_data(config)
    answers = class_probabilities(load_trained(config), test_windows, config).argmax(dim=1).numpy()
    matrix = confusion_matrix(test_windows.labels, answers, config.num_classes)
    report = {}
    print(f"{'state':>16} {'precision':>9} {'recall':>9} {'windows':>9}")
    for place, name in enumerate(class_names(config)):
        hits = int(matrix[place, place])
        precision = hits / max(int(matrix[:, place].sum()), 1)
        recall = hits / max(int(matrix[place].sum()), 1)
        report[name] = {"precision": precision, "recall": recall, "confused": matrix[place].tolist()}
        print(f"{name:>16} {precision:9.3f} {recall:9.3f} {int(matrix[place].sum()):9d}")
    (Path(config.output_dir) / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    return {name: measure(matrix) for name, measure in METRICS.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probabilities of the states (windows, num_classes) for the test windows and save them."""
    _, _, test_windows = load_data(config)
    probabilities = class_probabilities(load_trained(config), test_windows, config).numpy()
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
