"""`dlcodegen models`: what planners and code models there are, and which is the better one."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from dlcodegen_local.artifacts import MANIFEST_FILE, Manifest, read_manifest
from dlcodegen_local.cli import model_intake, options
from dlcodegen_local.cli.bench import command as bench_command
from dlcodegen_local.config import find_paths
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.hash_cache import known_sha256
from dlcodegen_local.model_store.store import Store
from dlcodegen_local.plain_text import plain
from dlcodegen_local.policy import NOT_STATED

_NEEDED = "memory needed (MiB)"


@click.group("models")
def command() -> None:
    """Import, list, check, describe and compare the planners and the code models."""


for _command in (
    bench_command, model_intake.import_command, model_intake.verify_command, model_intake.remove_command
):  # fmt: skip
    command.add_command(_command)


@command.command("list")
@options.json_flag
def list_command(**flags: bool) -> None:
    """List the models that come with the tool and the imported ones."""
    store = model_intake.find_store()
    manifests, errors = store.listed()
    for error in errors:
        options.print_note(f"not listed: {error.message}")
    for name, size in store.unfinished().items():
        options.print_note(
            f"the import of {name} was interrupted after {size / 1e6:,.0f} MB: import it again, "
            f"or: dlcodegen models remove {name}"
        )
    rows = [_shown(_row(manifest, store)) for manifest in manifests]
    if flags["json"]:
        options.print_json(rows)
        return
    for row in rows:
        shown = f"{row['size_bytes'] / 1e6:9.1f} MB"
        click.echo(f"{row['name']:<24} {row['kind']:<12} {shown}  {row['origin']:<9} {row['licence']}")


@command.command("info")
@click.argument("model")
@options.json_flag
def info_command(model: str, **flags: bool) -> None:
    """Describe MODEL: the name of a bundled or imported one, a model folder, or a GGUF file.

    The files of a model are checked against their sha256; a GGUF's header is read and checked, the file
    is not loaded.
    """
    facts = _shown(_describe(model, model_intake.find_store()))
    if flags["json"]:
        options.print_json(facts)
        return
    for key, value in facts.items():
        if key == _NEEDED:
            value = ", ".join(f"{mib} with a context of {n_ctx}" for n_ctx, mib in value.items())
        click.echo(f"{key}: {value}")


def _describe(model: str, store: Store) -> dict[str, Any]:
    """Return the facts of what a user names; a path is described even where a bundled model is broken."""
    path = Path(model)
    if path.is_file():
        return _gguf_facts(path)
    if (path / MANIFEST_FILE).is_file():
        return _checked(read_manifest(path), store)
    if (manifest := store.find(model)) is not None:
        return _checked(manifest, store)
    names = ", ".join(found.name for found in store.listed()[0])
    raise ArtifactError(f"{model} is no model", hint=f"a GGUF file, a model folder, or {names}")


def _checked(manifest: Manifest, store: Store) -> dict[str, Any]:
    manifest.check_files(partial(known_sha256, cache=store.cache))
    facts = {**_row(manifest, store), **manifest.facts, "files": [file.path for file in manifest.files]}
    if manifest.kind == "code-model":
        facts = {**_gguf_facts(manifest.path_of(".gguf")), **facts}
    return {**facts, "sha256": manifest.sha256, "sha256 of the files": "as recorded"}


def _gguf_facts(path: Path) -> dict[str, Any]:
    from dlcodegen_local.generation.chat_formats import format_named
    from dlcodegen_local.generation.chat_template import find_format
    from dlcodegen_local.generation.gguf_header import read_header
    from dlcodegen_local.generation.memory import available_bytes, needed_by_context

    header = read_header(path)
    found = find_format(path, header, find_paths().cache / "templates")
    needed = needed_by_context(header)
    licence = header.metadata.get("general.license")
    return {
        "name": str(header.metadata.get("general.name", path.stem)),
        "architecture": header.architecture,
        "parameters": header.n_params,
        "context_length": header.whole_number("context_length"),
        "layers": header.whole_number("block_count"),
        "prompt format": "; ".join((format_named(found.name).name, *found.notes)),
        "end token": "named" if header.token_id("eos") is not None else "none: answers end by their text",
        _NEEDED: {str(n_ctx): size >> 20 for n_ctx, size in needed.items()},
        "memory free (MiB)": available_bytes() >> 20,
        "licence": licence if isinstance(licence, str) else NOT_STATED,
        "size_bytes": header.size_bytes,
        "sha256": known_sha256(path, find_paths().cache),
    }


def _row(manifest: Manifest, store: Store) -> dict[str, Any]:
    origins = {store.folder: "imported", store.bundled: "bundled"}
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "origin": origins.get(manifest.folder.parent, "folder"),
        "licence": manifest.licence,
        "size_bytes": sum(file.size for file in manifest.files),
        "folder": str(manifest.folder),
    }


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts whose texts a terminal cannot take for commands: a model's file may say anything."""
    return {plain(key): _plain_value(value) for key, value in facts.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    return _shown(value) if isinstance(value, dict) else value
