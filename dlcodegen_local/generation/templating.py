"""The template of two samples, section by section: shared structure kept, values and layers as slots.

Guarantees that the template is made of the samples' own sections, and that sections which depend on
the form of data and labels come from one sample unless both samples are alike in it.
"""

from collections.abc import Mapping

from dlcodegen_local.generation.budget import fit_prompt
from dlcodegen_local.generation.drafting import section_tokens
from dlcodegen_local.generation.plan_layers import with_layer_slot
from dlcodegen_local.generation.plan_values import differs_in_loss, plan_sizes, with_slots
from dlcodegen_local.generation.prompts import SectionTask, section_template_prompt
from dlcodegen_local.generation.results import StageLog
from dlcodegen_local.generation.segments import TIED_SECTIONS, are_alike, reconcile
from dlcodegen_local.generation.syntax import config_defaults
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import SECTION_NAMES, Sections

_HYPERPARAMETERS = ("optimizer", "loss", "metric", "learning_rate", "batch_size", "epochs")


def choose_template(
    log: StageLog, plan: Plan, sources: Mapping[str, Sections]
) -> tuple[Sections, Mapping[str, str]]:
    """Return the template, and which source each of its sections came from.

    The model says, by the likelihood of either as the template of both, which section to take, after
    what the plan says: its loss, and layers that can be a slot. The first source wins ties.
    """
    first, *others = sources
    chosen = dict.fromkeys(sources[first].bodies, first)
    if others:
        alike = are_alike(sources[first], sources[others[0]])
        groups = [(name,) for name in SECTION_NAMES] if alike else [TIED_SECTIONS, ("imports",), ("main",)]
        for group in groups:
            winner = _winner(log, plan, group, sources)
            chosen.update({name: winner for name in group if sources[winner].bodies.get(name)})
        log.note(f"{log.name}: based on {chosen.get('data', first)}")
    joined = reconcile(chosen, sources, sources[chosen.get("data", first)].header)
    log.notes += [f"{log.name}: {note}" for note in joined.notes]
    varying = _varying_fields(plan, list(sources.values()))
    bodies = dict(joined.sections.bodies)
    bodies["config"] = with_slots(bodies.get("config", ""), varying)
    bodies["model"] = with_layer_slot(bodies.get("model", ""))
    origins = {name: origin if origin in sources else first for name, origin in joined.provenance.items()}
    return Sections(joined.sections.header, bodies), origins


def _winner(log: StageLog, plan: Plan, group: tuple[str, ...], sources: Mapping[str, Sections]) -> str:
    """Return the source of a group: with the plan's loss, then with layers that are a slot, then likelier."""
    faults = []
    for sections in list(sources.values())[:2]:
        config, model = (sections.bodies.get(name, "") for name in ("config", "model"))
        wrong_loss = "config" in group and differs_in_loss(config, plan)
        no_slot = "model" in group and with_layer_slot(model) == model
        faults.append((wrong_loss, no_slot))
    first, other, *_ = sources
    if faults[0] != faults[1]:
        return min(zip(faults, (first, other), strict=True))[1]
    scores = [_compare(log, plan, name, sources) for name in group]
    return other if sum(pair[1] for pair in scores) > sum(pair[0] for pair in scores) else first


def _compare(log: StageLog, plan: Plan, name: str, sources: Mapping[str, Sections]) -> tuple[float, float]:
    """Return the likelihood of either sample's section as the template of both."""
    one, other = (sections.bodies.get(name, "") for sections in list(sources.values())[:2])
    if not one or not other:
        return (0.0, -1.0) if one else (-1.0, 0.0)
    if one == other or name in ("imports", "main"):
        return 0.0, 0.0
    slots = _varying_fields(plan, list(sources.values())) if name == "config" else frozenset()
    candidates = [with_layer_slot(with_slots(body, slots)) for body in (one, other)]
    prompt, _ = fit_prompt(
        f"{log.name} [{name}]",
        log.llm,
        {"first": one, "second": other},
        lambda kept: section_template_prompt(SectionTask("", plan, name), kept["first"], kept["second"]),
        max(section_tokens(log, body) for body in candidates),
    )
    scores = log.score(prompt, candidates)
    log.note(f"{log.name}: [{name}] likelihood " + " and ".join(f"{score:.3f}" for score in scores))
    return scores[0], scores[1]


def _varying_fields(plan: Plan, sections: list[Sections]) -> frozenset[str]:
    """Return the fields of Config that a task decides: hyperparameters, sizes, and what differs."""
    defaults = [config_defaults(item.bodies.get("config", "")) for item in sections]
    varying = set(_HYPERPARAMETERS) | set(plan_sizes(plan))
    for name in set(defaults[0]).intersection(*defaults[1:]):
        if len({repr(table[name]) for table in defaults}) > 1:
            varying.add(name)
    return frozenset(varying)
