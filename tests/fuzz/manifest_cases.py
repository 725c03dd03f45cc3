"""Manifests of models: wrong types, lying sizes, paths that leave the folder, deep nesting, cuts."""

import hashlib
import json
import random
from pathlib import Path

from dlcodegen_local.artifacts import list_manifests, read_manifest
from dlcodegen_local.planner.files import read_planner_files
from tests.fuzz.kinds import Case, write_case
from tests.fuzz.mutations import damage_json

_WEIGHTS = b"weights of a model"


def make(rng: random.Random) -> Case:
    """Return a folder with a small file and a damaged manifest of it."""
    entry = {"path": "model.gguf", "size": len(_WEIGHTS), "sha256": hashlib.sha256(_WEIGHTS).hexdigest()}
    table = {
        "name": "m",
        "kind": rng.choice(("code-model", "planner")),
        "format": 2,
        "licence": "MIT",
        "files": [entry, {**entry, "path": "more/weights.bin"}],
        "context_length": 64,
        "facts": {"of": ["no", "matter"]},
    }
    content = json.dumps(table, indent=2).encode()
    for _ in range(rng.choice((1, 1, 2))):
        try:
            content = damage_json(content, rng)
        except (ValueError, RecursionError):  # it is no JSON any more
            break
    return {"m/manifest.json": content, "m/model.gguf": _WEIGHTS, "m/more/weights.bin": _WEIGHTS}


def run(case: Case, folder: Path) -> None:
    """Read the manifest as `models list`, `info` and a load do, and check the files that it names."""
    write_case(case, folder)
    manifest = read_manifest(folder / "m")
    list_manifests(folder)
    if manifest.kind == "planner":
        read_planner_files(folder / "m")
    manifest.check_files()
