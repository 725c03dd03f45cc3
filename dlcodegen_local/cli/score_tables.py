"""Deliver scores of systems: notes, a file, and JSON or tables with intervals and paired differences."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.durable import write_file
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from rich.table import Table

    from dlcodegen_local.evaluation.intervals import Estimate

_BETTER = {True: "higher", False: "lower", None: ""}
_WIDE = 10_000  # of output that is no terminal: nothing wraps


class Shown(NamedTuple):
    """Hold what a table shows of a measure; `higher_is_better` is None where neither is."""

    name: str
    title: str
    higher_is_better: bool | None
    digits: int
    signature: str


class Scored(Protocol):
    """Hold one system's estimates by measure."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def scores(self) -> "Mapping[str, Estimate | None]": ...  # noqa: D102
    @property
    def difference(self) -> "Mapping[str, Estimate | None]": ...  # noqa: D102


class Comparison(Protocol):
    """Hold what a comparison of systems found."""

    @property
    def notes(self) -> list[str]: ...  # noqa: D102
    @property
    def interval(self) -> str: ...  # noqa: D102
    def to_dict(self) -> dict[str, Any]: ...  # noqa: D102


def deliver(
    comparison: Comparison,
    systems: Sequence[Scored],
    measures: Sequence[Shown],
    output: Path | None,
    *,
    as_json: bool,
    label: str = "",
) -> None:
    """Say what is odd, write the result to a file, print it; a label stands before its tables."""
    reporter = StderrReporter()
    for note in comparison.notes:
        reporter.note(plain(note))
    if output is not None:
        write_file(output, options.json_text(comparison.to_dict(), indent=2) + "\n")
    if as_json:
        options.print_json(comparison.to_dict())
    else:
        if label:
            click.echo(plain(label))
        _print_tables(systems, measures, comparison.interval)


def _print_tables(systems: Sequence[Scored], measures: Sequence[Shown], interval: str) -> None:
    """Print the scores, the paired differences to the first system, and the signatures."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    names = [plain(system.name) for system in systems]
    console.print(_table("", names, [system.scores for system in systems], measures))
    if compared := [system for system in systems[1:] if system.difference]:
        others = [plain(system.name) for system in compared]
        differences = [system.difference for system in compared]
        console.print(_table(f"minus {names[0]}", others, differences, measures, sign="+"))
    titles: dict[str, list[str]] = {}
    for measure in measures:
        titles.setdefault(measure.signature, []).append(measure.title)
    for signature, measured in titles.items():
        console.print(f"{'; '.join(measured)}: {signature}")
    console.print(f"[low, high]: {interval}")


def _table(
    title: str,
    names: Sequence[str],
    columns: "Sequence[Mapping[str, Estimate | None]]",
    measures: Sequence[Shown],
    sign: str = "",
) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in (title, "better"):
        table.add_column(name)
    for name in names:
        table.add_column(name, justify="right")
    for measure in measures:
        cells = [_cell(estimates[measure.name], measure.digits, sign) for estimates in columns]
        table.add_row(measure.title, _BETTER[measure.higher_is_better], *cells)
    return table


def _cell(estimate: "Estimate | None", digits: int, sign: str) -> str:
    if estimate is None:
        return "no item"
    mean, low, high = (f"{value:{sign}.{digits}f}" for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} [{low}, {high}] n={estimate.n}"
