# SPDX-License-Identifier: Apache-2.0
"""Classify actions in video clips with a 3D residual network in PyTorch, in the manner of R(2+1)D.

Every 3D convolution is split into one over space (1x3x3) and one over time (3x1x1) with a ReLU between
them: fewer weights and more non-linearity than a full 3x3x3. Training takes a random stretch of each clip
and one random crop for all its frames; testing averages the answers for several stretches.

Data: `data_dir/frames/<clip>/*.jpg`, frames that sort in order of time, and `data_dir/clips.csv` with the
header `clip,video,action`. Clips cut from the same `video` always end up in the same split, as they show
the same people and places.
"""

# %% [imports]
import argparse
import csv
import dataclasses
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
    """Settings; `stride` is the distance of the frames that are read, in frames of the clip."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_frames: int = 8
    stride: int = 2
    image_size: int = 56
    num_classes: int = 4
    test_views: int = 3
    optimizer: str = "sgd"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.02
    batch_size: int = 8
    epochs: int = 45


def parse_config(argv: list[str] | None = None) -> Config:
    """Override the defaults of Config from the command line."""
    parser = argparse.ArgumentParser(description="R(2+1)D on clips of frames")
    defaults = dataclasses.asdict(Config())
    for name in defaults:
        option = "--" + name.replace("_", "-")
        if defaults[name] is False:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(defaults[name]), metavar="VALUE")
    given = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    return Config(**given)


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write clips of a ball that swings sideways, up and down, in a circle, or rests and pulses."""
    rng = np.random.default_rng(config.seed)
    size = config.image_size + 8
    length = config.num_frames * config.stride + 4
    rows, columns = np.mgrid[:size, :size]
    root = Path(config.data_dir)
    with_header = [["clip", "video", "action"]]
    for number in range(config.synthetic_samples):
        label = number % config.num_classes
        clip = root / "frames" / f"clip_{number:04d}"
        clip.mkdir(parents=True, exist_ok=True)
        phase, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.8)
        middle, reach = rng.uniform(0.45, 0.55, 2) * size, 0.25 * size
        for time in range(length):
            angle = phase + speed * time
            x = middle[0] + reach * np.cos(angle) * (label in (0, 2))
            y = middle[1] + reach * np.sin(angle) * (label in (1, 2))
            radius = size / 10 * (1 + 0.5 * np.sin(angle) * (label == 3))
            frame = rng.normal(60, 10, (size, size, 3))
            frame[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = (230, 220, 90)
            picture = Image.fromarray(frame.clip(0, 255).astype(np.uint8))
            picture.save(clip / f"{time:04d}.jpg", quality=92)
        # Two clips a video, of different actions.
        with_header.append([clip.name, f"video_{number // 2:03d}", f"action_{label}"])
    with open(root / "clips.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(with_header)


class ClipDataset(Dataset):
    """Views of clips as tensors (3, num_frames, image_size, image_size) in [-1, 1] with their label.

    In training a view is a random stretch, crop and mirror image; else view `v` of `test_views` is the
    v-th of evenly spread stretches, cropped in the middle, and item i is view i % test_views.
    """

    def __init__(self, clips: list[tuple[Path, int]], config: Config, training: bool):
        self.clips, self.config, self.training = clips, config, training
        self.views = 1 if training else config.test_views

    def __len__(self) -> int:
        return len(self.clips) * self.views

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        folder, label = self.clips[item // self.views]
        frames = sorted(folder.glob("*.jpg"))
        span = (self.config.num_frames - 1) * self.config.stride + 1
        slack = max(0, len(frames) - span)
        if self.training:
            start = random.randint(0, slack)
            place, mirrored = (random.random(), random.random()), random.random() < 0.5
        else:
            start = round(slack * (item % self.views) / max(1, self.views - 1))
            place, mirrored = (0.5, 0.5), False
        # Clips that are too short repeat their last frame.
        chosen = [
            min(start + step * self.config.stride, len(frames) - 1) for step in range(self.config.num_frames)
        ]
        size, pictures = self.config.image_size, []
        for index in chosen:
            with Image.open(frames[index]) as picture:
                scale = 1.14 * size / min(picture.size)
                width, height = (max(size, round(side * scale)) for side in picture.size)
                picture = picture.convert("RGB").resize((width, height))
            left, top = int(place[0] * (width - size)), int(place[1] * (height - size))
            pictures.append(np.array(picture.crop((left, top, left + size, top + size))))
        clip = torch.from_numpy(np.stack(pictures)).permute(3, 0, 1, 2).float() / 127.5 - 1
        return (clip.flip(3) if mirrored else clip), label


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of training, validation and test views; videos, not clips, are dealt to the splits."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    if not (root / "clips.csv").is_file():
        raise FileNotFoundError(f"{root}: expected frames/<clip>/*.jpg and clips.csv (clip, video, action)")
    with open(root / "clips.csv", newline="", encoding="utf-8") as file:
        entries = list(csv.DictReader(file))
    actions = sorted({entry["action"] for entry in entries})
    if len(actions) != config.num_classes:
        raise ValueError(f"{len(actions)} actions in clips.csv, but --num-classes {config.num_classes}")
    videos = sorted({entry["video"] for entry in entries})
    random.Random(config.seed).shuffle(videos)
    held_out = max(1, len(videos) * 3 // 20)
    split_of = {
        video: 1 if rank < held_out else 2 if rank < 2 * held_out else 0 for rank, video in enumerate(videos)
    }
    parts: list[list[tuple[Path, int]]] = [[], [], []]
    for entry in entries:
        item = (root / "frames" / entry["clip"], actions.index(entry["action"]))
        parts[split_of[entry["video"]]].append(item)
    training = ClipDataset(parts[0], config, training=True)
    held = [ClipDataset(part, config, training=False) for part in parts[1:]]
    loaders = [DataLoader(views, batch_size=config.batch_size, num_workers=0) for views in held]
    return (
        DataLoader(training, batch_size=config.batch_size, shuffle=True, num_workers=0),
        loaders[0],
        loaders[1],
    )


# %% [model]
def factorised(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution over space followed by one over time, both of stride `stride`."""
    return nn.Sequential(
        nn.Conv3d(
            channels_in, channels, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False
        ),
        nn.BatchNorm3d(channels),
        nn.ReLU(),
        nn.Conv3d(channels, channels, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(channels),
    )


class SpaceTimeBlock(nn.Module):
    """A residual block of factorised convolutions; halves space and time where the width grows."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        stride = 1 if channels_in == channels else 2
        self.body = factorised(channels_in, channels, stride)
        self.shortcut = nn.Conv3d(channels_in, channels, 1, stride=stride, bias=False)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (batch, channels, time, height, width)."""
        return self.activation(self.body(x) + self.shortcut(x))


def build_model(config: Config) -> nn.Module:
    """Return the network; it takes (batch, 3, frames, height, width) and answers with logits."""
    return nn.Sequential(
        nn.Conv3d(3, 16, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2), bias=False),
        nn.BatchNorm3d(16),
        nn.ReLU(),
        SpaceTimeBlock(16, 16),
        SpaceTimeBlock(16, 32),
        SpaceTimeBlock(32, 64),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64, config.num_classes),
    )


# %% [train]
def clip_logits(
    model: nn.Module, loader: DataLoader, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities (clips, classes), of the mean over views, and labels (clips,)."""
    model.eval()
    answers, labels = [], []
    with torch.inference_mode():
        for clips, truth in loader:
            answers.append(model(clips.to(device)).softmax(dim=1).cpu())
            labels.append(truth)
    views = loader.dataset.views
    probabilities = torch.cat(answers).unflatten(0, (-1, views)).mean(dim=1)
    return probabilities.clamp(min=1e-8).log(), torch.cat(labels)[::views]


def train(config: Config) -> dict[str, float]:
    """Fit with Nesterov momentum along a cosine and keep the weights that validate best."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, validation_loader, _ = load_data(config)
    model = build_model(config).to(device)
    optimizers = {
        "sgd": lambda weights, rate: torch.optim.SGD(
            weights, rate, momentum=0.9, nesterov=True, weight_decay=1e-4
        ),
        "adam": torch.optim.Adam,
    }
    losses = {"sparse_categorical_crossentropy": nn.CrossEntropyLoss}
    try:
        optimizer = optimizers[config.optimizer](model.parameters(), config.learning_rate)
        criterion = losses[config.loss]()
    except KeyError as error:
        raise ValueError(f"{error}: known are {', '.join([*optimizers, *losses])}") from error
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.epochs)
    target = Path(config.output_dir) / "model.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    lowest, report = float("inf"), {}
    for epoch in range(config.epochs):
        model.train()
        total, correct, count = 0.0, 0, 0
        for clips, labels in train_loader:
            clips, labels = clips.to(device), labels.to(device)
            logits = model(clips)
            loss = criterion(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
        cosine.step()
        answers, truth = clip_logits(model, validation_loader, device)
        checked = nn.functional.nll_loss(answers, truth).item()
        report = {"loss": total / count, "accuracy": correct / count, "val_loss": checked}
        print(f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.3f}" for name, value in report.items()))
        if checked < lowest:
            lowest = checked
            torch.save(model.state_dict(), target)
    return report


# %% [evaluate]
def answers_of_test(config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities and labels of the test clips by the saved network."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config)
    model.load_state_dict(
        torch.load(Path(config.output_dir) / "model.pt", map_location=device, weights_only=True)
    )
    _, _, test_loader = load_data(config)
    return clip_logits(model.to(device), test_loader, device)


def evaluate(config: Config) -> dict[str, float]:
    """Measure how often the right action is first, and among the first two, on the test clips."""
    answers, truth = answers_of_test(config)
    ranked = answers.argsort(dim=1, descending=True) == truth[:, None]
    return {
        "loss": nn.functional.nll_loss(answers, truth).item(),
        "accuracy": ranked[:, 0].float().mean().item(),
        "top_2_accuracy": ranked[:, :2].any(dim=1).float().mean().item(),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return action probabilities (clips, num_classes) of the test clips and save them."""
    probabilities = answers_of_test(config)[0].exp().numpy()
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
