"""Results as one page of HTML: readable without a network and without JavaScript, wide and narrow.

Guarantees that every text of a model or of a file is escaped. A page of the same results is the same, byte
by byte.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from dlcodegen_local.evaluation.report_plots import Bar, bars, lines
from dlcodegen_local.evaluation.report_tables import (
    Document,
    difference_table,
    grouped,
    repeats_table,
    score_table,
    summary_table,
)
from dlcodegen_local.evaluation.table_items import Item
from dlcodegen_local.html_page import escaped, escaped_block, render_page

TITLES = {
    "table2": "Table II: the baselines and the whole method",
    "table4": "Table IV: planners",
    "fig4": "Fig. 4: planners, field by field",
    "table5": "Table V: without parts of the method",
    "fig5": "Fig. 5: temperature",
    "bench": "Two models on the same tasks",
}
_SCORED = {
    "programs": (
        "codebleu", "ngram", "weighted_ngram", "syntax", "dataflow", "codebleu_defined",
        "parse_rate", "compliance", "smoke_rate", "lines",
    ),
    "planners": (
        "valid_json", "category", "dataset_input_bleu", "dataset_output_bleu", "layer_similarity", "mld",
        "loss", "optimizer", "metric", "plan_bleu", "learning_rate", "batch_size", "epochs",
        "learning_rate_mae", "batch_size_mae", "epochs_mae",
    ),
}  # fmt: skip
_COMPARED = {
    "programs": ("codebleu", "codebleu_defined", "parse_rate", "compliance", "smoke_rate"),
    "planners": ("category", "layer_similarity", "loss", "optimizer", "metric", "plan_bleu", "learning_rate"),
}
_DRAWN = {
    "programs": ("codebleu", "compliance", "smoke_rate"),
    "planners": (
        "category", "layer_similarity", "plan_bleu", "loss", "optimizer", "metric", "learning_rate",
        "batch_size", "epochs", "mld",
    ),
}  # fmt: skip


def render_report(tables: Mapping[str, Document], items: Mapping[str, Sequence[Item]]) -> str:
    """Return the page of some tables, in the paper's order."""
    names = [name for name in TITLES if name in tables]
    links = "".join(f'<li><a href="#{name}">{escaped(TITLES[name])}</a></li>' for name in names)
    sections = "".join(_section(name, tables[name], items.get(name, ())) for name in names)
    contents = f"<nav><ul>{links}</ul></nav>" if len(names) > 1 else ""
    return render_page("dlcodegen: evaluation", f"<h1>Evaluation</h1>{contents}{sections}", _style())


def _section(name: str, document: Document, items: Sequence[Item]) -> str:
    parts = [f'<section id="{name}"><h2>{escaped(TITLES[name])}</h2>', _lead(document)]
    if document["comparison"] and name != "table4":
        parts.append(f'<div class="plots">{_plots(name, document)}</div>')
    if name == "fig4":  # the numbers and the items are those of Table IV
        return "".join((*parts, _notes(document), "</section>"))
    if document["comparison"]:
        kind = document["kind"]
        measures = [measure for measure in _SCORED[kind] if _is_scored(document, measure)]
        parts += [
            "<h3>Against the references</h3>",
            "<p>Means with their 95% intervals; the best of a column is bold, floors aside.</p>",
            score_table(document, measures),
            repeats_table(document),
            "<h3>Differences to the first system</h3>",
            difference_table(document, [m for m in _COMPARED[kind] if _is_scored(document, m)]),
        ]
    if document["summary"]:
        parts += ["<h3>All tasks</h3>", summary_table(document)]
    parts += [_notes(document), _items(document, items), "</section>"]
    return "".join(parts)


def _lead(document: Document) -> str:
    tasks, settings = document["tasks"], document["settings"]
    model = settings.get("model") or {}
    facts = [f"{tasks['items']} tasks, {tasks['with_reference']} of them with a reference"]
    facts += [f"code model {model['name']}"] if model.get("name") else []
    facts += [f"seed {settings['seed']}"]
    cautions = "".join(f'<p class="caution">{escaped(text)}</p>' for text in document["cautions"])
    return f'<p class="lead">{escaped("; ".join(facts))}.</p>{cautions}'


