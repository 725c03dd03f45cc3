# SPDX-License-Identifier: Apache-2.0
"""Find surface defects on products with a convolutional autoencoder that has seen good parts only.

The narrow middle of the network learns what good parts look like; scratches and stains do not get
through it, and show in the difference between picture and reconstruction. A part's score is the mean
of the worst per cent of its smoothed difference map, so a small defect is not averaged away.
The alarm threshold is a quantile of the scores of good parts that were not trained on. (PyTorch)

Data: the layout of common inspection data sets. `data_dir/train/good/*.png` are good parts,
`data_dir/test/good/*.png` further good parts, `data_dir/test/<kind of defect>/*.png` faulty ones, of any
size and aligned alike. No masks are needed.
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
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; `quantile` is the share of good parts that should pass."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 64
    width: int = 32
    code_channels: int = 16
    quantile: float = 0.95
    worst_share: float = 0.01
    weight_decay: float = 0.00001
    optimizer: str = "adam"
    loss: str = "mean_squared_error"
    metric: str = "auroc"
    learning_rate: float = 0.002
    batch_size: int = 16
    epochs: int = 80


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the settings from the command line."""
    parser = argparse.ArgumentParser(description="Surface inspection")
    for field in dataclasses.fields(Config):
        kwargs = {"default": field.default}
        kwargs.update({"action": "store_true"} if field.type is bool else {"type": field.type})
        parser.add_argument("--" + field.name.replace("_", "-"), **kwargs)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Draw metal plates with a grid of holes; faulty ones have a scratch, a stain or a hole missing."""
    rng = np.random.default_rng(config.seed)
    size, root = 96, Path(config.data_dir)
    for index in range(config.synthetic_samples):
        kind = ("good", "good", "good", "good", "good", "scratch", "stain", "missing_hole")[index % 8]
        part = "test" if kind != "good" or index % 8 == 4 else "train"
        light = np.linspace(-10, 10, size)[:, None] * rng.uniform(-1, 1) + rng.uniform(145, 165)
        grain = rng.normal(0, 5, size=(1, size)) + rng.normal(0, 2, size=(size, size))
        pixels = (light + grain)[..., None] * np.array([1.0, 0.98, 0.94])
        plate = Image.fromarray(pixels.clip(0, 255).astype("uint8"))
        pen = ImageDraw.Draw(plate)
        left_out = int(rng.integers(9)) if kind == "missing_hole" else -1
        for hole in range(9):
            x, y = (16 + 32 * place + rng.uniform(-1, 1) for place in divmod(hole, 3))
            if hole != left_out:
                pen.ellipse([x - 7, y - 7, x + 7, y + 7], fill=(35, 35, 40))
        x, y = rng.uniform(25, 70, size=2)
        if kind == "scratch":
            angle = rng.uniform(0, np.pi)
            dx, dy = 22 * np.cos(angle), 22 * np.sin(angle)
            pen.line([x - dx, y - dy, x + dx, y + dy], fill=(235, 235, 235), width=3)
        elif kind == "stain":
            pen.ellipse([x - 11, y - 7, x + 11, y + 7], fill=(120, 85, 40))
        folder = root / part / kind
        folder.mkdir(parents=True, exist_ok=True)
        plate.save(folder / f"{index:04d}.png")


class Parts(Dataset):
    """Give (picture, is faulty) of each file; pictures are (3, size, size) in [0, 1]."""

    def __init__(self, files: list[Path], size: int, jitter: bool = False) -> None:
        self.files = files
        self.size = size
        self.jitter = jitter

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, bool]:
        file = self.files[index]
        with Image.open(file) as image:
            image = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255.0
        if self.jitter:
            # Light differs from day to day; no flips, since parts always lie the same way.
            pixels = (pixels * (0.95 + 0.1 * torch.rand(1))).clamp(0.0, 1.0)
        return pixels, file.parent.name != "good"


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of good parts for training, good parts for the threshold, and all test parts."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    good, test = (
        sorted(
            file for file in root.glob(pattern) if file.suffix.lower() in {".png", ".jpg", ".jpeg", ".bmp"}
        )
        for pattern in ("train/good/*", "test/*/*")
    )
    if len(good) < 2 or not test:
        raise FileNotFoundError(f"{root}: expected train/good/*.png, test/good/*.png and test/<defect>/*.png")
    order = torch.randperm(len(good), generator=torch.Generator().manual_seed(config.seed)).tolist()
    held = max(1, len(good) // 5)
    kept, checked = [good[i] for i in order[held:]], [good[i] for i in order[:held]]
    return (
        DataLoader(
            Parts(kept, config.image_size, jitter=True),
            batch_size=config.batch_size,
            shuffle=True,
            num_workers=0,
        ),
        DataLoader(Parts(checked, config.image_size), batch_size=config.batch_size, num_workers=0),
        DataLoader(Parts(test, config.image_size), batch_size=config.batch_size, num_workers=0),
    )


# %% [model]
def halve(channels_in: int, channels_out: int) -> list[nn.Module]:
    """Return the layers that halve height and width."""
    return [
        nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.2),
    ]


def double(channels_in: int, channels_out: int) -> list[nn.Module]:
    """Return the layers that double height and width."""
    return [
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    ]


def build_model(config: Config) -> nn.Module:
    """Return the autoencoder; image_size must be a multiple of 16.

    No connection skips the middle: through one, defects would be copied to the output.
    """
    w = config.width
    return nn.Sequential(
        *halve(3, w),
        *halve(w, 2 * w),
        *halve(2 * w, 4 * w),
        *halve(4 * w, 4 * w),
        nn.Conv2d(4 * w, config.code_channels, 1),
        *double(config.code_channels, 4 * w),
        *double(4 * w, 2 * w),
        *double(2 * w, w),
        nn.ConvTranspose2d(w, 3, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


# %% [train]
CRITERIA = {"mean_squared_error": nn.MSELoss, "mean_absolute_error": nn.L1Loss, "huber": nn.SmoothL1Loss}


def pick_device() -> torch.device:
    """Return the graphics card where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name."""
    made = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    if config.optimizer not in made:
        raise ValueError(f"optimizer {config.optimizer!r} is none of {', '.join(made)}")
    return made[config.optimizer](
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )


@torch.no_grad()
def inspect(model: nn.Module, loader: DataLoader, config: Config):
    """Return difference maps (parts, size, size), scores (parts,) and labels (parts,) as arrays."""
    model.eval()
    device = next(model.parameters()).device
    maps, labels = [], []
    for pictures, faulty in loader:
        pictures = pictures.to(device)
        difference = (model(pictures) - pictures).square().mean(dim=1, keepdim=True)
        # Smoothed: single noisy pixels are no defects.
        maps.append(F.avg_pool2d(difference, 5, stride=1, padding=2, count_include_pad=False)[:, 0].cpu())
        labels.append(faulty)
    heat = torch.cat(maps)
    worst = max(1, round(config.worst_share * heat[0].numel()))
    scores = heat.flatten(1).topk(worst, dim=1).values.mean(dim=1)
    return heat.numpy(), scores.numpy(), torch.cat(labels).numpy().astype(bool)


def train(config: Config) -> dict[str, float]:
    """Fit on good parts with a one-cycle learning rate; save weights and threshold."""
    torch.manual_seed(config.seed)
    if config.loss not in CRITERIA:
        raise ValueError(f"loss {config.loss!r} is none of {', '.join(CRITERIA)}")
    device = pick_device()
    good, checked, _ = load_data(config)
    model = build_model(config).to(device)
    criterion = CRITERIA[config.loss]()
    optimizer = make_optimizer(config, model)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.learning_rate, total_steps=config.epochs * len(good)
    )
    loss = val_loss = 0.0
    for epoch in range(config.epochs):
        model.train()
        running = 0.0
        for pictures, _ in good:
            pictures = pictures.to(device)
            error = criterion(model(pictures), pictures)
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
            running += error.item() * len(pictures)
        loss = running / len(good.dataset)
        val_loss = float(inspect(model, checked, config)[0].mean())
        print(
            f"epoch {epoch + 1}/{config.epochs}: loss {loss:.5f}, difference of held-out parts {val_loss:.5f}"
        )
    _, scores, _ = inspect(model, checked, config)
    threshold = float(np.quantile(scores, config.quantile))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), output / "model.pt")
    (output / "threshold.json").write_text(json.dumps({"threshold": threshold}), encoding="utf-8")
    return {"loss": loss, "val_loss": val_loss, "threshold": threshold}


# %% [evaluate]
def restore(config: Config) -> tuple[nn.Module, float]:
    """Return the trained model and its threshold."""
    output, device = Path(config.output_dir), pick_device()
    model = build_model(config).to(device)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location=device))
    return model, json.loads((output / "threshold.json").read_text(encoding="utf-8"))["threshold"]


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the area under the ROC curve from ranks; equal scores share their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        raise ValueError("the test needs good and faulty parts")
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def evaluate(config: Config) -> dict[str, float]:
    """Measure AUROC, the share of defects found and of false alarms; list the share found by kind."""
    _, _, loader = load_data(config)
    model, threshold = restore(config)
    _, scores, faulty = inspect(model, loader, config)
    kinds = np.array([file.parent.name for file in loader.dataset.files])
    for kind in sorted(set(kinds[faulty].tolist())):
        print(f"{kind}: {np.mean(scores[kinds == kind] > threshold):.0%} of {np.sum(kinds == kind)} found")
    alarms = scores > threshold
    return {
        "auroc": auroc(scores, faulty),
        "recall": float(alarms[faulty].mean()),
        "false_alarms": float(alarms[~faulty].mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the difference maps of the test parts (parts, size, size).

    Also writes scores.csv, and for every alarm its map as a picture: white is at least the threshold.
    """
    _, _, loader = load_data(config)
    model, threshold = restore(config)
    heat, scores, _ = inspect(model, loader, config)
    output = Path(config.output_dir)
    with open(output / "scores.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "score", "alarm"])
        for path, score, part in zip(loader.dataset.files, scores, heat, strict=True):
            table.writerow([f"{path.parent.name}/{path.name}", f"{score:.6f}", int(score > threshold)])
            if score > threshold:
                shades = (255 * (part / threshold).clip(0, 1)).astype("uint8")
                Image.fromarray(shades).save(output / f"alarm_{path.parent.name}_{path.stem}.png")
    np.save(output / "predictions.npy", heat)
    return heat


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
