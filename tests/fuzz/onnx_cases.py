"""Planner folders: a damaged graph, tokenizer, settings or weights, under a manifest that fits them."""

import hashlib
import json
import random
from functools import cache
from pathlib import Path

from dlcodegen_local.planner.files import read_planner_files
from tests.fuzz.kinds import Case, write_case
from tests.fuzz.mutations import damage_bytes, damage_json
from tests.fuzz.onnx_text import change, put_together, take_apart

_TINY = Path(__file__).resolve().parents[1] / "planner" / "fixtures" / "tiny"
_GRAPH, _WEIGHTS, _TOKENIZER, _SETTINGS = "model.onnx", "model.onnx.data", "tokenizer.json", "planner.json"


def make(rng: random.Random) -> Case:
    """Return a planner folder: two of three cases change the graph."""
    case = dict(_valid())
    name = rng.choice((_GRAPH, _GRAPH, _GRAPH, _GRAPH, _GRAPH, _GRAPH, _TOKENIZER, _SETTINGS, _WEIGHTS))
    if name == _GRAPH and rng.random() < 0.6:
        graph = take_apart(case[_GRAPH])
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            change(graph, rng)
        return _with_manifest({**case, _GRAPH: put_together(graph)})
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        damage = damage_json if name.endswith(".json") and _is_json(case[name]) else damage_bytes
        case[name] = damage(case[name], rng)
    return _with_manifest(case)


def run(case: Case, folder: Path) -> None:
    """Check the folder as every load does, before a native parser sees it."""
    write_case(case, folder)
    read_planner_files(folder)


def native(case: Case, folder: Path) -> None:
    """Load the planner and plan."""
    from dlcodegen_local.planner.planner import Planner

    write_case(case, folder)
    Planner(folder, threads=1).plan("Classify images of birds", num_beams=1)


def _with_manifest(case: Case) -> Case:
    """Return the case with a manifest of these very bytes: who writes the folder writes it, too."""
    manifest = json.loads(_valid()["manifest.json"])
    for entry in manifest["files"]:
        content = case[entry["path"]]
        entry["size"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
    return {**case, "manifest.json": json.dumps(manifest).encode()}


def _is_json(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


@cache
def _valid() -> Case:
    return {path.name: path.read_bytes() for path in sorted(_TINY.iterdir())}