def _is_scored(document: Document, measure: str) -> bool:
    return any(system["scores"][measure] for system in document["comparison"]["systems"])


def _plots(name: str, document: Document) -> str:
    about = document["comparison"]["measures"]
    systems = list(grouped(document, document["comparison"]["systems"]))
    if name == "fig5":
        return "".join(
            lines(f"{about[measure]['title']} over temperature, with 95% intervals", "temperature",
                  _over_temperature([system for _, system in systems], measure))
            for measure in _DRAWN["programs"] if _is_scored(document, measure)
        )  # fmt: skip
    return "".join(
        bars(
            f"{about[measure]['title']}, {about[measure]['better']} is better",
            [
                Bar(system["name"], group, found)
                for group, system in systems
                if (found := system["scores"][measure])
            ],
            about[measure].get("digits", 1),
        )
        for measure in _DRAWN[document["kind"]]
        if _is_scored(document, measure)
    )


def _over_temperature(
    systems: Sequence[Mapping[str, Any]], measure: str
) -> dict[str, list[tuple[float, Mapping[str, Any]]]]:
    """Return a line for each model, from systems that are named NAME-tTEMPERATURE."""
    found: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
    for system in systems:
        name, _, temperature = system["name"].rpartition("-t")
        if system["scores"][measure]:
            found.setdefault(name, []).append((float(temperature), system["scores"][measure]))
    return found


def _notes(document: Document) -> str:
    notes = "".join(f"<li>{escaped(note)}</li>" for note in document["notes"])
    return f'<h3>Notes</h3><ul class="notes">{notes}</ul>{_signatures(document)}'


def _signatures(document: Document) -> str:
    comparison = document["comparison"] or {}
    rows = [(about["title"], about["signature"]) for about in comparison.get("measures", {}).values()]
    rows += [(name.replace("_", " "), text) for name, text in document["summary_signatures"].items()]
    rows += [("[low, high]", comparison["interval"])] if comparison else []
    rows += [("p", document["p_value"])]
    rows += [(f"file {system['name']}", f"{system['path']}, sha256 {system['sha256']}")
             for system in comparison.get("systems", ())]  # fmt: skip
    rows += [(f"setting {key}", str(value)) for key, value in document["settings"].items()]
    listed = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in rows)
    head = "What every number means, and what it was made from"
    return f"<details><summary>{head}</summary><dl>{listed}</dl></details>"


def _items(document: Document, items: Sequence[Item]) -> str:
    if not items:
        return ""
    what = {"programs": "programs", "planners": "plans"}[document["kind"]]
    listed = "".join(_item(item) for item in items)
    return f"<h3>Item by item</h3><p>{len(items)} tasks: the {what} and the reference.</p>{listed}"


def _item(item: Item) -> str:
    """Return one task: what the systems made of it on the left, the reference on the right."""
    made = "".join(
        f"<details{' open' if not place else ''}><summary>{escaped(name)}{_size(text, error)}</summary>"
        f"<pre>{escaped_block(text)}</pre></details>"
        for place, (name, (text, error)) in enumerate(item.predictions.items())
    )
    reference = f"<pre>{escaped_block(item.reference)}</pre>" if item.reference else "<p>There is none.</p>"
    return (
        f'<details class="item"><summary><b>{escaped(item.id)}</b> {escaped(item.requirement)}</summary>'
        f'<div class="pair"><div><h4>Predictions</h4>{made or "<p>There is none.</p>"}</div>'
        f"<div><h4>Reference</h4>{reference}</div></div></details>"
    )


def _size(text: str, error: str) -> str:
    if not text.strip():
        return f' <small class="failed">failed{": " + escaped(error) if error else ""}</small>'
    return f" <small>{text.count(chr(10)) + 1} lines</small>"


@cache
def _style() -> str:
    folder = resources.files("dlcodegen_local.evaluation")
    return (folder / "report.css").read_text(encoding="utf-8")
