"""What the commands that run a table share: their options, and how they show where they are."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.evaluation.table_run import Progress

Command = TypeVar("Command", bound=Callable[..., None])

model_file = options.code_model_file


class TableReporter:
    """Show which item of a table is being made; a stage's own messages are in the run records."""

    def __init__(self) -> None:
        self._shown = StderrReporter()

    def item(self, progress: "Progress") -> None:
        """Begin an item."""
        left = "" if progress.seconds_left is None else f", {_duration(progress.seconds_left)} left"
        self._shown.stage(
            plain(f"{progress.done + 1} of {progress.total}: {progress.system}, {progress.task}{left}")
        )

    def stage(self, name: str) -> None:
        """Pass over a stage."""

    def progress(self, kind: str, done: int, total: int, rate: float, seconds_left: float) -> None:
        """Show how far the model is with a long answer."""
        self._shown.progress(kind, done, total, rate, seconds_left)

    def written(self, text: str) -> None:
        """Pass over what the model writes."""

    def done(self, text: str) -> None:
        """Pass over the end of a stage."""

    def note(self, text: str) -> None:
        """Pass over a note on one item."""

    def detail(self, text: str) -> None:
        """Pass over a detail."""


class StepCounter:
    """Count steps and tell a reporter how far they are."""

    def __init__(self, reporter: StderrReporter, kind: str) -> None:
        """Say what is done to each unit with `kind`."""
        self._reporter = reporter
        self._kind = kind
        self._began = time.monotonic()
        self.steps = 0

    def step(self, total: int) -> None:
        """Count one step of `total`."""
        self.steps += 1
        rate = self.steps / max(1e-9, time.monotonic() - self._began)
        self._reporter.progress(self._kind, self.steps, total, rate, (total - self.steps) / rate)


def running(limited: str) -> Callable[[Command], Command]:
    """Declare the options of a command that runs a table; `limited` says what --limit takes first."""
    decorators = (
        click.argument("data", type=click.Path(path_type=Path)),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), required=True, help="The results' folder."
        ),
        model_file,
        options.planner_folder,
        click.option("--limit", type=click.IntRange(min=1), help=f"Take so many tasks, {limited} first."),
        click.option(
            "--seed", type=click.IntRange(0, 2**31 - 100), default=0, show_default=True,
            help="Of the model, the bootstrap and the shuffles.",
        ),
        options.json_flag,
    )  # fmt: skip

    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"
