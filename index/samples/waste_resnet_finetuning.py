# SPDX-License-Identifier: Apache-2.0
"""Sort photos of waste by material with a ResNet-18 in PyTorch, fine-tuned from a local weights file.

The network's parameter names are those of the common ResNet-18 checkpoints, so that such a file
(`--pretrained-weights resnet18.pth`) loads as it is; its classifier is dropped. With weights the stem and
the first stage stay frozen and the rest learns at a tenth of the head's rate; without them everything
learns from scratch at the full rate. The rate rises over a warm-up, then falls along a cosine.

Data: `data_dir/<material>/*.jpg` (or .png), one folder per class, for instance `glass`, `metal`, `paper`
and `plastic`. Each class is split 70/15/15 by itself, so that rare materials are in every split.
"""

# %% [imports]
import argparse
import csv
import math
import random
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclass
class Config:
    """Settings of the run, all of them options of the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 96
    num_classes: int = 4
    pretrained_weights: str | None = None
    backbone_rate: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    warmup_epochs: int = 1
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 20


OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
LOSSES = {"sparse_categorical_crossentropy": nn.CrossEntropyLoss}
# Channel statistics of the photos that public checkpoints were trained on.
CHANNEL_MEAN = (0.485, 0.456, 0.406)
CHANNEL_STD = (0.229, 0.224, 0.225)


def parse_config(argv: list[str] | None = None) -> Config:
    """Turn the command line into a Config."""
    parser = argparse.ArgumentParser(description="Fine-tune a ResNet-18 on folders of photos")
    for entry in fields(Config):
        flag, default = f"--{entry.name.replace('_', '-')}", entry.default
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, default=default, type=str if default is None else type(default))
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write noisy photos whose class shows in the direction and the colour of stripes."""
    generator = np.random.default_rng(config.seed)
    size = config.image_size + 16
    across = np.arange(size)
    for number in range(config.synthetic_samples):
        label = number % config.num_classes
        folder = Path(config.data_dir) / f"material_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        angle = math.pi * label / config.num_classes
        wave = np.cos(angle) * across[:, None] + np.sin(angle) * across[None, :] + generator.uniform(0, 20)
        tint = np.array([0.4, 0.4, 0.4])
        tint[label % 3] = 1.0
        photo = 90 + 60 * np.sin(wave / 3.0)[..., None] * tint + generator.normal(0, 25, (size, size, 3))
        Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=90)


