"""Build the starter's task examples: the pipeline's own prompts, with answers that follow from them.

Prompts come from `dlcodegen_local.generation.prompts`, so that training and run time agree to the letter.
Answers are computed, not written: the sample's section with the plan's values put in, the compiler's
section for the plan, the section without the fault that was planted. Material: bundled samples, and the
plan compiler over training plans.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.errors import DlcodegenError
from dlcodegen_local.generation import plan_layers, plan_values, prompts
from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.repair import describe
from dlcodegen_local.generation.syntax import config_defaults
from dlcodegen_local.plan.reading import read_plan
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import SECTION_NAMES, Sections
from dlcodegen_local.verification.report import Finding
from export import starter_variations as variations

# How often a section is asked for; [main] is the same in every script and not asked for.
_SECTION_WEIGHTS = {
    "imports": 0.03,
    "config": 0.14,
    "data": 0.02,
    "model": 0.46,
    "train": 0.13,
    "evaluate": 0.11,
    "predict": 0.11,
}
_HYPERPARAMETERS = frozenset(("optimizer", "loss", "metric", "learning_rate", "batch_size", "epochs"))


@dataclass(frozen=True)
class Script:
    """Hold a script in sections with the requirement and the plan that it answers."""

    requirement: str
    plan: Plan
    sections: Sections


@dataclass(frozen=True)
class TaskExample:
    """Hold one request and its answer; `kind` names the stage, `section` the section."""

    kind: str
    section: str
    prompt: Prompt
    answer: str
    plan: Plan


@dataclass(frozen=True)
class Material:
    """Hold what examples are made from: samples, and training rows as (requirement, plan)."""

    samples: tuple[Script, ...]
    rows: tuple[tuple[str, Plan], ...]

    def rows_of(self, category: str) -> list[tuple[str, Plan]]:
        """Return the rows of a category."""
        return [row for row in self.rows if row[1].category == category]


def read_rows(path: Path) -> tuple[tuple[str, Plan], ...]:
    """Read requirement and plan of JSON lines; rows whose plan cannot be read are left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        try:
            plan = read_plan(entry["plan"])
        except DlcodegenError:
            continue
        if plan.layers:
            rows.append((" ".join(entry["requirement"].split())[:400], plan))
    return tuple(rows)


