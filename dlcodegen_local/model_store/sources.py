"""What a user brings: a GGUF file, one cut into parts for a FAT32 stick, or a model folder.

Guarantees that only plain files are named, that those of a folder lie in it, and that parts are complete.
Reads no more than manifests and licences.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.artifacts import MANIFEST_FILE, Manifest, read_manifest
from dlcodegen_local.errors import ArtifactError, ConfigError

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_PART = re.compile(r"(?P<stem>.+\.gguf)\.(?P<word>part)?(?P<number>\d{1,3})", re.IGNORECASE)
_LICENCE = re.compile(r"(?:un)?licen[sc]e(?:\.(?:txt|md))?|copying", re.IGNORECASE)
_UNFIT = re.compile("[^A-Za-z0-9._-]+")
_HINT = "give a .gguf file, its first part, or a model folder"


@dataclass(frozen=True)
class SourceFile:
    """Name a file to copy by its path in the model's folder; `parts` hold its bytes, in order."""

    name: str
    parts: tuple[Path, ...]

    def sizes(self) -> list[tuple[int, int]]:
        """Return size and time of change of each part: what tells one source from another.

        Raises:
            ArtifactError: a part cannot be read.
        """
        try:
            return [(found.st_size, found.st_mtime_ns) for found in (path.stat() for path in self.parts)]
        except OSError as exc:
            raise ArtifactError(
                f"{exc.filename} cannot be read: {exc.strerror}", hint="check the path"
            ) from exc


@dataclass(frozen=True)
class Source:
    """Hold what is to be imported; `manifest` is the one that a folder brings, if any."""

    path: Path
    kind: str
    name: str
    files: tuple[SourceFile, ...]
    licence_files: tuple[Path, ...] = ()
    manifest: Manifest | None = None

    @property
    def size_bytes(self) -> int:
        """Count the bytes to copy."""
        return sum(size for file in self.files for size, _ in file.sizes())


def read_source(path: Path) -> Source:
    """Look at what a user names.

    Raises:
        ArtifactError: it is missing, no model, or incomplete.
        ConfigError: it holds several models, or is a shard.
    """
    if path.is_dir():
        return _folder(path)
    if match := _SHARD.search(path.name):
        raise ConfigError(
            f"{path} is shard {int(match[1])} of {int(match[2])} of a model",
            hint="join them first, where llama.cpp is: llama-gguf-split --merge FIRST.gguf WHOLE.gguf",
        )
    if not path.is_file():
        raise ArtifactError(f"{path} is missing, or no plain file", hint=_HINT)
    licences = _licences_in(path.parent)
    if match := _PART.fullmatch(path.name):
        parts = _parts(path, match)
        stem = Path(match["stem"]).stem
        return Source(path, "code-model", fit_name(stem), (SourceFile("model.gguf", parts),), licences)
    return Source(path, "code-model", fit_name(path.stem), (SourceFile("model.gguf", (path,)),), licences)


def fit_name(text: str) -> str:
    """Return a text as a model's name: letters, digits and `._-`, at most 64."""
    return _UNFIT.sub("-", text).strip("-._")[:64] or "model"


def _folder(folder: Path) -> Source:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as exc:
        raise ArtifactError(f"{folder} cannot be read: {exc.strerror}", hint="check the path") from exc
    licences = _licences_in(folder)
    if MANIFEST_FILE in names:
        return _with_manifest(folder, read_manifest(folder), licences)
    models = [name for name in names if name.lower().endswith(".gguf")]
    if "model.onnx" in names:
        raise ArtifactError(
            f"{folder} is a planner without {MANIFEST_FILE}", hint="export it again, see export/README.md"
        )
    if len(models) != 1:
        found = f"several models: {', '.join(models[:5])}" if models else "no model"
        raise ConfigError(f"{folder} holds {found}", hint=_HINT)
    return read_source(folder / models[0])


def _with_manifest(folder: Path, manifest: Manifest, licences: tuple[Path, ...]) -> Source:
    """Take the files that a manifest names, each a plain file of the folder itself."""
    files = []
    for entry in manifest.files:
        path = folder / entry.path
        if not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink() or not path.is_file():
            raise ArtifactError(
                f"{path} is missing, or no plain file of its folder", hint="bring a whole folder"
            )
        if path.stat().st_nlink > 1:
            raise ArtifactError(
                f"{path} has {path.stat().st_nlink} names (hard links): it may be another's file",
                hint="copy the folder with: cp -r --no-preserve=links",
            )
        if path.stat().st_size != entry.size:
            raise ArtifactError(
                f"{path} is damaged: its size is not the manifest's", hint="bring a whole folder"
            )
        files.append(SourceFile(entry.path, (path,)))
    name = fit_name(manifest.name if manifest.name not in ("planner", "starter") else folder.resolve().name)
    return Source(folder, manifest.kind, name, tuple(files), licences, manifest)


def _parts(path: Path, match: "re.Match[str]") -> tuple[Path, ...]:
    """Return all parts of a file that was cut, beginning with the given one, which must be the first."""
    first, width = int(match["number"]), len(match["number"])
    stem, word = match["stem"], match["word"] or ""
    if first > 1:
        raise ConfigError(f"{path} is not the first part", hint="give the first part of the file")
    parts = []
    for number in range(first, 1000):
        part = path.with_name(f"{stem}.{word}{number:0{width}d}")
        if not part.is_file():
            break
        parts.append(part)
    beside = [entry for entry in path.parent.iterdir() if _is_part_of(entry.name, stem, word)]
    if len(beside) != len(parts):
        raise ArtifactError(
            f"{stem} is incomplete: part {first + len(parts)} is missing",
            hint="copy all parts into one folder",
        )
    return tuple(parts)


def _is_part_of(name: str, stem: str, word: str) -> bool:
    match = _PART.fullmatch(name)
    return match is not None and match["stem"] == stem and (match["word"] or "") == word


def _licences_in(folder: Path) -> tuple[Path, ...]:
    try:
        return tuple(
            sorted(path for path in folder.iterdir() if _LICENCE.fullmatch(path.name) and path.is_file())
        )
    except OSError:
        return ()
