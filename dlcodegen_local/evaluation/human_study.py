"""Make a blinded study: what raters see, and the key that says who wrote what.

Guarantees that nothing raters get names a system, that the systems are shuffled anew for each item, and that
the same files and seed give the same bytes. A code that tells by itself who wrote it is not blinded.
"""

import hashlib
import json
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.code_files import PredictionFile, read_predictions
from dlcodegen_local.evaluation.rows import Row, read_rows

FORMAT = "dlcodegen rating key 1"
_LABELS = string.ascii_uppercase


@dataclass(frozen=True)
class RatedCode:
    """Hold one code as raters see it; `id` names its item and its letter."""

    id: str
    letter: str
    code: str


@dataclass(frozen=True)
class RatedItem:
    """Hold one item as raters see it, with the codes in the order of their letters."""

    number: int
    requirement: str
    codes: Sequence[RatedCode]


@dataclass(frozen=True)
class Study:
    """Hold a study: its items for the raters, its key for whoever reads their scores."""

    items: Sequence[RatedItem]
    key: Mapping[str, Any]
    notes: Sequence[str]

    @property
    def name(self) -> str:
        """Return the digits that tie sheets to their key."""
        return study_name(self.key)


def study_name(key: Mapping[str, Any]) -> str:
    """Return digits that change with everything in a key."""
    text = json.dumps(key, sort_keys=True, ensure_ascii=True)
    return "study-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def make_study(
    predictions: Sequence[Path], references: Path, items: int | None = None, seed: int = 0
) -> Study:
    """Choose `items` of the references, all by default, and shuffle the systems' code for each.

    A reference for which no system has code is left out; where some have none, the key counts them missing.

    Raises:
        ConfigError: a file cannot be read or is not as it must be, or there are not so many items.
    """
    digest = hashlib.sha256()
    requirements = {row.id: _requirement(row) for row in read_rows(references, digest)}
    systems = _read_systems(predictions)
    codes = {
        name: {item: found.code for item, found in file.predictions.items() if found.code.strip()}
        for name, file in systems.items()
    }
    candidates = [item for item in requirements if any(item in found for found in codes.values())]
    rng = random.Random(seed)
    chosen = _choose(candidates, items, rng, references)
    rated, key_codes = [], {}
    for number, item in enumerate(chosen, start=1):
        names = [name for name in systems if item in codes[name]]
        rng.shuffle(names)
        shown = []
        for letter, name in zip(_LABELS, names, strict=False):
            code_id = f"item-{number:03}-{letter}"
            shown.append(RatedCode(code_id, letter, codes[name][item]))
            key_codes[code_id] = {"item": item, "system": name}
        rated.append(RatedItem(number, requirements[item], shown))
    missing = {name: [item for item in chosen if item not in codes[name]] for name in systems}
    key = {
        "format": FORMAT,
        "dlcodegen": __version__,
        "seed": seed,
        "references": {"path": str(references), "sha256": digest.hexdigest(), "items": list(chosen)},
        "systems": {
            name: {"path": str(file.path), "sha256": file.sha256, "missing": missing[name]}
            for name, file in systems.items()
        },
        "codes": key_codes,
    }
    return Study(rated, key, _notes(systems, requirements, candidates, missing))


def _requirement(row: Row) -> str:
    requirement, dataset = row.fields.get("requirement"), row.fields.get("dataset_attributes")
    if not isinstance(requirement, str) or not requirement.strip():
        raise ConfigError(f"{row.where}: must have a requirement", hint="raters must know what was asked")
    if not dataset:
        return requirement
    return f"{requirement}\n\nData: {_described(dataset)}"


def _described(dataset: object) -> str:
    """Return dataset attributes, a text or JSON, as people write them: a fact a line."""
    if not isinstance(dataset, dict):
        return dataset if isinstance(dataset, str) else json.dumps(dataset, ensure_ascii=False)
    values = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in dataset.items()
    }
    return "".join(f"\n- {name}: {value}" for name, value in values.items())


def _read_systems(predictions: Sequence[Path]) -> dict[str, PredictionFile]:
    systems: dict[str, PredictionFile] = {}
    for place, path in enumerate(predictions):
        if path.resolve() in {earlier.resolve() for earlier in predictions[:place]}:
            raise ConfigError(f"{path} is given twice", hint="name each file of predictions once")
        systems[path.stem if path.stem not in systems else str(path)] = read_predictions(path)
    if len(systems) > len(_LABELS):
        raise ConfigError(f"more than {len(_LABELS)} systems", hint="nobody compares so many")
    return systems


def _choose(candidates: Sequence[str], items: int | None, rng: random.Random, path: Path) -> list[str]:
    """Return the chosen items in the order of the file."""
    if not candidates:
        raise ConfigError(
            f"no prediction has code for an id of {path}", hint="give predictions of these items"
        )
    if items is None:
        return list(candidates)
    if items > len(candidates):
        raise ConfigError(f"there are {len(candidates)} items with code, not {items}", hint="ask for fewer")
    places = sorted(rng.sample(range(len(candidates)), items))
    return [candidates[place] for place in places]


def _notes(
    systems: Mapping[str, PredictionFile],
    requirements: Mapping[str, str],
    candidates: Sequence[str],
    missing: Mapping[str, Sequence[str]],
) -> list[str]:
    notes = []
    if left := len(requirements) - len(candidates):
        notes.append(f"{left} items are left out: no system has code for them")
    for name, file in systems.items():
        if missing[name]:
            notes.append(f"{name}: {len(missing[name])} items have no code and will count 0")
        if unknown := len(file.predictions.keys() - requirements.keys()):
            notes.append(f"{name}: {unknown} predictions of unknown ids are left out")
    return notes
