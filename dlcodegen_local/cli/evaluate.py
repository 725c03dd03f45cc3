"""`dlcodegen evaluate`: scores of predictions against references."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from rich.table import Table

    from dlcodegen_local.evaluation.intervals import Estimate
    from dlcodegen_local.evaluation.plan_comparison import PlanComparison

_WIDE = 10_000  # of output that is no terminal: nothing wraps


@click.group("evaluate")
def command() -> None:
    """Score predictions of any system against references."""


@command.command("plans")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="JSON lines of id and plan, or of id and text (raw output, which may be broken JSON). "
    "Give it again for each further system; all are compared with the first.",
)
@click.option(
    "--references", type=click.Path(path_type=Path), required=True, help="JSON lines of id and plan."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the result as JSON to a file.")
@options.json_flag
def plans_command(
    predictions: tuple[Path, ...], references: Path, seed: int, output: Path | None, **flags: bool
) -> None:
    """Score predicted plans, each measure with its 95% interval.

    Published dialects and the canonical one are read alike. A prediction that is not JSON is read field by
    field; one that is missing counts as wrong.
    """
    from dlcodegen_local.evaluation.plan_comparison import compare_plans

    if output is not None and os.path.realpath(output) in map(os.path.realpath, (*predictions, references)):
        raise ConfigError(f"{output} is one of the files to be read", hint="name another output file")
    comparison = compare_plans(predictions, references, seed)
    reporter = StderrReporter()
    for note in comparison.notes:
        reporter.note(plain(note))
    if output is not None:
        write_file(output, options.json_text(comparison.to_dict(), indent=2) + "\n")
    if flags["json"]:
        options.print_json(comparison.to_dict())
    else:
        _print_tables(comparison)


def _print_tables(comparison: "PlanComparison") -> None:
    """Print the scores, the paired differences to the first system, and the signatures."""
    from rich.console import Console

    from dlcodegen_local.evaluation.plan_scores import MEASURES

    width = None if sys.stdout.isatty() else _WIDE
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    names = [plain(system.name) for system in comparison.systems]
    console.print(_table("", names, [system.scores for system in comparison.systems]))
    if len(names) > 1:
        differences = [system.difference for system in comparison.systems[1:]]
        console.print(_table(f"minus {names[0]}", names[1:], differences, sign="+"))
    titles: dict[str, list[str]] = {}
    for measure in MEASURES:
        titles.setdefault(measure.signature, []).append(measure.title)
    for signature, measured in titles.items():
        console.print(f"{'; '.join(measured)}: {signature}")
    console.print(f"[low, high]: {comparison.interval}")


def _table(
    title: str, names: Sequence[str], columns: "Sequence[Mapping[str, Estimate | None]]", sign: str = ""
) -> "Table":
    from rich import box
    from rich.table import Table

    from dlcodegen_local.evaluation.plan_scores import MEASURES

    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in (title, "better"):
        table.add_column(name)
    for name in names:
        table.add_column(name, justify="right")
    for measure in MEASURES:
        cells = [_cell(estimates[measure.name], measure.digits, sign) for estimates in columns]
        table.add_row(measure.title, "higher" if measure.higher_is_better else "lower", *cells)
    return table


def _cell(estimate: "Estimate | None", digits: int, sign: str) -> str:
    if estimate is None:
        return "no item"
    mean, low, high = (f"{value:{sign}.{digits}f}" for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} [{low}, {high}] n={estimate.n}"
