import contextlib
import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time

from dlcodegen_local.cli.reporting import StderrReporter
from tests.cli.conftest import REPOSITORY
from tests.generation.tiny_gguf import write_tiny_gguf


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_there_are_only_whole_lines():
    stream = io.StringIO()
    reporter = StderrReporter(stream)
    reporter.stage("plan")
    reporter.progress("reading", 1, 10, 5.0, 2.0)
    reporter.done("12 layers")
    reporter.note("cut")
    reporter.detail("hidden")
    text = stream.getvalue()
    assert "\r" not in text
    assert text.startswith("plan ...\nplan: 12 layers (")
    assert text.endswith("note: cut\n")


def test_a_terminal_line_is_rewritten_with_rate_and_time_left():
    stream = Terminal()
    reporter = StderrReporter(stream)
    reporter.stage("merge")
    reporter.progress("reading", 300, 900, 150.0, 4.0)
    assert "\rmerge: reading 300/900 tokens, 150 tokens/s, 4 s left" in stream.getvalue()
    reporter.done("ok")
    assert stream.getvalue().splitlines()[-1].startswith("merge: ok (")


def test_a_terminal_shows_a_stage_as_soon_as_it_begins():
    stream = Terminal()
    reporter = StderrReporter(stream)
    reporter.stage("load")
    assert stream.getvalue() == "\rload ..."
    reporter.done("ok")
    reporter.stage("verify")
    assert stream.getvalue().endswith("\rverify ...")


def test_details_are_shown_on_request():
    stream = io.StringIO()
    StderrReporter(stream, verbose=True).detail("a choice")
    assert stream.getvalue() == "note: a choice\n"


def test_code_is_shown_as_it_is_written_on_a_terminal_and_on_request():
    for stream, verbose in ((Terminal(), False), (io.StringIO(), True)):
        reporter = StderrReporter(stream, verbose=verbose)
        reporter.stage("merge")
        for piece in ("import os\nimp", "ort re", "\n\x1b[2Jx = 1"):
            reporter.written(piece)
        assert "    import os\n" in stream.getvalue() and "    import re\n" in stream.getvalue()
        assert "\x1b" not in stream.getvalue() and "x = 1" not in stream.getvalue()
        reporter.done("ok")
        assert "     [2Jx = 1\n" in stream.getvalue()
    silent = io.StringIO()
    StderrReporter(silent).written("import os\n")
    assert silent.getvalue() == ""


def test_the_line_that_is_being_written_stands_behind_the_rate():
    stream = Terminal()
    reporter = StderrReporter(stream)
    reporter.stage("merge")
    reporter.written("model = ")
    reporter.progress("writing", 3, 900, 20.0, 45.0)
    assert "\rmerge: writing 3/900 tokens, 20 tokens/s, at most 45 s left | model = " in stream.getvalue()
    assert max(len(line) for line in stream.getvalue().split("\r")) <= 110


_CHILD = """
import sys
from pathlib import Path
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.generation.llm import Prompt, Sampling
from dlcodegen_local.model_worker.worker_llm import WorkerLLM
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.transcript import Transcript

folder = Path(sys.argv[1])
reporter, record = StderrReporter(), RunRecord(folder, {})
transcript = Transcript(reporter)
with WorkerLLM(folder / "tiny.gguf") as llm:
    reporter.stage("merge")
    with transcript.kept("merge", record):
        for seed in range(10_000):
            sampling = Sampling(max_tokens=700, temperature=2.0, seed=seed)
            llm.complete(Prompt("", "x"), sampling=sampling, on_progress=lambda p: transcript("merge", p))
"""


def test_an_interrupt_at_a_terminal_keeps_what_was_written(tmp_path):
    """A model of random weights writes every byte there is; the terminal gets no control character."""
    write_tiny_gguf(tmp_path / "tiny.gguf")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", _CHILD, str(tmp_path)]
    shown = b""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, preexec_fn=_own_terminal
    ) as child:
        os.close(theirs)
        while shown.count(b"\n") < 5 or b"at most" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"\x03")
        pressed = time.monotonic()
        with contextlib.suppress(OSError):  # the terminal is closed with its last process
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    assert time.monotonic() - pressed < 10
    assert child.returncode not in (0, None)
    before = shown.decode("utf-8", "replace").split("Traceback")[0].replace("^C", "")
    assert "merge: writing " in before and " tokens/s, at most " in before
    assert not set(before) & {chr(code) for code in range(32) if chr(code) not in "\r\n"}
    (stored,) = (json.loads(path.read_text()) for path in tmp_path.glob("objects/*.json"))
    assert stored["interrupted"] and stored["outputs"][0]


def _own_terminal():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
