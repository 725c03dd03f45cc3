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
    optimizer: str = "sgd"
    loss: str = "multibox_loss"
    metric: str = "mean_average_precision"
    learning_rate: float = 0.01
    batch_size: int = 8
    epochs: int = 60


CLASSES = ("head", "helmet")
GRIDS = (16, 8, 4)
SCALES = (0.12, 0.25, 0.5, 0.9)  # side of an anchor relative to the image; other shapes are derived
CENTRE_SCALE, SIZE_SCALE = 0.1, 0.2  # bring the errors of centre and size to a common magnitude


def parse_config(argv: list[str] | None = None) -> Config:
    """Parse options into a Config."""
    parser = argparse.ArgumentParser(description="SSD for helmets")
    for field in dataclasses.fields(Config):
        kind = {"action": "store_true"} if field.default is False else {"type": type(field.default)}
        parser.add_argument("--" + "-".join(field.name.split("_")), default=field.default, **kind)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write dusty scenes with discs: skin-coloured ones are heads, those with a yellow cap are helmets."""
    rng = np.random.default_rng(config.seed)
    root, size = Path(config.data_dir), config.image_size
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    rows, columns = np.mgrid[:size, :size]
    for number in range(config.synthetic_samples):
        scene, objects = rng.normal((120, 115, 110), 12, (size, size, 3)), ""
        for _ in range(rng.integers(1, 4)):
            radius = int(rng.integers(size // 14, size // 5))
            y, x = rng.integers(radius, size - radius, 2)
            label = CLASSES[int(rng.integers(2))]
            disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            scene[disc] = (200, 150, 120)
            scene[disc & (rows < y)] = (240, 220, 30) if label == "helmet" else (200, 150, 120)
            objects += f"<object><name>{label}</name><bndbox><xmin>{x - radius}</xmin><ymin>{y - radius}"
            objects += f"</ymin><xmax>{x + radius}</xmax><ymax>{y + radius}</ymax></bndbox></object>"
        Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(root / "images" / f"{number:05d}.jpg")
        (root / "annotations" / f"{number:05d}.xml").write_text(f"<annotation>{objects}</annotation>")


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
        tree = ElementTree.parse(path.parent.parent / "annotations" / f"{path.stem}.xml")
        for thing in tree.iter("object"):
            corners = [float(thing.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
            boxes.append([corners[0] / width, corners[1] / height, corners[2] / width, corners[3] / height])
            labels.append(1 + CLASSES.index(thing.findtext("name")))
        box_tensor = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4).clamp(0, 1)
        if self.augment and random.random() < 0.5:
            left, top, right, bottom = box_tensor.unbind(dim=1)
            pixels, box_tensor = pixels.flip(2), torch.stack([1 - right, top, 1 - left, bottom], dim=1)
        return pixels, box_tensor, torch.tensor(labels, dtype=torch.long)


def load_data(config: Config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders of 70%, 15% and 15% of the annotated images."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    stems = {path.stem for path in (root / "annotations").glob("*.xml")}
    images = [path for path in sorted((root / "images").glob("*.jpg")) if path.stem in stems]
    if len(images) < 3:
        raise FileNotFoundError(f"{root}: expected images/*.jpg, each with an annotations/*.xml (Pascal VOC)")
    random.Random(config.seed).shuffle(images)
    held = max(1, int(0.15 * len(images)))
    parts = (images[2 * held :], images[:held], images[held : 2 * held])
    datasets = [VocDataset(part, config.image_size, augment=part is parts[0]) for part in parts]
    # Images hold different numbers of objects: batches stay three tuples, of pixels, boxes and labels.
    settings = {"batch_size": config.batch_size, "collate_fn": lambda items: tuple(zip(*items, strict=True))}
    return tuple(DataLoader(dataset, shuffle=dataset.augment, **settings) for dataset in datasets)


# %% [model]
def make_anchors() -> torch.Tensor:
    """Return all anchors (A, 4) as centre x, centre y, width, height in [0, 1], grid by grid, row by row."""
    anchors = []
    for grid, scale, following in zip(GRIDS, SCALES, SCALES[1:], strict=False):
        between, wide, narrow = (scale * following) ** 0.5, scale * 1.41, scale / 1.41
        shapes = ((scale, scale), (between, between), (wide, narrow), (narrow, wide))
        for row, column, shape in itertools.product(range(grid), range(grid), shapes):
            anchors.append([(column + 0.5) / grid, (row + 0.5) / grid, *shape])
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
        self.stages, self.class_heads, self.box_heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for channels_in, channels, stride in ((64, 64, 1), (64, 128, 2), (128, 128, 2)):
            stage = nn.Sequential(conv_unit(channels_in, channels, stride), conv_unit(channels, channels, 1))
            self.stages.append(stage)
            self.class_heads.append(nn.Conv2d(channels, 4 * self.num_outputs, 3, padding=1))
            self.box_heads.append(nn.Conv2d(channels, 16, 3, padding=1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and offsets in the order of the anchors."""
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


