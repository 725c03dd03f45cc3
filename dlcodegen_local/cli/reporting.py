"""Progress on stderr: what runs, how far it is, how long it will take, and the code as it is written.

On a terminal one line is rewritten, with what the model writes at its end, and every whole line of it goes
above; elsewhere a line is printed when a stage begins, every ten seconds, and when it ends, code only if
details are wanted. What a model writes never reaches the terminal as a control character. Nothing is
ever printed to stdout.
"""

import os
import sys
import time
from typing import TextIO

from dlcodegen_local.plain_text import plain

_INTERVAL_S = {True: 0.1, False: 10.0}
_MAX_COLUMNS = 110
_CODE_INDENT = "    "


class StderrReporter:
    """Implement `pipeline.Reporter` on a text stream."""

    def __init__(self, stream: TextIO | None = None, *, verbose: bool = False, unit: str = "tokens") -> None:
        """Write to `stream`, stderr by default; `verbose` shows details, too; progress counts `unit`."""
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._verbose = verbose
        self._unit = unit
        self._stage = ""
        self._began = self._shown = 0.0
        self._width = 0
        self._code = ""

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._end_code()
        self._stage, self._began, self._shown = name, time.monotonic(), 0.0
        self._rewrite(f"{name} ...") if self._live else self._print(f"{name} ...")

    def progress(self, kind: str, done: int, total: int, rate: float, seconds_left: float) -> None:
        """Show how far the stage is: `done` of `total` units at `rate` a second."""
        if kind == "reading":
            self._end_code()
        now = time.monotonic()
        if now - self._shown < _INTERVAL_S[self._live]:
            return
        if not self._live and now - self._began < _INTERVAL_S[False]:
            return
        self._shown = now
        share = f"{done}/{total} {self._unit}" if total else f"{done} {self._unit}"
        left = f"{'at most ' if kind == 'writing' else ''}{seconds_left:.0f} s left"
        line = f"{self._stage}: {kind} {share}, {rate:.0f} {self._unit}/s, {left}"
        if not self._live:
            self._print(line)
            return
        self._rewrite(f"{line} | {_shown(self._code).lstrip()}" if self._code.strip() else line)

    def written(self, text: str) -> None:
        """Show what a model has just written, whole lines at a time."""
        if not (self._live or self._verbose):
            return
        *lines, self._code = (self._code + text).split("\n")
        for line in lines:
            self._print_code(line)

    def done(self, text: str) -> None:
        """End the stage with what came of it."""
        self._end_code()
        self._clear()
        self._print(f"{self._stage}: {text} ({time.monotonic() - self._began:.1f} s)")

    def note(self, text: str) -> None:
        """Print a message that stays."""
        self._end_code()
        self._clear()
        self._stream.write(f"note: {text}\n")
        self._stream.flush()

    def detail(self, text: str) -> None:
        """Print a message for those who want to know everything."""
        if self._verbose:
            self.note(text)

    def _end_code(self) -> None:
        """Print the line that a model has begun; what follows is another text."""
        line, self._code = self._code, ""
        if line.strip():
            self._print_code(line)

    def _print_code(self, line: str) -> None:
        self._clear()
        shown = _CODE_INDENT + _shown(line)
        self._print((shown[: self._columns()] if self._live else shown).rstrip())
        self._shown = 0.0 if self._live else self._shown  # the line below is drawn again

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def _rewrite(self, line: str) -> None:
        line = line[: self._columns()]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def _clear(self) -> None:
        if self._live and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._width = 0

    def _columns(self) -> int:
        """Return how many columns one line of the terminal may take, so that it never wraps."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):  # no real terminal
            columns = 0
        return min(columns - 1, _MAX_COLUMNS) if columns > 1 else _MAX_COLUMNS


def _shown(line: str) -> str:
    return plain(line.expandtabs(4))
