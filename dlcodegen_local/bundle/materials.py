"""Models and pools as a bundle takes them along.

Guarantees that a model's files are those of its manifest, that a bundled pool's samples are those of their
records, and that a team's database is a whole copy, whatever is written into it meanwhile.
"""

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.artifacts import Manifest, read_manifest, sha256_of
from dlcodegen_local.bundle.licences import UNKNOWN, Licence, spdx
from dlcodegen_local.bundle.packing import Item
from dlcodegen_local.bundle.sbom import Part
from dlcodegen_local.config import PoolPlace
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.retrieval.pools import DATABASE, open_pool

_MAX_NAME = 64


@dataclass(frozen=True)
class Material:
    """Hold a model or pool: its files, its components of the SBOM, its rows of the licences' index."""

    items: tuple[Item, ...]
    parts: tuple[Part, ...]
    licence_rows: tuple[tuple[str, str, Licence, str], ...]


def find_models(paths: Sequence[Path]) -> Iterator[Material]:
    """Yield models: folders with a manifest, and GGUF files, each of which gets one.

    Raises:
        ArtifactError: a file is damaged, or two models have one name.
    """
    names = set()
    for path in paths:
        material = _gguf_file(path) if path.is_file() else _model_folder(read_manifest(path))
        name = material.items[0].path.split("/")[1]
        if name in names:
            raise ConfigError(f"two models are called {name}", hint="rename a folder or file")
        names.add(name)
        yield material


def find_pools_of(places: Sequence[PoolPlace], work: Path) -> Iterator[Material]:
    """Yield pools; a database is copied into `work` first.

    Raises:
        ArtifactError: a pool is missing or a sample damaged.
        ConfigError: a pool is neither the bundled one nor a team's database.
    """
    for place in places:
        if (place.folder / DATABASE).is_file():
            yield _team_pool(place, work)
        elif place.name == "bundled":
            yield _sample_folder(place)
        else:
            raise ConfigError(
                f"{place.name} cannot go into a bundle", hint="take it into a pool: dlcodegen pool add"
            )


def _model_folder(manifest: Manifest) -> Material:
    manifest.check_files()
    folder = f"models/{manifest.folder.name}"
    names = {file.path for file in manifest.files} | {"manifest.json"}
    names |= {path.name for path in manifest.folder.glob("*.md") if path.is_file()}
    items = [Item.of(f"{folder}/{name}", manifest.folder / name) for name in sorted(names)]
    described = next(item for item in items if item.path == f"{folder}/manifest.json")
    return _model(manifest.name, spdx(manifest.licence), items, described.sha256)


def _gguf_file(path: Path) -> Material:
    header = read_header(path)
    stated = header.metadata.get("general.license")
    licence = spdx(stated) if isinstance(stated, str) else Licence(UNKNOWN, False)
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem)[:_MAX_NAME].strip("._-") or "model"
    weights = Item.of(f"models/{name}/{name}.gguf", path)
    table = {
        "name": name,
        "kind": "code-model",
        "licence": licence.text,
        "files": [{"path": f"{name}.gguf", "size": weights.size, "sha256": weights.sha256}],
    }
    manifest = Item.of(f"models/{name}/manifest.json", json.dumps(table, indent=2).encode())
    return _model(name, licence, [manifest, weights], weights.sha256)


def _model(name: str, licence: Licence, items: list[Item], sha256: str) -> Material:
    folder = items[0].path.rpartition("/")[0]
    part = Part("machine-learning-model", name, licence, sha256, f"the model in {folder}")
    return Material(tuple(items), (part,), ((name, "", licence, f"../{folder}/"),))


def _sample_folder(place: PoolPlace) -> Material:
    pool = open_pool(place.folder, place.name)
    items, parts, rows = [], [], []
    for entry in pool.entries():
        sample = pool.sample(entry.id)
        path = f"pool/bundled/{sample.id}"
        items += [
            Item.of(f"{path}.{ending}", place.folder / f"{sample.id}.{ending}") for ending in ("json", "py")
        ]
        licence = spdx(sample.licence)
        parts.append(Part("data", sample.id, licence, sample.sha256, f"the sample {path}.py"))
        rows.append((sample.id, "", licence, f"../{path}.json"))
    return Material(tuple(items), tuple(parts), tuple(rows))


def _team_pool(place: PoolPlace, work: Path) -> Material:
    copy, origin = work / DATABASE, place.folder / DATABASE
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{origin.absolute().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as exc:
        raise ArtifactError(f"{origin} is damaged: {exc}", hint="dlcodegen pool check") from exc
    item = Item.of(f"pool/team/{DATABASE}", copy)
    licence = Licence("the team's own: dlcodegen pool list", False)
    part = Part("data", "team-pool", licence, sha256_of(copy), f"the team's samples, {item.path}")
    return Material((item,), (part,), (("team-pool", "", licence, ""),))
