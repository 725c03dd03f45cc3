"""The folder of imported models: what is listed, found, checked and removed.

Guarantees that one broken model hides no other, that a model is listed whole or not at all, and that what
came with the tool is never removed.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dlcodegen_local.artifacts import (
    MANIFEST_FILE,
    MODEL_NAME,
    Manifest,
    find_model,
    list_manifests,
    read_manifest,
)
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.hash_cache import hashed_anew

STAGING = ".import-"
_REMOVING = ".remove-"
_LOCK = ".lock"


@dataclass(frozen=True)
class Store:
    """Name the folders: of imported models, of bundled ones, and of remembered hashes."""

    folder: Path
    bundled: Path
    cache: Path

    def find(self, name: str) -> Manifest | None:
        """Return a bundled or imported model by its name.

        Raises:
            ArtifactError: its manifest is damaged.
        """
        return find_model(name, (self.bundled, self.folder))

    def listed(self) -> tuple[list[Manifest], list[ArtifactError]]:
        """Return all models, bundled ones first, and why some of the imported ones cannot be listed."""
        manifests = list_manifests(self.bundled)
        errors = []
        for path in sorted(self.folder.glob(f"*/{MANIFEST_FILE}")):
            if not path.parent.name.startswith("."):
                try:
                    manifests.append(read_manifest(path.parent))
                except ArtifactError as exc:
                    errors.append(exc)
        return manifests, errors

    def unfinished(self) -> dict[str, int]:
        """Return the names of interrupted imports, with the bytes that are there."""
        found = {}
        for folder in sorted(self.folder.glob(f"{STAGING}*")):
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            if any(sizes):
                found[folder.name.removeprefix(STAGING)] = sum(sizes)
        return found

    def is_imported(self, manifest: Manifest) -> bool:
        """Tell an imported model from a bundled one."""
        return manifest.folder.parent == self.folder

    def verify(self, manifest: Manifest) -> None:
        """Read all bytes of a model, whatever is remembered of them, and check what they hold.

        Raises:
            ArtifactError: a file is missing, differs, or is no sound model.
        """
        manifest.check_files(partial(hashed_anew, cache=self.cache))
        check_model(manifest)

    def remove(self, name: str) -> int:
        """Remove an imported model, or what an interrupted import left; return its size in bytes.

        Raises:
            ConfigError: it came with the tool, or there is none of that name.
        """
        if MODEL_NAME.fullmatch(name) and (self.bundled / name / MANIFEST_FILE).exists():
            raise ConfigError(
                f"{name} came with the tool and is not removed", hint="only imported models are"
            )
        folders = [self.folder / name, self.folder / f"{STAGING}{name}"] if MODEL_NAME.fullmatch(name) else []
        folders = [folder for folder in folders if folder.is_dir()]
        if not folders:
            raise ConfigError(f"{name} is no imported model", hint="see: dlcodegen models list")
        size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
        with self.locked():
            for folder in folders:
                away = self.folder / f"{_REMOVING}{folder.name}"
                try:
                    shutil.rmtree(away, ignore_errors=True)
                    os.rename(folder, away)  # unlisted at once, whatever happens to the rest
                    shutil.rmtree(away)
                except OSError as exc:
                    raise ConfigError(
                        f"{folder} cannot be removed: {exc.strerror}", hint="check its rights"
                    ) from exc
        return size

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other imports and removals out.

        Raises:
            ConfigError: one is running, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = open(self.folder / _LOCK, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as exc:
            raise ConfigError(
                f"{self.folder} cannot be written: {exc.strerror}", hint="check its rights"
            ) from exc
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                raise ConfigError("another import is running", hint="wait until it is done") from exc
            yield


def check_model(manifest: Manifest) -> None:
    """Check the files of a model before any native parser sees them.

    Raises:
        ArtifactError: they are no sound GGUF file, or no planner of this version.
    """
    if manifest.kind == "planner":
        from dlcodegen_local.planner.files import read_planner_files

        read_planner_files(manifest.folder)
    else:
        from dlcodegen_local.generation.gguf_header import read_header

        read_header(manifest.path_of(".gguf"))
