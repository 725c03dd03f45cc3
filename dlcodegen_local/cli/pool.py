"""`dlcodegen pool`: a team's own code as samples."""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.pool_report import (
    FINDINGS,
    IntakeProgress,
    counts_of,
    intake_json,
    print_intake,
    print_status,
)
from dlcodegen_local.config import GenerationConfig, PoolPlace, find_paths, find_pools
from dlcodegen_local.durable import check_new_file, write_file
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.plan.schema import Plan
    from dlcodegen_local.retrieval.descriptions import Describe
    from dlcodegen_local.retrieval.pools import Pool
    from dlcodegen_local.retrieval.samples import Sample

_pool_to_write = click.option(
    "--pool", type=click.Path(), help="The pool's folder.  [default: the team's pool]"
)
_pool_to_read = click.option(
    "--pool", type=click.Path(), help="team, bundled, or a pool's folder.  [default: team]"
)


@click.group("pool")
def command() -> None:
    """Take in, list, check and export a team's own samples.

    Nothing of what is taken in leaves this machine, and no line of it is run.
    """


@command.command("add")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@_pool_to_write
@click.option("--licence", default="", metavar="SPDX", help="The licence of files for which none is found.")
@click.option(
    "--deny-license",
    multiple=True,
    metavar="SPDX",
    help="Refuse a licence, from now on; GPL-* and unknown, too; can be given again.",
)
@click.option(
    "--allow-license", multiple=True, metavar="SPDX", help="Take a refusal back; can be given again."
)
@click.option("--keep-near", is_flag=True, help="Keep near duplicates as samples of their own.")
@click.option("--again", is_flag=True, help="Examine unchanged files, too, and write every sample anew.")
@click.option(
    "--model", type=options.ModelPath("code-model"), help="A model that writes the samples' requirements."
)
@click.option(
    "--timeout", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds for one file."
)
@options.json_flag
def add_command(paths: tuple[Path, ...], pool: str | None, **flags: Any) -> int:
    """Take Python files, notebooks and folders into the pool; without PATH, all folders it knows.

    What git ignores is left out. Unchanged files are not read again, deleted ones leave the pool, files
    with secrets are quarantined, and duplicates are folded into one sample. Can be stopped at any time:
    what is in stays in, and the next run goes on. Exit code 1 where a file is quarantined or unreadable.
    """
    from dlcodegen_local.retrieval.intake import IntakeSettings, take_in
    from dlcodegen_local.retrieval.intake_workers import WorkerLimits

    settings = IntakeSettings(
        declared=flags["licence"],
        deny=flags["deny_license"],
        allow=flags["allow_license"],
        keep_near=flags["keep_near"],
        again=flags["again"],
        limits=WorkerLimits(timeout_s=float(flags["timeout"])),
        describe=_describer(flags["model"]) if flags["model"] else None,
    )
    progress = IntakeProgress()
    report = take_in(_place_to_write(pool).folder, paths, settings, progress)
    counts = counts_of(report)
    progress.done(f"{len(report.files)} files, {counts['taken'] + counts['unchanged']} of them samples")
    if flags["json"]:
        options.print_json(intake_json(report))
    else:
        print_intake(report)
    return 1 if any(counts[kind] for kind in FINDINGS) else 0


@command.command("list")
@_pool_to_read
@click.option("--category", help="Only samples of this task category.")
@options.json_flag
def list_command(pool: str | None, category: str | None, **flags: bool) -> None:
    """List the samples: id, category, framework, licence, title."""
    from dlcodegen_local.retrieval.pool_status import listed

    wanted = options.read_category(category)
    rows = [row for row in listed(_open(pool)) if wanted in (None, row.category)]
    if flags["json"]:
        options.print_json([row.__dict__ for row in rows])
        return
    for row in rows:
        facts = f"[{row.category}]  {row.framework}  {row.licence or 'licence unknown'}"
        click.echo(f"{row.id}  {facts}  {plain(row.title)}")
    if not rows:
        click.echo("no sample", err=True)


@command.command("show")
@click.argument("sample_id", metavar="ID")
@_pool_to_read
@click.option("--code", is_flag=True, help="Show the code, too.")
@options.json_flag
def show_command(sample_id: str, pool: str | None, code: bool, **flags: bool) -> None:
    """Show one sample: requirement, plan, origin, licence."""
    opened = _open(pool)
    _check_ids(opened, [sample_id])
    sample = opened.sample(sample_id)
    facts = _facts(sample)
    if flags["json"]:
        options.print_json(
            {**facts, "plan": sample.plan.to_dict()} | ({"code": sample.source} if code else {})
        )
        return
    for key, value in facts.items():
        click.echo(f"{key}: {plain(value) or 'unknown'}")
    click.echo(f"plan: {sample.plan.to_json()}")
    if code:
        click.echo(sample.source)


