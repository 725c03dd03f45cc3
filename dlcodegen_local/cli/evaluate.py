"""`dlcodegen evaluate`: scores of predictions against references."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from dlcodegen_local.cli import human, leaks, options
from dlcodegen_local.cli.planner_tables import PLANNER_COMMANDS
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.cli.score_tables import Shown, deliver
from dlcodegen_local.cli.tables import TABLE_COMMANDS
from dlcodegen_local.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., None])


@click.group("evaluate")
def command() -> None:
    """Score predictions of any system against references."""


command.add_command(leaks.command)
command.add_command(human.command)
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
        leaks.leaks_from_option,
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
    predictions: tuple[Path, ...], references: Path, seed: int, output: Path | None, **flags: Any
) -> None:
    """Score predicted plans, each measure with its 95% interval.

    Published dialects and the canonical one are read alike. A prediction that is not JSON is read field by
    field; one that is missing counts as wrong.
    """
    from dlcodegen_local.evaluation.leaks_labels import clean_plan_systems
    from dlcodegen_local.evaluation.plan_comparison import compare_plans
    from dlcodegen_local.evaluation.plan_scores import MEASURES

    _check_output(output, (*predictions, *map(Path, flags["leaks_from"])), references)
    comparison = compare_plans(predictions, references, seed)
    rows = [Shown(m.name, m.title, m.higher_is_better, m.digits, m.signature) for m in MEASURES]
    if not flags["leaks_from"]:
        deliver(comparison, comparison.systems, rows, output, as_json=flags["json"])
        return
    items = list(comparison.references.plans)
    labelled = leaks.label_scores(comparison, items, references, flags["leaks_from"], clean_plan_systems)
    systems = [*comparison.systems, *labelled.clean]
    deliver(labelled, systems, rows, output, as_json=flags["json"], label=labelled.report.label)


@command.command("code")
@_scoring(
    "JSON lines of id and code, or of id and output (a raw answer, fence included), or a folder of ID.py.",
    "JSON lines of id, reference and perhaps plan, or a folder of ID.py.",
)
def code_command(
    predictions: tuple[Path, ...], references: Path, seed: int, output: Path | None, **flags: Any
) -> None:
    """Score generated code, each measure with its 95% interval; no code is run.

    CodeBLEU and its parts are those of all pairs together, by the codebleu package on normalised code. A
    prediction that is missing counts as a failure. Smoke runs are counted as the predictions record them.
    """
    from dlcodegen_local.evaluation.code_comparison import compare_code
    from dlcodegen_local.evaluation.code_scores import MEASURES
    from dlcodegen_local.evaluation.leaks_labels import clean_code_systems

    _check_output(output, (*predictions, *map(Path, flags["leaks_from"])), references)
    reporter = StderrReporter(unit="tasks")
    reporter.stage("comparing code")
    progress = _Progress(reporter)
    comparison = compare_code(predictions, references, seed, progress.step)
    reporter.done(f"{progress.steps} tasks")
    rows = [Shown(m.name, m.title, m.higher_is_better, 1, m.signature) for m in MEASURES]
    if not flags["leaks_from"]:
        deliver(comparison, comparison.scores.systems, rows, output, as_json=flags["json"])
        return
    items = list(comparison.references.references)
    labelled = leaks.label_scores(comparison, items, references, flags["leaks_from"], clean_code_systems)
    systems = [*comparison.scores.systems, *labelled.clean]
    deliver(labelled, systems, rows, output, as_json=flags["json"], label=labelled.report.label)


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
