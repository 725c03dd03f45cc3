"""`dlcodegen models`: what planners and code models there are."""

from pathlib import Path
from typing import Any

import click

from dlcodegen_local.artifacts import Manifest, list_manifests, sha256_of
from dlcodegen_local.cli import options
from dlcodegen_local.config import find_paths
from dlcodegen_local.errors import ArtifactError


@click.group("models")
def command() -> None:
    """List and describe the planner and the code models."""


@command.command("list")
@options.as_json
def list_command(as_json: bool) -> None:
    """List the models that come with the tool."""
    rows = [_row(manifest) for manifest in list_manifests(find_paths().models)]
    if as_json:
        options.print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']:<24} {row['kind']:<12} {row['size_bytes'] / 1e6:7.1f} MB  {row['licence']}")


@command.command("info")
@click.argument("model")
@options.as_json
def info_command(model: str, as_json: bool) -> None:
    """Describe MODEL: the name of a bundled one, a model folder, or a GGUF file.

    A bundled model's files are checked against their sha256; a GGUF's header is read and checked, the file
    is not loaded.
    """
    facts = _describe(model)
    if as_json:
        options.print_json(facts)
        return
    for key, value in facts.items():
        click.echo(f"{key}: {value}")


def _describe(model: str) -> dict[str, Any]:
    manifests = {manifest.name: manifest for manifest in list_manifests(find_paths().models)}
    path = Path(model)
    if model in manifests:
        return _checked(manifests[model])
    if (path / "manifest.json").is_file():
        from dlcodegen_local.artifacts import read_manifest

        return _checked(read_manifest(path))
    if path.is_file():
        return _gguf_facts(path)
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
    from dlcodegen_local.generation.gguf_header import read_header

    header = read_header(path)
    licence = header.metadata.get("general.license")
    return {
        "name": str(header.metadata.get("general.name", path.stem)),
        "architecture": header.architecture,
        "parameters": header.n_params,
        "context_length": header.whole_number("context_length"),
        "layers": header.whole_number("block_count"),
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
