"""A run as one page of HTML: readable without a network and without JavaScript, wide and narrow, printed too.

Guarantees that the same run gives the same page, byte by byte, and that no text of a person, a sample or a
model is markup. What a run has not is left out or said to be missing.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources

from dlcodegen_local.html_page import escaped, escaped_block, render_page
from dlcodegen_local.run_page.checks_part import checks_part, facts_table, mark, smoke_part
from dlcodegen_local.run_page.code_part import code_part, delivered_words
from dlcodegen_local.run_page.definition import RunPage, StageCost
from dlcodegen_local.run_page.plan_part import plan_part, samples_part

_PARTS = (
    ("requirement", "Requirement"),
    ("plan", "Plan"),
    ("samples", "Samples"),
    ("code", "Drafts and merge"),
    ("checks", "Findings and repairs"),
    ("smoke", "Smoke run"),
    ("cost", "Tokens and seconds"),
    ("licences", "Licences"),
    ("run", "The run"),
)


def render_run(page: RunPage) -> str:
    """Return the page of a run."""
    bodies = {
        "requirement": _requirement(page),
        "plan": plan_part(page),
        "samples": samples_part(page),
        "code": code_part(page),
        "checks": checks_part(page),
        "smoke": smoke_part(page),
        "cost": _cost(page.costs),
        "licences": _licences(page),
        "run": _about(page),
    }
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _PARTS)
    sections = "".join(
        f'<section id="{name}"><h2>{title}</h2>{bodies[name]}</section>' for name, title in _PARTS
    )
    title = f"<h1>Run <code>{escaped(page.run_id)}</code></h1>"
    head = f"{title}{_verdict(page)}<nav><ul>{links}</ul></nav>"
    return render_page(f"dlcodegen: run {page.run_id}", head + sections, _style())


def _verdict(page: RunPage) -> str:
    """Say first what came of the run."""
    check = page.verification
    if page.delivered is None or check is None:
        words = f"The run is {page.status}." if page.status else "Nothing was delivered."
        return f'<p class="verdict">{escaped(words)}</p>'
    is_good = check.static_ok and check.smoke.ok is not False
    if is_good and check.smoke.ok is None:
        word, css = "passed its static checks; it was not run", ""
    else:
        word, css = ("passed its checks", "good") if is_good else ("FAILED its checks", "failed")
    smoke = {True: "passed", False: "failed", None: "not run"}[check.smoke.ok]
    score = "no plan to compare" if check.score is None else f"{check.score:.2f} of 1"
    marks = (
        mark("Static", "passed" if check.static_ok else "failed", "")
        + mark("Plan compliance", "", score)
        + mark("Smoke run", smoke, "")
    )
    task = page.plan.category if page.plan else ""
    origin = delivered_words(page)
    return (
        f'<p class="verdict {css}">{"✓" if css == "good" else "✗" if css else "○"} The project {word}.</p>'
        f'<p class="marks">{marks}{mark("Task", "", task) if task else ""}{mark("Origin", "", origin)}</p>'
    )


def _requirement(page: RunPage) -> str:
    dataset = (
        f'<h3>Dataset</h3><blockquote dir="auto">{escaped_block(page.dataset)}</blockquote>'
        if page.dataset
        else ""
    )
    return f'<blockquote dir="auto">{escaped_block(page.requirement)}</blockquote>{dataset}'


def _cost(costs: Sequence[StageCost]) -> str:
    if not costs:
        return "<p>No stage ended.</p>"
    columns: list[tuple[str, list[float | None], int]] = [
        ("Tokens in", [cost.tokens_in for cost in costs], 0),
        ("of them kept", [cost.tokens_kept for cost in costs], 0),
        ("Tokens written", [cost.tokens_out for cost in costs], 0),
        ("Seconds", [cost.seconds for cost in costs], 1),
    ]
    columns = [column for column in columns if any(number is not None for number in column[1])]
    heads = "".join(f'<th scope="col">{title}</th>' for title, _, _ in columns)
    rows = "".join(
        f'<tr><th scope="row">{escaped(cost.name)}</th>'
        + "".join(_count(numbers[place], digits) for _, numbers, digits in columns)
        + f"{_share(cost, costs)}</tr>"
        for place, cost in enumerate(costs)
    )
    sums = "".join(
        _count(sum(number for number in numbers if number is not None), digits)
        for _, numbers, digits in columns
    )
    has_time = any(cost.seconds is not None for cost in costs)
    note = (
        "Kept tokens were known from a stage before and were not read again."
        if has_time
        else "A project does not say what its run took, so that the same run gives the same files; "
        "dlcodegen runs show does."
    )
    blank = "<td></td>" if has_time else ""
    return (
        f'<div class="scroll" tabindex="0"><table class="cost"><tr><th scope="col">Stage</th>{heads}'
        f'{"<th></th>" if has_time else ""}</tr>{rows}<tr class="total"><th scope="row">Together</th>{sums}'
        f"{blank}</tr></table></div><p><small>{note}</small></p>"
    )


def _count(number: float | None, digits: int) -> str:
    return "<td>–</td>" if number is None else f"<td>{number:,.{digits}f}</td>"


def _share(cost: StageCost, costs: Sequence[StageCost]) -> str:
    longest = max((other.seconds or 0.0 for other in costs), default=0.0)
    if not longest:
        return ""
    return f'<td><span class="share" style="width:{100 * (cost.seconds or 0.0) / longest:.0f}%"></span></td>'


def _licences(page: RunPage) -> str:
    if not page.licences:
        return "<p>No part of the program is from a sample with a licence of its own.</p>"
    rows = [(name, licence or "names no licence") for name, licence in page.licences.items()]
    return facts_table(rows)


def _about(page: RunPage) -> str:
    settings = facts_table(list(page.settings.items()))
    versions = facts_table(list(page.versions.items()))
    parts = [f"<h3>Settings</h3>{settings}"] if settings else []
    parts += [f"<h3>Versions and hashes</h3>{versions}"] if versions else []
    return "".join(parts) or "<p>Nothing more is recorded.</p>"


@cache
def _style() -> str:
    return (resources.files("dlcodegen_local.run_page") / "run_page.css").read_text(encoding="utf-8")
