# SPDX-License-Identifier: Apache-2.0
"""Route customer complaints to the department in charge with a small BERT-like encoder in PyTorch.

Words are cut into pieces by a vocabulary that is learnt from the training texts, so that misspelt and new
words still mean something. The vector of the [CLS] token is classified. Because labelled texts are few, the
network also has to guess pieces that were hidden behind [MASK], as BERT does in its pretraining.

Data: `data_dir/complaints.csv`, UTF-8, with the header `text,department`; `num_classes` departments.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_classes: int = 4
    vocab_size: int = 8000
    sequence_length: int = 96
    embedding_dim: int = 128
    num_heads: int = 4
    feed_forward_dim: int = 512
    num_layers: int = 3
    dropout: float = 0.1
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.0005
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    mask_share: float = 0.15
    masked_weight: float = 0.3
    batch_size: int = 16
    epochs: int = 12


SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIAL))
LONGEST_PIECE = 10


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Complaint routing")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            parser.add_argument(option, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write complaints whose nouns and verbs give the department away, some of them inflected."""
    rng = np.random.default_rng(config.seed)
    topics = {
        "billing": ("invoice", "refund", "charge", "payment", "price"),
        "delivery": ("parcel", "courier", "shipment", "address", "doorstep"),
        "repairs": ("screen", "battery", "technician", "noise", "warranty"),
        "contracts": ("cancellation", "renewal", "signature", "tariff", "notice"),
    }
    frames = (
        "I am unhappy about the {} and the {}.",
        "Again trouble with my {}, also the {}!",
        "{}? {}? Help.",
    )
    names = [*topics, *(f"office{i}" for i in range(len(topics), config.num_classes))][: config.num_classes]
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "complaints.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "department"])
        for number in range(config.synthetic_samples):
            name = names[number % len(names)]
            nouns = rng.choice(topics.get(name, (f"{name}thing", f"{name}matter")), 2, replace=False)
            endings = rng.choice(("", "s"), 2)
            words = [noun + ending for noun, ending in zip(nouns, endings, strict=True)]
            writer.writerow([str(rng.choice(frames)).format(*words), name])


