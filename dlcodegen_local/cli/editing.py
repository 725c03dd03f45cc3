"""A plan in the user's editor: opened, read again, and kept where it cannot be used."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import terminal_editor
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.schema import Plan


@contextmanager
def edited_plan(plan: Plan, reporter: StderrReporter) -> Iterator[Plan]:
    """Yield the plan as the user's editor left it; on a terminal a wrong one can be opened again.

    The edited file is removed when the block ends well. Otherwise it stays, and a note says where,
    unless the user changed nothing.

    Raises:
        ConfigError: the editor failed, or the edit is no valid plan; names field and reason.
    """
    folder = Path(tempfile.mkdtemp(prefix="dlcodegen-plan-"))
    path = folder / "plan.json"
    before = plan.to_json() + "\n"
    path.write_text(before, encoding="utf-8")
    try:
        edited = _edit(path, reporter)
        if edited == plan:
            reporter.note("the plan was not changed")
        yield edited
    except BaseException:
        if path.is_file() and path.read_bytes() != before.encode():
            reporter.note(f"your edit is kept in {path}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _edit(path: Path, reporter: StderrReporter) -> Plan:
    while True:
        _open_editor(path)
        try:
            return options.read_plan_to_follow(path, canonical=True)
        except ConfigError as exc:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            reporter.note(f"{exc.message} ({exc.hint})")
            if not click.confirm("Open the editor again?", default=True, err=True):
                raise


def _open_editor(path: Path) -> None:
    """Run the editor on a file; its screen is stderr, for stdout may be a file that the plan goes to."""
    editor = terminal_editor()
    with ExitStack() as stack:
        keyboard = None
        if not sys.stdin.isatty():  # the requirement may have come from a pipe
            try:
                keyboard = stack.enter_context(open("/dev/tty", "rb"))
            except OSError:
                keyboard = None
        try:
            answer = subprocess.run(
                ["/bin/sh", "-c", f'{editor} "$1"', "sh", str(path)],
                stdin=keyboard,
                stdout=sys.stderr,
                check=False,
            )
        except (OSError, ValueError) as exc:
            raise ConfigError(f"the editor {editor!r} cannot be started", hint="set $EDITOR") from exc
    if answer.returncode in (126, 127):
        raise ConfigError(f"the editor {editor!r} cannot be found or run", hint="set $EDITOR")
    if answer.returncode:
        raise ConfigError(
            f"the editor {editor!r} ended with exit code {answer.returncode}",
            hint="no plan was taken from it",
        )
