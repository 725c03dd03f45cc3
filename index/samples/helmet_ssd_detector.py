# SPDX-License-Identifier: Apache-2.0
"""Find helmets and bare heads on building sites with a single-shot detector (SSD) in PyTorch.

Three feature maps of falling resolution hold anchors of growing size. In training an anchor belongs to
the object it overlaps by at least a half, and every object gets its best anchor in any case. Nearly all
anchors are background: of those only the three hardest for each matched one count ("hard negative
mining"). Answers are thinned by non-maximum suppression and judged by average precision at IoU 0.5.

Data: `data_dir/images/*.jpg` and `data_dir/annotations/*.xml` in the Pascal VOC format, one file per
image with the same stem: `<object><name>helmet</name><bndbox><xmin>...</xmin>...`, corners in pixels.
"""

# %% [imports]
import argparse
import dataclasses
import itertools
import json
import random
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings of the detector; `num_classes` does not count the background."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 128
    num_classes: int = 2
    score_threshold: float = 0.05
    momentum: float = 0.9
    optimizer: str = "sgd"
    loss: str = "multibox_loss"
    metric: str = "mean_average_precision"
    learning_rate: float = 0.01
    batch_size: int = 8
    epochs: int = 60


CLASSES = ("head", "helmet")
GRIDS = (16, 8, 4)
# Side of an anchor relative to the image, for each grid; a second size and two shapes are derived.
SCALES = (0.12, 0.25, 0.5, 0.9)
# The usual scaling of box offsets: brings centre and size errors to a common magnitude.
CENTRE_SCALE, SIZE_SCALE = 0.1, 0.2


def parse_config(argv: list[str] | None = None) -> Config:
    """Parse options into a Config."""
    parser = argparse.ArgumentParser(description="SSD for helmets")
    for field in dataclasses.fields(Config):
        flag = "--" + "-".join(field.name.split("_"))
        if field.default is False:
            parser.add_argument(flag, action="store_true")
            continue
        parser.add_argument(flag, type=type(field.default), default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write dusty scenes with discs: skin-coloured ones are heads, those with a yellow cap are helmets."""
    rng = np.random.default_rng(config.seed)
    root, size = Path(config.data_dir), config.image_size
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:size, :size]
    for number in range(config.synthetic_samples):
        scene = rng.normal((120, 115, 110), 12, (size, size, 3))
        annotation = ElementTree.Element("annotation")
        for _ in range(rng.integers(1, 4)):
            radius = int(rng.integers(size // 14, size // 5))
            y, x = rng.integers(radius, size - radius, 2)
            label = CLASSES[int(rng.integers(2))]
            disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            scene[disc] = (200, 150, 120)
            if label == "helmet":
                scene[disc & (rows < y)] = (240, 220, 30)
            thing = ElementTree.SubElement(annotation, "object")
            ElementTree.SubElement(thing, "name").text = label
            corners = ElementTree.SubElement(thing, "bndbox")
            for key, corner in zip(("xmin", "ymin"), (x, y), strict=True):
                ElementTree.SubElement(corners, key).text = str(corner - radius)
                ElementTree.SubElement(corners, key.replace("min", "max")).text = str(corner + radius)
        Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(root / "images" / f"{number:05d}.jpg")
        ElementTree.ElementTree(annotation).write(root / "annotations" / f"{number:05d}.xml")


class VocDataset(Dataset):
    """Items are image (3, S, S) in [-1, 1], boxes (n, 4) as corners in [0, 1] and labels (n,) from 1."""

    def __init__(self, images: list[Path], image_size: int, augment: bool):
        self.images, self.image_size, self.augment = images, image_size, augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        path = self.images[index]
        with Image.open(path) as photo:
            width, height = photo.size
            photo = photo.convert("RGB").resize((self.image_size, self.image_size))
        pixels = torch.from_numpy(np.array(photo, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
        boxes, labels = [], []
        for thing in ElementTree.parse(path.parent.parent / "annotations" / f"{path.stem}.xml").iter("object"):
            corners = [float(thing.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
            boxes.append([corners[0] / width, corners[1] / height, corners[2] / width, corners[3] / height])
            labels.append(1 + CLASSES.index(thing.findtext("name")))
        box_tensor = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4).clamp(0, 1)
        if self.augment and random.random() < 0.5:
            pixels = pixels.flip(2)
            box_tensor = torch.stack(
                [1 - box_tensor[:, 2], box_tensor[:, 1], 1 - box_tensor[:, 0], box_tensor[:, 3]], dim=1
            )
        return pixels, box_tensor, torch.tensor(labels, dtype=torch.long)


def collate(items: list) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Stack images; boxes and labels stay lists, as images hold different numbers of objects."""
    pixels, boxes, labels = zip(*items, strict=True)
    return torch.stack(pixels), list(boxes), list(labels)


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of 70%, 15% and 15% of the annotated images."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    images = [
        path
        for path in sorted((root / "images").glob("*.jpg"))
        if (root / "annotations" / f"{path.stem}.xml").is_file()
    ]
    if len(images) < 3:
        raise FileNotFoundError(f"{root}: expected images/*.jpg, each with an annotations/*.xml (Pascal VOC)")
    random.Random(config.seed).shuffle(images)
    held = max(1, int(0.15 * len(images)))
    loaders = []
    for part in (images[2 * held :], images[:held], images[held : 2 * held]):
        training = not loaders
        dataset = VocDataset(part, config.image_size, augment=training)
        loaders.append(DataLoader(dataset, config.batch_size, shuffle=training, collate_fn=collate, num_workers=0))
    return loaders[0], loaders[1], loaders[2]


