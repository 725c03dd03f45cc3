"""`dlcodegen evaluate`: scores of predictions against references."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.planner_tables import PLANNER_COMMANDS
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.cli.tables import TABLE_COMMANDS
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from rich.table import Table

    from dlcodegen_local.evaluation.intervals import Estimate

Command = TypeVar("Command", bound=Callable[..., None])

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


@click.group("evaluate")
def command() -> None:
    """Score predictions of any system against references."""


for table_command in (*TABLE_COMMANDS, *PLANNER_COMMANDS):
    command.add_command(table_command)


def _scoring(predictions_help: str, references_help: str) -> Callable[[Command], Command]:
    """Declare the options of a command that scores predictions."""
    path = click.Path(path_type=Path)
    again = " Give it again for each further system; all are compared with the first."
    decorators = (
        click.option("--predictions", type=path, multiple=True, required=True, help=predictions_help + again),
        click.option("--references", type=path, required=True, help=references_help),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."
        ),
        click.option("-o", "--output", type=path, help="Write the result as JSON to a file."),
        options.json_flag,
    )

    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


@command.command("plans")
@_scoring(
    "JSON lines of id and plan, or of id and text (raw output, which may be broken JSON).",
    "JSON lines of id and plan.",
)
def plans_command(
    predictions: tuple[Path, ...], references: Path, seed: int, output: Path | None, **flags: bool
) -> None:
    """Score predicted plans, each measure with its 95% interval.

    Published dialects and the canonical one are read alike. A prediction that is not JSON is read field by
    field; one that is missing counts as wrong.
    """
    from dlcodegen_local.evaluation.plan_comparison import compare_plans
    from dlcodegen_local.evaluation.plan_scores import MEASURES

    _check_output(output, predictions, references)
    comparison = compare_plans(predictions, references, seed)
    rows = [Shown(m.name, m.title, m.higher_is_better, m.digits, m.signature) for m in MEASURES]
    _deliver(comparison, comparison.systems, rows, output, as_json=flags["json"])


@command.command("code")
@_scoring(
    "JSON lines of id and code, or of id and output (a raw answer, fence included), or a folder of ID.py.",
    "JSON lines of id, reference and perhaps plan, or a folder of ID.py.",
)
def code_command(
    predictions: tuple[Path, ...], references: Path, seed: int, output: Path | None, **flags: bool
) -> None:
    """Score generated code, each measure with its 95% interval; no code is run.

    CodeBLEU and its parts are those of all pairs together, by the codebleu package on normalised code. A
    prediction that is missing counts as a failure. Smoke runs are counted as the predictions record them.
    """
    from dlcodegen_local.evaluation.code_comparison import compare_code
    from dlcodegen_local.evaluation.code_scores import MEASURES

    _check_output(output, predictions, references)
    reporter = StderrReporter(unit="tasks")
    reporter.stage("comparing code")
    progress = _Progress(reporter)
    comparison = compare_code(predictions, references, seed, progress.step)
    reporter.done(f"{progress.steps} tasks")
    rows = [Shown(m.name, m.title, m.higher_is_better, 1, m.signature) for m in MEASURES]
    _deliver(comparison, comparison.scores.systems, rows, output, as_json=flags["json"])


class _Progress:
    """Count steps and tell a reporter how far they are."""

    def __init__(self, reporter: StderrReporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()
        self.steps = 0

    def step(self, total: int) -> None:
        """Count one step of `total`."""
        self.steps += 1
        rate = self.steps / max(1e-9, time.monotonic() - self._began)
        self._reporter.progress("compared", self.steps, total, rate, (total - self.steps) / rate)


def _check_output(output: Path | None, predictions: Sequence[Path], references: Path) -> None:
    if output is not None and os.path.realpath(output) in map(os.path.realpath, (*predictions, references)):
        raise ConfigError(f"{output} is one of the files to be read", hint="name another output file")


def _deliver(
    comparison: Comparison,
    systems: Sequence[Scored],
    measures: Sequence[Shown],
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say what is odd, write the result to a file, print it."""
    reporter = StderrReporter()
    for note in comparison.notes:
        reporter.note(plain(note))
    if output is not None:
        write_file(output, options.json_text(comparison.to_dict(), indent=2) + "\n")
    if as_json:
        options.print_json(comparison.to_dict())
    else:
        _print_tables(systems, measures, comparison.interval)


def _print_tables(systems: Sequence[Scored], measures: Sequence[Shown], interval: str) -> None:
    """Print the scores, the paired differences to the first system, and the signatures."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    names = [plain(system.name) for system in systems]
    console.print(_table("", names, [system.scores for system in systems], measures))
    if len(names) > 1:
        differences = [system.difference for system in systems[1:]]
        console.print(_table(f"minus {names[0]}", names[1:], differences, measures, sign="+"))
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
