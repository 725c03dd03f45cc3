import io

from dlcodegen_local.cli.reporting import StderrReporter


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
