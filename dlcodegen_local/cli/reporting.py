"""Progress on stderr: what runs, how far it is, how long it will take.

On a terminal one line is rewritten; elsewhere a line is printed when a stage begins, every ten
seconds, and when it ends. Nothing is ever printed to stdout.
"""

import sys
import time
from typing import TextIO

_INTERVAL_S = {True: 0.1, False: 10.0}


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

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._stage, self._began, self._shown = name, time.monotonic(), 0.0
        self._rewrite(f"{name} ...") if self._live else self._print(f"{name} ...")

    def progress(self, kind: str, done: int, total: int, rate: float, seconds_left: float) -> None:
        """Show how far the stage is: `done` of `total` units at `rate` a second."""
        now = time.monotonic()
        if now - self._shown < _INTERVAL_S[self._live]:
            return
        if not self._live and now - self._began < _INTERVAL_S[False]:
            return
        self._shown = now
        share = f"{done}/{total} {self._unit}" if total else f"{done} {self._unit}"
        line = f"{self._stage}: {kind} {share}, {rate:.0f} {self._unit}/s, {seconds_left:.0f} s left"
        self._rewrite(line) if self._live else self._print(line)

    def done(self, text: str) -> None:
        """End the stage with what came of it."""
        self._clear()
        self._print(f"{self._stage}: {text} ({time.monotonic() - self._began:.1f} s)")

    def note(self, text: str) -> None:
        """Print a message that stays."""
        self._clear()
        self._stream.write(f"note: {text}\n")
        self._stream.flush()

    def detail(self, text: str) -> None:
        """Print a message for those who want to know everything."""
        if self._verbose:
            self.note(text)

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def _rewrite(self, line: str) -> None:
        line = line[:100]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def _clear(self) -> None:
        if self._live and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._width = 0