# %% [model]
def make_anchors() -> torch.Tensor:
    """Return all anchors (A, 4) as centre x, centre y, width, height in [0, 1], grid by grid, row by row."""
    anchors = []
    for grid, scale, following in zip(GRIDS, SCALES, SCALES[1:], strict=False):
        between = (scale * following) ** 0.5
        shapes = [(scale, scale), (between, between), (scale * 1.41, scale / 1.41), (scale / 1.41, scale * 1.41)]
        for row, column in itertools.product(range(grid), range(grid)):
            for width, height in shapes:
                anchors.append([(column + 0.5) / grid, (row + 0.5) / grid, width, height])
    return torch.tensor(anchors)


def conv_unit(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    """Return a normalised 3x3 convolution with ReLU."""
    convolution = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class SingleShotDetector(nn.Module):
    """Backbone and two heads for each grid: class logits (N, A, C + 1) and box offsets (N, A, 4)."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_outputs = num_classes + 1
        self.stem = nn.Sequential(conv_unit(3, 16, 2), conv_unit(16, 32, 2), conv_unit(32, 64, 2))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(conv_unit(64, 64, 1), conv_unit(64, 64, 1)),
                nn.Sequential(conv_unit(64, 128, 2), conv_unit(128, 128, 1)),
                nn.Sequential(conv_unit(128, 128, 2), conv_unit(128, 128, 1)),
            ]
        )
        self.class_heads = nn.ModuleList(
            [nn.Conv2d(channels, 4 * self.num_outputs, 3, padding=1) for channels in (64, 128, 128)]
        )
        self.box_heads = nn.ModuleList([nn.Conv2d(channels, 16, 3, padding=1) for channels in (64, 128, 128)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)
        logits, offsets = [], []
        for stage, class_head, box_head in zip(self.stages, self.class_heads, self.box_heads, strict=True):
            x = stage(x)
            # Channels last before flattening: only then do answers stand in the order of the anchors.
            logits.append(class_head(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.num_outputs))
            offsets.append(box_head(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4))
        return torch.cat(logits, dim=1), torch.cat(offsets, dim=1)


def build_model(config: Config) -> nn.Module:
    """Return the detector; its grids fit images of 128 pixels (an eighth, a sixteenth, a thirty-second)."""
    if config.image_size != 8 * GRIDS[0]:
        raise ValueError(f"--image-size {config.image_size}: GRIDS are for images of {8 * GRIDS[0]} pixels")
    return SingleShotDetector(config.num_classes)


# %% [train]
def to_corners(boxes: torch.Tensor) -> torch.Tensor:
    """Turn (centre, size) into (xmin, ymin, xmax, ymax)."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], dim=-1)


def pairwise_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the overlaps (len(a), len(b)) of boxes given by corners."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None, :] - shared + 1e-9)


def match(anchors: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each anchor its class (A,), 0 is background, and the offsets (A, 4) of its object."""
    classes, offsets = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device), torch.zeros_like(anchors)
    if not len(boxes):
        return classes, offsets
    overlap = pairwise_iou(to_corners(anchors), boxes)
    best_overlap, owner = overlap.max(dim=1)
    favourite = overlap.argmax(dim=0)
    owner[favourite] = torch.arange(len(boxes), device=anchors.device)
    best_overlap[favourite] = 1.0
    own = boxes[owner]
    centre, extent = (own[:, :2] + own[:, 2:]) / 2, (own[:, 2:] - own[:, :2]).clamp(min=1e-4)
    offsets[:, :2] = (centre - anchors[:, :2]) / anchors[:, 2:] / CENTRE_SCALE
    offsets[:, 2:] = torch.log(extent / anchors[:, 2:]) / SIZE_SCALE
    positive = best_overlap >= 0.5
    classes[positive] = labels[owner][positive]
    return classes, offsets


def multibox_loss(logits, offsets, classes, targets) -> torch.Tensor:
    """Return class and box errors per matched anchor; three negatives count for each positive."""
    positive = classes > 0
    matched = positive.sum().clamp(min=1)
    box_error = F.smooth_l1_loss(offsets[positive], targets[positive], reduction="sum")
    class_error = F.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
    negative = class_error.detach().masked_fill(positive, -1.0)
    rank = negative.argsort(dim=1, descending=True).argsort(dim=1)
    hard = rank < (3 * positive.sum(dim=1, keepdim=True)).clamp(min=3)
    return (class_error[positive | (hard & ~positive)].sum() + box_error) / matched


def batch_loss(model: nn.Module, batch: tuple, anchors: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch as the loader gives it."""
    pixels, boxes, labels = batch
    device = anchors.device
    matches = [match(anchors, b.to(device), c.to(device)) for b, c in zip(boxes, labels, strict=True)]
    logits, offsets = model(pixels.to(device))
    return multibox_loss(logits, offsets, torch.stack([c for c, _ in matches]), torch.stack([t for _, t in matches]))


def train(config: Config) -> dict[str, float]:
    """Fit with momentum and a rate that falls at two thirds and at nine tenths; keep the best weights."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    if config.optimizer not in {"sgd", "adam"} or config.loss != "multibox_loss":
        raise ValueError("known are the optimizers sgd and adam and the loss multibox_loss")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, validation_loader, _ = load_data(config)
    anchors, model = make_anchors().to(device), build_model(config).to(device)
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            model.parameters(), lr=config.learning_rate, momentum=config.momentum, weight_decay=5e-4
        )
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    drops = [int(config.epochs * 2 / 3), int(config.epochs * 0.9)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=drops, gamma=0.1)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best, history = float("inf"), {}
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for batch in train_loader:
            loss = batch_loss(model, batch, anchors)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        model.eval()
        with torch.no_grad():
            checked = float(np.mean([batch_loss(model, batch, anchors).item() for batch in validation_loader]))
        history = {"loss": float(np.mean(losses)), "val_loss": checked}
        print(f"[{epoch + 1}] train {history['loss']:.3f} validation {checked:.3f}")
        if checked < best:
            best = checked
            torch.save(model.state_dict(), output / "model.pt")
    return history


# %% [evaluate]
def suppress(boxes: torch.Tensor, scores: torch.Tensor, limit: float = 0.45) -> torch.Tensor:
    """Return the indices that stay when any box that overlaps a better one by more than `limit` goes."""
    order, kept = scores.argsort(descending=True), []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        order = rest[pairwise_iou(boxes[first][None], boxes[rest])[0] <= limit]
    return torch.stack(kept) if kept else order


@torch.no_grad()
def detect(config: Config) -> list[np.ndarray]:
    """Return for each test image its detections (n, 6): class from 0, score, corners in [0, 1]."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config)
    state = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location=device)
    model.load_state_dict(state)
    model.to(device).eval()
    anchors, results = make_anchors().to(device), []
    for pixels, _, _ in load_data(config)[2]:
        logits, offsets = model(pixels.to(device))
        centres = anchors[:, :2] + offsets[..., :2] * CENTRE_SCALE * anchors[:, 2:]
        extents = anchors[:, 2:] * (offsets[..., 2:] * SIZE_SCALE).clamp(max=4).exp()
        corners = to_corners(torch.cat([centres, extents], dim=2)).clamp(0, 1)
        for boxes, probabilities in zip(corners, logits.softmax(dim=2), strict=True):
            found = []
            for label in range(config.num_classes):
                scores = probabilities[:, label + 1]
                likely = (scores > config.score_threshold).nonzero()[:, 0]
                likely = likely[scores[likely].argsort(descending=True)[:200]]
                for place in likely[suppress(boxes[likely], scores[likely])].tolist():
                    found.append([label, scores[place].item(), *boxes[place].tolist()])
            found.sort(key=lambda row: -row[1])
            results.append(np.array(found[:50]).reshape(-1, 6))
    return results


def average_precision(detections: list[np.ndarray], truths: list[tuple], label: int) -> float | None:
    """Return the area under the precision-recall curve of a class at IoU 0.5, None where it never occurs."""
    wanted = [boxes[labels == label + 1] for boxes, labels in truths]
    total = sum(len(boxes) for boxes in wanted)
    if not total:
        return None
    ranked = [(row[1], image, row[2:]) for image, rows in enumerate(detections) for row in rows if row[0] == label]
    ranked.sort(key=lambda entry: -entry[0])
    used = [torch.zeros(len(boxes), dtype=torch.bool) for boxes in wanted]
    hits = []
    for _, image, corners in ranked:
        box = torch.tensor(corners, dtype=torch.float32)[None]
        overlap = pairwise_iou(box, wanted[image])[0] if len(wanted[image]) else torch.zeros(0)
        place = int(overlap.argmax()) if len(overlap) else -1
        # A second answer for an object that was found already is wrong.
        hit = place >= 0 and overlap[place] >= 0.5 and not used[image][place]
        if hit:
            used[image][place] = True
        hits.append(bool(hit))
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(envelope * np.array(hits)) / total)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the average precision of each class on the test images, and their mean."""
    truths = [(b, c) for _, boxes, labels in load_data(config)[2] for b, c in zip(boxes, labels, strict=True)]
    detections = detect(config)
    found = {name: average_precision(detections, truths, label) for label, name in enumerate(CLASSES)}
    measured = {f"ap_{name}": value for name, value in found.items() if value is not None}
    return {"mean_average_precision": float(np.mean(list(measured.values()) or [0.0])), **measured}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return detections (images, 50, 6): class, score, corners; rows of -1 fill up. Also saved as JSON."""
    detections = detect(config)
    padded = np.full((len(detections), 50, 6), -1.0, dtype=np.float32)
    for row, found in zip(padded, detections, strict=True):
        row[: len(found)] = found
    output = Path(config.output_dir)
    names = [path.name for path in load_data(config)[2].dataset.images]
    named = {name: np.round(found, 4).tolist() for name, found in zip(names, detections, strict=True)}
    (output / "detections.json").write_text(json.dumps(named, indent=1), encoding="utf-8")
    np.save(output / "predictions.npy", padded)
    return padded


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
