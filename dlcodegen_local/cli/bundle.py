"""`dlcodegen bundle`: everything for a machine that has nothing, without a network."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcodegen_local.cli import options
from dlcodegen_local.config import Paths, find_paths, find_pools
from dlcodegen_local.errors import ConfigError

if TYPE_CHECKING:
    from dlcodegen_local.bundle.wheels import Target

_FAT32_BYTES = (4 << 30) - 1
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_path: click.Path = click.Path(path_type=Path)
_signer = click.option(
    "--signature-by",
    type=_path,
    help="Whose signature it must have: a public key of OpenSSH or minisign, or an allowed_signers file.",
)
_bundle = click.argument("bundle", type=_path)


@click.group("bundle")
def command() -> None:
    """Make, check and install everything for a machine that has nothing."""


@command.command("create")
@click.option("--wheels", type=_path, required=True, help="The folder that `make wheels` fills.")
@click.option("-o", "--output", type=_path, required=True, help="A new folder, .tar or .tar.gz.")
@click.option("--platform", help="The target's platform tag.  [default: this machine's]")
@click.option("--python", help="The target's Python, as 3.11.  [default: this one]")
@click.option(
    "--with",
    type=click.Choice(["keras", "torch", "none"]),
    multiple=True,
    default=("keras",),
    show_default=True,
    help="What smoke runs train with; can be given again.",
)
@click.option(
    "--model",
    type=_path,
    multiple=True,
    help="One more model: an imported one's name, a folder, or a GGUF file.",
)
@options.pool_names
@click.option("--split", metavar="SIZE", help="Parts of an archive, as 700M; 4G is FAT32's limit.")
@click.option("--sign", type=_path, help="A private key of OpenSSH or minisign.")
@click.option("--date", help="The stated time, ISO 8601 in UTC: the same bytes again.  [default: now]")
@options.json_flag
def create_command(output: Path, model: tuple[Path, ...], pool: tuple[str, ...], **flags: object) -> None:
    """Make a bundle: wheels, models, samples, documents, licences, an SBOM, a manifest with hashes."""
    from dlcodegen_local.bundle.creation import Order, create_bundle

    paths = find_paths()
    bundled = tuple(folder.parent for folder in sorted(paths.models.glob("*/manifest.json")))
    order = Order(
        wheels=Path(str(flags["wheels"])),
        target=_target(flags["platform"], flags["python"]),
        extras=_extras(flags["with"]),
        models=(*bundled, *(_model_place(path, paths) for path in model)),
        pools=find_pools(pool, paths),
        created=_stated_time(flags["date"]),
        signing_key=Path(str(flags["sign"])) if flags["sign"] else None,
    )
    done = create_bundle(order, output, _part_bytes(flags["split"], output), options.print_note)
    if flags["json"]:
        options.print_json({**done.__dict__, "paths": [str(path) for path in done.paths]})
        return
    if done.unused_wheels:
        options.print_note(f"not needed, left out: {', '.join(done.unused_wheels)}")
    for path in done.paths:
        click.echo(path)
    options.print_note(
        f"{done.files} files, {done.size_bytes / 1e6:.1f} MB, manifest sha256 {done.manifest_sha256}"
    )


@command.command("verify")
@_bundle
@_signer
@options.json_flag
def verify_command(bundle: Path, signature_by: Path | None, **flags: bool) -> None:
    """Check every file of BUNDLE, a folder or an archive, against its manifest. Nothing is written."""
    from dlcodegen_local.bundle.commands import describe, summary
    from dlcodegen_local.bundle.verification import verify_bundle

    verified = verify_bundle(bundle, signature_by)
    if flags["json"]:
        options.print_json(describe(verified))
    else:
        click.echo(summary(verified))


@command.command("install")
@_bundle
@_signer
@click.option("--prefix", type=_path, help="Where to.  [default: ~/dlcodegen]")
@options.json_flag
def install_command(bundle: Path, signature_by: Path | None, prefix: Path | None, **flags: bool) -> None:
    """Check BUNDLE and install it with this Python: no network, all or nothing; a second try goes on."""
    from dlcodegen_local.bundle.installation import default_prefix, install_bundle

    done = install_bundle(bundle, prefix or default_prefix(), signature_by, notify=options.print_note)
    if flags["json"]:
        options.print_json(
            {**{key: str(value) for key, value in done.__dict__.items()}, "was_there": done.was_there}
        )
    else:
        click.echo(done.launcher)


def _target(stated_platform: object, stated_python: object) -> "Target":
    from dlcodegen_local.bundle.wheels import Target

    python = str(stated_python or "{}.{}".format(*sys.version_info[:2]))
    return Target(str(stated_platform or Target.here().platform), python)


def _model_place(path: Path, paths: Paths) -> Path:
    """Return a model's file or folder; one that is no path may be the name of an imported one."""
    imported = paths.data / "models" / path.name
    return imported if not path.exists() and path.name == str(path) and imported.is_dir() else path


def _extras(chosen: object) -> tuple[str, ...]:
    names = tuple(sorted(set(chosen))) if isinstance(chosen, tuple) else ()
    return () if "none" in names else names


def _stated_time(text: object) -> str:
    try:
        moment = datetime.fromisoformat(str(text)) if text else datetime.now(UTC)
    except ValueError as exc:
        raise ConfigError(f"{text} is no date", hint="for example 2026-03-01T12:00:00") from exc
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _part_bytes(text: object, output: Path) -> int | None:
    from dlcodegen_local.bundle.creation import is_archive

    if not text:
        return None
    match = re.fullmatch(r"([0-9]+)([KMG]?)", str(text).upper())
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if size < 1 << 10 or not is_archive(output):
        raise ConfigError("--split takes a size as 700M, and an archive (-o NAME.tar)", hint="correct it")
    return min(size, _FAT32_BYTES)
