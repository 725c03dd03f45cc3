"""Train the linear classifiers that have a say in a planner's closed fields.

`python -m export.train_choices DATA RUN` reads the vocabulary of a run of `export.train_planner`, trains
on the same rows, writes `choices.bin` and adds what describes it to the run's `planner.json`, with the
settings of the consensus where it has none. `--fine-tune` goes on from the choices that the run has.
Seeded; takes a minute or two.
"""

import argparse
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.durable import write_file
from dlcodegen_local.planner.choices import (
    PIECES_FIELD,
    WORD_FIELDS,
    Choices,
    Features,
    LinearTable,
    bucket_of,
    piece_counts,
    weighted,
    word_counts,
)
from dlcodegen_local.planner.consensus import ConsensusSettings
from dlcodegen_local.planner.files import CHOICES_FILE
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS, NUMBER_FIELDS, PlanVocabulary
from export.own_no_task import no_task_requirements
from export.own_rows import own_rows
from export.planner_rows import Row, held_out_rows, training_rows
from export.planner_vocabulary import closed_token, closed_value

# Chosen on validation: what part of a field's log-probability is the classifiers', and to what power
# the mixture is raised before the number nearest to all likely ones is taken.
SHARES = {**dict.fromkeys(CLOSED_FIELDS, 0.7), "learning_rate": 0.5, "epochs": 0.5}
SHARPNESS = {name: 0.5 if name in NUMBER_FIELDS else 1.0 for name in CLOSED_FIELDS}
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


FINE_TUNING = Settings(learning_rate=0.03, weight_decay=0.0, epochs=6, own_rows=1500, no_task_rows=1500)


@dataclass(frozen=True)
class Item:
    """Hold a text, its label a field (`IGNORED` for none), its weight, and whether it is a task."""

    requirement: str
    dataset: str
    labels: tuple[int, ...]
    weight: float
    is_task: bool


@dataclass(frozen=True)
class Part:
    """Hold what one table of classifiers answers: fields with their number of candidates, and by what."""

    name: str
    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    has_task: bool
    counts: Callable[[str, str], Counter[str]]
    start: LinearTable | None = None


def main(argv: list[str] | None = None) -> None:
    """Read the command line, train and write."""
    parser = argparse.ArgumentParser(prog="python -m export.train_choices", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with plans/train.jsonl, or one file of pairs")
    parser.add_argument("run", type=Path, help="folder of export.train_planner")
    parser.add_argument("--fine-tune", action="store_true", help="go on from the run's choices")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"default {value}")
    table = vars(parser.parse_args(argv))
    data, run, fine_tune = table.pop("data"), table.pop("run"), table.pop("fine_tune")
    given = {name: value for name, value in table.items() if value is not None}
    train(data, run, replace(FINE_TUNING if fine_tune else Settings(), **given), fine_tune=fine_tune)


def train(data: Path, run: Path, settings: Settings, *, fine_tune: bool = False) -> None:
    """Train on the rows of `data` and write into `run`."""
    planner = json.loads((run / "planner.json").read_text(encoding="utf-8"))
    vocabulary = PlanVocabulary.from_dict(planner["vocabulary"])
    parts = [word_part(vocabulary), piece_part(vocabulary)]
    if fine_tune:
        content = (run / CHOICES_FILE).read_bytes()
        choices = Choices.from_bytes(content, planner.get("choices"), vocabulary)
        starts = (choices.by_words, choices.by_pieces)
        parts = [replace(part, start=start) for part, start in zip(parts, starts, strict=True)]
    rows, _ = held_out_rows(training_rows(data)[0], settings.held_out)
    items = training_items(rows, vocabulary, settings)
    content = b""
    for part in parts:
        say(f"{part.name}: {sum(part.sizes)} candidates")
        written, table = trained_table(items, part, settings)
        content += written
        planner.setdefault("choices", {})[part.name] = table
    write_file(run / CHOICES_FILE, content)
    planner.setdefault("consensus", asdict(ConsensusSettings()))
    planner["choices"] |= {"shares": SHARES, "sharpness": SHARPNESS, "settings": asdict(settings)}
    write_file(run / "planner.json", json.dumps(planner, indent=1) + "\n")


