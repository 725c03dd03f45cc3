# SPDX-License-Identifier: Apache-2.0
"""Caption pictures in PyTorch: a small CNN reads the picture, a Transformer decoder writes about it.

The CNN leaves a grid of regions. Each layer of the decoder looks at the words so far (never ahead)
and at all regions. Training is by teacher forcing with label smoothing; captions are written
greedily and compared with all reference captions of a picture by BLEU.

Data: `data_dir/captions.json`, a list of objects {"image": "images/0001.jpg", "captions": ["...", ...]} with
paths relative to `data_dir`; one or more captions per picture, in one language.
"""

# %% [imports]
import argparse
import collections
import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset


# %% [config]
@dataclasses.dataclass
class Config:
    """Sizes of network and training; `sequence_length` counts words with start and end."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 64
    vocab_size: int = 3000
    sequence_length: int = 16
    model_dim: int = 128
    num_heads: int = 4
    feed_forward_dim: int = 256
    decoder_layers: int = 2
    dropout: float = 0.1
    label_smoothing: float = 0.05
    patience: int = 5
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "bleu"
    learning_rate: float = 0.0005
    batch_size: int = 32
    epochs: int = 40


PAD, UNKNOWN, START, END = range(4)
Item = tuple[Path, list[list[str]]]


def parse_config(argv: list[str] | None = None) -> Config:
    """Take the settings from the command line."""
    parser = argparse.ArgumentParser(description="Picture captions with a Transformer decoder")
    for field in dataclasses.fields(Config):
        is_flag = field.type is bool
        options = {"action": "store_true"} if is_flag else {"type": field.type, "default": field.default}
        parser.add_argument("--" + field.name.replace("_", "-"), **options)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Draw a coloured shape of some size on plain ground; two captions say what and how large it is."""
    rng = np.random.default_rng(config.seed)
    root = Path(config.data_dir)
    (root / "images").mkdir(parents=True, exist_ok=True)
    colours = {"red": (210, 40, 40), "blue": (50, 70, 200), "yellow": (230, 210, 50)}
    entries = []
    for index in range(config.synthetic_samples):
        colour, shape = str(rng.choice(sorted(colours))), str(rng.choice(["ball", "box"]))
        size = str(rng.choice(["large", "small"]))
        radius = config.image_size * (0.3 if size == "large" else 0.12)
        ground = tuple(int(shade) for shade in rng.integers(90, 130, size=3))
        picture = Image.new("RGB", (config.image_size, config.image_size), ground)
        x, y = rng.uniform(0.35, 0.65, size=2) * config.image_size
        pen = ImageDraw.Draw(picture)
        paint = pen.ellipse if shape == "ball" else pen.rectangle
        paint([x - radius, y - radius, x + radius, y + radius], fill=colours[colour])
        picture.save(root / "images" / f"{index:05d}.png")
        captions = [f"A {size} {colour} {shape}.", f"There is a {size} {colour} {shape} in the picture."]
        entries.append({"image": f"images/{index:05d}.png", "captions": captions})
    (root / "captions.json").write_text(json.dumps(entries, indent=1), encoding="utf-8")


def load_data(config: Config) -> tuple[list[Item], list[Item], list[Item]]:
    """Return (train, validation, test) as pictures' paths, each with its captions in words."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    if not (root / "captions.json").is_file():
        raise FileNotFoundError(f'{root / "captions.json"}: expected [{{"image": path, "captions": [text]}}]')
    items = []
    for entry in json.loads((root / "captions.json").read_text(encoding="utf-8")):
        captions = [re.findall(r"[\w']+", caption.lower()) for caption in entry["captions"]]
        # Room for start and end.
        items.append((root / entry["image"], [words[: config.sequence_length - 2] for words in captions]))
    # Whole pictures are split, so that no picture is tested whose other caption was learnt.
    order = np.random.default_rng(config.seed).permutation(len(items)).tolist()
    held = max(1, len(items) // 10)
    shuffled = [items[i] for i in order]
    return shuffled[2 * held :], shuffled[:held], shuffled[held : 2 * held]


class Captions(Dataset):
    """Give one (picture, word numbers from start to end) for each caption."""

    def __init__(self, items: list[Item], vocabulary: list[str], config: Config) -> None:
        self.pairs = [(path, words) for path, captions in items for words in captions]
        self.numbers = {word: number for number, word in enumerate(vocabulary)}
        self.size = config.image_size

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        path, words = self.pairs[index]
        ids = [START, *(self.numbers.get(word, UNKNOWN) for word in words), END]
        return read_picture(path, self.size), torch.tensor(ids)


def read_picture(path: Path, size: int) -> torch.Tensor:
    """Return a picture (3, size, size) with values around 0."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((size, size)), dtype=np.float32)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()) / 127.5 - 1.0


