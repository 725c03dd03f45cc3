"""`dlcodegen models import`, `verify` and `remove`: models on their way in, and out."""

import time
from pathlib import Path
from typing import Any

import click

from dlcodegen_local import policy
from dlcodegen_local.artifacts import Manifest
from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import find_paths, find_policy_files
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.model_store.store import Store
from dlcodegen_local.plain_text import plain


def find_store() -> Store:
    """Return the folders of this user's models."""
    paths = find_paths()
    return Store(paths.data / "models", paths.models, paths.cache)


@click.command("import")
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Its name here.  [default: the file's]")
@click.option("--licence", default="", metavar="SPDX", help="Its licence, where the file does not state it.")
@options.json_flag
def import_command(path: Path, name: str, licence: str, **flags: bool) -> None:
    """Bring a GGUF file, or a model folder, into the tool: checked, copied, hashed.

    A file that was cut for a stick (model.gguf.001, .002, ...) is named by its first part, and joined.
    Interrupted, the same command goes on where it was.
    """
    from dlcodegen_local.model_store.importing import Wish, import_model
    from dlcodegen_local.model_store.sources import read_source
    from dlcodegen_local.retrieval.licensing import check_declared

    if licence:
        check_declared(licence)
    policies = policy.read_policies(find_policy_files(find_paths()))
    reporter = StderrReporter(unit="MB")
    began = time.monotonic()
    source = read_source(path)
    reporter.stage("import")
    try:
        manifest = import_model(source, Wish(name, licence), find_store(), policies, reporter.progress)
    except KeyboardInterrupt:
        reporter.note("the same command goes on where it was")
        raise
    reporter.done(f"{source.size_bytes / 1e6:,.1f} MB")
    row = {**_row(manifest), "seconds": round(time.monotonic() - began, 1)}
    if flags["json"]:
        options.print_json(row)
        return
    click.echo(f"{row['name']}  {row['kind']}  {row['size_bytes'] / 1e6:.1f} MB")
    click.echo(f"  licence  {row['licence']} (stated by: {row['licence stated by']})")
    click.echo(f"  sha256   {row['sha256']}")
    option = "planner" if manifest.kind == "planner" else "model"
    click.echo(f"  use it   dlcodegen generate ... --{option} {row['name']}")


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.json_flag
def verify_command(names: tuple[str, ...], **flags: bool) -> int:
    """Read every byte of the models (all, or those named) and check it; exit code 3 where one is damaged."""
    store = find_store()
    manifests, broken = ([], []) if names else store.listed()
    rows: list[dict[str, Any]] = [{"name": "", "ok": False, "message": error.message} for error in broken]
    for name in names:
        try:
            if (manifest := store.find(name)) is None:
                raise ArtifactError(f"{name} is no model", hint="see: dlcodegen models list")
            manifests.append(manifest)
        except ArtifactError as exc:
            rows.append({"name": name, "ok": False, "message": exc.message})
    reporter = StderrReporter()
    for manifest in manifests:
        reporter.stage(plain(f"verify {manifest.name}"))
        rows.append(_verified(manifest, store))
        reporter.done("sound" if rows[-1]["ok"] else "damaged")
    if flags["json"]:
        options.print_json(rows)
    else:
        for row in rows:
            click.echo(
                plain(f"{'ok     ' if row['ok'] else 'DAMAGED'}  {row['name']}  {row['message']}".rstrip())
            )
    return 0 if all(row["ok"] for row in rows) else ArtifactError.exit_code


@click.command("remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Remove an imported model, or what is left of an interrupted import."""
    size = find_store().remove(name)
    click.echo(plain(f"{name} is removed, {size / 1e6:,.1f} MB are free again"))


def _verified(manifest: Manifest, store: Store) -> dict[str, Any]:
    try:
        store.verify(manifest)
    except ArtifactError as exc:
        return {"name": manifest.name, "ok": False, "message": exc.message}
    return {"name": manifest.name, "ok": True, "message": ""}


def _row(manifest: Manifest) -> dict[str, Any]:
    row = {
        "name": manifest.name,
        "kind": manifest.kind,
        "size_bytes": sum(file.size for file in manifest.files),
        "licence": manifest.licence,
        "licence stated by": manifest.facts.get("licence stated by", ""),
        "sha256": manifest.sha256,
        "folder": str(manifest.folder),
    }
    return {key: plain(value) if isinstance(value, str) else value for key, value in row.items()}
