# SPDX-License-Identifier: Apache-2.0
"""Generate decorative tiles by denoising diffusion (DDPM), in PyTorch.

Pictures are drowned in noise over `timesteps` small steps of a cosine schedule; a small U-Net, told
the step through a sinusoidal embedding, learns to name the noise. New tiles come from pure noise
that is cleaned step by step. Sampling uses a moving average of the weights (EMA), which draws
visibly better than the weights of any single step.

Data: `data_dir/tiles/**/*.png` (or .jpg, .webp), pictures of one kind, in folders as you like. They are
cut to a centred square and scaled to 32x32.
"""

# %% [imports]
import argparse
import copy
import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageOps
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


# %% [config]
@dataclasses.dataclass
class Config:
    """All settings; `ema_decay` near 1 averages over more steps."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 32
    channels: int = 32
    time_dim: int = 128
    timesteps: int = 200
    ema_decay: float = 0.995
    warmup_steps: int = 100
    sampling_steps: int = 25
    num_generated: int = 6
    optimizer: str = "adamw"
    loss: str = "mean_squared_error"
    metric: str = "noise_error"
    learning_rate: float = 0.0004
    batch_size: int = 32
    epochs: int = 200


def parse_config(argv: list[str] | None = None) -> Config:
    """Build the settings from options that carry the names of the fields."""
    parser = argparse.ArgumentParser(description="Denoising diffusion on small pictures")
    for field in dataclasses.fields(Config):
        name = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(name, action="store_true")
            continue
        parser.add_argument(name, type=field.type, default=field.default, metavar=field.type.__name__.upper())
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Draw tiles: a coloured ground, a diamond and a disc in it, on a grid of few colours."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir) / "tiles"
    folder.mkdir(parents=True, exist_ok=True)
    palette = [(28, 64, 110), (240, 232, 210), (196, 84, 48), (60, 120, 100)]
    size = 2 * config.image_size
    for index in range(config.synthetic_samples):
        ground, shape, dot = (palette[i] for i in rng.permutation(len(palette))[:3])
        tile = Image.new("RGB", (size, size), ground)
        draw = ImageDraw.Draw(tile)
        half, reach = size / 2, size * rng.uniform(0.32, 0.48)
        draw.polygon(
            [(half, half - reach), (half + reach, half), (half, half + reach), (half - reach, half)], shape
        )
        radius = reach * rng.uniform(0.25, 0.5)
        draw.ellipse([half - radius, half - radius, half + radius, half + radius], dot)
        tile.save(folder / f"tile_{index:04d}.png")


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return (train, validation, test) loaders of tiles (batch, 3, size, size) in [-1, 1]."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir) / "tiles"
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"})
    if not paths:
        raise FileNotFoundError(f"{folder}: expected pictures (.png, .jpg or .webp)")
    pixels = np.empty((len(paths), config.image_size, config.image_size, 3), dtype=np.float32)
    for row, path in zip(pixels, paths, strict=True):
        with Image.open(path) as picture:
            row[:] = ImageOps.fit(picture.convert("RGB"), (config.image_size, config.image_size))
    tiles = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous() / 127.5 - 1.0
    tiles = tiles[torch.randperm(len(tiles), generator=torch.Generator().manual_seed(config.seed))]
    tenth = max(1, len(tiles) // 10)
    kept, checked, tested = tiles.split([len(tiles) - 2 * tenth, tenth, tenth])
    return (
        DataLoader(TensorDataset(kept), batch_size=config.batch_size, shuffle=True, num_workers=0),
        DataLoader(TensorDataset(checked), batch_size=config.batch_size, num_workers=0),
        DataLoader(TensorDataset(tested), batch_size=config.batch_size, num_workers=0),
    )


# %% [model]
class TimeEmbedding(nn.Module):
    """Turn step numbers into sines and cosines of many frequencies, then into features."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.layers = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, step: torch.Tensor) -> torch.Tensor:
        """Return features (batch, dim)."""
        half = self.dim // 2
        frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, device=step.device) / half)
        angles = step[:, None].float() * frequencies
        return self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))


