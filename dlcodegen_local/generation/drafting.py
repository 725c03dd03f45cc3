"""Drafting section by section, for small models: write, check, fall back, agree on names.

Guarantees that a draft parses and that its sections use no name that nothing before them defines, if
that holds of the base; what did not come from the model is labelled.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlcodegen_local.generation.adapting import PLANNED, Adapted, adapt
from dlcodegen_local.generation.budget import fit_prompt
from dlcodegen_local.generation.extraction import extract_code
from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.plan_values import mismatches
from dlcodegen_local.generation.prompts import SectionTask, defined_names, section_draft_prompt
from dlcodegen_local.generation.results import Floor, StageLog
from dlcodegen_local.generation.segments import is_sound, reconcile
from dlcodegen_local.generation.syntax import config_fields
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import SECTION_NAMES, Sections

MODEL = "model"
_ATTEMPTS = 2
# Models under so many weights are not asked for these sections, which are copied from the base: in review
# the bundled starter never wrote them soundly, and each cost two long attempts.
_COPIED_SECTIONS = ("imports", "data")
_COPIED_BELOW_PARAMS = 50_000_000
_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
_WISH = re.compile(
    r"^(?:please )?(?:i|we)(?: (?:want|need|wish|plan|aim|would like)|['’]d like) to ", re.IGNORECASE
)
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+|\"{2,}")


@dataclass(frozen=True)
class Base:
    """Hold what a draft is written after: the sections to show, and those to fall back on.

    `origins` says where the sections to fall back on come from, `plan` is the one that they carry
    out; `tag` is `sample` or `template`.
    """

    shown: Mapping[str, str]
    fallback: Sections
    origins: Mapping[str, str]
    plan: Plan | None = None
    tag: str = "sample"


@dataclass(frozen=True)
class SectionDraft:
    """Hold a whole script that was drafted section by section."""

    source: str
    provenance: Mapping[str, str]


def draft_by_sections(log: StageLog, requirement: str, plan: Plan, base: Base) -> SectionDraft:
    """Write a script section by section after a base, whose sections are brought to the plan first."""
    adapted = _adapted(log, plan, base)
    bodies: dict[str, str] = {}
    origins: dict[str, str] = {}
    names: tuple[str, ...] = ()
    for name in SECTION_NAMES:
        if not adapted.sections.bodies.get(name) and name == "main":
            continue
        task = SectionTask(requirement, plan, name, names)
        origins[name], bodies[name] = _draft_section(log, task, base, adapted, context_of(bodies))
        if name != "imports":
            names += defined_names(bodies[name])
    sources = {"draft": Sections("", bodies), "fallback": adapted.sections}
    if (floor := adapted.floor or log.settings.floor) is not None:
        sources[Floor.id] = Sections.parse(floor.source)
    joined = reconcile(dict.fromkeys(bodies, "draft"), sources, header_for(requirement, base.fallback.header))
    log.notes += [f"{log.name}: {note}" for note in joined.notes]
    if joined.missing:
        log.note(f"{log.name}: names that nothing defines: {', '.join(joined.missing)}")
    fallback = {name: _adapted_origin(name, base, adapted) for name in adapted.sections.bodies}
    known = {"draft": origins, "fallback": fallback}
    provenance = {name: known.get(origin, {}).get(name, origin) for name, origin in joined.provenance.items()}
    return SectionDraft(joined.sections.to_source(), provenance)


def _adapted(log: StageLog, plan: Plan, base: Base) -> Adapted:
    if set(base.origins.values()) == {Floor.id}:
        return Adapted(base.fallback)
    adapted = adapt(base.fallback, base.plan, plan, log.settings.floor)
    log.notes += [f"{log.name}: {note}" for note in adapted.notes]
    return adapted


def _adapted_origin(name: str, base: Base, adapted: Adapted) -> str:
    """Say what an adapted section is made of."""
    origin = base.origins.get(name, "base")
    made_of = adapted.origins.get(name, "")
    if made_of != PLANNED:
        return made_of.replace("*", origin) or origin
    is_filled = base.tag == "template" and name in ("config", "model")
    return (origin.replace("sample:", "template:", 1) if is_filled else origin) + PLANNED


def context_of(bodies: Mapping[str, str]) -> str:
    """Return the sections that tell the values which a model takes from its config."""
    return "\n\n\n".join(bodies.get(name, "") for name in ("imports", "config"))


def _draft_section(
    log: StageLog, task: SectionTask, base: Base, adapted: Adapted, context: str
) -> tuple[str, str]:
    """Return origin and body of one section: the candidate nearest to the plan, then the likeliest."""
    name = task.name
    fallback = adapted.sections.bodies.get(name, "")
    origin = _adapted_origin(name, base, adapted)
    if name == "main":
        return origin, fallback
    if fallback and name in _COPIED_SECTIONS and _is_tiny(log):
        log.note(f"{log.name}: [{name}] copied from {origin}: the model is too small to write it")
        return origin, fallback
    candidates = [(origin, fallback)] if fallback else []
    own = base.fallback.bodies.get(name, "")
    if name in ("config", "model") and own and own != fallback and not adapted.is_tied:
        candidates.insert(0, (base.origins.get(name, "base"), own))
    is_relabelled = adapted.is_tied and name in adapted.origins and name not in ("config", "model")
    shown = fallback if is_relabelled else base.shown.get(name, "")
    prompt, written = _write_section(log, task, (shown, base.tag), fallback)
    if written and all(written != body for _, body in candidates) and not (is_relabelled and written == own):
        candidates.append((MODEL, written))
    if not candidates:
        return origin, ""
    if name not in ("config", "model") and not _is_tiny(log):
        return candidates[-1]
    distances = [mismatches(name, body, task.plan, adapted.expected, context) for _, body in candidates]
    return choose_likeliest(log, prompt, candidates, distances)[0]


def _is_tiny(log: StageLog) -> bool:
    n_params = log.llm.info.n_params
    return n_params is not None and n_params < _COPIED_BELOW_PARAMS


def choose_likeliest(
    log: StageLog, prompt: Prompt, candidates: list[tuple[str, str]], distances: list[float]
) -> tuple[tuple[str, str], float | None]:
    """Return the candidate (origin, body) nearest to the plan; among equals the likeliest, then the first.

    With it goes its mean log-probability, None where the plan alone decided.
    """
    nearest = min(distances)
    rest = [candidate for candidate, far in zip(candidates, distances, strict=True) if far == nearest]
    section = prompt.assistant_prefix.strip()[5:]
    if len(rest) == 1:
        log.note(f"{log.name}: {section}: {rest[0][0]} is nearest to the plan")
        return rest[0], None
    scores = log.score(prompt, [body for _, body in rest])
    best = max(range(len(rest)), key=lambda i: (scores[i], -i))
    options = ", ".join(f"{origin} {score:.3f}" for (origin, _), score in zip(rest, scores, strict=True))
    log.note(f"{log.name}: {section}: {rest[best][0]} is likeliest ({options})")
    return rest[best], scores[best]


def _write_section(
    log: StageLog, task: SectionTask, base: tuple[str, str], fallback: str
) -> tuple[Prompt, str | None]:
    """Let the model write a section, twice at most, a tiny one once; None where nothing is sound."""
    shown, tag = base
    prompt, budget = fit_prompt(
        f"{log.name} [{task.name}]",
        log.llm,
        {"base": shown, "requirement": task.requirement},
        lambda kept: section_draft_prompt(
            SectionTask(kept["requirement"], task.plan, task.name, task.defined), kept["base"], tag
        ),
        section_tokens(log, fallback or shown),
    )
    may_retry = log.retried_tokens < log.settings.max_retry_tokens and not _is_tiny(log)
    for attempt in range(_ATTEMPTS if may_retry else 1):
        completion = log.complete(prompt, budget, is_section=True, attempt=attempt)
        body = section_body(completion.text)
        if is_sound(task.name, body) and not _lacks_fields(task.name, body, fallback):
            return prompt, body
        log.note(f"{log.name}: [{task.name}] attempt {attempt + 1} is not sound ({completion.finish_reason})")
    return prompt, None


def section_tokens(log: StageLog, body: str) -> int:
    """Return how many tokens the answer for a section like `body` may have."""
    return min(log.llm.count_tokens(body) * 3 // 2 + 64, log.settings.max_answer_tokens)


def section_body(answer: str) -> str:
    """Return the code of a section from an answer that continues its marker line."""
    if "```" in answer or "<think>" in answer:
        found = extract_code(answer)
        answer = found.code if found else ""
    lines = [line for line in answer.strip("\n").split("\n") if not line.startswith("# %% [")]
    return "\n".join(lines).strip()


def _lacks_fields(name: str, body: str, fallback: str) -> bool:
    return name == "config" and not set(config_fields(fallback)) <= set(config_fields(body))


def header_for(requirement: str, base_header: str) -> str:
    """Return the head of a script: licence line of the base, the requirement, the base's data paragraph."""
    spdx = next((line for line in base_header.split("\n") if line.startswith("# SPDX")), "")
    docstring = _DOCSTRING.search(base_header)
    data = re.search(r"^Data:.*", docstring.group(1), re.MULTILINE | re.DOTALL) if docstring else None
    title = " ".join(_UNSAFE.sub(" ", requirement).split()).strip('"')
    title = _WISH.sub("", title)
    if len(title) > 90:
        title = title[:90].rsplit(" ", 1)[0] + " ..."
    title = title if title.endswith((".", "?", "!")) else f"{title}."
    text = f'"""{title[:1].upper()}{title[1:]}\n'
    if data:
        text += f"\n{data.group().strip()}\n"
    return f'{spdx}\n{text}"""'.strip()
