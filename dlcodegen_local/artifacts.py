"""Models on disk: their manifests and hashes.

A model folder holds `manifest.json`: name, kind (`planner` or `code-model`), licence, and path, size
and sha256 of every file. Guarantees that a file which passed `check_files` is the one the manifest
names; a lone GGUF that a user names has no manifest and is hashed for the record only.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dlcodegen_local.errors import ArtifactError

_MAX_MANIFEST_BYTES = 1_000_000
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class ArtifactFile:
    """Name one file of a model: path below its folder, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Describe one model folder."""

    folder: Path
    name: str
    kind: str
    licence: str
    files: tuple[ArtifactFile, ...]
    facts: dict[str, Any]

    def path_of(self, suffix: str) -> Path:
        """Return the one file whose name ends so.

        Raises:
            ArtifactError: there is none.
        """
        for file in self.files:
            if file.path.endswith(suffix):
                return self.folder / file.path
        raise ArtifactError(f"{self.folder} names no {suffix} file", hint="restore the model folder")

    def check_files(self) -> None:
        """Compare size and sha256 of every file with the manifest.

        Raises:
            ArtifactError: names the first file that is missing or different.
        """
        for file in self.files:
            path = self.folder / file.path
            if not path.is_file():
                raise ArtifactError(f"{path} is missing", hint="restore the model folder")
            if path.stat().st_size != file.size or sha256_of(path) != file.sha256:
                raise ArtifactError(
                    f"{path} is damaged (its sha256 differs)", hint="restore the model folder"
                )


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder/manifest.json` (not the files that it names).

    Raises:
        ArtifactError: it is missing, malformed, or names a path outside its folder.
    """
    path = folder / "manifest.json"
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ArtifactError(f"{path} is too large for a manifest")
        table = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            ArtifactFile(_inside(path, item["path"]), _size(item["size"]), _digest(item["sha256"]))
            for item in table["files"]
        )
        name, kind, licence = str(table["name"]), str(table["kind"]), str(table["licence"])
    except FileNotFoundError as exc:
        raise ArtifactError(f"{path} is missing", hint="name a model folder that has a manifest") from exc
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ArtifactError(
            f"{path} is not a valid manifest: {exc!r}", hint="restore the model folder"
        ) from exc
    facts = {key: value for key, value in table.items() if key not in ("name", "kind", "licence", "files")}
    return Manifest(folder, name, kind, licence, files, facts)


def list_manifests(models: Path) -> list[Manifest]:
    """Return the manifests of all model folders below `models`, sorted by name."""
    folders = [path.parent for path in sorted(models.glob("*/manifest.json"))]
    return sorted((read_manifest(folder) for folder in folders), key=lambda manifest: manifest.name)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex.

    Raises:
        ArtifactError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc


def _size(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"size {value!r} is no whole number of bytes")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"sha256 {value!r} is not 64 hex digits")
    return value


def _inside(manifest: Path, name: object) -> str:
    pure = PurePosixPath(str(name))
    if not isinstance(name, str) or pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ArtifactError(f"{manifest} names a path outside its folder: {name!r}")
    return name