class ResidualBlock(nn.Module):
    """Two convolutions around a shift by the time features, with a way past both."""

    def __init__(self, channels_in: int, channels_out: int, time_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.time = nn.Linear(time_dim, channels_out)
        self.norm2 = nn.GroupNorm(8, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        # Starts as zero: at first the block passes on what it gets, which keeps deep nets stable.
        nn.init.zeros_(self.conv2.weight)
        self.past = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Return features of the same height and width."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(time)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + self.past(x)


class SpatialAttention(nn.Module):
    """Let every place look at every other one; affordable where the picture is small."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape."""
        places = self.norm(x).flatten(2).transpose(1, 2)
        found, _ = self.attention(places, places, places, need_weights=False)
        return x + found.transpose(1, 2).reshape(x.shape)


class NoiseUNet(nn.Module):
    """Name the noise in a picture, given the step that it comes from."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        c, t = config.channels, config.time_dim
        self.time = TimeEmbedding(t)
        self.stem = nn.Conv2d(3, c, 3, padding=1)
        self.down1 = ResidualBlock(c, c, t)
        self.shrink1 = nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.down2 = ResidualBlock(c, 2 * c, t)
        self.shrink2 = nn.Conv2d(2 * c, 2 * c, 3, stride=2, padding=1)
        self.middle1 = ResidualBlock(2 * c, 4 * c, t)
        self.attention = SpatialAttention(4 * c)
        self.middle2 = ResidualBlock(4 * c, 2 * c, t)
        self.grow2 = nn.Upsample(scale_factor=2)
        self.up2 = ResidualBlock(4 * c, c, t)
        self.grow1 = nn.Upsample(scale_factor=2)
        self.up1 = ResidualBlock(2 * c, c, t)
        self.norm = nn.GroupNorm(8, c)
        self.head = nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Return the noise (batch, 3, size, size)."""
        time = self.time(step)
        x = self.stem(x)
        skip1 = self.down1(x, time)
        skip2 = self.down2(self.shrink1(skip1), time)
        x = self.middle1(self.shrink2(skip2), time)
        x = self.middle2(self.attention(x), time)
        x = self.up2(torch.cat([self.grow2(x), skip2], dim=1), time)
        x = self.up1(torch.cat([self.grow1(x), skip1], dim=1), time)
        return self.head(F.silu(self.norm(x)))


class Diffusion:
    """Hold the noise schedule: how much picture and how much noise is left at each step."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.timesteps = timesteps = config.timesteps
        self.sampling_steps = min(config.sampling_steps, timesteps)
        # Cosine schedule: information goes at an even pace, where a linear one wastes its last steps.
        places = torch.arange(timesteps + 1, device=device) / timesteps
        signal = torch.cos((places + 0.008) / 1.008 * math.pi / 2).square()
        beta = (1.0 - signal[1:] / signal[:-1]).clamp(max=0.999)
        self.alpha_bar = torch.cumprod(1.0 - beta, dim=0)

    def drown(self, clean: torch.Tensor, step: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return pictures as they are after `step` steps of noise, in one go."""
        left = self.alpha_bar[step][:, None, None, None]
        return left.sqrt() * clean + (1.0 - left).sqrt() * noise

    @torch.no_grad()
    def sample(self, model: nn.Module, noise: torch.Tensor, seed: int) -> torch.Tensor:
        """Return pictures in [-1, 1] made from noise; the same seed gives the same pictures."""
        generator = torch.Generator().manual_seed(seed)
        x = noise
        # An even selection of the steps is nearly as good as all of them, and much faster.
        visited = torch.linspace(self.timesteps - 1, 0, self.sampling_steps).round().long().unique().flip(0)
        for place, step in enumerate(visited.tolist()):
            bar = self.alpha_bar[step]
            last = place + 1 == len(visited)
            before = torch.ones_like(bar) if last else self.alpha_bar[visited[place + 1]]
            alpha = bar / before
            named = model(x, torch.full((len(x),), step, device=x.device))
            # The guess at the finished picture is kept in range, else errors build up.
            clean = ((x - (1.0 - bar).sqrt() * named) / bar.sqrt()).clamp(-1.0, 1.0)
            mean = before.sqrt() * (1.0 - alpha) * clean + alpha.sqrt() * (1.0 - before) * x
            fresh = torch.randn(x.shape, generator=generator).to(x.device)
            x = mean / (1.0 - bar) + ((1.0 - alpha) * (1.0 - before) / (1.0 - bar)).sqrt() * fresh
        return x


def build_model(config: Config) -> nn.Module:
    """Return the network; image_size must be a multiple of 4, channels one of 8."""
    return NoiseUNet(config)


# %% [train]
LOSSES = {"mean_squared_error": F.mse_loss, "mean_absolute_error": F.l1_loss, "huber": F.smooth_l1_loss}
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def chosen(table: dict, name: str):
    """Return the entry of a table; an unknown name is answered with those that are known."""
    if name not in table:
        raise ValueError(f"{name!r} is not known; known are {', '.join(sorted(table))}")
    return table[name]


@torch.no_grad()
def noise_error(model: nn.Module, loader: DataLoader, diffusion: Diffusion, config: Config) -> float:
    """Return the mean squared error of the named noise; steps and noise are the same in every call."""
    generator = torch.Generator().manual_seed(config.seed)
    total = count = 0
    for (clean,) in loader:
        clean = clean.to(diffusion.alpha_bar.device)
        step = torch.randint(diffusion.timesteps, (len(clean),), generator=generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        error = F.mse_loss(model(diffusion.drown(clean, step, noise), step), noise)
        total, count = total + float(error) * len(clean), count + len(clean)
    return total / count


def train(config: Config) -> dict[str, float]:
    """Learn to name the noise; save the averaged weights."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, validation_loader, _ = load_data(config)
    model = build_model(config).to(device)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    diffusion = Diffusion(config, device)
    criterion = chosen(LOSSES, config.loss)
    optimizer = chosen(OPTIMIZERS, config.optimizer)(model.parameters(), lr=config.learning_rate)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / config.warmup_steps))
    steps, measures = 0, {}
    for epoch in range(config.epochs):
        losses = []
        for (clean,) in train_loader:
            clean = clean.to(device)
            step = torch.randint(config.timesteps, (len(clean),), device=device)
            noise = torch.randn_like(clean)
            loss = criterion(model(diffusion.drown(clean, step, noise), step), noise)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            warmup.step()
            steps += 1
            # A young average follows closely, so that it does not carry the random start along.
            decay = min(config.ema_decay, (1 + steps) / (10 + steps))
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 1.0 - decay)
            losses.append(loss.item())
        measures = {"loss": float(np.mean(losses))}
        measures["val_noise_error"] = noise_error(average, validation_loader, diffusion, config)
        print(f"epoch {epoch + 1}", " ".join(f"{name}={value:.4f}" for name, value in measures.items()))
    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    torch.save(average.state_dict(), Path(config.output_dir) / "model.pt")
    return measures


# %% [evaluate]
def restore(config: Config) -> tuple[nn.Module, Diffusion]:
    """Return the averaged network from disk and its noise schedule."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config).to(device).eval()
    path = Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location=device))
    return model, Diffusion(config, device)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the error of the named noise on test tiles; naming none at all scores about 1."""
    _, _, loader = load_data(config)
    model, diffusion = restore(config)
    return {"noise_error": noise_error(model, loader, diffusion, config)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return new tiles (num_generated, size, size, 3) in [-1, 1]; save array and picture."""
    model, diffusion = restore(config)
    shape = (config.num_generated, 3, config.image_size, config.image_size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(config.seed))
    tiles = diffusion.sample(model, noise.to(diffusion.alpha_bar.device), config.seed + 1)
    array = tiles.permute(0, 2, 3, 1).cpu().numpy()
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", array)
    strip = np.concatenate(list(array), axis=1)
    Image.fromarray(((strip.clip(-1, 1) + 1.0) * 127.5).astype(np.uint8)).save(output / "tiles.png")
    return array


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
