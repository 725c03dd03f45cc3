"""Import a model: look, copy, hash, check, try, and only then give it its name.

Guarantees that a model that is listed has been checked and loaded once, and that every refusal leaves the
list as it was. What was copied stays where the copy was interrupted; it goes where the model was refused.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local import policy
from dlcodegen_local.admission import stated_licences
from dlcodegen_local.artifacts import MANIFEST_FILE, MODEL_NAME, ArtifactFile, Manifest, read_manifest
from dlcodegen_local.durable import sync_path, write_file
from dlcodegen_local.errors import ArtifactError, ConfigError, DlcodegenError
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.generation.memory import choose_context
from dlcodegen_local.model_store.copying import STATE, OnProgress, Pace, copy_file
from dlcodegen_local.model_store.licences import FoundLicence, find_licence
from dlcodegen_local.model_store.sources import Source
from dlcodegen_local.model_store.store import STAGING, Store, check_model
from dlcodegen_local.model_store.trial import shortest_context, try_loading

_SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Wish:
    """Hold what the user says of the model: its name here, its licence; both may be empty."""

    name: str = ""
    licence: str = ""


def import_model(
    source: Source,
    wish: Wish,
    store: Store,
    policies: Sequence[policy.Policy] = (),
    tell: OnProgress | None = None,
) -> Manifest:
    """Bring a model into the store and return its manifest.

    Raises:
        ArtifactError: it is damaged, unsound, or cannot be loaded.
        ConfigError: its name is taken, a policy refuses it, or there is no room.
    """
    name = _free_name(wish.name or source.name, store)
    _look_at(source)
    with store.locked():
        staging = store.folder / f"{STAGING}{name}"
        _check_room(source, staging)
        with _cleared(staging, but_for=ArtifactError):  # a copy waits for its source to come back
            staging.mkdir(exist_ok=True, mode=0o700)
            copied = _copied(source, staging, tell)
        with _cleared(staging):
            in_header = _header_licence(copied)
            manifest = _described(source, copied, name, _licence_of(source, wish, in_header))
            check_model(manifest)
            policy.check_model(policies, name, manifest.sha256, stated_licences(in_header, manifest))
            try_loading(manifest)
            return _listed(manifest, store)


@contextlib.contextmanager
def _cleared(staging: Path, but_for: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Remove what was copied where that fails; an interrupt, or an error of the kind `but_for`, leaves it.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        yield
    except but_for:
        raise
    except DlcodegenError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except OSError as exc:
        shutil.rmtree(staging, ignore_errors=True)
        raise ConfigError(f"{staging} cannot be written: {exc.strerror or exc}", hint="free space") from exc


def _free_name(name: str, store: Store) -> str:
    if not MODEL_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a model",
            hint="letters, digits and ._- after a letter or digit, at most 64",
        )
    if (store.bundled / name).exists() or (store.folder / name).exists():
        raise ConfigError(
            f"there is a model named {name}", hint="give --name, or: dlcodegen models remove NAME"
        )
    return name


def _look_at(source: Source) -> None:
    """Check a GGUF before it is copied, where it is in one part."""
    if source.kind != "code-model":
        return
    weights = [file for file in source.files if file.name.endswith(".gguf")]
    if len(weights) != 1:
        raise ArtifactError(
            f"{source.path} names {len(weights)} GGUF files, not one", hint="bring a model folder"
        )
    if len(weights[0].parts) == 1:
        header = read_header(weights[0].parts[0])
        choose_context(header, shortest_context(header))  # one that this machine cannot hold is not copied


def _header_licence(copied: Manifest) -> object:
    if copied.kind != "code-model":
        return None
    return read_header(copied.path_of(".gguf")).metadata.get("general.license")


def _licence_of(source: Source, wish: Wish, in_header: object) -> FoundLicence:
    in_manifest = source.manifest.licence if source.manifest else ""
    return find_licence(wish.licence, in_manifest, in_header, source.licence_files)


def _check_room(source: Source, staging: Path) -> None:
    there = (
        sum(path.stat().st_size for path in staging.rglob("*") if path.is_file()) if staging.is_dir() else 0
    )
    needed = max(source.size_bytes - there, 0) + _SPARE_BYTES
    free = shutil.disk_usage(staging.parent).free
    if needed > free:
        raise ConfigError(
            f"{source.path} needs {needed >> 20} MiB in {staging.parent}, {free >> 20} MiB are free",
            hint="free space, or set XDG_DATA_HOME to a folder on another disk",
        )


def _copied(source: Source, staging: Path, tell: OnProgress | None) -> Manifest:
    """Copy all files; what a manifest says of them must be true of the copies."""
    pace = Pace(2 * source.size_bytes, tell)
    files = []
    expected = {file.path: file.sha256 for file in source.manifest.files} if source.manifest else {}
    for file in source.files:
        sha256 = copy_file(file, staging, pace)
        path = staging / file.name
        path.chmod(0o644)
        if expected.get(file.name, sha256) != sha256:
            path.unlink()
            raise ArtifactError(
                f"{file.parts[0]} is damaged (its sha256 is not the manifest's)", hint="copy it anew"
            )
        files.append(ArtifactFile(file.name, path.stat().st_size, sha256))
    facts = dict(source.manifest.facts) if source.manifest else {}
    return Manifest(staging, "", source.kind, "", tuple(files), facts)


def _described(source: Source, manifest: Manifest, name: str, licence: FoundLicence) -> Manifest:
    """Write the manifest into the copy's folder and return it as it is read there."""
    table: dict[str, Any] = {
        "name": name,
        "kind": manifest.kind,
        "licence": licence.licence,
        "files": [vars(file) for file in manifest.files],
        **manifest.facts,
        "licence stated by": licence.stated_by,
        "imported from": _file_name(source),
    }
    write_file(manifest.folder / MANIFEST_FILE, json.dumps(table, indent=2) + "\n")
    return read_manifest(manifest.folder)


def _file_name(source: Source) -> str:
    """Return the file's name alone: where a stick was mounted is nobody's business."""
    return source.path.resolve().name.encode("utf-8", "replace").decode()


def _listed(manifest: Manifest, store: Store) -> Manifest:
    """Give a complete model its name: one rename, after everything is on the disk."""
    for note in manifest.folder.rglob(f"*{STATE}"):
        note.unlink()
    for folder in {(manifest.folder / file.path).parent for file in manifest.files} | {manifest.folder}:
        sync_path(folder)
    place = store.folder / manifest.name
    manifest.folder.chmod(0o755)
    os.rename(manifest.folder, place)
    sync_path(store.folder)
    return read_manifest(place)