def load_data(config: Config):
    """Return (train, validation, test), each as texts and labels, and the names of the departments.

    Every department is split by itself, so that rare ones are in all three parts.
    """
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "complaints.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns text and department")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["department"]) for row in csv.DictReader(file)]
    departments = sorted({department for _, department in rows})
    if len(departments) != config.num_classes:
        raise ValueError(f"{path} names {len(departments)} departments, num_classes is {config.num_classes}")
    rng = np.random.default_rng(config.seed)
    parts = ([], [], [])
    for label, name in enumerate(departments):
        own = [(text, label) for text, department in rows if department == name]
        chosen = [own[i] for i in rng.permutation(len(own))]
        held_out = max(1, len(chosen) // 8)
        parts[0].extend(chosen[2 * held_out :])
        parts[1].extend(chosen[:held_out])
        parts[2].extend(chosen[held_out : 2 * held_out])
    return (*parts, departments)


def words_in(text: str) -> list[str]:
    """Return words, numbers and single punctuation marks in lower case."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def learn_pieces(texts: list[str], size: int) -> list[str]:
    """Return a vocabulary of word pieces; those inside of a word begin with ##.

    All letters are in it; then come the parts of words that save most tokens: frequent and long ones.
    """
    letters, savings = set(), Counter()
    for word, count in Counter(word for text in texts for word in words_in(text)).items():
        letters |= {word[0], *("##" + letter for letter in word[1:])}
        for start in range(len(word)):
            for stop in range(start + 2, min(len(word), start + LONGEST_PIECE) + 1):
                piece = ("##" if start else "") + word[start:stop]
                savings[piece] += count * (stop - start - 1)
    ranked = sorted(savings, key=lambda piece: (-savings[piece], piece))
    return [*SPECIAL, *sorted(letters), *ranked][:size]


def tokenize(text: str, index: dict[str, int], length: int) -> list[int]:
    """Return [CLS], the longest known pieces from left to right, [SEP]."""
    ids = [CLS]
    for word in words_in(text):
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            stops = range(min(len(word), start + LONGEST_PIECE), start, -1)
            stop = next((stop for stop in stops if prefix + word[start:stop] in index), None)
            ids.append(UNK if stop is None else index[prefix + word[start:stop]])
            start = start + 1 if stop is None else stop
    return [*ids[: length - 1], SEP]


def make_loader(rows: list[tuple[str, int]], index: dict[str, int], config: Config, shuffle: bool):
    """Return batches of (ids, labels), each padded only as far as its longest text."""

    def collate(chosen):
        texts = [torch.tensor(ids) for ids, _ in chosen]
        padded = nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=PAD)
        return padded, torch.tensor([label for _, label in chosen])

    items = [(tokenize(text, index, config.sequence_length), label) for text, label in rows]
    return DataLoader(items, config.batch_size, shuffle=shuffle, collate_fn=collate, num_workers=0)


# %% [model]
class ComplaintEncoder(nn.Module):
    """Encode pieces of words; classify the text by [CLS], guess hidden pieces by their own vectors."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.pieces = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=PAD)
        self.positions = nn.Embedding(config.sequence_length, config.embedding_dim)
        self.norm = nn.LayerNorm(config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            config.embedding_dim,
            config.num_heads,
            dim_feedforward=config.feed_forward_dim,
            dropout=config.dropout,
            activation="gelu",
            batch_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=config.num_layers, enable_nested_tensor=False)
        self.pooler = nn.Linear(config.embedding_dim, config.embedding_dim)
        self.classifier = nn.Linear(config.embedding_dim, config.num_classes)
        self.unmasker = nn.Linear(config.embedding_dim, config.vocab_size)

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Return a vector for every piece (texts, length, embedding_dim)."""
        x = self.pieces(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        x = self.dropout(self.norm(x))
        return self.encoder(x, src_key_padding_mask=ids == PAD)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return class scores (texts, num_classes)."""
        x = torch.tanh(self.pooler(self.encode(ids)[:, 0]))
        return self.classifier(self.dropout(x))

    def unmask(self, ids: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return scores of all pieces (hidden places, vocab_size) for the places that are hidden."""
        return self.unmasker(self.encode(ids)[hidden])


def build_model(config: Config) -> nn.Module:
    """Return the classifier; its matrices start as BERT's do, with a spread that fits the smaller size."""
    model = ComplaintEncoder(config)
    for values in model.parameters():
        if values.dim() > 1:
            nn.init.normal_(values, std=config.embedding_dim**-0.5)
    return model


# %% [train]
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
LOSSES = {"sparse_categorical_crossentropy": nn.CrossEntropyLoss}


def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Return the optimizer; biases and normalisation are not pulled towards zero."""
    if config.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer {config.optimizer!r} is not one of {sorted(OPTIMIZERS)}")
    groups = (
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    )
    return OPTIMIZERS[config.optimizer](groups, lr=config.learning_rate)


def hide_pieces(ids: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ids with a share of the real pieces replaced by [MASK], and where that is."""
    hidden = (torch.rand(ids.shape, device=ids.device) < share) & (ids >= len(SPECIAL))
    return ids.masked_fill(hidden, MASK), hidden


@torch.no_grad()
def accuracy(model: nn.Module, batches: DataLoader, device: torch.device) -> float:
    """Return the share of texts that are sent to the right department."""
    model.eval()
    hits = [(model(ids.to(device)).argmax(dim=1).cpu() == labels).float() for ids, labels in batches]
    return float(torch.cat(hits).mean())


def train(config: Config) -> dict[str, float]:
    """Fit with a warm-up and a linear fall of the learning rate; keep the best epoch on validation."""
    torch.manual_seed(config.seed)
    if config.loss not in LOSSES or config.metric != "accuracy":
        raise ValueError(f"known losses: {sorted(LOSSES)}; known metrics: ['accuracy']")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seen, held_out, _, departments = load_data(config)
    pieces = learn_pieces([text for text, _ in seen], config.vocab_size)
    index = {piece: number for number, piece in enumerate(pieces)}
    batches = make_loader(seen, index, config, shuffle=True)
    held_out_batches = make_loader(held_out, index, config, shuffle=False)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.json").write_text(
        json.dumps({"pieces": pieces, "departments": departments}), encoding="utf-8"
    )

    model = build_model(config).to(device)
    criterion, optimizer = LOSSES[config.loss](), make_optimizer(model, config)
    total = config.epochs * len(batches)
    warmup = max(1, int(config.warmup_share * total))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (total - step) / max(total - warmup, 1))
    )
    best = -1.0
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for ids, labels in batches:
            ids, labels = ids.to(device), labels.to(device)
            loss = criterion(model(ids), labels)
            losses.append(loss.item())
            masked, hidden = hide_pieces(ids, config.mask_share)
            if hidden.any():
                loss = loss + config.masked_weight * criterion(model.unmask(masked, hidden), ids[hidden])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        reached = accuracy(model, held_out_batches, device)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, validation accuracy {reached:.3f}")
        if reached > best:
            best = reached
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": float(np.mean(losses)), "best_validation_accuracy": best}


# %% [evaluate]
@torch.no_grad()
def department_probabilities(config: Config) -> tuple[np.ndarray, list[tuple[str, int]], list[str]]:
    """Return probabilities (texts, num_classes) of the test texts, the test rows and the departments."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    output = Path(config.output_dir)
    saved = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = build_model(config)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location="cpu"))
    model.to(device).eval()
    _, _, rows, _ = load_data(config)
    index = {piece: number for number, piece in enumerate(saved["pieces"])}
    batches = make_loader(rows, index, config, shuffle=False)
    scores = torch.cat([model(ids.to(device)).softmax(dim=1).cpu() for ids, _ in batches])
    return scores.numpy(), rows, saved["departments"]


def evaluate(config: Config) -> dict[str, float]:
    """Measure accuracy and macro F1 on the test texts; write the confusion matrix as CSV."""
    probabilities, rows, departments = department_probabilities(config)
    confusion = np.zeros((config.num_classes, config.num_classes), dtype=int)
    np.add.at(confusion, ([label for _, label in rows], probabilities.argmax(axis=1)), 1)
    header = "true \\ predicted," + ",".join(departments)
    lines = [f"{name},{','.join(map(str, row))}" for name, row in zip(departments, confusion, strict=True)]
    text = "\n".join([header, *lines]) + "\n"
    (Path(config.output_dir) / "confusion.csv").write_text(text, encoding="utf-8")
    hits = np.diag(confusion)
    f1 = 2 * hits / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return {"accuracy": float(hits.sum() / confusion.sum()), "macro_f1": float(f1.mean())}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return department probabilities (texts, num_classes); write the chosen department of each text."""
    probabilities, rows, departments = department_probabilities(config)
    with open(Path(config.output_dir) / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "department", "probability"])
        for (text, _), row in zip(rows, probabilities, strict=True):
            writer.writerow([text, departments[row.argmax()], f"{row.max():.4f}"])
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
