"""The comparative merge: two drafts and the plan go in, one script comes out. Paper: III-D.

Two strategies behind one function: `free` lets the model write the script, `segments` lets it choose
between the sections of the drafts by their likelihood. Guarantees that a merge by segments parses,
and that a sound draft beside a broken one comes out unchanged. Choices never depend on a format that
the model must keep.
"""

from collections.abc import Mapping

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.answering import script_fits, write_code
from dlcodegen_local.generation.budget import Budget, fit_prompt
from dlcodegen_local.generation.drafting import (
    MODEL,
    choose_likeliest,
    context_of,
    section_body,
    section_tokens,
)
from dlcodegen_local.generation.llm import CodeLLM, Prompt
from dlcodegen_local.generation.plan_values import differs_in_loss, expected_defaults, mismatches
from dlcodegen_local.generation.prompts import (
    SectionTask,
    defined_names,
    merge_prompt,
    section_merge_prompt,
)
from dlcodegen_local.generation.results import GenerationSettings, StageLog, StageResult
from dlcodegen_local.generation.segments import (
    TIED_SECTIONS,
    are_alike,
    cut_source,
    is_sound,
    is_sound_script,
    reconcile,
)
from dlcodegen_local.generation.syntax import parse_module
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import SECTION_NAMES, Sections


def merge(
    plan: Plan,
    first: StageResult,
    second: StageResult,
    *,
    llm: CodeLLM,
    requirement: str = "",
    settings: GenerationSettings | None = None,
) -> StageResult:
    """Merge two drafts into one script.

    Raises:
        GenerationError: neither draft, nor what the model made of them, is code.
    """
    return comparative_merge(requirement, plan, first, second, llm, settings or GenerationSettings())


def comparative_merge(
    requirement: str,
    plan: Plan,
    first: StageResult,
    second: StageResult,
    llm: CodeLLM,
    settings: GenerationSettings,
) -> StageResult:
    """Merge two drafts into one script; see `merge`."""
    log = StageLog("merge", llm, settings)
    sound = [draft for draft in (first, second) if draft.source and is_sound_script(draft.source)]
    if len(sound) == 1 or (len(sound) == 2 and first.source == second.source):
        log.note(f"merge: {sound[0].name} taken unchanged: " + _why(len(sound)))
        return log.result(sound[0].source, sound[0].provenance, sound[0].bases)
    if not settings.by_sections(llm, settings.merge):
        merged = _merge_free(log, requirement, plan, first, second)
        if merged is not None:
            return merged
        if settings.merge == "free":
            raise GenerationError("merge: no code block in the completion", hint="use --merge segments")
        log.note("merge: there is no sound merge by the model itself, merged by sections instead")
    return _merge_segments(log, requirement, plan, first, second)


def _why(n_sound: int) -> str:
    return "the other draft is not sound" if n_sound == 1 else "both drafts are the same"


def _merge_free(
    log: StageLog, requirement: str, plan: Plan, first: StageResult, second: StageResult
) -> StageResult | None:
    """Let the model write the merged script; None where its answer is not sound."""
    materials = {"code_1": first.source or "", "code_2": second.source or "", "requirement": requirement}

    def build(kept: Mapping[str, str]) -> Prompt:
        """Ask with the drafts as far as they are kept."""
        return merge_prompt(kept["requirement"], plan, kept["code_1"], kept["code_2"])

    if log.settings.merge == "auto" and not script_fits(log, materials, build):
        log.note(f"merge: both drafts and an answer do not fit into {log.llm.info.n_ctx} tokens of context")
        return None
    found = write_code(log, materials, build)
    if found is None or not is_sound_script(found.code):
        return None
    sections = cut_source(found.code)
    names = [name for name in SECTION_NAMES if sections and sections.bodies.get(name)]
    return log.result(found.code, dict.fromkeys(names, MODEL), _joined_bases(first, second))


def _joined_bases(first: StageResult, second: StageResult) -> dict[str, str]:
    """Return what either draft was written after: the model has seen both."""
    joined = {}
    for name in sorted(first.bases.keys() | second.bases.keys()):
        known = [draft.bases[name] for draft in (first, second) if name in draft.bases]
        joined[name] = ", ".join(sorted({base for text in known for base in text.split(", ")}))
    return joined


def _merge_segments(
    log: StageLog, requirement: str, plan: Plan, first: StageResult, second: StageResult
) -> StageResult:
    """Choose section by section, rewrite where neither is good, and agree on names."""
    drafts = {
        draft.name: (draft, sections)
        for draft in (first, second)
        if draft.source and (sections := cut_source(draft.source)) is not None
    }
    if not drafts:
        raise GenerationError("merge: neither draft is code", hint="try another seed or another model")
    sources = {name: sections for name, (_, sections) in drafts.items()}
    written: dict[str, str] = {}
    chosen: dict[str, str] = {}
    leader = _leader(log, requirement, plan, sources)
    bodies: dict[str, str] = {}
    names: tuple[str, ...] = ()
    for section in SECTION_NAMES:
        task = SectionTask(requirement, plan, section, names)
        tied = _tied(section, leader, sources)
        origin, body = _choose_section(log, task, tied, context_of(bodies))
        if not body:
            continue
        chosen[section], bodies[section] = origin, body
        if origin == MODEL:
            written[section] = body
        if section != "imports":
            names += defined_names(body)
    header = sources[chosen["data"]].header if chosen.get("data") in sources else ""
    header = header or next(iter(sources.values())).header
    sound = {name: _sound_only(sections) for name, sections in sources.items()}
    joined = reconcile(chosen, {**sound, MODEL: Sections("", written)}, header)
    log.notes += [f"merge: {note}" for note in joined.notes]
    if joined.missing:
        log.note(f"merge: names that nothing defines: {', '.join(joined.missing)}")
    source = joined.sections.to_source()
    if not joined.sections.bodies or parse_module(source) is None:
        raise GenerationError("merge: no section of either draft is sound", hint="try another seed")
    provenance, bases = _trace(joined.provenance, {name: draft for name, (draft, _) in drafts.items()})
    return log.result(source, provenance, bases)