def collate(batch: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack pictures and pad captions to the longest of the batch."""
    pictures, captions = zip(*batch, strict=True)
    return torch.stack(pictures), pad_sequence(list(captions), batch_first=True, padding_value=PAD)


# %% [model]
class Captioner(nn.Module):
    """CNN encoder and Transformer decoder; `forward` is what teacher forcing needs."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        dim = config.model_dim
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, dim, 3, stride=2, padding=1),
            nn.BatchNorm2d(dim),
            nn.ReLU(),
        )
        regions = math.ceil(config.image_size / 8) ** 2
        self.region_places = nn.Parameter(torch.randn(1, regions, dim) * 0.02)
        self.words = nn.Embedding(config.vocab_size, dim, padding_idx=PAD)
        self.word_places = nn.Embedding(config.sequence_length, dim)
        layer = nn.TransformerDecoderLayer(
            dim, config.num_heads, config.feed_forward_dim, config.dropout, batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, config.decoder_layers)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, config.vocab_size)

    def regions(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return what is seen in each region (batch, regions, dim)."""
        return self.encoder(pictures).flatten(2).transpose(1, 2) + self.region_places

    def decode(self, regions: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return logits of each next word (batch, words, vocab_size)."""
        length = ids.shape[1]
        x = self.words(ids) + self.word_places(torch.arange(length, device=ids.device))
        ahead = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        x = self.decoder(x, regions, tgt_mask=ahead, tgt_key_padding_mask=ids == PAD)
        return self.head(self.norm(x))

    def forward(self, pictures: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return logits of each next word, given pictures and true words so far."""
        return self.decode(self.regions(pictures), ids)

    @torch.no_grad()
    def write(self, pictures: torch.Tensor, length: int) -> torch.Tensor:
        """Return greedy captions (batch, length) that begin with START; after END there is only PAD."""
        regions = self.regions(pictures)
        ids = torch.full((len(pictures), length), PAD, device=pictures.device)
        ids[:, 0] = START
        done = torch.zeros(len(pictures), dtype=torch.bool, device=pictures.device)
        for place in range(1, length):
            logits = self.decode(regions, ids[:, :place])[:, -1]
            logits[:, [PAD, UNKNOWN, START]] = -torch.inf
            ids[:, place] = torch.where(done, PAD, logits.argmax(dim=1))
            done |= ids[:, place] == END
            if done.all():
                break
        return ids


def build_model(config: Config) -> nn.Module:
    """Return the untrained captioner."""
    return Captioner(config)


# %% [train]
def vocabulary_of(items: list[Item], size: int) -> list[str]:
    """Return the words by number: four special ones, then the commonest of the captions."""
    counts = collections.Counter(word for _, captions in items for words in captions for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ["<pad>", "<unknown>", "<start>", "<end>", *ranked][:size]


def make_criterion(config: Config) -> nn.Module:
    """Return the loss, which leaves out padding."""
    if config.loss != "sparse_categorical_crossentropy":
        raise ValueError(f"loss {config.loss!r}: known is sparse_categorical_crossentropy")
    return nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=config.label_smoothing)


def run_epoch(model, loader, criterion, device, optimizer=None) -> tuple[float, float]:
    """Return (loss, word accuracy) over a loader; learn where an optimizer is given."""
    model.train(optimizer is not None)
    loss_sum, hits, words = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for pictures, ids in loader:
            pictures, ids = pictures.to(device), ids.to(device)
            logits = model(pictures, ids[:, :-1])
            target = ids[:, 1:]
            loss = criterion(logits.flatten(0, 1), target.flatten())
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            real = target != PAD
            count = int(real.sum())
            loss_sum += loss.item() * count
            hits += int(((logits.argmax(dim=-1) == target) & real).sum())
            words += count
    return loss_sum / words, hits / words


def train(config: Config) -> dict[str, float]:
    """Fit with early stopping; save the best weights and the vocabulary."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_items, validation_items, _ = load_data(config)
    vocabulary = vocabulary_of(train_items, config.vocab_size)
    loaders = []
    for items in (train_items, validation_items):
        pairs, training = Captions(items, vocabulary, config), items is train_items
        loader = DataLoader(
            pairs, batch_size=config.batch_size, shuffle=training, collate_fn=collate, num_workers=0
        )
        loaders.append(loader)
    optimizers = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    if config.optimizer not in optimizers:
        raise ValueError(f"optimizer {config.optimizer!r}: known are {', '.join(sorted(optimizers))}")
    model = build_model(config).to(device)
    criterion = make_criterion(config)
    optimizer = optimizers[config.optimizer](model.parameters(), lr=config.learning_rate)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    best, waited, measures = math.inf, 0, {}
    for epoch in range(config.epochs):
        loss, accuracy = run_epoch(model, loaders[0], criterion, device, optimizer)
        val_loss, val_accuracy = run_epoch(model, loaders[1], criterion, device)
        measures = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
        print(f"{epoch + 1}/{config.epochs}", {name: round(value, 4) for name, value in measures.items()})
        if val_loss < best:
            best, waited = val_loss, 0
            torch.save(model.state_dict(), output / "model.pt")
        elif (waited := waited + 1) >= config.patience:
            break
    return measures


# %% [evaluate]
def caption_all(config: Config, items: list[Item]) -> tuple[np.ndarray, list[list[str]]]:
    """Return the captions of pictures as word numbers (pictures, sequence_length), and as words."""
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config).to(device)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location=device))
    model.eval()
    rows = []
    for start in range(0, len(items), config.batch_size):
        chunk = items[start : start + config.batch_size]
        pictures = torch.stack([read_picture(path, config.image_size) for path, _ in chunk])
        rows.append(model.write(pictures.to(device), config.sequence_length).cpu().numpy())
    ids = np.concatenate(rows)
    # The output layer may have places that no word of the vocabulary uses.
    names = dict(enumerate(vocabulary))
    return ids, [[names.get(int(i), "<unknown>") for i in row if i > END] for row in ids]


