"""The README of a generated project: how to run it, what data it wants, what was measured."""

import math
import re
from collections.abc import Mapping
from typing import Any

from dlcodegen_local.project.definition import Project
from dlcodegen_local.sections import Sections

_ORIGINS = {
    "merge": "merged from the model's two drafts",
    "repair": "the model's version, repaired by the model after its checks",
    "code-rag": "the model's draft after the most similar sample",
    "template-rag": "the model's draft after a template of two samples",
    "compiler": "written by the plan compiler, because no draft of the model passed its checks",
}
# Coarse on purpose: the same run on the same machine gives the same text.
_TIME_BOUNDS_S = (60, 300)


def render_readme(project: Project, layout: str) -> str:
    """Return the README of a project in one of the layouts."""
    docstring = Sections.parse(project.source).docstring
    title = docstring.split("\n")[0].rstrip(".") or "Generated project"
    parts = [f"# {title}", f"> {_one_line(project.requirement)}", *_body(docstring)]
    parts += [
        "## Run it",
        _run_text(layout),
        "## Checked",
        _measured_text(project),
        "## Plan",
        _plan_table(project),
    ]
    parts += ["## Where the code comes from", _provenance_text(project)]
    return "\n\n".join(parts) + "\n"


def _body(docstring: str) -> list[str]:
    paragraphs = [part.strip() for part in docstring.split("\n\n")[1:] if part.strip()]
    return [re.sub(r"^Data:\s*", "**Data.** ", paragraph) for paragraph in paragraphs]


def _run_text(layout: str) -> str:
    if layout == "notebook":
        return (
            "    pip install -r requirements.txt jupyter\n    jupyter notebook project.ipynb\n\n"
            "Without data at hand, set `config.synthetic = True` in the last cell."
        )
    script = "project.py" if layout == "script" else "train.py"
    text = (
        "    pip install -r requirements.txt\n"
        f"    python {script} --synthetic --epochs 1     # no data at hand: makes some\n"
        f"    python {script} --data-dir DIR             # your own data, in the format above"
    )
    if layout == "project":
        text += (
            "\n    python evaluate.py --data-dir DIR\n    python predict.py --data-dir DIR\n"
            "    python -m unittest discover tests         # the smoke test"
        )
    return text + f"\n\nEvery setting is an option: `python {script} --help`."


def _measured_text(project: Project) -> str:
    smoke: Mapping[str, Any] = project.verification["smoke"]
    compliance = project.verification["compliance"]["score"]
    findings = project.verification["static"]["findings"]
    lines = [_smoke_line(smoke, project.facts)]
    if (parameters := project.facts.get("parameters")) is not None:
        lines.append(f"- Parameters of the network: {parameters:,}")
    if shape := project.facts.get("prediction_shape"):
        lines.append(f"- Shape of a prediction: {tuple(shape)}")
    if compliance is not None:
        lines.append(f"- Compliance with the plan: {compliance:.2f} of 1")
    lines.append(f"- Static findings: {len(findings) or 'none'}")
    lines += [f"  - {f['file']}:{f['line']} {f['rule']}: {f['message']}" for f in findings]
    return "\n".join(lines)


def _smoke_line(smoke: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if smoke["ok"] is None:
        return "- Smoke run: **not run**"
    if not smoke["ok"]:
        return f"- Smoke run: **failed** ({smoke['message']})"
    bound = next((bound for bound in _TIME_BOUNDS_S if smoke["seconds"] <= bound), None)
    time = f" in under {bound} s" if bound else ""
    loss = facts.get("loss")
    tail = f", loss {loss:.3g}" if isinstance(loss, float) and math.isfinite(loss) else ""
    steps = "16 synthetic items, one epoch: train, save, load, evaluate, predict"
    return f"- Smoke run: passed{time} ({steps}{tail})"


def _plan_table(project: Project) -> str:
    plan = project.plan
    rows = [
        ("Task", plan.category),
        ("Input", plan.dataset_input),
        ("Output", plan.dataset_output),
        ("Preprocessing", plan.preprocess),
        ("Layers", "<br>".join(f"`{layer}`" for layer in plan.layers)),
        ("Optimizer", plan.optimizer),
        ("Loss", plan.loss),
        ("Learning rate", plan.learning_rate),
        ("Batch size", plan.batch_size),
        ("Epochs", plan.epochs),
        ("Metric", plan.metric),
    ]
    cells = [
        f"| {name} | {_one_line(str(value)).replace('|', chr(92) + '|')} |" for name, value in rows if value
    ]
    return "\n".join(["| | |", "| --- | --- |", *cells])


def _provenance_text(project: Project) -> str:
    lines = [f"Origin: `{project.origin}`: {_ORIGINS[project.origin]}."]
    if project.provenance:
        lines.append("\n".join(f"- `{name}`: {source}" for name, source in project.provenance.items()))
    samples = [
        f"- sample `{name}` of pool {_one_line(project.pools[name])}: {licence or 'names no licence'}"
        for name, licence in project.licences.items()
    ]
    if samples:
        lines.append("\n".join(samples))
    return "\n\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())