def read_samples(folder: Path) -> tuple[Script, ...]:
    """Read the bundled samples in Keras, sorted by id: projects are written in Keras."""
    scripts = []
    for path in sorted(folder.glob("*.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["framework"] != "keras":
            continue
        source = path.with_suffix(".py").read_text(encoding="utf-8")
        scripts.append(Script(entry["requirement"], read_plan(entry["plan"]), Sections.parse(source)))
    return tuple(scripts)


def compiled_script(requirement: str, plan: Plan) -> Script | None:
    """Return the compiler's script for a plan, None where it is not in sections."""
    try:
        return Script(requirement, plan, Sections.parse(compile_plan(plan)))
    except (ValueError, DlcodegenError):
        return None


def task_of(script: Script, plan: Plan, name: str) -> prompts.SectionTask:
    """Return the task of writing a section of a script after the sections before it."""
    earlier = SECTION_NAMES[1 : max(1, SECTION_NAMES.index(name))]
    defined = tuple(n for key in earlier for n in prompts.defined_names(script.sections.bodies.get(key, "")))
    return prompts.SectionTask(script.requirement, plan, name, defined)


def planned_body(name: str, body: str, plan: Plan) -> str | None:
    """Return a section with the plan's values put in; None where that cannot be computed."""
    if name == "config":
        expected, _ = plan_values.expected_defaults(plan, body)
        return plan_values.with_defaults(body, expected)
    if name == "model":
        return plan_layers.with_layers_of(body, Sections.parse(compile_plan(plan)).bodies["model"])
    return body


def template_body(name: str, body: str, plan: Plan, others: frozenset[str] = frozenset()) -> str:
    """Return the template of a section: slots for hyperparameters, sizes, `others`, and for layers."""
    if name == "config":
        return plan_values.with_slots(body, _HYPERPARAMETERS | plan_values.plan_sizes(plan).keys() | others)
    return plan_layers.with_layer_slot(body) if name == "model" else body


class TaskMaker:
    """Draw examples without end; the same seed and material give the same examples."""

    def __init__(self, material: Material, seed: int) -> None:
        """Create the maker; nothing is compiled before it is drawn."""
        self.material = material
        self.rng = np.random.default_rng((seed, 7))
        self._compiled: dict[int, Script | None] = {}
        self._kinds: Mapping[Callable[[str], TaskExample | None], float] = {
            self.draft_from_sample: 0.48,
            self.draft_from_compiled: 0.18,
            self.draft_from_plan: 0.04,
            self.template: 0.02,
            self.draft_from_template: 0.12,
            self.merge: 0.06,
            self.repair: 0.1,
        }

    def examples(self) -> Iterator[TaskExample]:
        """Yield examples; a draw that does not apply is drawn again."""
        kinds, kind_weights = list(self._kinds), list(self._kinds.values())
        names, name_weights = list(_SECTION_WEIGHTS), list(_SECTION_WEIGHTS.values())
        while True:
            kind = kinds[int(self.rng.choice(len(kinds), p=kind_weights))]
            name = names[int(self.rng.choice(len(names), p=name_weights))]
            try:
                example = kind(name)
            except (SyntaxError, ValueError, RecursionError):
                continue
            if example is not None and example.answer.strip():
                yield example

    def _sample(self) -> Script:
        return self.material.samples[int(self.rng.integers(len(self.material.samples)))]

    def _row(self, category: str | None = None) -> tuple[str, Plan] | None:
        rows = self.material.rows_of(category) if category else self.material.rows
        return rows[int(self.rng.integers(len(rows)))] if rows else None

    def _compiled_of(self, row: tuple[str, Plan]) -> Script | None:
        key = id(row[1])
        if key not in self._compiled:
            self._compiled[key] = compiled_script(*row)
        return self._compiled[key]

    def _varied(self, body: str, numbers: bool = True) -> str:
        """Rename and renumber, so that only copying and no memory of the sample gives the answer."""
        if self.rng.random() < 0.6:
            body = variations.rename_locals(body, self.rng)
        return variations.change_numbers(body, self.rng) if numbers and self.rng.random() < 0.5 else body

    def _adapted(self, name: str) -> tuple[Script, Plan, str, str] | None:
        """Return (script, plan, the section of a sample, the same section under the plan)."""
        script = self._sample()
        row = self._row(script.plan.category)
        if name == "model" and row is None:
            row = self._row()
        base = script.sections.bodies.get(name, "")
        if not base:
            return None
        plan = variations.vary_plan(row[1] if row else script.plan, self.rng)
        if row:
            plan = replace(plan, category=script.plan.category)
            script = replace(script, requirement=row[0])
        body = base if name in ("imports", "config") else self._varied(base, numbers=name != "model")
        target = planned_body(name, body, plan)
        if target is None and self.rng.random() < 0.3:
            plan, target = variations.vary_plan(script.plan, self.rng), body
        return None if target is None else (script, plan, body, target)

    def draft_from_sample(self, name: str) -> TaskExample | None:
        """Make a Code RAG draft of a section: the sample's section under another plan."""
        found = self._adapted(name)
        if found is None:
            return None
        script, plan, base, target = found
        prompt = prompts.section_draft_prompt(task_of(script, plan, name), base)
        return TaskExample("draft", name, prompt, target, plan)

    def draft_from_compiled(self, name: str) -> TaskExample | None:
        """Make a Code RAG draft of a section from the compiler's script of another plan."""
        row = self._row()
        other = self._row(row[1].category) if row else None
        if row is None or other is None:
            return None
        script, base = self._compiled_of(row), self._compiled_of(other)
        if script is None or base is None:
            return None
        target = script.sections.bodies[name]
        prompt = prompts.section_draft_prompt(task_of(script, script.plan, name), base.sections.bodies[name])
        return TaskExample("draft", name, prompt, target, script.plan)

    def draft_from_plan(self, name: str) -> TaskExample | None:
        """Make a direct draft of a section: from requirement and plan alone."""
        row = self._row()
        script = self._compiled_of(row) if row else None
        if script is None or name not in ("config", "model", "imports"):
            return None
        prompt = prompts.section_draft_prompt(task_of(script, script.plan, name))
        return TaskExample("direct", name, prompt, script.sections.bodies[name], script.plan)

    def template(self, name: str) -> TaskExample | None:
        """Make a template of a section from the sections of two samples."""
        script, second = self._sample(), self._sample()
        body, other = script.sections.bodies[name], second.sections.bodies[name]
        differing: frozenset[str] = frozenset()
        if name == "config":
            one, two = config_defaults(body), config_defaults(other)
            differing = frozenset(key for key in one.keys() & two.keys() if one[key] != two[key])
        elif name != "imports":
            body = self._varied(body)
        prompt = prompts.section_template_prompt(prompts.SectionTask("", script.plan, name), body, other)
        answer = template_body(name, body, script.plan, differing)
        return TaskExample("template", name, prompt, answer, script.plan)

    def draft_from_template(self, name: str) -> TaskExample | None:
        """Make a Template RAG draft of a section: its slots filled from the plan."""
        found = self._adapted(name)
        if found is None:
            return None
        script, plan, base, target = found
        template = template_body(name, base, plan)
        prompt = prompts.section_draft_prompt(task_of(script, plan, name), template, "template")
        return TaskExample("template draft", name, prompt, target, plan)

    def merge(self, name: str) -> TaskExample | None:
        """Make a merge: one draft follows the plan, the other is wrong, in either order."""
        found = self._adapted(name)
        if found is None:
            return None
        script, plan, base, target = found
        if target == base:
            fault = variations.plant_fault(base, self.rng)
            if fault is None:
                return None
            base = fault[0]
        drafts = (target, base) if self.rng.random() < 0.5 else (base, target)
        prompt = prompts.section_merge_prompt(task_of(script, plan, name), *drafts)
        return TaskExample("merge", name, prompt, target, plan)

    def repair(self, name: str) -> TaskExample | None:
        """Make a repair: a fault is planted, or the section does not follow the plan."""
        found = self._adapted(name)
        if found is None:
            return None
        script, plan, base, target = found
        fault = variations.plant_fault(target, self.rng)
        if name in ("config", "model") and target != base and self.rng.random() < 0.5:
            fault = (base, Finding("script.py", 0, "plan-mismatch", f"[{name}] does not follow the plan"))
        if fault is None:
            return None
        task = replace(task_of(script, plan, name), requirement="")
        prompt = prompts.section_repair_prompt(task, fault[0], describe(*fault))
        return TaskExample("repair", name, prompt, target, plan)


def split_rows(
    rows: Sequence[tuple[str, Plan]], held_out: int
) -> tuple[tuple[tuple[str, Plan], ...], tuple[tuple[str, Plan], ...]]:
    """Return (training rows, held-out rows): every n-th row is held out."""
    step = max(1, len(rows) // held_out) if held_out else len(rows) + 1
    held = tuple(row for index, row in enumerate(rows) if index % step == step - 1)
    kept = tuple(row for index, row in enumerate(rows) if index % step != step - 1)
    return kept, held