@command.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="ID|PATH...")
@_pool_to_write
@options.json_flag
def remove_command(names: tuple[str, ...], pool: str | None, **flags: bool) -> None:
    """Remove samples by id, or what came from files and folders by path.

    They stay removed when their folder is added again; a path that is given to `pool add` itself comes
    back. The files are left as they are.
    """
    from dlcodegen_local.retrieval.pool_changes import remove
    from dlcodegen_local.retrieval.team_pool import TeamPool

    place = _place_to_write(pool)
    with TeamPool(place.folder, place.name) as opened:
        ids = opened.ids()
    unknown = [name for name in names if name not in ids and not Path(name).exists() and "/" not in name]
    if unknown:
        raise _unknown_id(unknown[0], ids)
    removed = remove(place.folder, list(names))
    if flags["json"]:
        options.print_json({"removed": removed})
        return
    for sample_id in removed:
        click.echo(sample_id)
    if not removed:
        click.echo("no sample was made from it", err=True)


@command.command("status")
@_pool_to_read
@options.json_flag
def status_command(pool: str | None, **flags: bool) -> None:
    """Say what the pool holds, what is stale or thin, and what was not taken, and why."""
    from dlcodegen_local.retrieval.pool_status import status_of

    status = status_of(_open(pool))
    if flags["json"]:
        options.print_json(status.to_dict())
    else:
        print_status(status)


@command.command("check")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_pool_to_read
@options.json_flag
def check_command(ids: tuple[str, ...], pool: str | None, **flags: bool) -> int:
    """Check samples: their hashes, what their code does, whether their sources are as they were.

    Nothing is run. Exit code 1 where there are findings.
    """
    from dlcodegen_local.pool_check import check_samples
    from dlcodegen_local.verification.environment import Target

    opened = _open(pool)
    _check_ids(opened, ids)
    target = Target(Path(sys.executable), cache_file=find_paths().cache / "attributes.json")
    wanted = ids or _ids(opened)
    findings = list(check_samples(opened, wanted, target))
    if flags["json"]:
        rows = [finding.__dict__ for finding in findings]
        options.print_json({"checked": len(wanted), "findings": rows})
    else:
        for finding in findings:
            place = f"{finding.sample}:{finding.line}" if finding.line else finding.sample
            click.echo(f"{place}: {finding.rule}: {plain(finding.message)}")
        click.echo(f"{len(wanted)} samples checked, {len(findings)} findings")
    return 1 if findings else 0


@command.command("export")
@_pool_to_read
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    required=True,
    help="The JSON-lines file to write: id, requirement, dataset_attributes, plan.",
)
@click.option("--force", is_flag=True, help="Replace the file.")
@options.json_flag
def export_command(pool: str | None, pairs: Path, force: bool, **flags: bool) -> None:
    """Write pairs of requirement and plan, to fine-tune a planner on."""
    if not force:
        check_new_file(pairs)
    rows = [
        {
            "id": entry.id,
            "requirement": entry.requirement,
            "dataset_attributes": _dataset(entry.plan),
            "plan": entry.plan.to_dict(),
        }
        for entry in _open(pool).entries()
    ]
    if not rows:
        raise ArtifactError("the pool holds no sample", hint="dlcodegen pool add PATH...")
    write_file(pairs, "".join(options.json_text(row) + "\n" for row in rows))
    if flags["json"]:
        options.print_json({"file": str(pairs), "pairs": len(rows)})
    else:
        click.echo(f"{len(rows)} pairs: {click.format_filename(pairs)}")


def _place_to_write(pool: str | None) -> PoolPlace:
    place = find_pools([pool or "team"], find_paths())[0]
    if place.name == "bundled":
        raise ConfigError("the bundled pool cannot be changed", hint="leave --pool out, or name a folder")
    if place.folder.exists() and not place.folder.is_dir():
        raise ConfigError(f"{place.folder} is not a folder", hint="name the pool's folder")
    return place


def _open(pool: str | None) -> "Pool":
    from dlcodegen_local.retrieval.pools import open_pool

    place = find_pools([pool or "team"], find_paths())[0]
    if place.folder.exists() and not place.folder.is_dir():
        raise ConfigError(f"{place.folder} is not a folder", hint="name the pool's folder")
    return open_pool(place.folder, place.name)


def _describer(model: Path) -> "Describe":
    from dlcodegen_local.engines import load_code_model
    from dlcodegen_local.generation.describing import SampleDescriber

    return SampleDescriber(load_code_model(GenerationConfig(model=model), options.print_note))


def _ids(pool: "Pool") -> list[str]:
    from dlcodegen_local.retrieval.team_pool import TeamPool

    return pool.ids() if isinstance(pool, TeamPool) else [entry.id for entry in pool.entries()]


def _check_ids(pool: "Pool", ids: Sequence[str]) -> None:
    known = _ids(pool) if ids else []
    for sample_id in ids:
        if sample_id not in known:
            raise _unknown_id(sample_id, known)


def _unknown_id(sample_id: str, known: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(sample_id, known, n=3, cutoff=0.5)
    near = near or [name for name in known if name.startswith(sample_id)][:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "see: dlcodegen pool list"
    return ConfigError(f"there is no sample {sample_id}", hint=hint)


def _dataset(plan: "Plan") -> dict[str, str]:
    """Return what the plan says of the data, as far as it says something."""
    facts = {"Input": plan.dataset_input, "Output": plan.dataset_output}
    return {key: value for key, value in facts.items() if value}


def _facts(sample: "Sample") -> dict[str, str]:
    return {
        "id": sample.id,
        "title": sample.title,
        "requirement": sample.requirement,
        "framework": sample.framework,
        "licence": sample.licence,
        "origin": sample.origin,
        "sha256": sample.sha256,
        "pool": sample.pool,
    }
