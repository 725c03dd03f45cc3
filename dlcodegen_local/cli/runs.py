"""`dlcodegen runs`: what runs were made, and how they go on."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.run_printing import comparison_lines, list_lines, row_table, run_table, show_lines
from dlcodegen_local.config import find_paths
from dlcodegen_local.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from dlcodegen_local.runs.store import Run, RunStore

_output = click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the project there.")


@click.group("runs")
def command() -> None:
    """List, show, resume, repeat, compare and purge the runs of `generate`.

    A run is named by its id, by the start of its id, or as `last`.
    """


@command.command("list")
@options.json_flag
def list_command(json: bool) -> int:
    """List the runs that are kept, the newest first."""
    rows = _store().rows()
    if json:
        options.print_json([row_table(row) for row in rows])
    else:
        click.echo("\n".join(list_lines(rows)) or "no runs are kept")
    return 0


@command.command("show")
@click.argument("run_id", metavar="ID")
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write a page for the browser to this file, too."
)
@options.json_flag
def show_command(run_id: str, html: Path | None, json: bool) -> int:
    """Show what a run was asked, what its stages did, and what came of it.

    With --json, every prompt and every answer, too. The page needs no network.
    """
    store = _store()
    found = store.find(run_id)
    run = store.load(found)
    if html is not None:
        _write_page(html, run, store.row(found).status)
    if json:
        options.print_json(run_table(run, store.row(found).status))
    else:
        click.echo("\n".join(show_lines(run, store.row(found).status)))
    return 0


def _write_page(page: Path, run: "Run", status: str) -> None:
    from dataclasses import asdict

    from dlcodegen_local.durable import check_new_file, write_file
    from dlcodegen_local.run_page import page_of_record

    check_new_file(page)
    values = {stage.object: stage.value for stage in run.stages}
    write_file(page, page_of_record({**asdict(run.record), "status": status}, values.get), private=True)


@command.command("resume")
@click.argument("run_id", metavar="ID")
@_output
@click.option("-v", "--verbose", is_flag=True, help="Show every choice and every rejected answer, too.")
@options.json_flag
def resume_command(run_id: str, output: Path | None, verbose: bool, json: bool) -> int:
    """Go on with a run that was interrupted; what its stages have finished is not done again.

    The project is the same, byte by byte, as that of a run that nothing interrupted.
    """
    from dataclasses import replace

    from dlcodegen_local.cli.generate import carry_out, load_engines
    from dlcodegen_local.cli.reporting import StderrReporter
    from dlcodegen_local.delivery import check_output
    from dlcodegen_local.run_inputs import run_inputs
    from dlcodegen_local.run_order import changed_inputs, read_order

    run = _load(_store(), run_id)
    order = read_order(run.record.run, run.record.order, find_paths().cache)
    order = order if output is None else replace(order, output=output)
    check_output(order.output, run.record.run)
    reporter = StderrReporter(verbose=verbose)
    engines = load_engines(order.config, reporter, need_planner=order.request.plan is None)
    if changed := changed_inputs(run.record.inputs, run_inputs(order.request, engines, order.config)):
        raise ArtifactError(
            f"run {run.record.run} cannot go on: {', '.join(changed)} changed since",
            hint=f"make it anew: dlcodegen runs replay {run.record.run} -o DIR",
        )
    return carry_out(order, engines, reporter, as_json=json)


@command.command("replay")
@click.argument("run_id", metavar="ID")
@_output
@click.option("-v", "--verbose", is_flag=True, help="Show every choice and every rejected answer, too.")
@options.json_flag
def replay_command(run_id: str, output: Path | None, verbose: bool, json: bool) -> int:
    """Do a run anew from what it was asked, and say where it comes out otherwise.

    Nothing is taken from the record. Exit code 1 where anything differs.
    """
    from dataclasses import replace

    from dlcodegen_local.cli.generate import load_engines
    from dlcodegen_local.cli.reporting import StderrReporter
    from dlcodegen_local.delivery import deliver
    from dlcodegen_local.durable import check_new_folder
    from dlcodegen_local.run_order import read_order
    from dlcodegen_local.runs.comparing import compare_runs
    from dlcodegen_local.runs.store import RunStore

    before, paths = _load(_store(), run_id), find_paths()
    order = read_order(before.record.run, before.record.order, paths.cache)
    if output is not None:
        check_new_folder(output)
    reporter = StderrReporter(verbose=verbose)
    engines = load_engines(order.config, reporter, need_planner=order.request.plan is None)
    with TemporaryDirectory(prefix="dlcodegen-replay-") as folder:
        state = Path(folder) / "state"
        anew = replace(order, output=output or Path(folder) / "project", keep_record=True)
        deliver(anew, engines, replace(paths, state=state), reporter)
        store = RunStore(state)
        comparison = compare_runs(before, store.load(store.find("last")))
    if json:
        options.print_json({"run": before.record.run, **comparison.to_dict()})
    else:
        click.echo("\n".join(comparison_lines(comparison, "recorded", "replayed")))
    return 0 if comparison.is_same else 1


@command.command("diff")
@click.argument("first")
@click.argument("second")
@options.json_flag
def diff_command(first: str, second: str, json: bool) -> int:
    """Show where two runs differ: inputs, plans, stages, code. Exit code 1 where they do."""
    from dlcodegen_local.runs.comparing import compare_runs

    store = _store()
    runs = [_load(store, run_id) for run_id in (first, second)]
    comparison = compare_runs(*runs)
    if json:
        options.print_json(
            {"first": runs[0].record.run, "second": runs[1].record.run, **comparison.to_dict()}
        )
    else:
        click.echo("\n".join(comparison_lines(comparison, runs[0].record.run, runs[1].record.run)))
    return 0 if comparison.is_same else 1


@command.command("purge")
@click.argument("run_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", is_flag=True, help="Remove every run.")
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Remove runs that began before."
)
@options.json_flag
def purge_command(run_ids: tuple[str, ...], all: bool, older_than: float | None, json: bool) -> int:
    """Remove runs, and everything stored that no other run uses.

    Exit code 1 where a run is under way: it is left.
    """
    if (bool(run_ids), all, older_than is not None).count(True) != 1:
        raise ConfigError("name runs, or give --all, or --older-than", hint="see: dlcodegen runs list")
    store = _store()
    if older_than is not None:
        chosen = store.older_than(older_than)
    else:
        chosen = [row.id for row in store.rows()] if all else [store.find(run_id) for run_id in run_ids]
    busy = store.purge(list(dict.fromkeys(chosen)))
    purged = [run_id for run_id in dict.fromkeys(chosen) if run_id not in busy]
    if json:
        options.print_json({"purged": purged, "under_way": busy})
    else:
        click.echo(f"{len(purged)} runs removed" if len(purged) != 1 else "1 run removed")
        for run_id in busy:
            click.echo(f"run {run_id} is under way: it is left", err=True)
    return 1 if busy else 0


def _store() -> "RunStore":
    from dlcodegen_local.runs.store import RunStore

    return RunStore(find_paths().state)


def _load(store: "RunStore", run_id: str) -> "Run":
    return store.load(store.find(run_id))