def match(anchors, boxes, labels) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each anchor its class (A,), 0 is background, and the offsets (A, 4) of its object."""
    classes, offsets = torch.zeros_like(anchors[:, 0], dtype=torch.long), torch.zeros_like(anchors)
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
    return torch.where(best_overlap >= 0.5, labels[owner], classes), offsets


class MultiboxLoss(nn.Module):
    """Class and box errors per matched anchor; three negatives count for each positive."""

    def forward(self, outputs: tuple, objects: list, anchors: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch whose boxes and labels are `objects`, as the loader gives them."""
        logits, offsets = outputs
        on_device = [[part.to(anchors.device) for part in parts] for parts in objects]
        matches = [match(anchors, boxes, labels) for boxes, labels in zip(*on_device, strict=True)]
        classes, targets = (torch.stack(part) for part in zip(*matches, strict=True))
        positive = classes > 0
        box_error = F.smooth_l1_loss(offsets[positive], targets[positive], reduction="sum")
        class_error = F.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
        negative = class_error.detach().masked_fill(positive, -1.0)
        rank = negative.argsort(dim=1, descending=True).argsort(dim=1)
        hard = rank < (3 * positive.sum(dim=1, keepdim=True)).clamp(min=3)
        return (class_error[positive | hard].sum() + box_error) / positive.sum().clamp(min=1)


def train(config: Config) -> dict[str, float]:
    """Fit with momentum and a rate that falls at two thirds and at nine tenths; keep the best weights."""
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    if (config.optimizer, config.loss) != ("sgd", "multibox_loss"):
        raise ValueError("this detector trains with the optimizer sgd and the loss multibox_loss")
    train_loader, validation_loader, _ = load_data(config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    anchors, model, criterion = make_anchors().to(device), build_model(config).to(device), MultiboxLoss()
    optimizer = torch.optim.SGD(model.parameters(), config.learning_rate, momentum=0.9, weight_decay=5e-4)
    drops = [config.epochs * 2 // 3, config.epochs * 9 // 10]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, drops, gamma=0.1)
    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    best, history = float("inf"), {}
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for pixels, *objects in train_loader:
            loss = criterion(model(torch.stack(pixels).to(device)), objects, anchors)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        model.eval()
        with torch.no_grad():
            checks = []
            for pixels, *objects in validation_loader:
                checks.append(criterion(model(torch.stack(pixels).to(device)), objects, anchors).item())
        history = {"loss": float(np.mean(losses)), "val_loss": float(np.mean(checks))}
        print(f"[{epoch + 1}] {history}")
        if history["val_loss"] < best:
            best = history["val_loss"]
            torch.save(model.state_dict(), Path(config.output_dir) / "model.pt")
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
def detect(config: Config) -> np.ndarray:
    """Return detections (images, 50, 6): class from 0, score, corners in [0, 1]; rows of -1 fill up."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, path = build_model(config).to(device).eval(), Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location=device))
    anchors, results = make_anchors().to(device), []
    for pixels, _, _ in load_data(config)[2]:
        logits, offsets = model(torch.stack(pixels).to(device))
        centres = anchors[:, :2] + offsets[..., :2] * CENTRE_SCALE * anchors[:, 2:]
        extents = anchors[:, 2:] * (offsets[..., 2:] * SIZE_SCALE).clamp(max=4).exp()
        corners = to_corners(torch.cat([centres, extents], dim=2)).clamp(0, 1)
        for boxes, probabilities in zip(corners, logits.softmax(dim=2), strict=True):
            found = [[-1.0] * 6] * 50
            for label, scores in enumerate(probabilities.unbind(dim=1)[1:]):
                likely = scores.topk(200).indices
                likely = likely[scores[likely] > config.score_threshold]
                for place in likely[suppress(boxes[likely], scores[likely])].tolist():
                    found.append([label, scores[place].item(), *boxes[place].tolist()])
            results.append(sorted(found, key=lambda row: -row[1])[:50])
    return np.array(results, dtype=np.float32)


def average_precision(detections: np.ndarray, truths: list[tuple], label: int) -> float | None:
    """Return the area under the precision-recall curve of a class at IoU 0.5, None where it never occurs."""
    wanted = [boxes[labels == label + 1] for boxes, labels in truths]
    total = sum(len(boxes) for boxes in wanted)
    if not total:
        return None
    ranked = [(image, row) for image, rows in enumerate(detections) for row in rows if row[0] == label]
    ranked.sort(key=lambda entry: -entry[1][1])
    used, hits = [set() for _ in wanted], []
    for image, row in ranked:
        overlap = pairwise_iou(torch.from_numpy(row[None, 2:]), wanted[image])[0].tolist()
        place = int(np.argmax(overlap)) if overlap else None
        # A second answer for an object that was found already is wrong.
        hits.append(place is not None and overlap[place] >= 0.5 and place not in used[image])
        if hits[-1]:
            used[image].add(place)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(envelope * np.array(hits)) / total)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the average precision of each class on the test images, and their mean."""
    truths = [item for _, *objects in load_data(config)[2] for item in zip(*objects, strict=True)]
    detections = detect(config)
    found = {name: average_precision(detections, truths, label) for label, name in enumerate(CLASSES)}
    measured = {f"ap_{name}": value for name, value in found.items() if value is not None}
    return {"mean_average_precision": float(np.mean(list(measured.values()) or [0.0])), **measured}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the detections of the test images (images, 50, 6), most certain first, and save them."""
    detections = detect(config)
    np.save(Path(config.output_dir) / "predictions.npy", detections)
    return detections


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
