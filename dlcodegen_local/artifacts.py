"""Models on disk: their manifests and hashes.

A model folder holds `manifest.json`: name, kind (`planner` or `code-model`), licence, and path, size
and sha256 of every file. Guarantees that a file which passed `check_files` is the one the manifest
names, and that no name in a manifest leaves its folder or shows as something else on a screen; a lone
GGUF that a user names has no manifest.
"""

import hashlib
import json
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plain_text import find_unplain, plain

MANIFEST_FILE = "manifest.json"
MODEL_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_MANIFEST_BYTES = 1_000_000
_MAX_FILES = 1000
_MAX_SIZE = 1 << 50
_MAX_TEXT_CHARS = 300
_MAX_PATH_CHARS = 200
_SHA256 = re.compile("[0-9a-f]{64}")
_KINDS = ("planner", "code-model")


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

    @property
    def sha256(self) -> str:
        """Return what stands for the model in a policy: a single file's hash, else that of all hashes.

        The latter is what `sha256sum FILE ... | sha256sum` prints for the listed files, sorted by name.
        """
        if len(weights := [file for file in self.files if file.path.endswith(".gguf")]) == 1:
            return weights[0].sha256
        lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(self.files, key=lambda f: f.path))
        return hashlib.sha256(lines.encode()).hexdigest()

    def check_files(self, hash_of: "Callable[[Path], str] | None" = None) -> None:
        """Compare size and sha256 of every file with the manifest; `hash_of` may remember hashes.

        Raises:
            ArtifactError: names the first file that is missing, no plain file, or different.
        """
        for file in self.files:
            path = self.folder / file.path
            try:
                found = path.lstat()
            except (OSError, ValueError) as exc:
                raise ArtifactError(f"{path} is missing", hint=_RESTORE) from exc
            if not stat.S_ISREG(found.st_mode):
                raise ArtifactError(f"{path} is missing: a link or a folder is there", hint=_RESTORE)
            if found.st_size != file.size or (hash_of or sha256_of)(path) != file.sha256:
                raise ArtifactError(f"{path} is damaged (its sha256 differs)", hint=_RESTORE)


_RESTORE = "restore the model folder"


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder/manifest.json` (not the files that it names).

    Raises:
        ArtifactError: it is missing, malformed, or names a path outside its folder.
    """
    path = folder / MANIFEST_FILE
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ArtifactError(f"{path} is too large for a manifest")
        table = json.loads(path.read_text(encoding="utf-8"))
        entries = table["files"]
        if not isinstance(entries, list) or len(entries) > _MAX_FILES:
            raise ValueError(f"files is no list of at most {_MAX_FILES}")
        files = tuple(
            ArtifactFile(_inside(path, item["path"]), _size(item["size"]), _digest(item["sha256"]))
            for item in entries
        )
        if len({file.path.casefold() for file in files}) < len(files):
            raise ValueError("a file stands twice")
        name, kind, licence = (_text(table, key) for key in ("name", "kind", "licence"))
        if kind not in _KINDS:
            raise ValueError(f"the kind is none of {', '.join(_KINDS)}")
    except FileNotFoundError as exc:
        raise ArtifactError(f"{path} is missing", hint="name a model folder that has a manifest") from exc
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError) as exc:
        reason = plain(repr(exc)[:_MAX_TEXT_CHARS])
        raise ArtifactError(f"{path} is not a valid manifest: {reason}", hint=_RESTORE) from exc
    facts = {key: value for key, value in table.items() if key not in ("name", "kind", "licence", "files")}
    return Manifest(folder, name, kind, licence, files, facts)


def list_manifests(models: Path) -> list[Manifest]:
    """Return the manifests of all model folders below `models`, sorted by name, but for hidden ones."""
    folders = [path.parent for path in sorted(models.glob(f"*/{MANIFEST_FILE}"))]
    manifests = (read_manifest(folder) for folder in folders if not folder.name.startswith("."))
    return sorted(manifests, key=lambda manifest: manifest.name)


def find_model(name: str, roots: Iterable[Path]) -> Manifest | None:
    """Return the model in the folder `name` of the first root that has one.

    Raises:
        ArtifactError: its manifest is damaged.
    """
    if MODEL_NAME.fullmatch(name):
        for root in roots:
            if (root / name / MANIFEST_FILE).is_file():
                return read_manifest(root / name)
    return None


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


def _text(table: dict[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str) or len(value) > _MAX_TEXT_CHARS:
        raise ValueError(f"{key} is no text of at most {_MAX_TEXT_CHARS} characters")
    return value


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_SIZE:
        raise ValueError(f"size {value!r} is no whole number of bytes")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"sha256 {value!r} is not 64 hex digits")
    return value


def _inside(manifest: Path, name: object) -> str:
    """Return a path that stays in its folder, on any system, and reads as what it is."""
    pure = PurePosixPath(str(name))
    if not isinstance(name, str) or pure.is_absolute() or ".." in pure.parts or not pure.parts:
        shown = plain(repr(name)[:_MAX_TEXT_CHARS])
        raise ArtifactError(f"{manifest} names a path outside its folder: {shown}")
    if name != str(pure) or len(name) > _MAX_PATH_CHARS or "\\" in name or find_unplain(name, "") is not None:
        raise ValueError(f"{name!r} is no plain path")
    return name
