# SPDX-License-Identifier: Apache-2.0
"""Colour black-and-white photographs with a conditional GAN in the manner of pix2pix (PyTorch).

The U-Net sees the brightness of a photo and answers with its two colour channels (Cb and Cr); the
brightness itself is never touched, so no detail gets lost. A PatchGAN looks at brightness and colour
together and asks for colours that are plausible, where the L1 term alone would settle for brown.

Data: `data_dir/photos/*.jpg` (or .png), colour photographs of any size. Their grey versions are made
here. Every tenth photo (by a shuffled list) is kept for validation and another tenth for the test.
"""

# %% [imports]
import argparse
import dataclasses
import math
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings with the values that train a usable model on a few thousand photos."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 64
    base_channels: int = 32
    l1_weight: float = 100.0
    gradient_clip: float = 5.0
    optimizer: str = "adam"
    loss: str = "binary_crossentropy"
    metric: str = "psnr"
    learning_rate: float = 0.0002
    batch_size: int = 16
    epochs: int = 60


def parse_config(argv: list[str] | None = None) -> Config:
    """Return the settings, each overridden by its option where one is given."""
    parser = argparse.ArgumentParser(
        description="Photo colourisation", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name, default in dataclasses.asdict(Config()).items():
        how = {"action": "store_true"} if default is False else {"type": type(default), "default": default}
        parser.add_argument("--" + name.replace("_", "-"), help=f"default {default}", **how)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Paint scenes whose colours follow from their brightness: sky, sunlit roof, grass, pond."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    side = config.image_size + 16
    for number in range(config.synthetic_samples):
        canvas = np.empty((side, side, 3))
        horizon = int(side * rng.uniform(0.35, 0.65))
        canvas[:horizon] = (150, 200, 250)
        canvas[horizon:] = (60, 120, 40)
        left, width = int(rng.integers(side // 2)), side // 3
        canvas[horizon - side // 5 : horizon, left : left + width] = (200, 70, 50)
        top = int(rng.integers(horizon, side - 8))
        canvas[top : top + 8, side // 4 : 3 * side // 4] = (25, 45, 130)
        canvas *= rng.uniform(0.9, 1.05)
        canvas += rng.normal(0, 4, size=(side, side, 1))
        Image.fromarray(np.clip(canvas, 0, 255).astype("uint8")).save(folder / f"{number:05d}.png")


class PhotoColours(Dataset):
    """Give (brightness, colours) of each photo, both in [-1, 1], as (1, size, size) and (2, size, size)."""

    def __init__(self, files: list[Path], size: int, augment: bool) -> None:
        self.files = files
        self.size = size
        self.augment = augment

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        with Image.open(self.files[index]) as photo:
            photo = photo.convert("YCbCr")
        # The shorter side first fills the crop (with some room to move while training).
        room = 1.12 if self.augment else 1.0
        scale = room * self.size / min(photo.size)
        width, height = (max(self.size, round(side * scale)) for side in photo.size)
        photo = photo.resize((width, height), Image.Resampling.BICUBIC)
        if self.augment:
            left, top = random.randint(0, width - self.size), random.randint(0, height - self.size)
        else:
            left, top = (width - self.size) // 2, (height - self.size) // 2
        photo = photo.crop((left, top, left + self.size, top + self.size))
        if self.augment and random.random() < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        planes = torch.from_numpy(np.array(photo, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1.0
        return planes[:1], planes[1:]


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of (train, validation, test); only the first is shuffled and augmented."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir) / "photos"
    files = sorted(file for ext in ("jpg", "jpeg", "png") for file in folder.glob(f"*.{ext}"))
    if len(files) < 3:
        raise FileNotFoundError(f"{folder}: expected at least three colour photographs, .jpg or .png")
    random.Random(config.seed).shuffle(files)
    tenth = max(1, len(files) // 10)
    parts = files[2 * tenth :], files[:tenth], files[tenth : 2 * tenth]
    loaders = []
    for part in parts:
        training = part is parts[0]
        photos = PhotoColours(part, config.image_size, augment=training)
        loaders.append(DataLoader(photos, batch_size=config.batch_size, shuffle=training, num_workers=0))
    return loaders[0], loaders[1], loaders[2]


# %% [model]
class Down(nn.Module):
    """Halve the picture: strided convolution, normalisation, leaky ReLU."""

    def __init__(self, channels_in: int, channels_out: int, normalise: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=not normalise)
        self.norm = nn.BatchNorm2d(channels_out) if normalise else nn.Identity()
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (photos, channels, size / 2, size / 2)."""
        return self.act(self.norm(self.conv(x)))


class Up(nn.Module):
    """Double the picture and join it with the features of the same size on the way down."""

    def __init__(self, channels_in: int, channels_out: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return the doubled features, the skipped ones behind them."""
        x = self.drop(self.act(self.norm(self.conv(x))))
        return torch.cat([x, skip], dim=1)


class Colouriser(nn.Module):
    """U-Net from brightness (1 channel) to colours (2 channels)."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.down1 = Down(1, base, normalise=False)
        self.down2 = Down(base, base * 2)
        self.down3 = Down(base * 2, base * 4)
        self.down4 = Down(base * 4, base * 8)
        self.up1 = Up(base * 8, base * 4, dropout=0.3)
        self.up2 = Up(base * 8, base * 2, dropout=0.0)
        self.up3 = Up(base * 4, base, dropout=0.0)
        self.head = nn.ConvTranspose2d(base * 2, 2, 4, stride=2, padding=1)

    def forward(self, brightness: torch.Tensor) -> torch.Tensor:
        """Return the colours (photos, 2, size, size) in [-1, 1]."""
        d1 = self.down1(brightness)
        d2 = self.down2(d1)
        d3 = self.down3(d2)
        x = self.down4(d3)
        x = self.up1(x, d3)
        x = self.up2(x, d2)
        x = self.up3(x, d1)
        return torch.tanh(self.head(x))


class PatchCritic(nn.Module):
    """Judge each patch of a brightness with its colours: one logit per 16th of a side."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Down(3, base, normalise=False),
            Down(base, base * 2),
            Down(base * 2, base * 4),
            nn.Conv2d(base * 4, 1, 4, padding=1),
        )

    def forward(self, brightness: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
        """Return the logits (photos, 1, patches, patches): positive means real."""
        return self.body(torch.cat([brightness, colours], dim=1))


def start_small(module: nn.Module) -> None:
    """Draw the weights as the DCGAN authors do: larger ones let one side win at once."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)


def build_model(config: Config) -> nn.Module:
    """Return the generator; image_size must be a multiple of 16."""
    return Colouriser(config.base_channels).apply(start_small)


# %% [train]
ADVERSARIAL = {"binary_crossentropy": nn.BCEWithLogitsLoss, "mean_squared_error": nn.MSELoss}


def make_optimizer(config: Config, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name."""
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=config.learning_rate)
    raise ValueError(f"optimizer {config.optimizer!r}: expected adam or rmsprop")


def psnr(answer: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the mean peak signal-to-noise ratio in decibels of planes in [-1, 1]."""
    error = (answer - truth).square().flatten(1).mean(dim=1).clamp_min(1e-10)
    return float((10.0 * torch.log10(4.0 / error)).mean())


@torch.no_grad()
def validate(generator: nn.Module, loader: DataLoader, device: torch.device) -> float:
    """Return the mean PSNR of the colour channels over a loader."""
    generator.eval()
    scores = [(psnr(generator(y.to(device)), c.to(device)), len(y)) for y, c in loader]
    generator.train()
    return sum(score * count for score, count in scores) / sum(count for _, count in scores)


def train(config: Config) -> dict[str, float]:
    """Train generator and critic in turns; keep the generator of the epoch with the best PSNR."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    if config.loss not in ADVERSARIAL:
        raise ValueError(f"loss {config.loss!r}: expected one of {sorted(ADVERSARIAL)}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, validation_loader, _ = load_data(config)
    generator = build_model(config).to(device)
    critic = PatchCritic(config.base_channels).apply(start_small).to(device)
    optimizer_g, optimizer_d = make_optimizer(config, generator), make_optimizer(config, critic)
    adversarial, l1 = ADVERSARIAL[config.loss](), nn.L1Loss()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best = -math.inf
    measures: dict[str, float] = {}
    for epoch in range(config.epochs):
        total = total_d = 0.0
        for brightness, colours in train_loader:
            brightness, colours = brightness.to(device), colours.to(device)
            painted = generator(brightness)

            real, fake = critic(brightness, colours), critic(brightness, painted.detach())
            loss_d = (
                adversarial(real, torch.ones_like(real)) + adversarial(fake, torch.zeros_like(fake))
            ) / 2
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()

            verdict = critic(brightness, painted)
            loss_g = adversarial(verdict, torch.ones_like(verdict)) + config.l1_weight * l1(painted, colours)
            optimizer_g.zero_grad()
            loss_g.backward()
            nn.utils.clip_grad_norm_(generator.parameters(), config.gradient_clip)
            optimizer_g.step()
            total += loss_g.item()
            total_d += loss_d.item()
        score = validate(generator, validation_loader, device)
        measures = {"loss": total / len(train_loader), "critic_loss": total_d / len(train_loader)}
        print(f"epoch {epoch + 1:3d}  loss {measures['loss']:.3f}  val_psnr {score:.2f} dB")
        if score > best:
            best = score
            torch.save(generator.state_dict(), output / "model.pt")
    return {**measures, "val_psnr": best}


# %% [evaluate]
def load_generator(config: Config) -> tuple[nn.Module, torch.device]:
    """Return the saved generator, ready to use, and where it lives."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = build_model(config).to(device)
    state = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location=device)
    generator.load_state_dict(state)
    return generator.eval(), device


def evaluate(config: Config) -> dict[str, float]:
    """Measure the PSNR on the test photos, beside that of leaving them grey."""
    _, _, loader = load_data(config)
    generator, device = load_generator(config)
    grey = [(psnr(torch.zeros_like(colours), colours), len(colours)) for _, colours in loader]
    return {
        "psnr": validate(generator, loader, device),
        "psnr_grey": sum(score * count for score, count in grey) / sum(count for _, count in grey),
    }


# %% [predict]
@torch.no_grad()
def predict(config: Config) -> np.ndarray:
    """Return the colours of the test photos (photos, size, size, 2) in [-1, 1]; write the photos as PNG."""
    _, _, loader = load_data(config)
    generator, device = load_generator(config)
    output = Path(config.output_dir)
    answers: list[np.ndarray] = []
    for brightness, _ in loader:
        colours = generator(brightness.to(device)).cpu()
        planes = ((torch.cat([brightness, colours], dim=1) + 1.0) * 127.5).round().clamp(0, 255)
        for item in planes.permute(0, 2, 3, 1).numpy().astype(np.uint8):
            photo = Image.merge("YCbCr", [Image.fromarray(item[..., plane]) for plane in range(3)])
            photo.convert("RGB").save(output / f"coloured_{len(answers):04d}.png")
            answers.append(item)
    channels = np.stack(answers)[..., 1:].astype(np.float32) / 127.5 - 1.0
    np.save(output / "predictions.npy", channels)
    return channels


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
