"""Train the linear classifiers that have a say in a planner's closed fields.

`python -m export.train_choices DATA RUN` reads the vocabulary of a run of `export.train_planner`, trains
on the same rows, writes `choices.bin` and adds what describes it to the run's `planner.json`. Seeded;
takes about two minutes.
"""

import argparse
import json
import math
import random
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.durable import write_file
from dlcodegen_local.planner.choices import Features, feature_counts, features
from dlcodegen_local.planner.files import CHOICES_FILE
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS, PlanVocabulary
from export.own_no_task import no_task_requirements
from export.own_rows import own_rows
from export.planner_rows import Row, held_out_rows, training_rows
from export.planner_vocabulary import closed_token, closed_value

# What part of a field's log-probability is the classifiers': chosen on validation.
SHARES = dict.fromkeys(CLOSED_FIELDS, 0.5)
IGNORED = -100
DATASET_DROPOUT = 0.15


@dataclass(frozen=True)
class Settings:
    """Hold everything that decides the classifiers, as recorded in `planner.json`."""

    buckets: int = 1 << 15
    learning_rate: float = 0.1
    weight_decay: float = 1e-3
    epochs: int = 15
    batch: int = 128
    own_rows: int = 3000
    own_weight: float = 0.3
    no_task_rows: int = 3000
    held_out: int = 100
    seed: int = 42


@dataclass(frozen=True)
class Item:
    """Hold a text, its label a field (`IGNORED` for none), its weight, and whether it is a task."""

    requirement: str
    dataset: str
    labels: tuple[int, ...]
    weight: float
    is_task: bool


def main(argv: list[str] | None = None) -> None:
    """Read the command line, train and write."""
    parser = argparse.ArgumentParser(prog="python -m export.train_choices", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with plans/train.jsonl")
    parser.add_argument("run", type=Path, help="folder of export.train_planner")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    table = vars(parser.parse_args(argv))
    data, run = table.pop("data"), table.pop("run")
    train(data, run, Settings(**table))


def train(data: Path, run: Path, settings: Settings) -> None:
    """Train on the rows of `data` and write into `run`."""
    planner = json.loads((run / "planner.json").read_text(encoding="utf-8"))
    vocabulary = PlanVocabulary.from_dict(planner["vocabulary"])
    rows, _ = held_out_rows(training_rows(data)[0], settings.held_out)
    items = training_items(rows, vocabulary, settings)
    rarity = rarities(items, settings.buckets)
    weights, bias = fit(items, rarity, vocabulary, settings)
    scales = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127
    quantised = np.round(weights / scales).astype(np.int8)
    write_file(run / CHOICES_FILE, rarity.astype(np.float16).tobytes() + quantised.tobytes())
    planner["choices"] = {
        "buckets": settings.buckets,
        "scales": [float(f"{scale:.6g}") for scale in scales],
        "bias": [float(f"{value:.6g}") for value in bias],
        "shares": SHARES,
        "settings": asdict(settings),
    }
    write_file(run / "planner.json", json.dumps(planner, indent=1) + "\n")


def training_items(rows: Sequence[Row], vocabulary: PlanVocabulary, settings: Settings) -> list[Item]:
    """Return the published rows, then our own, then requests that are no task."""
    items = [Item(row.requirement, row.dataset, labels(row, vocabulary), 1.0, True) for row in rows]
    for row in own_rows(settings.own_rows, settings.seed):
        known = labels(row, vocabulary)
        items.append(Item(row.requirement, row.dataset, known, settings.own_weight, True))
    nothing = (IGNORED,) * len(CLOSED_FIELDS)
    for text in no_task_requirements(settings.no_task_rows, settings.seed):
        items.append(Item(text, "", nothing, settings.own_weight, False))
    return items


def labels(row: Row, vocabulary: PlanVocabulary) -> tuple[int, ...]:
    """Return the place of the row's value among the candidates of each closed field."""
    places = []
    for name in CLOSED_FIELDS:
        field = vocabulary.field(name)
        token_id = closed_token(field, closed_value(row.plan, name))
        places.append(IGNORED if token_id == field.open_id else token_id - field.first_id)
    return tuple(places)


def rarities(items: Sequence[Item], buckets: int) -> Any:
    """Return 1 + log(rows / rows with it) of every bucket, 0 where fewer than two rows have it."""
    counts: Counter[int] = Counter()
    for item in items:
        names = feature_counts(item.requirement, item.dataset)
        counts.update({zlib.crc32(name.encode("utf-8", "replace")) % buckets for name in names})
    made = np.zeros(buckets, dtype=np.float32)
    for bucket, count in counts.items():
        if count > 1:
            made[bucket] = 1 + math.log((len(items) + 1) / (count + 1))
    return made.astype(np.float16).astype(np.float32)


def fit(
    items: Sequence[Item], rarity: Any, vocabulary: PlanVocabulary, settings: Settings
) -> tuple[Any, Any]:
    """Return `weights` `(buckets, outputs)` and `bias` `(outputs,)` as float32 arrays."""
    import torch

    torch.manual_seed(settings.seed)
    sizes = [len(vocabulary.field(name).values) for name in CLOSED_FIELDS]
    table = torch.nn.EmbeddingBag(len(rarity), sum(sizes) + 1, mode="sum")
    torch.nn.init.zeros_(table.weight)
    bias = torch.nn.Parameter(torch.zeros(sum(sizes) + 1))
    optimizer = torch.optim.AdamW(
        [*table.parameters(), bias], lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    texts = [
        (features(item.requirement, item.dataset, rarity), features(item.requirement, "", rarity))
        for item in items
    ]
    batches = math.ceil(len(items) / settings.batch)
    for epoch in range(settings.epochs):
        rng = random.Random(settings.seed + epoch)
        order = rng.sample(range(len(items)), len(items))
        total = 0.0
        for number in range(batches):
            places = order[number * settings.batch : (number + 1) * settings.batch]
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * (1 - (epoch + number / batches) / settings.epochs)
            found = [texts[place][rng.random() < DATASET_DROPOUT] for place in places]
            loss = _loss(_sums(found, table) + bias, [items[place] for place in places], sizes)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach())
        print(f"epoch {epoch + 1} of {settings.epochs}: loss {total / batches:.3f}", file=sys.stderr)
    return table.weight.detach().numpy(), bias.detach().numpy()


def _sums(found: Sequence[Features], table: Any) -> Any:
    """Return the table's weighted sums `(batch, outputs)`."""
    import torch

    offsets = np.cumsum([0, *(len(buckets) for buckets, _ in found)])[:-1]
    return table(
        torch.from_numpy(np.concatenate([buckets for buckets, _ in found])),
        torch.from_numpy(offsets),
        per_sample_weights=torch.from_numpy(np.concatenate([values for _, values in found])),
    )


def _loss(outputs: Any, batch: Sequence[Item], sizes: Sequence[int]) -> Any:
    import torch
    from torch.nn import functional

    weight = torch.tensor([item.weight for item in batch])
    is_task = torch.tensor([float(item.is_task) for item in batch])
    total = (
        functional.binary_cross_entropy_with_logits(outputs[:, -1], is_task, reduction="none") * weight
    ).mean()
    for place, part in enumerate(torch.split(outputs[:, :-1], list(sizes), dim=1)):
        wanted = torch.tensor([item.labels[place] for item in batch])
        losses = functional.cross_entropy(part, wanted, ignore_index=IGNORED, reduction="none")
        total = total + (losses * weight).mean()
    return total


if __name__ == "__main__":
    main()
