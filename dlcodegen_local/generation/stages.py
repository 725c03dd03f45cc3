"""The stages of the method: two drafts and a template. Paper: III-D.

Every stage is a function of what it is given and of the model; it keeps nothing. The comparative
merge is in `merge`, the repair in `repair`. Stages that run in the order code_rag_draft, template,
template_rag_draft, merge share the start of their prompts, so that the model reads it once.
"""

from collections.abc import Mapping, Sequence

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.answering import script_result, write_script
from dlcodegen_local.generation.drafting import MODEL, Base, draft_by_sections
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.merge import comparative_merge
from dlcodegen_local.generation.prompts import code_rag_prompt, template_prompt, template_rag_prompt
from dlcodegen_local.generation.results import (
    Floor,
    GenerationSettings,
    ReferenceSample,
    StageLog,
    StageResult,
)
from dlcodegen_local.generation.segments import cut_source, is_sound_script, reconcile
from dlcodegen_local.generation.templating import choose_template
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import SECTION_NAMES, Sections

__all__ = ["code_rag_draft", "comparative_merge", "template", "template_rag_draft"]


def code_rag_draft(
    requirement: str,
    plan: Plan,
    samples: Sequence[ReferenceSample],
    llm: CodeLLM,
    settings: GenerationSettings,
) -> StageResult:
    """Draft a script from requirement, plan and the top sample.

    Raises:
        GenerationError: there is no sample, the model wrote no code, or nothing fits its context.
    """
    log = StageLog("code_rag_draft", llm, settings)
    sample = _at_least(log, samples, 1)[0]
    sections = cut_source(sample.source)
    ground = _in_contract([sample, *samples[1:]], settings)[0]
    fallback = cut_source(ground.source)
    if settings.by_sections(llm, settings.drafting) and sections is not None and fallback is not None:
        origins = dict.fromkeys(SECTION_NAMES, _origin(ground))
        draft = draft_by_sections(
            log, requirement, plan, Base(sections.bodies, fallback, origins, ground.plan)
        )
        return log.result(draft.source, draft.provenance, _bases(draft.provenance, sample, ground))
    materials = {"sample": sample.source, "requirement": requirement}
    source = write_script(
        log, materials, lambda kept: code_rag_prompt(kept["requirement"], plan, kept["sample"])
    )
    return script_result(log, source, {"*": f"sample:{sample.id}"})


def template(
    requirement: str,
    plan: Plan,
    samples: Sequence[ReferenceSample],
    llm: CodeLLM,
    settings: GenerationSettings,
) -> StageResult:
    """Abstract the template that the top two samples share; with one sample, its own template.

    Requirement and plan only tell which sizes vary; the template does not depend on their values.

    Raises:
        GenerationError: there is no sample, or the model wrote no code.
    """
    log = StageLog("template", llm, settings)
    pair = _at_least(log, samples, 1)[:2]
    ground = _in_contract(pair, settings)
    cut = {_origin(item): sections for item in ground if (sections := cut_source(item.source)) is not None}
    if settings.by_sections(llm, settings.drafting) and len(cut) == len(ground):
        chosen, origins = choose_template(log, plan, cut)
        return log.result(chosen.to_source(), origins, origins)
    materials = {"first": pair[0].source, "second": pair[-1].source if len(pair) > 1 else ""}
    source = write_script(log, materials, lambda kept: template_prompt(kept["first"], kept["second"]))
    return script_result(log, source, {"*": ", ".join(f"sample:{sample.id}" for sample in pair)})


def template_rag_draft(
    requirement: str,
    plan: Plan,
    template_result: StageResult,
    samples: Sequence[ReferenceSample],
    llm: CodeLLM,
    settings: GenerationSettings,
) -> StageResult:
    """Draft a script from requirement, plan and template.

    `samples` are those that the template was made from: section by section, they stand in where
    the model's own section is not sound, with the plan's values put in.

    Raises:
        GenerationError: there is no template, or the model wrote no code.
    """
    log = StageLog("template_rag_draft", llm, settings)
    if not template_result.source:
        raise GenerationError("template_rag_draft: there is no template", hint="run the template stage")
    sections = cut_source(template_result.source)
    ground = [*samples, *([settings.floor] if settings.floor else [])]
    fallback = _filled(template_result, ground)
    if settings.by_sections(llm, settings.drafting) and sections is not None and fallback is not None:
        owner = template_result.provenance.get("config")
        own_plan = next((item.plan for item in ground if _origin(item) == owner), None)
        base = Base(sections.bodies, fallback, template_result.provenance, own_plan, "template")
        draft = draft_by_sections(log, requirement, plan, base)
        floors = {name: Floor.id for name, by in draft.provenance.items() if by == Floor.id}
        return log.result(draft.source, draft.provenance, {**template_result.bases, **floors})
    materials = {"template": template_result.source, "requirement": requirement}
    source = write_script(
        log, materials, lambda kept: template_rag_prompt(kept["requirement"], plan, kept["template"])
    )
    return script_result(log, source, template_result.bases)


def _in_contract(samples: Sequence[ReferenceSample], settings: GenerationSettings) -> list[ReferenceSample]:
    """Return the samples that keep the section contract; where none does, the floor, or all without one."""
    sound: list[ReferenceSample] = [sample for sample in samples if is_sound_script(sample.source)]
    return sound or ([settings.floor] if settings.floor else list(samples))


def _origin(sample: ReferenceSample) -> str:
    return sample.id if isinstance(sample, Floor) else f"sample:{sample.id}"


def _bases(provenance: Mapping[str, str], shown: ReferenceSample, ground: ReferenceSample) -> dict[str, str]:
    """Say what each section was written after: the model's after what was shown, the floor's after itself."""
    return {
        name: Floor.id if by == Floor.id else _origin(shown if by == MODEL else ground)
        for name, by in provenance.items()
    }


def _filled(template_result: StageResult, samples: Sequence[ReferenceSample]) -> Sections | None:
    """Return the template with its slots filled by the samples it came from; None for a written one."""
    known = {
        _origin(sample): sections for sample in samples if (sections := cut_source(sample.source)) is not None
    }
    chosen = template_result.provenance
    if not chosen or not set(chosen.values()) <= set(known):
        return None
    return reconcile(chosen, known, known[chosen.get("data", next(iter(known)))].header).sections


def _at_least(log: StageLog, samples: Sequence[ReferenceSample], count: int) -> Sequence[ReferenceSample]:
    if len(samples) < count:
        raise GenerationError(
            f"{log.name}: no sample was found", hint="add samples for this category to the pool"
        )
    return samples
