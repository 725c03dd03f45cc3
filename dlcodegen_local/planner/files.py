"""The files of a planner folder, checked before anything parses them.

Guarantees that the bytes that are used are the bytes that were hashed, and that the ONNX file
needs no operators but the standard ones. Follows no link and reads nothing outside the folder.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
SETTINGS_FILE = "planner.json"
MANIFEST_FILE = "manifest.json"
CHOICES_FILE = "choices.bin"
REQUIRED_FILES = (MODEL_FILE, TOKENIZER_FILE, SETTINGS_FILE)
OPERATOR_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
MAX_MANIFEST_BYTES = 1_000_000

_HINT = "install the planner again, or name another folder"


@dataclass(frozen=True)
class PlannerFiles:
    """Hold the manifest and the checked bytes of a planner's files; `choices` may be missing."""

    manifest: dict[str, Any]
    model: bytes
    tokenizer: bytes
    settings: dict[str, Any]
    choices: bytes | None = None


def read_planner_files(folder: Path) -> PlannerFiles:
    """Read and check a planner folder.

    Raises:
        ArtifactError: a file is missing, a link, of another size or hash than the manifest says,
            or the model asks for foreign operators.
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
    contents = {}
    for name in (*REQUIRED_FILES, *((CHOICES_FILE,) if CHOICES_FILE in listed else ())):
        if name not in listed:
            raise ArtifactError(f"{folder}: manifest.json does not list {name}", hint=_HINT)
        contents[name] = _read_listed(folder / name, listed[name])
    if foreign := sorted(set(operator_domains(contents[MODEL_FILE])) - OPERATOR_DOMAINS):
        raise ArtifactError(
            f"{folder / MODEL_FILE}: asks for operators of {', '.join(foreign)}",
            hint="only standard ones run",
        )
    settings = _read_object(folder / SETTINGS_FILE, contents[SETTINGS_FILE])
    return PlannerFiles(
        manifest, contents[MODEL_FILE], contents[TOKENIZER_FILE], settings, contents.get(CHOICES_FILE)
    )


def operator_domains(model: bytes) -> list[str]:
    """Return the operator domains that an ONNX file imports, read from its protobuf top level.

    Raises:
        ArtifactError: the bytes are no protobuf message.
    """
    try:
        imports = [body for number, body in _fields(memoryview(model)) if number == 8]
        return [
            bytes(domain).decode("utf-8")
            for body in imports
            for number, domain in _fields(body)
            if number == 1
        ]
    except (IndexError, ValueError) as exc:
        raise ArtifactError(f"{MODEL_FILE}: not an ONNX file", hint=_HINT) from exc


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
    size, sha256 = entry.get("size"), entry.get("sha256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(sha256, str):
        raise ArtifactError(f"{path}: manifest.json gives no size or sha256", hint=_HINT)
    content = _read_bounded(path, size)
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise ArtifactError(f"{path}: damaged, its sha256 is not the manifest's", hint=_HINT)
    return content


def _read_object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{path}: not JSON", hint=_HINT) from exc
    if not isinstance(table, dict):
        raise ArtifactError(f"{path}: not a JSON object", hint=_HINT)
    return table


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and body of a protobuf message's length-delimited fields."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        wire = key & 7
        if wire == 0:
            _, place = _varint(message, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        elif wire == 2:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise ValueError("a field reaches past the end")
            yield key >> 3, message[place : place + length]
            place += length
        else:
            raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a varint has no end")