def corpus_bleu(answers: list[list[str]], references: list[list[list[str]]], order: int = 4) -> float:
    """Return BLEU over all answers, each against its references; runs of words count from one."""
    logs, ours, closest = 0.0, 0, 0
    for answer, texts in zip(answers, references, strict=True):
        ours += len(answer)
        closest += min((abs(len(text) - len(answer)), len(text)) for text in texts)[1]
    for size in range(1, order + 1):
        shared = total = 0
        for answer, texts in zip(answers, references, strict=True):
            mine = collections.Counter(zip(*(answer[i:] for i in range(size)), strict=False))
            most: collections.Counter = collections.Counter()
            for text in texts:
                most |= collections.Counter(zip(*(text[i:] for i in range(size)), strict=False))
            shared, total = shared + sum((mine & most).values()), total + sum(mine.values())
        extra = int(size > 1)
        if shared + extra == 0 or total + extra == 0:
            return 0.0
        logs += math.log((shared + extra) / (total + extra)) / order
    return math.exp(logs + min(0.0, 1.0 - closest / max(ours, 1)))


def evaluate(config: Config) -> dict[str, float]:
    """Measure BLEU and the share of captions that equal a reference."""
    _, _, items = load_data(config)
    _, answers = caption_all(config, items)
    references = [captions for _, captions in items]
    exact = float(np.mean([answer in texts for answer, texts in zip(answers, references, strict=True)]))
    return {"bleu": corpus_bleu(answers, references), "exact": exact}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return captions of the test pictures as word numbers; write the sentences to captions.tsv."""
    _, _, items = load_data(config)
    ids, answers = caption_all(config, items)
    lines = [f"{path.name}\t{' '.join(words)}\n" for (path, _), words in zip(items, answers, strict=True)]
    (Path(config.output_dir) / "captions.tsv").write_text("".join(lines), encoding="utf-8")
    np.save(Path(config.output_dir) / "predictions.npy", ids)
    return ids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
