"""The files of a planner folder, checked before anything parses them.

Guarantees that the bytes that are used are the bytes that were hashed, that graph and tokenizer hold
nothing but what our export writes, and that the weights lie in one hashed file of the folder. The
weights, too large to hold twice, are hashed here and mapped by onnxruntime after it: who can
write to the folder in between can change them. Follows no link and reads nothing outside the folder.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.planner.graph_check import check_graph
from dlcodegen_local.planner.model import MODEL_FILE, WEIGHTS_FILE, ModelFiles
from dlcodegen_local.planner.tokenizer_check import check_tokenizer

TOKENIZER_FILE = "tokenizer.json"
SETTINGS_FILE = "planner.json"
MANIFEST_FILE = "manifest.json"
CHOICES_FILE = "choices.bin"
READ_FILES = (MODEL_FILE, TOKENIZER_FILE, SETTINGS_FILE)
REQUIRED_FILES = (*READ_FILES, WEIGHTS_FILE)
MAX_MANIFEST_BYTES = 1_000_000
MAX_READ_BYTES = 64_000_000
MAX_SETTINGS_BYTES = 4_000_000

_OLD_HINT = "it may be of an earlier version: export it again, see export/README.md"
_HINT = "install the planner again, or name another folder"


@dataclass(frozen=True)
class PlannerFiles:
    """Hold the manifest and the checked content of a planner's files; `choices` may be missing."""

    manifest: dict[str, Any]
    model: ModelFiles
    tokenizer: bytes
    settings: dict[str, Any]
    choices: bytes | None = None


def read_planner_files(folder: Path) -> PlannerFiles:
    """Read and check a planner folder.

    Raises:
        ArtifactError: a file is missing, a link, of another size or hash than the manifest says,
            or the model asks for what our export never writes.
    """
    manifest = _read_object(folder / MANIFEST_FILE, _read_bounded(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES))
    if manifest.get("kind") != "planner":
        raise ArtifactError(f"{folder}: manifest.json is not a planner's", hint=_HINT)
    entries = manifest.get("files")
    listed = {
        entry["path"]: entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    }
    if missing := [name for name in REQUIRED_FILES if name not in listed]:
        raise ArtifactError(f"{folder}: manifest.json does not list {missing[0]}", hint=_OLD_HINT)
    read = (*READ_FILES, *((CHOICES_FILE,) if CHOICES_FILE in listed else ()))
    contents = {name: _read_listed(folder / name, listed[name]) for name in read}
    weights_bytes, _ = _listed_digest(folder / WEIGHTS_FILE, listed[WEIGHTS_FILE])
    check_graph(contents[MODEL_FILE], str(folder / MODEL_FILE), WEIGHTS_FILE, weights_bytes)
    check_tokenizer(contents[TOKENIZER_FILE])
    _check_weights(folder / WEIGHTS_FILE, listed[WEIGHTS_FILE])
    if len(contents[SETTINGS_FILE]) > MAX_SETTINGS_BYTES:
        raise ArtifactError(f"{folder / SETTINGS_FILE}: larger than {MAX_SETTINGS_BYTES} bytes", hint=_HINT)
    settings = _read_object(folder / SETTINGS_FILE, contents[SETTINGS_FILE])
    model = ModelFiles(contents[MODEL_FILE], folder)
    return PlannerFiles(manifest, model, contents[TOKENIZER_FILE], settings, contents.get(CHOICES_FILE))


def _check_weights(path: Path, entry: dict[str, Any]) -> None:
    """Hash a file that is not kept in memory.

    A hard link is no harm: installers make them, and nobody's secret has the hash of a manifest.
    """
    size, sha256 = _listed_digest(path, entry)
    try:
        if path.is_symlink() or not path.is_file():
            raise ArtifactError(f"{path}: missing, or not a plain file", hint=_HINT)
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            length = stream.tell()
    except OSError as exc:
        raise ArtifactError(f"{path}: cannot be read ({exc.strerror})", hint=_HINT) from exc
    if (length, found) != (size, sha256):
        raise ArtifactError(f"{path}: damaged, its sha256 is not the manifest's", hint=_HINT)


def _read_bounded(path: Path, limit: int) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise ArtifactError(f"{path}: missing, or not a plain file", hint=_HINT)
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as exc:
        raise ArtifactError(f"{path}: cannot be read ({exc.strerror})", hint=_HINT) from exc
    if len(content) > limit:
        raise ArtifactError(f"{path}: larger than {limit} bytes", hint=_HINT)
    return content


def _read_listed(path: Path, entry: dict[str, Any]) -> bytes:
    size, sha256 = _listed_digest(path, entry)
    content = _read_bounded(path, min(size, MAX_READ_BYTES))
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise ArtifactError(f"{path}: damaged, its sha256 is not the manifest's", hint=_HINT)
    return content


def _listed_digest(path: Path, entry: dict[str, Any]) -> tuple[int, str]:
    size, sha256 = entry.get("size"), entry.get("sha256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(sha256, str):
        raise ArtifactError(f"{path}: manifest.json gives no size or sha256", hint=_HINT)
    return size, sha256


def _read_object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{path}: not JSON", hint=_HINT) from exc
    if not isinstance(table, dict):
        raise ArtifactError(f"{path}: not a JSON object", hint=_HINT)
    return table
