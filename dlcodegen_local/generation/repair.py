"""Repair: a finding of the verifier goes back to the model with the failing excerpt.

Guarantees that what comes back parses, or is the code that went in. Whether it is better is for the
caller to verify, and how often to try, too.
"""

import re
from typing import Protocol

from dlcodegen_local.generation.budget import fit_prompt
from dlcodegen_local.generation.drafting import MODEL, section_body, section_tokens
from dlcodegen_local.generation.extraction import extract_code
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.prompts import (
    SectionTask,
    defined_names,
    repair_prompt,
    section_repair_prompt,
)
from dlcodegen_local.generation.results import GenerationSettings, StageLog, StageResult
from dlcodegen_local.generation.segments import cut_source, is_sound, is_sound_script, reconcile
from dlcodegen_local.generation.syntax import parse_module
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import SECTION_NAMES, Sections

MAX_MESSAGE_CHARS = 1500
_CONTEXT_LINES = 3
_MARKER = re.compile(r"^# %% \[(\w+)\]\s*$")


class Defect(Protocol):
    """What a repair reads of a finding; `line` counts from 1, 0 where it is not known."""

    @property
    def line(self) -> int:
        """Return the line of the script."""
        ...

    @property
    def rule(self) -> str:
        """Name the rule."""
        ...

    @property
    def message(self) -> str:
        """Say what is wrong."""
        ...


def repair(
    source: str,
    plan: Plan,
    defect: Defect,
    llm: CodeLLM,
    settings: GenerationSettings,
    attempt: int = 0,
) -> StageResult:
    """Ask the model once to correct a script; `attempt` counts from 0 and changes the seed.

    The result's source is the new script, or the old one where the answer was not sound. Its
    provenance names the sections that the model wrote anew.

    Raises:
        GenerationError: not even the finding fits into the context.
    """
    log = StageLog("repair", llm, settings)
    sections = cut_source(source)
    section = section_at(source, defect.line or _line_in(defect.message))
    if settings.by_sections(llm, settings.drafting):
        if sections is None or section is None or not sections.bodies.get(section):
            log.note("repair: no section holds the finding, nothing was changed")
            return log.result(source, {})
        return _repair_section(log, plan, defect, attempt, (source, sections, section))
    prompt, budget = fit_prompt(
        log.name,
        llm,
        {"code": source},
        lambda kept: repair_prompt(plan, kept["code"], describe(source, defect)),
        min(max(llm.count_tokens(source) * 3 // 2, 1024), settings.max_answer_tokens),
    )
    if budget.cuts:
        log.note("repair: the script does not fit into the context")
        return log.result(source, {})
    found = extract_code(log.complete(prompt, budget, attempt=attempt).text)
    if found is None or not is_sound_script(found.code):
        log.note("repair: the answer is not sound, nothing was changed")
        return log.result(source, {})
    return log.result(found.code, _changed(sections, cut_source(found.code)))


def _repair_section(
    log: StageLog, plan: Plan, defect: Defect, attempt: int, place: tuple[str, Sections, str]
) -> StageResult:
    """Let the model rewrite the one section that holds the defect."""
    source, sections, section = place
    body = sections.bodies[section]
    before = SECTION_NAMES[1 : SECTION_NAMES.index(section)] if section != "imports" else ()
    names = tuple(name for s in before for name in defined_names(sections.bodies.get(s, "")))
    prompt, budget = fit_prompt(
        f"repair [{section}]",
        log.llm,
        {"code": body},
        lambda kept: section_repair_prompt(
            SectionTask("", plan, section, names), kept["code"], describe(source, defect)
        ),
        section_tokens(log, body),
    )
    written = section_body(log.complete(prompt, budget, is_section=True, attempt=attempt).text)
    if written == body or not is_sound(section, written):
        log.note(f"repair: the answer for [{section}] is not sound, nothing was changed")
        return log.result(source, {})
    sources = {"old": sections, MODEL: Sections("", {section: written})}
    chosen = {name: MODEL if name == section else "old" for name in sections.bodies}
    joined = reconcile(chosen, sources, sections.header)
    known = reconcile(dict.fromkeys(sections.bodies, "old"), {"old": sections}, "").missing
    repaired = joined.sections.to_source()
    is_worse = joined.provenance.get(section) != MODEL or not set(joined.missing) <= set(known)
    if is_worse or parse_module(repaired) is None:
        log.note(f"repair: the answer for [{section}] breaks the script, nothing was changed")
        return log.result(source, {})
    log.note(f"repair: [{section}] rewritten for {defect.rule}")
    return log.result(repaired, {section: MODEL})


def section_at(source: str, line: int) -> str | None:
    """Name the section that holds a line; None before the first marker, or where there is none."""
    found = None
    for text in source.split("\n")[: max(line, 0)]:
        if mark := _MARKER.match(text):
            found = mark.group(1)
    return found if found in SECTION_NAMES else None


def _line_in(message: str) -> int:
    """Return the last line number of a traceback, 0 where there is none."""
    found = re.findall(r"line (\d{1,6})", message)
    return int(found[-1]) if found else 0


def describe(source: str, defect: Defect) -> str:
    """Return a finding as text: rule, message, and the lines around its place, the place marked."""
    message = defect.message.strip()
    if len(message) > MAX_MESSAGE_CHARS:
        message = "..." + message[-MAX_MESSAGE_CHARS:]
    text = f"{defect.rule}: {message}"
    lines = source.split("\n")
    if not 0 < defect.line <= len(lines):
        return text
    first = max(defect.line - 1 - _CONTEXT_LINES, 0)
    excerpt = [
        f"{'>' if number == defect.line else ' '} {line}"
        for number, line in enumerate(lines[first : defect.line + _CONTEXT_LINES], start=first + 1)
    ]
    return text + "\n" + "\n".join(excerpt)


def _changed(before: Sections | None, after: Sections | None) -> dict[str, str]:
    old = before.bodies if before else {}
    return {name: MODEL for name, body in (after.bodies if after else {}).items() if old.get(name) != body}
