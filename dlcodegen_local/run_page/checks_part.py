"""Findings, repairs and the smoke run of a run, in the order in which they came."""

import difflib
from collections.abc import Mapping, Sequence

from dlcodegen_local.html_page import escaped, escaped_block
from dlcodegen_local.run_page.definition import Check, PageFinding, Repair, RunPage, SmokeRun
from dlcodegen_local.run_page.plots import confusion_table, history_curves, loss_curve

_MAX_FINDINGS = 60
_MAX_DIFF_LINES = 200
_MAX_COMPARED_CHARS = 60_000
_STATES = {True: "passed", False: "failed", None: "not run"}


def checks_part(page: RunPage) -> str:
    """Return every check and repair, with what was found and what was changed."""
    if not page.steps:
        return "<p>Nothing was checked.</p>"
    steps = "".join(_check(step, page) if isinstance(step, Check) else _repair(step) for step in page.steps)
    return f'<ol class="steps">{steps}</ol>'


def _check(check: Check, page: RunPage) -> str:
    errors = sum(finding.severity == "error" for finding in check.findings)
    warnings = len(check.findings) - errors
    counted = [_counted(errors, "error"), _counted(warnings, "warning")]
    words = ", ".join(text for text in counted if text) or "no findings"
    score = "no plan to compare" if check.score is None else f"{check.score:.2f} of 1"
    marks = (
        mark("Static", "passed" if check.static_ok else "failed", words)
        + mark("Plan compliance", "", score)
        + mark("Smoke run", _STATES[check.smoke.ok], "")
    )
    message = f"<p>{escaped(check.smoke.message)}</p>" if check.smoke.message else ""
    return (
        f"<li><h3>Check of {escaped(check.version)}</h3>"
        f'<p class="marks">{marks}</p>{message}{_findings(check, page)}{_fields(check.fields)}'
        f"{_log(check.smoke.log) if check is not page.verification else ''}</li>"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""


def mark(what: str, state: str, words: str) -> str:
    """Return one result as a labelled mark; `state` is `passed`, `failed`, `not run` or empty."""
    sign = {"passed": "✓ ", "failed": "✗ "}.get(state, "")
    css = {"passed": "good", "failed": "failed"}.get(state, "")
    text = ", ".join(part for part in (state, words) if part)
    return f'<span class="mark {css}"><b>{escaped(what)}</b> {sign}{escaped(text)}</span> '


def _findings(check: Check, page: RunPage) -> str:
    if not check.findings:
        return ""
    is_delivered = check is page.verification
    items = "".join(_finding(finding, is_delivered) for finding in check.findings[:_MAX_FINDINGS])
    more = len(check.findings) - _MAX_FINDINGS
    rest = f"<p><small>{more} more findings are not shown.</small></p>" if more > 0 else ""
    return f'<ul class="findings">{items}</ul>{rest}'


def _finding(finding: PageFinding, is_delivered: bool) -> str:
    line = finding.place.rpartition(":")[2]
    place = escaped(finding.place)
    if is_delivered and line.isascii() and line.isdigit() and line.strip("0"):
        place = f'<a href="#line-{int(line)}">{place}</a>'
    return (
        f'<li class="{"failed" if finding.severity == "error" else ""}"><b>{escaped(finding.severity)}</b> '
        f"{place} <code>{escaped(finding.rule)}</code>: {escaped(finding.message)}</li>"
    )


def _fields(fields: Mapping[str, float]) -> str:
    if not fields:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escaped(name)}</th><td>{score:.2f}</td><td>{_bar(score)}</td></tr>'
        for name, score in fields.items()
    )
    return (
        "<details><summary>Compliance with the plan, field by field</summary>"
        f'<table class="terms">{rows}</table></details>'
    )


def _bar(score: float) -> str:
    width = round(100 * min(1.0, max(0.0, score)))
    return f'<span class="share{"" if score >= 1 else " low"}" style="width:{width}%"></span>'


def _repair(repair: Repair) -> str:
    notes = "".join(f"<li>{escaped(note)}</li>" for note in repair.notes)
    told = f'<ul class="notes">{notes}</ul>' if notes else ""
    if repair.error:
        body = f'<p class="failed">{escaped(repair.error)}</p>'
    elif repair.before == repair.after:
        body = "<p>Nothing was changed.</p>"
    else:
        body = _diff(repair.before, repair.after)
    return f"<li><h3>{escaped(repair.name.capitalize())}</h3>{told}{body}</li>"


def _diff(before: str, after: str) -> str:
    if max(len(before), len(after)) > _MAX_COMPARED_CHARS:
        return "<p>The program is too long to show what changed in it.</p>"
    lines = list(
        difflib.unified_diff(before.split("\n"), after.split("\n"), "before", "after", lineterm="", n=2)
    )
    shown = "".join(_diff_line(line) for line in lines[2 : 2 + _MAX_DIFF_LINES])
    more = len(lines) - 2 - _MAX_DIFF_LINES
    rest = f"<p><small>{more} more changed lines are not shown.</small></p>" if more > 0 else ""
    return f'<pre class="code diff" tabindex="0">{shown}</pre>{rest}'


def _diff_line(line: str) -> str:
    css = {"+": "plus", "-": "minus", "@": "at"}.get(line[:1], "")
    return f'<span class="l {css}">{escaped_block(line) or " "}</span>'


def smoke_part(page: RunPage) -> str:
    """Return the smoke run of the delivered version: curves, confusion, measures, what it ran on."""
    check = page.verification
    if check is None or check.smoke.ok is None:
        return "<p>The program was not run.</p>"
    smoke = check.smoke
    state = mark("Smoke run", _STATES[smoke.ok], smoke.message)
    plots = loss_curve(smoke.batch_losses) + history_curves(smoke.history) + confusion_table(smoke.confusion)
    about = (
        "<p>A few steps on a few synthetic items: it shows that the program trains, saves, loads and "
        "predicts, not how well it learns.</p>"
    )
    figures = f'<div class="plots">{plots}</div>' if plots else "<p>It reported no curve.</p>"
    return f'<p class="marks">{state}</p>{about}{figures}{_measures(smoke)}{_log(smoke.log)}'


def _log(log: str) -> str:
    """Return the end of what a failed run put out."""
    if not log:
        return ""
    shown = f'<pre tabindex="0">{escaped_block(log)}</pre>'
    return f"<details><summary>The end of its output</summary>{shown}</details>"


def _measures(smoke: SmokeRun) -> str:
    rows = [(f"test {name}", f"{value:.4g}") for name, value in smoke.metrics.items()]
    rows += [(f"last {name}", f"{values[-1]:.4g}") for name, values in smoke.history.items() if values]
    return facts_table([*rows, *smoke.facts.items()])


def facts_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and texts as a table; "" without any."""
    cells = "".join(
        f'<tr><th scope="row">{escaped(name)}</th><td>{escaped(text)}</td></tr>' for name, text in rows
    )
    return f'<table class="facts">{cells}</table>' if cells else ""
