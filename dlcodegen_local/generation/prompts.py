"""The prompts of every stage, built from the text files in `prompts/`.

Two families of builders. Whole-script prompts: `code_rag_prompt`, `template_prompt`,
`template_rag_prompt`, `merge_prompt`, `repair_prompt`, and those of the baselines (`direct_prompt` to
`demonstration_prompt`). Section prompts, for small models and for drafting section by section:
`section_draft_prompt`, `section_template_prompt`, `section_merge_prompt`, `section_repair_prompt`. Beside
them `describe_prompt` asks what a sample is for, and `few_shot_plan_prompt` asks for a plan.
A model that is trained for this pipeline learns from `chat.render_text(prompt, "plain")`, followed by the
section's body without its marker (`SectionTask.name` is already in the prompt) and the end-of-text token.

Layout: what stages share stands first, so that a model reads it once. Every piece of material
stands between tags, and tags or chat markers inside it are neutralised. Substitution is one pass:
a `$` or `{{slot}}` in material stays as it is.
"""

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from dlcodegen_local.generation.chat import neutralise
from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss, canonical_metric, canonical_optimizer
from dlcodegen_local.sections import REQUIRED_FUNCTIONS

SECTION_STOP = ("\n# %% [", "\n```")
_TAGS = re.compile(
    r"<(?=/?(?:requirement|plan|sample|second_sample|template|code|code_1|code_2|finding|names|settings|title"
    r"|problem|chain|steps|dataset|example)>)"
)


@dataclass(frozen=True)
class SectionTask:
    """Say which section is to be written: for what, under which plan, after which names.

    `defined` holds the names that earlier sections define, as `defined_names` lists them.
    """

    requirement: str
    plan: Plan
    name: str
    defined: tuple[str, ...] = ()


def code_rag_prompt(requirement: str, plan: Plan, sample: str) -> Prompt:
    """Ask for a script from requirement, plan and the top sample. Paper: III-D, Code RAG."""
    return _whole(
        "code_rag_draft",
        sample=_block("sample", sample),
        requirement=_block("requirement", requirement),
        plan=_block("plan", plan_text(plan)),
    )


def template_prompt(first: str, second: str) -> Prompt:
    """Ask for the template that two similar samples share. Paper: III-D, template abstraction."""
    return _whole("template", sample=_block("sample", first), second_sample=_block("second_sample", second))


def template_rag_prompt(requirement: str, plan: Plan, template: str) -> Prompt:
    """Ask for a script from requirement, plan and template. Paper: III-D, Template RAG."""
    return _whole(
        "template_rag_draft",
        requirement=_block("requirement", requirement),
        plan=_block("plan", plan_text(plan)),
        template=_block("template", template),
    )


def merge_prompt(requirement: str, plan: Plan, code_1: str, code_2: str) -> Prompt:
    """Ask for one script from both drafts. Paper: III-D, comparative generation."""
    return _whole(
        "comparative_merge",
        requirement=_block("requirement", requirement),
        plan=_block("plan", plan_text(plan)),
        code_1=_block("code_1", code_1),
        code_2=_block("code_2", code_2),
    )


def repair_prompt(plan: Plan, code: str, finding: str) -> Prompt:
    """Ask for a script without the defect that `finding` describes."""
    return _whole(
        "repair",
        plan=_block("plan", plan_text(plan)),
        code=_block("code", code),
        finding=_block("finding", finding),
    )


def direct_prompt(requirement: str) -> Prompt:
    """Ask for a script from the requirement alone. Paper: IV, Direct."""
    return _whole("direct", requirement=_block("requirement", requirement))


def steps_prompt(requirement: str) -> Prompt:
    """Ask for the steps that a script has to carry out. Paper: IV, PS, the planning."""
    return Prompt(
        _text("reasoning_system"), _fill("ps_plan", {"requirement": _block("requirement", requirement)})
    )


def solve_prompt(requirement: str, steps: str) -> Prompt:
    """Ask for a script that carries out the model's own steps. Paper: IV, PS, the solving."""
    return _whole("ps_code", requirement=_block("requirement", requirement), steps=_block("steps", steps))


def chain_prompt(problem: str, code: str) -> Prompt:
    """Ask for the reasoning from a representative problem to its code. Paper: IV, C-CoT."""
    blocks = {"problem": _block("problem", problem), "code": _block("code", code)}
    return Prompt(_text("reasoning_system"), _fill("ccot_chain", blocks))


def chain_of_thought_prompt(requirement: str, problem: str, chain: str) -> Prompt:
    """Ask for a script after the reasoning on another problem of the category. Paper: IV, C-CoT."""
    return _whole(
        "ccot",
        problem=_block("problem", problem),
        chain=_block("chain", chain),
        requirement=_block("requirement", requirement),
    )


def demonstration_prompt(requirement: str, problem: str, sample: str) -> Prompt:
    """Ask for a script after one solved problem. Paper: IV, CEDAR."""
    return _whole(
        "cedar",
        problem=_block("problem", problem),
        sample=_block("sample", sample),
        requirement=_block("requirement", requirement),
    )


def section_draft_prompt(task: SectionTask, base: str = "", base_tag: str = "sample") -> Prompt:
    """Ask for a section from the same section of a sample (or `base_tag="template"`), or from none."""
    return _section(
        "section_draft",
        task,
        requirement=_block("requirement", task.requirement),
        plan=_block("plan", task_text(task.plan)),
        base=_block(base_tag, base),
    )