class WasteDataset(Dataset):
    """Photos as normalised tensors (3, image_size, image_size) with their class index."""

    def __init__(self, files: list[tuple[Path, int]], image_size: int, augment: bool):
        self.files = files
        self.image_size = image_size
        self.augment = augment

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.files[index]
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        photo = self._augmented(photo) if self.augment else self._centred(photo)
        pixels = torch.from_numpy(np.array(photo, dtype=np.float32) / 255.0).permute(2, 0, 1)
        mean, std = torch.tensor(CHANNEL_MEAN), torch.tensor(CHANNEL_STD)
        return (pixels - mean[:, None, None]) / std[:, None, None], label

    def _centred(self, photo: Image.Image) -> Image.Image:
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        box = (left, top, left + side, top + side)
        return photo.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR, box)

    def _augmented(self, photo: Image.Image) -> Image.Image:
        """Cut a random region, mirror it half of the time and change brightness and colour a little."""
        side = min(photo.size) * math.sqrt(random.uniform(0.5, 1.0))
        left, top = random.uniform(0, photo.width - side), random.uniform(0, photo.height - side)
        box = (left, top, left + side, top + side)
        photo = photo.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR, box)
        if random.random() < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        photo = ImageEnhance.Brightness(photo).enhance(random.uniform(0.8, 1.2))
        return ImageEnhance.Color(photo).enhance(random.uniform(0.8, 1.2))


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of the training, validation and test photos; only the first augments and shuffles."""
    if config.synthetic:
        make_synthetic(config)
    folders = sorted(path for path in Path(config.data_dir).glob("*") if path.is_dir())
    if len(folders) != config.num_classes:
        raise FileNotFoundError(
            f"{config.data_dir}: expected {config.num_classes} folders of photos, found {len(folders)}"
        )
    parts: tuple[list, list, list] = ([], [], [])
    for label, folder in enumerate(folders):
        photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        random.Random(config.seed + label).shuffle(photos)
        held_out = max(1, round(0.15 * len(photos)))
        cuts = {0: photos[2 * held_out :], 1: photos[:held_out], 2: photos[held_out : 2 * held_out]}
        for place, chosen in cuts.items():
            parts[place].extend((photo, label) for photo in chosen)
    datasets = [WasteDataset(part, config.image_size, augment=part is parts[0]) for part in parts]
    return (
        DataLoader(datasets[0], batch_size=config.batch_size, shuffle=True, num_workers=0),
        DataLoader(datasets[1], batch_size=config.batch_size, num_workers=0),
        DataLoader(datasets[2], batch_size=config.batch_size, num_workers=0),
    )


# %% [model]
class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or channels_in != channels:
            projection = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's features."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class ResNet18(nn.Module):
    """The 18-layer residual network, its last layer replaced by one for `num_classes`."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, num_classes)
        self.frozen: list[nn.Module] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (photos, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))

    def freeze_stem(self) -> None:
        """Keep the early layers as they are: edges and colours are the same in any photo."""
        self.frozen = [self.conv1, self.bn1, self.layer1]
        for module in self.frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> nn.Module:
        """Switch the mode, but not of frozen layers: their running statistics would still move."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self


def build_model(config: Config) -> nn.Module:
    """Return the network, with the weights of `pretrained_weights` where that file is given."""
    model = ResNet18(config.num_classes)
    if config.pretrained_weights:
        state = torch.load(config.pretrained_weights, map_location="cpu", weights_only=True)
        state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
        missing, unexpected = model.load_state_dict(state, strict=False)
        if unexpected or set(missing) != {"fc.weight", "fc.bias"}:
            raise ValueError(f"{config.pretrained_weights} does not hold the weights of a ResNet-18")
        model.freeze_stem()
    return model


# %% [train]
def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Return an optimizer with two groups: pretrained layers learn slower than the new head."""
    if config.optimizer not in OPTIMIZERS:
        raise ValueError(f"--optimizer {config.optimizer}: known are {', '.join(OPTIMIZERS)}")
    slow = config.learning_rate * (config.backbone_rate if config.pretrained_weights else 1.0)
    trainable = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for name, weight in trainable if not name.startswith("fc.")], "lr": slow},
        {"params": [weight for name, weight in trainable if name.startswith("fc.")]},
    ]
    return OPTIMIZERS[config.optimizer](groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Return the factor of the learning rate: up in a line over `warmup` steps, then down to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


@torch.no_grad()
def class_scores(
    model: nn.Module, loader: DataLoader, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits (photos, classes) and the labels (photos,) of a loader, in its order."""
    model.eval()
    pairs = [(model(photos.to(device)).float().cpu(), labels) for photos, labels in loader]
    return torch.cat([logits for logits, _ in pairs]), torch.cat([labels for _, labels in pairs])


def train(config: Config) -> dict[str, float]:
    """Fit with mixed precision on a GPU, keep the weights of the epoch that validates best."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, validation_loader, _ = load_data(config)
    model = build_model(config).to(device)
    optimizer = make_optimizer(model, config)
    if config.loss not in LOSSES:
        raise ValueError(f"--loss {config.loss}: known are {', '.join(LOSSES)}")
    criterion = LOSSES[config.loss](label_smoothing=config.label_smoothing)
    steps = len(train_loader)
    warmup, total = config.warmup_epochs * steps, config.epochs * steps
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, warmup, total))
    half = device.type == "cuda"
    scaler = torch.amp.GradScaler("cuda", enabled=half)  # keeps small float16 gradients from vanishing
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best, measures = -1.0, {}
    for epoch in range(config.epochs):
        model.train()
        running, seen = 0.0, 0
        for photos, labels in train_loader:
            photos, labels = photos.to(device), labels.to(device)
            with torch.autocast(device.type, dtype=torch.float16 if half else torch.bfloat16, enabled=half):
                loss = criterion(model(photos), labels)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            running, seen = running + loss.item() * len(labels), seen + len(labels)
        logits, truth = class_scores(model, validation_loader, device)
        accuracy = (logits.argmax(1) == truth).float().mean().item()
        measures = {"loss": running / seen, "val_accuracy": accuracy}
        print(f"epoch {epoch + 1}: {measures}")
        if accuracy > best:
            best = accuracy
            torch.save(model.state_dict(), output / "model.pt")
    return measures


# %% [evaluate]
def test_logits(config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and labels of the test photos by the saved network."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _, _, test_loader = load_data(config)
    model = ResNet18(config.num_classes)
    path = Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location=device))
    return class_scores(model.to(device), test_loader, device)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the test photos and write the confusion matrix (rows: truth, columns: answer) as CSV."""
    logits, truth = test_logits(config)
    count = config.num_classes
    confusion = torch.bincount(truth * count + logits.argmax(1), minlength=count**2).reshape(count, count)
    names = sorted(path.name for path in Path(config.data_dir).glob("*") if path.is_dir())
    with open(Path(config.output_dir) / "confusion.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", *names])
        writer.writerows([name, *row] for name, row in zip(names, confusion.tolist(), strict=True))
    recalls = confusion.diag() / confusion.sum(1).clamp(min=1)
    return {
        "loss": nn.functional.cross_entropy(logits, truth).item(),
        "accuracy": (confusion.diag().sum() / confusion.sum()).item(),
        **{f"recall_{name}": recall for name, recall in zip(names, recalls.tolist(), strict=True)},
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (photos, num_classes) of the test photos and save them."""
    logits, _ = test_logits(config)
    probabilities = logits.softmax(1).numpy()
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
