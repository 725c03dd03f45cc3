"""How the `pool` commands print: progress of an intake, its report, a status."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.retrieval.intake import FileReport, IntakeReport
    from dlcodegen_local.retrieval.pool_status import FileState, PoolStatus

_SHOWN_LINES = 20
# The order of the report: what was asked for first, what went wrong last.
_WORDS = {
    "taken": "taken",
    "unchanged": "unchanged",
    "duplicate": "folded (same code)",
    "near-duplicate": "folded (nearly the same code)",
    "pending": "not settled yet (an add was stopped; run it again)",
    "removed": "removed earlier",
    "refused": "licence refused",
    "no-deep-learning": "not deep learning",
    "quarantined": "quarantined (secrets)",
    "unreadable": "unreadable",
}
_LISTED = ("refused", "no-deep-learning", "quarantined", "unreadable")
FINDINGS = ("quarantined", "unreadable")


class IntakeProgress:
    """Show the stages of an intake on stderr: n of m, files a second, time left."""

    def __init__(self) -> None:
        self._reporter = StderrReporter(unit="files")
        self._stage = ""
        self._began = 0.0
        self._first = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, done
            self._reporter.stage(stage)
        elif total:
            rate = (done - self._first) / max(now - self._began, 1e-3)
            left = (total - done) / rate if rate else 0.0
            self._reporter.progress("done", done, total, rate, left)

    def done(self, text: str) -> None:
        """End the last stage."""
        self._reporter.done(text)


def kind_of(file: "FileReport") -> str:
    """Return under which word a file is reported."""
    if file.status == "sample":
        return "taken" if file.is_new else "unchanged"
    return file.status


def counts_of(report: "IntakeReport") -> dict[str, int]:
    """Return the number of files under every word, in the order of the report."""
    kinds = [kind_of(file) for file in report.files]
    return {kind: kinds.count(kind) for kind in _WORDS}


def intake_json(report: "IntakeReport") -> dict[str, Any]:
    """Return the JSON object of an intake."""
    return {
        "counts": {**counts_of(report), "gone": report.gone},
        "files": [
            {
                "path": file.path,
                "status": kind_of(file),
                "reason": file.reason,
                "notes": list(file.notes),
            }
            for file in report.files
        ],
        "left_out": [{"path": path, "reason": reason} for path, reason in report.left_out],
        "missing_roots": list(report.missing_roots),
    }


def print_intake(report: "IntakeReport") -> None:
    """Print the counts, then a line for every file that was not taken."""
    for kind, count in counts_of(report).items():
        if count:
            click.echo(f"{count:7} {_WORDS[kind]}")
    if report.gone:
        click.echo(f"{report.gone:7} deleted or moved, no longer in the pool")
    if not report.files:
        click.echo("no Python file and no notebook was found")
    for kind in _LISTED:
        _print_lines(
            _WORDS[kind], [(file.path, file.reason) for file in report.files if kind_of(file) == kind]
        )
    noted = [file for file in report.files if file.notes and kind_of(file) == "taken"]
    _print_lines("taken in part", [(file.path, "; ".join(file.notes)) for file in noted])
    _print_lines("left out", report.left_out)
    for root in report.missing_roots:
        click.echo(f"{plain(root)} is not there; its samples are kept", err=True)


def print_status(status: "PoolStatus") -> None:
    """Print a status for people."""
    click.echo(f"{status.samples} samples, fingerprint {status.fingerprint[:16]}")
    for title, counts in (
        ("categories", status.categories),
        ("frameworks", status.frameworks),
        ("licences", status.licences),
    ):
        if counts:
            click.echo(f"{title}:")
        for name, count in counts.items():
            click.echo(f"{count:7} {plain(name)}")
    if status.roots:
        click.echo(f"folders: {', '.join(plain(root) for root in status.roots)}")
    if status.denied:
        click.echo(f"refused licences: {', '.join(status.denied)}")
    if status.thin:
        click.echo(f"thin (fewer than 3 samples): {', '.join(status.thin)}")
    _print_states("stale", status.stale)
    for kind, states in status.files.items():
        _print_states(_WORDS.get(kind, kind), states)


def _print_states(title: str, states: "Sequence[FileState]") -> None:
    lines: list[tuple[str, str]] = []
    for state in states:
        places = [
            f"cell {s.cell}, line {s.line}: {s.kind}" if s.cell is not None else f"line {s.line}: {s.kind}"
            for s in state.secrets
        ]
        lines.append((state.path, "; ".join(places) or state.reason))
    _print_lines(title, lines)


def _print_lines(title: str, lines: Iterable[tuple[str, str]]) -> None:
    """Print a line an item, on a terminal the first ones alone."""
    every = list(lines)
    shown = every[:_SHOWN_LINES] if sys.stdout.isatty() else every
    if every:
        click.echo(f"{title}: {len(every)}")
    for path, reason in shown:
        click.echo(f"  {plain(path)}: {plain(reason)}")
    if len(shown) < len(every):
        click.echo(f"  ... and {len(every) - len(shown)} more; --json lists all")