def section_template_prompt(task: SectionTask, first: str, second: str) -> Prompt:
    """Ask for the template of a section from that section of two samples; reads no requirement."""
    return _section(
        "section_template",
        task,
        base=_block("sample", first),
        second_base=_block("second_sample", second),
    )


def section_merge_prompt(task: SectionTask, code_1: str, code_2: str) -> Prompt:
    """Ask for the section that joins the better parts of two drafts' sections."""
    return _section(
        "section_merge",
        task,
        requirement=_block("requirement", task.requirement),
        plan=_block("plan", task_text(task.plan)),
        code_1=_block("code_1", code_1),
        code_2=_block("code_2", code_2),
    )


def section_repair_prompt(task: SectionTask, code: str, finding: str) -> Prompt:
    """Ask for the section without the defect that `finding` describes."""
    return _section(
        "section_repair",
        task,
        plan=_block("plan", task_text(task.plan)),
        code=_block("code", code),
        finding=_block("finding", finding),
    )


def describe_prompt(title: str, plan: Plan, code: str) -> Prompt:
    """Ask for the requirement that a sample answers."""
    blocks = {
        "title": _block("title", title),
        "plan": _block("plan", plan_text(plan)),
        "code": _block("code", code),
    }
    return Prompt(_text("describe_system"), _fill("describe_sample", blocks))


def few_shot_plan_prompt(requirement: str, dataset: str, examples: Sequence[str]) -> Prompt:
    """Ask for a plan after examples, each a requirement with its plan. Paper: IV, Table IV."""
    blocks = {
        "examples": "".join(_block("example", example) for example in examples),
        "requirement": _block("requirement", requirement),
        "dataset": _block("dataset", dataset),
    }
    return Prompt(_text("plan_system"), _fill("few_shot_plan", blocks))


def plan_text(plan: Plan) -> str:
    """Return the whole plan as short lines: task, layers, hyperparameters."""
    return "\n".join([task_text(plan), layers_text(plan), hyperparameter_text(plan)]).strip()


def task_text(plan: Plan) -> str:
    """Return category, input, output and preprocessing of a plan, one a line."""
    lines = (
        ("category", plan.category),
        ("input", plan.dataset_input),
        ("output", plan.dataset_output),
        ("preprocess", plan.preprocess),
    )
    return "\n".join(f"{key}: {' '.join(text.split())}" for key, text in lines if text.strip())


def layers_text(plan: Plan) -> str:
    """Return the layers of a plan, one a line."""
    return "\n".join(["layers:", *(f"- {' '.join(layer.split())}" for layer in plan.layers)])


def hyperparameter_text(plan: Plan) -> str:
    """Return the hyperparameters that a plan fixes, as the fields of Config that hold them."""
    fields = (
        ("optimizer", "str", canonical_optimizer(plan.optimizer)),
        ("loss", "str", canonical_loss(plan.loss)),
        ("metric", "str", canonical_metric(plan.metric)),
        ("learning_rate", "float", plan.learning_rate),
        ("batch_size", "int", plan.batch_size),
        ("epochs", "int", plan.epochs),
    )
    return "\n".join(f"{name}: {kind} = {_literal(value)}" for name, kind, value in fields if value)


def settings_text(plan: Plan, section: str) -> str:
    """Return the part of a plan that a section realises; small models copy best from what is near."""
    if section == "config":
        return hyperparameter_text(plan)
    if section == "model":
        return layers_text(plan)
    return ""


def defined_names(source: str) -> tuple[str, ...]:
    """List what a section defines for later ones: `name(parameters)` of functions, `Name(fields)` of classes.

    A section that does not parse defines nothing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.append(f"{node.name}({', '.join(arg.arg for arg in node.args.args)})")
        elif isinstance(node, ast.ClassDef):
            fields = [
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            ]
            names.append(f"{node.name}({', '.join(fields)})")
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return tuple(names)


def _whole(file: str, **blocks: str) -> Prompt:
    return Prompt(_text("system"), _fill(file, blocks))


def _section(file: str, task: SectionTask, **blocks: str) -> Prompt:
    required = REQUIRED_FUNCTIONS.get(task.name, ())
    shared = {
        "names": _block("names", "\n".join(task.defined)),
        "settings": _block("settings", settings_text(task.plan, task.name)),
        "section": task.name,
        "duty": f" with {', '.join(required)}" if required else "",
    }
    return Prompt(_text("section_system"), _fill(file, blocks | shared), f"# %% [{task.name}]\n")


def _fill(file: str, blocks: dict[str, str]) -> str:
    return Template(_text(file)).substitute(blocks)


def _block(tag: str, text: str) -> str:
    """Return material between tags, or nothing for no material."""
    material = _TAGS.sub("< ", neutralise(text.strip()))
    return f"<{tag}>\n{material}\n</{tag}>\n" if material else ""


def _literal(value: str | float | int) -> str:
    return json.dumps(value, ensure_ascii=False)


@cache
def _text(name: str) -> str:
    folder = resources.files("dlcodegen_local.generation") / "prompts"
    return (folder / f"{name}.txt").read_text(encoding="utf-8").strip()