def _trace(
    origins: Mapping[str, str], drafts: Mapping[str, StageResult]
) -> tuple[dict[str, str], dict[str, str]]:
    """Follow the sections of a merge back to what wrote them in their draft, and after which sample."""
    provenance, bases = {}, {}
    for section, origin in origins.items():
        draft = drafts.get(origin)
        provenance[section] = draft.provenance.get(section, origin) if draft else origin
        known = draft.bases if draft else {k: v for d in drafts.values() for k, v in d.bases.items()}
        if section in known:
            bases[section] = known[section]
    return provenance, bases


def _sound_only(sections: Sections) -> Sections:
    bodies = {name: body for name, body in sections.bodies.items() if is_sound(name, body)}
    return Sections(sections.header, bodies)


def _leader(log: StageLog, requirement: str, plan: Plan, sources: Mapping[str, Sections]) -> str | None:
    """Return the draft to take all tied sections from; None where the drafts are alike.

    The one nearer to the plan in config and model leads; among equals the likelier.
    """
    if len(sources) < 2 or are_alike(*sources.values()):
        return None
    configs, models = ([s.bodies.get(name, "") for s in sources.values()] for name in ("config", "model"))
    expected, _ = expected_defaults(plan, configs[0])
    distances = [
        mismatches("config", config, plan, expected)
        + differs_in_loss(config, plan)
        + mismatches("model", model, plan, {}, context_of(sections.bodies))
        for config, model, sections in zip(configs, models, sources.values(), strict=True)
    ]
    log.note("merge: the drafts read data in different forms, one of them leads")
    differing = (
        name for name in TIED_SECTIONS[1:] if len({s.bodies.get(name) for s in sources.values()}) > 1
    )
    section = next(differing, "config")
    bodies = {name: sections.bodies.get(section, "") for name, sections in sources.items()}
    prompt, _ = _fit(log, SectionTask(requirement, plan, section, ()), bodies)
    return choose_likeliest(log, prompt, list(bodies.items()), distances)[0][0]


def _tied(section: str, leader: str | None, sources: Mapping[str, Sections]) -> dict[str, str]:
    """Return the bodies that a section may have, by draft: where one leads, its own if that is sound."""
    bodies = {name: sections.bodies.get(section, "") for name, sections in sources.items()}
    if leader and section in TIED_SECTIONS and is_sound(section, bodies[leader]):
        return {leader: bodies[leader]}
    return bodies


def _choose_section(
    log: StageLog, task: SectionTask, bodies: Mapping[str, str], context: str
) -> tuple[str, str]:
    """Return origin and body: nearest to the plan, then likeliest; rewritten where none will do."""
    sound = [(name, body) for name, body in bodies.items() if is_sound(task.name, body)]
    if not sound and not any(bodies.values()):
        return "", ""
    if len({body for _, body in sound}) == 1 or (sound and task.name in ("imports", "main")):
        return sound[0]
    if len(sound) > 1:
        prompt, _ = _fit(log, task, bodies)
        expected, _ = expected_defaults(task.plan, sound[0][1]) if task.name == "config" else ({}, ())
        distances = [mismatches(task.name, body, task.plan, expected, context) for _, body in sound]
        choice, score = choose_likeliest(log, prompt, sound, distances)
        if score is None or score >= log.settings.rewrite_below:
            return choice
        sound = [choice]
    rewritten = _rewrite(log, task, bodies)
    if rewritten is not None:
        return MODEL, rewritten
    return sound[0] if sound else ("", "")


def _rewrite(log: StageLog, task: SectionTask, bodies: Mapping[str, str]) -> str | None:
    prompt, budget = _fit(log, task, bodies)
    completion = log.complete(prompt, budget, is_section=True)
    body = section_body(completion.text)
    is_good = is_sound(task.name, body)
    log.note(f"merge: [{task.name}] rewritten by the model, {'taken' if is_good else 'not sound'}")
    return body if is_good else None


def _fit(log: StageLog, task: SectionTask, bodies: Mapping[str, str]) -> tuple[Prompt, Budget]:
    one, other = (*bodies.values(), "")[:2]
    return fit_prompt(
        f"merge [{task.name}]",
        log.llm,
        {"code_1": one, "code_2": other, "requirement": task.requirement},
        lambda kept: section_merge_prompt(
            SectionTask(kept["requirement"], task.plan, task.name, task.defined),
            kept["code_1"],
            kept["code_2"],
        ),
        max(section_tokens(log, body) for body in bodies.values()),
    )
