# SPDX-License-Identifier: Apache-2.0
"""Count people in crowd photographs with a PyTorch network that regresses a density map.

Each annotated head becomes a small Gaussian of mass one, so the sum over the map is the number of people;
where they stand comes for free. The map has an eighth of the photo's resolution. Dilated convolutions see
far around each point without losing that resolution. An exponential moving average of the weights is kept
and used for answers: single steps on few photos are noisy.

Data: `data_dir/photos/*.jpg` and `data_dir/heads/<same name>.csv`, a line `x,y` in pixels for every head
(no header; an empty file is an empty square).
"""

# %% [imports]
import argparse
import dataclasses
import random
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; `density_scale` multiplies the map, whose raw values are too small to learn well."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 128
    sigma: float = 1.0
    density_scale: float = 100.0
    ema_decay: float = 0.98
    optimizer: str = "adam"
    loss: str = "mean_squared_error"
    metric: str = "mean_absolute_error"
    learning_rate: float = 0.001
    batch_size: int = 8
    epochs: int = 60


def parse_config(argv: list[str] | None = None) -> Config:
    """Take options from the command line, one per field."""
    parser = argparse.ArgumentParser(description="Crowd counting by density maps")
    for spec in dataclasses.fields(Config):
        name = f"--{spec.name.replace('_', '-')}"
        if spec.name == "synthetic":
            parser.add_argument(name, action="store_true", help="write made-up data first")
        else:
            parser.add_argument(name, type=type(spec.default), default=spec.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write grey squares with up to 40 dark dots, larger towards the bottom, as perspective has it."""
    rng = np.random.default_rng(config.seed)
    photos, heads = Path(config.data_dir) / "photos", Path(config.data_dir) / "heads"
    photos.mkdir(parents=True, exist_ok=True)
    heads.mkdir(exist_ok=True)
    size = config.image_size + 32
    rows, columns = np.mgrid[:size, :size]
    for number in range(config.synthetic_samples):
        scene = 150 + 30 * np.sin(columns / rng.uniform(8, 20)) + rng.normal(0, 10, (size, size))
        points = rng.uniform(6, size - 6, (int(rng.integers(0, 41)), 2))
        for x, y in points:
            scene[(columns - x) ** 2 + (rows - y) ** 2 < (2.0 + 3.0 * y / size) ** 2] = 35
        picture = np.repeat(scene.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(picture).save(photos / f"{number:04d}.jpg", quality=92)
        np.savetxt(heads / f"{number:04d}.csv", points, fmt="%.1f", delimiter=",")


def density_map(points: np.ndarray, cells: int, sigma: float) -> np.ndarray:
    """Return a map (cells, cells) whose sum is the number of points, given in cells (n, 2) as x, y.

    Each Gaussian is normalised over the cells inside: a head at the border still counts as one.
    """
    axis = np.arange(cells) + 0.5
    across = np.exp(-((axis[None, :] - points[:, :1]) ** 2) / (2 * sigma**2))
    down = np.exp(-((axis[None, :] - points[:, 1:]) ** 2) / (2 * sigma**2))
    across /= across.sum(axis=1, keepdims=True)
    down /= down.sum(axis=1, keepdims=True)
    return np.einsum("ny,nx->yx", down, across).astype(np.float32)


class CrowdDataset(Dataset):
    """Photos (3, S, S) in [-1, 1] with density maps (1, S / 8, S / 8).

    Training crops a random square and mirrors it; otherwise the photo is cut into its central square.
    Heads outside of the crop do not count: they are not to be seen.
    """

    def __init__(self, files: list[Path], config: Config, training: bool):
        self.files, self.config, self.training = files, config, training

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        size, path = self.config.image_size, self.files[index]
        with Image.open(path) as photo:
            if min(photo.size) < size:
                raise ValueError(f"{path}: is smaller than {size} pixels")
            spare = [side - size for side in photo.size]
            left, top = (random.randint(0, s) if self.training else s // 2 for s in spare)
            pixels = np.array(
                photo.convert("RGB").crop((left, top, left + size, top + size)), dtype=np.float32
            )
        text = (path.parent.parent / "heads" / f"{path.stem}.csv").read_text(encoding="utf-8")
        points = np.array([line.split(",") for line in text.split()], dtype=float).reshape(-1, 2) - (
            left,
            top,
        )
        points = points[((points >= 0) & (points < size)).all(axis=1)]
        if self.training and random.random() < 0.5:
            pixels = pixels[:, ::-1].copy()
            points[:, 0] = size - points[:, 0]
        density = density_map(points / 8, size // 8, self.config.sigma)
        return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1, torch.from_numpy(density)[None]


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of training, validation and test photos (70/15/15)."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    files = [p for p in sorted(root.glob("photos/*.jpg")) if (root / "heads" / f"{p.stem}.csv").is_file()]
    if len(files) < 4:
        raise FileNotFoundError(f"{root}: expected photos/*.jpg and heads/*.csv under the same names")
    random.Random(config.seed).shuffle(files)
    first, second = round(0.7 * len(files)), round(0.85 * len(files))
    train_set = CrowdDataset(files[:first], config, training=True)
    validation_set = CrowdDataset(files[first:second], config, training=False)
    test_set = CrowdDataset(files[second:], config, training=False)
    return (
        DataLoader(train_set, batch_size=config.batch_size, shuffle=True, num_workers=0),
        DataLoader(validation_set, batch_size=config.batch_size, num_workers=0),
        DataLoader(test_set, batch_size=config.batch_size, num_workers=0),
    )


# %% [model]
def build_model(config: Config) -> nn.Module:
    """Return the network: it takes (batch, 3, S, S) and answers (batch, 1, S / 8, S / 8), scaled density."""
    front = [
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]
    # Growing and then falling dilation avoids the gaps of a constant one.
    back = [
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 1),
    ]
    return nn.Sequential(*front, *back)


# %% [train]
def counts(maps: torch.Tensor) -> torch.Tensor:
    """Return the number of people in each map (batch, 1, h, w)."""
    return maps.sum(dim=(1, 2, 3))


@torch.no_grad()
def density_of(model: nn.Module, loader: DataLoader, config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """Return found and true density maps of a loader, in its order."""
    model.eval()
    device = next(model.parameters()).device
    found, truth = [], []
    for photos, maps in loader:
        # Scaled back; what is below nothing is cut off only here, where no gradient is lost.
        found.append((model(photos.to(device)).cpu() / config.density_scale).clamp(min=0))
        truth.append(maps)
    return torch.cat(found), torch.cat(truth)


def train(config: Config) -> dict[str, float]:
    """Fit, and save the averaged weights of the epoch whose counts were best on the validation photos."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, validation_loader, _ = load_data(config)
    model = build_model(config).to(device)

    def blend(mean, new, taken):
        # Short memory at first: the initial weights are to be forgotten soon.
        return mean + (new - mean) * max(1 - config.ema_decay, 4 / (5 + taken))

    averaged = torch.optim.swa_utils.AveragedModel(model, avg_fn=blend)
    known_losses = {
        "mean_squared_error": nn.MSELoss(),
        "mean_absolute_error": nn.L1Loss(),
        "huber": nn.HuberLoss(),
    }
    known_optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    for name, known in ((config.loss, known_losses), (config.optimizer, known_optimizers)):
        if name not in known:
            raise ValueError(f"{name} is none of {', '.join(known)}")
    criterion = known_losses[config.loss]
    optimizer = known_optimizers[config.optimizer](model.parameters(), lr=config.learning_rate)
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    best, history = float("inf"), {}
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for photos, maps in train_loader:
            answer = model(photos.to(device))
            loss = criterion(answer, config.density_scale * maps.to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            averaged.update_parameters(model)
            losses.append(loss.item())
        found, truth = density_of(averaged.module, validation_loader, config)
        error = (counts(found) - counts(truth)).abs().mean().item()
        history = {"loss": float(np.mean(losses)), "val_mae": error}
        print(f"epoch {epoch + 1:3d}: loss {history['loss']:.4f}, people off by {error:.2f}")
        if error < best:
            best = error
            torch.save(averaged.module.state_dict(), folder / "model.pt")
    return history


# %% [evaluate]
def read_model(config: Config) -> nn.Module:
    """Return the saved network."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config).to(device)
    weights = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location=device)
    model.load_state_dict(weights)
    return model


def evaluate(config: Config) -> dict[str, float]:
    """Measure the errors of the counts on the test photos, next to always giving the mean count."""
    _, _, test_loader = load_data(config)
    found, truth = density_of(read_model(config), test_loader, config)
    errors, people = counts(found) - counts(truth), counts(truth)
    return {
        "mean_absolute_error": errors.abs().mean().item(),
        "root_mean_squared_error": errors.square().mean().sqrt().item(),
        "mae_of_mean_count": (people - people.mean()).abs().mean().item(),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return density maps (photos, S / 8, S / 8, 1); their sums are the counts. Plots the first four."""
    _, _, test_loader = load_data(config)
    maps, truth = density_of(read_model(config), test_loader, config)
    folder = Path(config.output_dir)
    np.save(folder / "predictions.npy", maps.permute(0, 2, 3, 1).numpy())
    np.savetxt(
        folder / "counts.csv",
        torch.stack([counts(maps), counts(truth)], 1).numpy(),
        fmt="%.1f",
        delimiter=",",
    )
    shown = min(4, len(maps))
    figure = Figure(figsize=(3 * shown, 6))
    axes = figure.subplots(2, shown, squeeze=False)
    for column in range(shown):
        for row, (name, values) in enumerate((("found", maps[column]), ("true", truth[column]))):
            axes[row, column].imshow(values[0], cmap="magma", vmin=0)
            axes[row, column].set_title(f"{name}: {values.sum():.1f}")
            axes[row, column].axis("off")
    FigureCanvasAgg(figure).print_png(folder / "density.png")
    return maps.permute(0, 2, 3, 1).numpy()


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
