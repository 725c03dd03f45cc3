"""The plan of a run: its fields as a table, its layers as a diagram, its samples with why they were found."""

from collections.abc import Sequence

from dlcodegen_local.compiler.reading import read_shapes
from dlcodegen_local.compiler.sizes import Shape
from dlcodegen_local.html_page import escaped, escaped_block
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.run_page.definition import PageHit, RunPage
from dlcodegen_local.run_page.diagram import draw_network
from dlcodegen_local.run_page.origins import is_from
from dlcodegen_local.sections import SECTION_NAMES

_MAX_TERMS = 12
_ORDER = "Those whose code can follow the plan come first, whatever their scores."


def plan_part(page: RunPage) -> str:
    """Return the plan beside its network."""
    plan = page.plan
    if plan is None:
        return "<p>There is no plan.</p>"
    notes = "".join(f"<li>{escaped(note)}</li>" for note in page.plan_notes)
    listed = f'<h3>Notes of the planner</h3><ul class="notes">{notes}</ul>' if notes else ""
    source = (
        "<details><summary>The plan as JSON</summary>"
        f'<pre tabindex="0">{escaped_block(plan.to_json())}</pre></details>'
    )
    return (
        f'<div class="pair plan"><div>{_fields(plan)}{listed}{source}</div><div>{_network(plan)}</div></div>'
    )


def _fields(plan: Plan) -> str:
    rows = (
        ("Task", plan.category),
        ("Input", plan.dataset_input),
        ("Output", plan.dataset_output),
        ("Preprocessing", plan.preprocess),
        ("Layers", str(len(plan.layers))),
        ("Optimizer", plan.optimizer),
        ("Loss", plan.loss),
        ("Learning rate", _number(plan.learning_rate)),
        ("Batch size", _number(plan.batch_size)),
        ("Epochs", _number(plan.epochs)),
        ("Metric", plan.metric),
    )
    cells = "".join(
        f'<tr><th scope="row">{name}</th><td>{escaped(text) or "<i>left open</i>"}</td></tr>'
        for name, text in rows
    )
    return f'<table class="facts">{cells}</table>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else f"{value}"


def _network(plan: Plan) -> str:
    try:
        figure = draw_network(plan.layers, _input_shape(plan))
    except RecursionError:  # arguments nested past reason
        figure = ""
    items = "".join(f"<li><code>{escaped(layer)}</code></li>" for layer in plan.layers)
    words = f"<details><summary>The layers in the plan's words</summary><ol>{items}</ol></details>"
    return (figure or "<p>The plan names no layers that can be drawn.</p>") + (words if items else "")


def _input_shape(plan: Plan) -> Shape | None:
    """Return the shape that the plan's dataset has, where it names just one."""
    shapes = read_shapes(plan.dataset_input)
    return shapes[0] if len(shapes) == 1 else None


def samples_part(page: RunPage) -> str:
    """Return the retrieved samples, why they were found and what became of them."""
    if not page.hits:
        return "<p>No sample was retrieved.</p>"
    cards = "".join(_card(number, hit, page) for number, hit in enumerate(page.hits, start=1))
    scores = [hit.score or 0.0 for hit in page.hits]
    order = "" if scores == sorted(scores, reverse=True) else f"<p>{_ORDER}</p>"
    return f'{order}<div class="cards">{cards}</div>'


def _card(number: int, hit: PageHit, page: RunPage) -> str:
    facts = [text for text in (hit.category, hit.framework, f"pool {hit.pool}" if hit.pool else "") if text]
    score = f'<span class="score">score {hit.score:.2f}</span>' if hit.score is not None else ""
    lines = [f'<p class="lead">{escaped("; ".join(facts))}</p>'] if facts else []
    if hit.topped_up:
        lines.append(f'<p class="caution">Stands in for one that there is not: {escaped(hit.topped_up)}.</p>')
    lines.append(f"<p>{escaped(_use(hit.id, page))}</p>")
    lines.append(_terms(hit.terms))
    lines.append(
        f"<dl><dt>Licence</dt><dd>{escaped(hit.licence) or 'names none'}</dd>"
        f"<dt>sha256</dt><dd><code>{escaped(hit.sha256) or 'not recorded'}</code></dd></dl>"
    )
    title = f'<p class="title">{escaped(hit.title)}</p>' if hit.title and hit.title != hit.id else ""
    return (
        f'<article class="card"><h3>{number}. {escaped(hit.id)} {score}</h3>{title}{"".join(lines)}</article>'
    )


def _use(sample_id: str, page: RunPage) -> str:
    """Say which sections of the delivered program come from a sample."""
    if page.delivered is None:
        return "No program was delivered."
    provenance = page.delivered.provenance
    sections = [
        name for name in (*SECTION_NAMES, *provenance) if is_from(provenance.get(name, ""), sample_id)
    ]
    sections = list(dict.fromkeys(sections))
    if not sections:
        return "No section of the delivered program was copied from it."
    return f"In the delivered program: {', '.join(sections)}."


def _terms(terms: Sequence[tuple[str, float]]) -> str:
    """Draw the words a sample was found by; a bar is a share of the first word's score."""
    if not terms:
        return ""
    top = max(score for _, score in terms) or 1.0
    rows = "".join(
        f"<tr><td>{escaped(word)}</td><td>{score:.2f}</td>"
        f'<td><span class="share" style="width:{max(0.0, score) / top * 100:.0f}%"></span></td></tr>'
        for word, score in terms[:_MAX_TERMS]
    )
    more = (
        f"<p><small>and {len(terms) - _MAX_TERMS} more words</small></p>" if len(terms) > _MAX_TERMS else ""
    )
    return (
        "<h4>Why: words of the plan that it shares, cut to their stems, and their part of the score</h4>"
        f'<table class="terms">{rows}</table>{more}'
    )  # fmt: skip
