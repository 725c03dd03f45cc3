"""Training rows of the planner: reading, leak check, canonical plans, augmentation.

Guarantees that no requirement of an evaluation file, nor one nearly like it, is trained on. Reads
the published files where they lie and writes nothing.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.reading import read_plan
from dlcodegen_local.plan.schema import Plan

TRAINING_FILE = "plans/train.jsonl"
EVALUATION_FILES = ("plans/validation.jsonl", "plans/test.jsonl", "code/tasks.jsonl")
RARE_DIALECT = "hyperparameters"
NEAR_JACCARD = 0.8
WORD_DROPOUT_ROWS = 0.3
WORD_DROPOUT = 0.1
OPENING_WORDS = 4
_PREFIX = re.compile(r"^(?:i|we)\s+(?:want|aim|need|would like|am (?:looking|trying))\s+to\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """Hold one requirement with its dataset attributes and its plan, as read.

    `dialect` is the name under which the published plan keeps its hyperparameters, in lower case.
    """

    row_id: str
    requirement: str
    dataset: str
    plan: Plan
    dialect: str = ""


@dataclass(frozen=True)
class Dropped:
    """Count the training rows that were left out, by reason."""

    unreadable: int
    same_requirement: int
    near_requirement: int


def read_rows(path: Path) -> tuple[list[Row], int]:
    """Return the readable rows of a plans file and the number of unreadable ones."""
    rows, unreadable = [], 0
    for table in read_jsonl(path):
        try:
            plan = read_plan(table["plan"])
        except ConfigError:
            unreadable += 1
            continue
        attributes = _dataset_text(table["dataset_attributes"])
        rows.append(Row(table["id"], table["requirement"], attributes, plan, _dialect(table["plan"])))
    return rows, unreadable


def held_out_rows(rows: Sequence[Row], count: int) -> tuple[list[Row], list[Row]]:
    """Return the rows to train on, and the last `count` of the dialect that validation lacks.

    The published validation plans are all of the "hypermeters" dialect, half of the test plans are
    not. Rows that follow each other are often about one notebook, so one run of rows is taken, and
    never more than a tenth of all.
    """
    count = min(count, len(rows) // 10)
    places = [place for place, row in enumerate(rows) if row.dialect == RARE_DIALECT]
    held_out = set(places[-count:] if count else ())
    trained = [row for place, row in enumerate(rows) if place not in held_out]
    return trained, [rows[place] for place in sorted(held_out)]


def training_rows(data: Path) -> tuple[list[Row], Dropped]:
    """Return the training rows that no evaluation requirement equals or nearly equals.

    `data` is a folder of the published form, or one file of pairs, as `dlcodegen pool export` writes it.
    """
    rows, unreadable = read_rows(data if data.is_file() else data / TRAINING_FILE)
    held_out = [
        table["requirement"]
        for name in EVALUATION_FILES
        if (data / name).exists()
        for table in read_jsonl(data / name)
    ]
    exact = {_words(text) for text in held_out}
    near = [_trigrams(text) for text in held_out]
    kept, same, similar = [], 0, 0
    for row in rows:
        if _words(row.requirement) in exact:
            same += 1
        elif _is_near(_trigrams(row.requirement), near):
            similar += 1
        else:
            kept.append(row)
    return kept, Dropped(unreadable, same, similar)


def augmented(row: Row, style: str, rng: random.Random) -> tuple[str, str]:
    """Return requirement and dataset text as other people might have written them.

    Only plans with layers as calls appear without the published opening words ("I want to"), so
    that a stranger's sentence is answered in that style.
    """
    requirement, dataset = row.requirement, row.dataset
    if style == "calls" and rng.random() < 0.15:
        requirement = _PREFIX.sub("", requirement)
        requirement = requirement[:1].upper() + requirement[1:]
    if rng.random() < 0.2:
        dataset = ""
    elif rng.random() < 0.1:
        dataset = dataset.split(". ")[0]
    if rng.random() < 0.1:
        requirement = requirement.lower().rstrip(".")
    if rng.random() < WORD_DROPOUT_ROWS:
        requirement, dataset = _without_words(requirement, rng), _without_words(dataset, rng)
    return requirement, dataset


def _without_words(text: str, rng: random.Random) -> str:
    """Return the text without some words after its opening ones: no single one may decide the plan."""
    words = text.split(" ")
    kept = [word for word in words[OPENING_WORDS:] if rng.random() >= WORD_DROPOUT]
    return " ".join([*words[:OPENING_WORDS], *kept])


def read_jsonl(path: Path) -> Iterator[dict[str, object]]:
    """Yield the objects of a file with one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def validation_rows(data: Path) -> list[Row]:
    """Return the rows of the validation file, none where `data` has no such file."""
    path = data / EVALUATION_FILES[0]
    return read_rows(path)[0] if path.exists() else []


def file_hashes(data: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that training or its leak check reads."""
    names = (TRAINING_FILE, *EVALUATION_FILES)
    paths = {data.name: data} if data.is_file() else {name: data / name for name in names}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path.exists()
    }


def _dataset_text(attributes: object) -> str:
    if isinstance(attributes, str):
        return attributes
    if isinstance(attributes, dict):
        return ". ".join(f"{key}: {_dataset_text(value)}" for key, value in attributes.items())
    if isinstance(attributes, list):
        return ", ".join(_dataset_text(value) for value in attributes)
    return "" if attributes is None else str(attributes)


def _dialect(plan: object) -> str:
    text = plan if isinstance(plan, str) else json.dumps(plan)
    found = re.search(r'"(hyperparameters|hypermeters)"', text, re.IGNORECASE)
    return found.group(1).lower() if found else ""


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _trigrams(text: str) -> frozenset[str]:
    words = _words(text).split()
    return frozenset(" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2)))


def _is_near(grams: frozenset[str], others: list[frozenset[str]]) -> bool:
    for other in others:
        shared = len(grams & other)
        if shared and shared / (len(grams) + len(other) - shared) >= NEAR_JACCARD:
            return True
    return False