def word_part(vocabulary: PlanVocabulary) -> Part:
    """Return the classifiers of all fields but the category, by words alone."""
    sizes = tuple(len(vocabulary.field(name).values) for name in WORD_FIELDS)
    return Part("words", WORD_FIELDS, sizes, False, word_counts)


def piece_part(vocabulary: PlanVocabulary) -> Part:
    """Return the classifier of the category, and of "is this a task", by words and their pieces."""

    def counts(requirement: str, dataset: str) -> Counter[str]:
        return word_counts(requirement, dataset) + piece_counts(requirement, dataset)

    return Part("pieces", (PIECES_FIELD,), (len(vocabulary.field(PIECES_FIELD).values),), True, counts)


def trained_table(items: Sequence[Item], part: Part, settings: Settings) -> tuple[bytes, dict[str, Any]]:
    """Return a part's classifiers as bytes, and what describes them."""
    buckets = len(part.start.rarity) if part.start else settings.buckets * (2 if part.has_task else 1)
    counted = [
        (part.counts(item.requirement, item.dataset), part.counts(item.requirement, "")) for item in items
    ]
    rarity = part.start.rarity if part.start else rarities([whole for whole, _ in counted], buckets)
    texts = [(weighted(whole, rarity), weighted(alone, rarity)) for whole, alone in counted]
    weights, bias = fit(items, texts, part, buckets, settings)
    scales = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127
    quantised = np.round(weights / scales).astype(np.int8)
    table = {
        "buckets": buckets,
        "scales": [float(f"{scale:.6g}") for scale in scales],
        "bias": [float(f"{value:.6g}") for value in bias],
    }
    return rarity.astype(np.float16).tobytes() + quantised.tobytes(), table


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


def rarities(counted: Sequence[Counter[str]], buckets: int) -> Any:
    """Return 1 + log(texts / texts with it) of every bucket, 0 where fewer than two have it."""
    found: Counter[int] = Counter()
    for counts in counted:
        found.update({bucket_of(feature, buckets) for feature in counts})
    made = np.zeros(buckets, dtype=np.float32)
    for bucket, count in found.items():
        if count > 1:
            made[bucket] = 1 + math.log((len(counted) + 1) / (count + 1))
    return made.astype(np.float16).astype(np.float32)


def fit(
    items: Sequence[Item],
    texts: Sequence[tuple[Features, Features]],
    part: Part,
    buckets: int,
    settings: Settings,
) -> tuple[Any, Any]:
    """Return `weights` `(buckets, outputs)` and `bias` `(outputs,)` as float32 arrays.

    `texts` are each item's features with and without its dataset; one in seven goes without.
    """
    import torch

    torch.manual_seed(settings.seed)
    outputs = sum(part.sizes) + part.has_task
    table = torch.nn.EmbeddingBag(buckets, outputs, mode="sum")
    torch.nn.init.zeros_(table.weight)
    bias = torch.nn.Parameter(torch.zeros(outputs))
    if part.start is not None:
        table.weight.data.copy_(torch.from_numpy(part.start.weights * part.start.scales))
        bias.data.copy_(torch.from_numpy(part.start.bias))
    optimizer = torch.optim.AdamW(
        [*table.parameters(), bias], lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
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
            loss = _loss(_sums(found, table) + bias, [items[place] for place in places], part)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach())
        say(f"epoch {epoch + 1} of {settings.epochs}: loss {total / batches:.3f}")
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


def _loss(outputs: Any, batch: Sequence[Item], part: Part) -> Any:
    import torch
    from torch.nn import functional

    weight = torch.tensor([item.weight for item in batch])
    total = torch.zeros(())
    if part.has_task:
        is_task = torch.tensor([float(item.is_task) for item in batch])
        doubts = functional.binary_cross_entropy_with_logits(outputs[:, -1], is_task, reduction="none")
        total = total + (doubts * weight).mean()
    pieces = torch.split(outputs[:, : sum(part.sizes)], list(part.sizes), dim=1)
    for name, piece in zip(part.fields, pieces, strict=True):
        wanted = torch.tensor([item.labels[CLOSED_FIELDS.index(name)] for item in batch])
        losses = functional.cross_entropy(piece, wanted, ignore_index=IGNORED, reduction="none")
        total = total + (losses * weight).mean()
    return total


def say(message: str) -> None:
    """Write a line of progress to stderr."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
