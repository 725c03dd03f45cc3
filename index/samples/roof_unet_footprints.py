# SPDX-License-Identifier: Apache-2.0
"""Outline buildings in aerial photographs with a U-Net in PyTorch, trained on Dice plus cross-entropy.

The network is fully convolutional: it trains on random crops of large tiles and answers for whole tiles
of any size that is a multiple of 8. Image and mask go through the same crop, quarter turn and mirror,
which is free data, as a photograph from above has no upright direction.

Data: `data_dir/tiles/*.png` (RGB) and `data_dir/footprints/*.png` (grey, buildings brighter than 127),
mask and tile under the same name. Sides that are no multiple of 8 are cut.
"""

# %% [imports]
import argparse
import random
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclass
class Config:
    """What can be set; see `--help`."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    tile_size: int = 128
    crop_size: int = 96
    width: int = 16
    dice_weight: float = 0.5
    clip_norm: float = 1.0
    patience: int = 8
    optimizer: str = "adamw"
    loss: str = "bce_dice_loss"
    metric: str = "iou"
    learning_rate: float = 0.001
    batch_size: int = 8
    epochs: int = 50


def parse_config(argv: list[str] | None = None) -> Config:
    """Read options named like the fields of Config."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for item in fields(Config):
        kind = {"action": "store_true"} if item.type is bool else {"type": item.type}
        parser.add_argument("--" + item.name.replace("_", "-"), default=item.default, help=" ", **kind)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write green tiles with grey roofs and, so that colour alone is not enough, grey roads."""
    rng = np.random.default_rng(config.seed)
    tiles, footprints = Path(config.data_dir) / "tiles", Path(config.data_dir) / "footprints"
    tiles.mkdir(parents=True, exist_ok=True)
    footprints.mkdir(exist_ok=True)
    size = config.tile_size
    for number in range(config.synthetic_samples):
        ground = np.array([70, 110, 60]) + rng.normal(0, 12, (size, size, 3))
        road = int(rng.integers(0, size - size // 16))
        ground[road : road + size // 16] = 140 + rng.normal(0, 6, (size // 16, size, 1))
        mask = np.zeros((size, size), dtype=np.uint8)
        for _ in range(rng.integers(2, 6)):
            height, breadth = rng.integers(size // 8, size // 3, 2)
            top, left = int(rng.integers(0, size - height)), int(rng.integers(0, size - breadth))
            place = np.s_[top : top + height, left : left + breadth]
            ground[place] = rng.integers(130, 170) + rng.normal(0, 8, (height, breadth, 1))
            mask[place] = 255
        name = f"tile_{number:04d}.png"
        Image.fromarray(ground.clip(0, 255).astype(np.uint8)).save(tiles / name)
        Image.fromarray(mask).save(footprints / name)


class TileDataset(Dataset):
    """Pairs of a tile (3, height, width) in [0, 1] and its mask (1, height, width) of zeros and ones."""

    def __init__(self, root: Path, names: list[str], crop_size: int | None):
        self.root, self.names, self.crop_size = root, names, crop_size

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        name = self.names[index]
        with (
            Image.open(self.root / "tiles" / name) as tile,
            Image.open(self.root / "footprints" / name) as mask,
        ):
            pixels, roofs = np.array(tile.convert("RGB")), np.array(mask.convert("L"))[..., None]
        if pixels.shape[:2] != roofs.shape[:2]:
            raise ValueError(f"{name}: tile and mask differ in size")
        # One array of four channels, so that no change of place can miss the mask.
        stack = np.concatenate([pixels / 255.0, roofs > 127], axis=2).astype(np.float32)
        if self.crop_size is None:
            stack = stack[: stack.shape[0] // 8 * 8, : stack.shape[1] // 8 * 8]
        else:
            stack = self.changed(stack, self.crop_size)
        both = torch.from_numpy(np.ascontiguousarray(stack.transpose(2, 0, 1)))
        return both[:3], both[3:]

    @staticmethod
    def changed(stack: np.ndarray, crop: int) -> np.ndarray:
        """Return a random crop, turned and mirrored; brightness and contrast of the picture change."""
        top = random.randint(0, stack.shape[0] - crop)
        left = random.randint(0, stack.shape[1] - crop)
        stack = np.rot90(stack[top : top + crop, left : left + crop], random.randint(0, 3)).copy()
        if random.random() < 0.5:
            stack = stack[:, ::-1].copy()
        contrast, brightness = random.uniform(0.8, 1.25), random.uniform(-0.1, 0.1)
        stack[..., :3] = ((stack[..., :3] - 0.5) * contrast + 0.5 + brightness).clip(0, 1)
        return stack


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of training crops and of whole validation and test tiles."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    names = sorted(path.name for path in (root / "tiles").glob("*.png"))
    without = [name for name in names if not (root / "footprints" / name).is_file()]
    if not names or without:
        raise FileNotFoundError(
            f"{root}: expected pairs of tiles/*.png and footprints/*.png; alone: {without[:3]}"
        )
    random.Random(config.seed).shuffle(names)
    share = max(1, len(names) // 6)
    train_part = TileDataset(root, names[2 * share :], config.crop_size)
    # Whole tiles one by one: they may differ in size.
    validation = DataLoader(TileDataset(root, names[:share], None), batch_size=1)
    test = DataLoader(TileDataset(root, names[share : 2 * share], None), batch_size=1)
    return DataLoader(train_part, batch_size=config.batch_size, shuffle=True, num_workers=0), validation, test


# %% [model]
class DoubleConv(nn.Module):
    """Two convolutions, normalised over groups of channels: large tiles leave room for small batches only."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, kernel_size=3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(8, channels)
        self.second = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(8, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same size."""
        x = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(x)))


class UNet(nn.Module):
    """Three halvings and three doublings with skip connections; one logit per pixel."""

    def __init__(self, width: int):
        super().__init__()
        self.enter = DoubleConv(3, width)
        self.down1 = DoubleConv(width, 2 * width)
        self.down2 = DoubleConv(2 * width, 4 * width)
        self.bottom = DoubleConv(4 * width, 8 * width)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout2d(0.2)
        self.rise3 = nn.ConvTranspose2d(8 * width, 4 * width, kernel_size=2, stride=2)
        self.up3 = DoubleConv(8 * width, 4 * width)
        self.rise2 = nn.ConvTranspose2d(4 * width, 2 * width, kernel_size=2, stride=2)
        self.up2 = DoubleConv(4 * width, 2 * width)
        self.rise1 = nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.up1 = DoubleConv(2 * width, width)
        self.classify = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, 1, height, width)."""
        a = self.enter(x)
        b = self.down1(self.pool(a))
        c = self.down2(self.pool(b))
        x = self.dropout(self.bottom(self.pool(c)))
        x = self.up3(torch.cat([self.rise3(x), c], dim=1))
        x = self.up2(torch.cat([self.rise2(x), b], dim=1))
        x = self.up1(torch.cat([self.rise1(x), a], dim=1))
        return self.classify(x)


def build_model(config: Config) -> nn.Module:
    """Return the untrained network."""
    return UNet(config.width)


# %% [train]
class BceDiceLoss(nn.Module):
    """A weighted sum of cross-entropy and 1 - Dice, both from logits.

    Dice is taken over the batch and not per crop: a crop without a single roof has no useful Dice.
    """

    def __init__(self, dice_weight: float):
        super().__init__()
        self.dice_weight = dice_weight

    def forward(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch."""
        probability = logits.sigmoid()
        dice = (2 * (probability * masks).sum() + 1) / (probability.sum() + masks.sum() + 1)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, masks)
        return (1 - self.dice_weight) * cross_entropy + self.dice_weight * (1 - dice)


def criterion_of(config: Config) -> nn.Module:
    """Return the loss that the settings name."""
    if config.loss == "bce_dice_loss":
        return BceDiceLoss(config.dice_weight)
    if config.loss == "binary_crossentropy":
        return nn.BCEWithLogitsLoss()
    raise ValueError(f"--loss {config.loss}: known are bce_dice_loss, binary_crossentropy")


@torch.no_grad()
def measure(
    model: nn.Module, tiles: DataLoader, criterion: nn.Module, device: torch.device
) -> dict[str, float]:
    """Return the loss, the IoU of all pixels together and the share of pixels that are right."""
    model.eval()
    losses, shared, either, right, pixels = [], 0, 0, 0, 0
    for tile, mask in tiles:
        tile, mask = tile.to(device), mask.to(device)
        logits = model(tile)
        losses.append(criterion(logits, mask).item())
        found, truth = logits > 0, mask > 0.5
        shared += (found & truth).sum().item()
        either += (found | truth).sum().item()
        right += (found == truth).sum().item()
        pixels += truth.numel()
    return {"loss": float(np.mean(losses)), "iou": shared / max(1, either), "pixel_accuracy": right / pixels}


def train(config: Config) -> dict[str, float]:
    """Fit until the validation IoU stops rising and keep the best weights."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    crops, validation, _ = load_data(config)
    model, criterion = build_model(config).to(device), criterion_of(config)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    if config.optimizer not in kinds:
        raise ValueError(f"--optimizer {config.optimizer}: known are {', '.join(kinds)}")
    optimizer = kinds[config.optimizer](model.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.3, patience=3)
    weights = Path(config.output_dir) / "model.pt"
    weights.parent.mkdir(parents=True, exist_ok=True)
    best, best_epoch, report = -1.0, 0, {}
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for tile, mask in crops:
            optimizer.zero_grad()
            loss = criterion(model(tile.to(device)), mask.to(device))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            losses.append(loss.item())
        checked = measure(model, validation, criterion, device)
        schedule.step(checked["iou"])
        report = {"loss": float(np.mean(losses))} | {f"val_{key}": value for key, value in checked.items()}
        print(
            f"epoch {epoch + 1} of {config.epochs}", *(f"{key} {value:.4f}" for key, value in report.items())
        )
        if checked["iou"] > best:
            best, best_epoch = checked["iou"], epoch
            torch.save(model.state_dict(), weights)
        elif epoch - best_epoch >= config.patience:
            break
    return report


# %% [evaluate]
def trained_model(config: Config, device: torch.device) -> nn.Module:
    """Return the network with the weights that `train` kept."""
    model = build_model(config)
    state = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location=device)
    model.load_state_dict(state)
    return model.to(device).eval()


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss, IoU and pixel accuracy on the test tiles."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return measure(trained_model(config, device), load_data(config)[2], criterion_of(config), device)


# %% [predict]
@torch.no_grad()
def predict(config: Config) -> np.ndarray:
    """Return building probabilities (tiles, height, width, 1) of the test tiles, averaged over mirrors.

    Writes a mask as PNG for each tile. Tiles of unequal size come back in the size of the smallest.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = trained_model(config, device)
    tiles = load_data(config)[2]
    maps = []
    for name, (tile, _) in zip(tiles.dataset.names, tiles, strict=True):
        tile = tile.to(device)
        both = [model(tile).sigmoid(), model(tile.flip(3)).sigmoid().flip(3)]
        maps.append(torch.stack(both).mean(0)[0].cpu().numpy())
        mask = (255 * (maps[-1][0] > 0.5)).astype(np.uint8)
        Image.fromarray(mask).save(Path(config.output_dir) / f"mask_{name}")
    height, width = min(m.shape[1] for m in maps), min(m.shape[2] for m in maps)
    probabilities = np.stack([m[0, :height, :width, None] for m in maps])
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
