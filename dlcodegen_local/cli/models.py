"""`dlcodegen models`: what planners and code models there are, and which is the better one."""

from pathlib import Path
from typing import Any

import click

from dlcodegen_local.artifacts import Manifest, list_manifests, read_manifest, sha256_of
from dlcodegen_local.cli import options
from dlcodegen_local.cli.bench import command as bench_command
from dlcodegen_local.config import find_paths
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plain_text import plain

_NEEDED = "memory needed (MiB)"


@click.group("models")
def command() -> None:
    """List, describe and compare the planner and the code models."""


command.add_command(bench_command)


@command.command("list")
@options.json_flag
def list_command(**flags: bool) -> None:
    """List the models that come with the tool."""
    rows = [_shown(_row(manifest)) for manifest in list_manifests(find_paths().models)]
    if flags["json"]:
        options.print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']:<24} {row['kind']:<12} {row['size_bytes'] / 1e6:7.1f} MB  {row['licence']}")


@command.command("info")
@click.argument("model")
@options.json_flag
def info_command(model: str, **flags: bool) -> None:
    """Describe MODEL: the name of a bundled one, a model folder, or a GGUF file.

    A bundled model's files are checked against their sha256; a GGUF's header is read and checked, the file
    is not loaded.
    """
    facts = _shown(_describe(model, find_paths().models))
    if flags["json"]:
        options.print_json(facts)
        return
    for key, value in facts.items():
        if key == _NEEDED:
            value = ", ".join(f"{mib} with a context of {n_ctx}" for n_ctx, mib in value.items())
        click.echo(f"{key}: {value}")


def _describe(model: str, models: Path) -> dict[str, Any]:
    """Return the facts of what a user names; a path is described even where a bundled model is broken."""
    path = Path(model)
    if path.is_file():
        return _gguf_facts(path)
    if (path / "manifest.json").is_file():
        return _checked(read_manifest(path))
    manifests = {manifest.name: manifest for manifest in list_manifests(models)}
    if model in manifests:
        return _checked(manifests[model])
    raise ArtifactError(
        f"{model} is no model", hint=f"a GGUF file, a model folder, or {', '.join(manifests)}"
    )


def _checked(manifest: Manifest) -> dict[str, Any]:
    manifest.check_files()
    facts = {**_row(manifest), **manifest.facts, "files": [file.path for file in manifest.files]}
    if manifest.kind == "code-model":
        facts = {**_gguf_facts(manifest.path_of(".gguf")), **facts}
    return {**facts, "sha256 of the files": "as recorded"}


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
        "licence": licence if isinstance(licence, str) else "not stated",
        "size_bytes": header.size_bytes,
        "sha256": sha256_of(path),
    }


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "kind": manifest.kind,
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
