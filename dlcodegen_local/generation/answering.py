"""Asking for a whole script: the answer, and where it was cut, its continuation.

Guarantees that an answer which was cut for its length goes on where it stopped instead of being lost, a
bounded number of times and within the context, and that an answer of which nothing can come is left.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.budget import Budget, fit_prompt, fits_whole
from dlcodegen_local.generation.extraction import (
    Extracted,
    extract_code,
    has_begun,
    is_pointless,
    without_thoughts,
)
from dlcodegen_local.generation.llm import Completion, Prompt
from dlcodegen_local.generation.results import StageLog, StageResult
from dlcodegen_local.generation.segments import cut_source
from dlcodegen_local.sections import SECTION_NAMES

Build = Callable[[Mapping[str, str]], Prompt]
_MAX_CONTINUATIONS = 2
_MIN_SCRIPT_TOKENS = 1024
_MAX_STEPS_TOKENS = 768
_OPENED = "```python\n"


def write_code(log: StageLog, materials: Mapping[str, str], build: Build) -> Extracted | None:
    """Return the code that a model wrote from materials; None where its answer holds none.

    Raises:
        GenerationError: the prompt leaves no room for an answer.
    """
    wanted = script_tokens(log, materials)
    prompt, budget = fit_prompt(log.name, log.llm, materials, build, wanted)
    completion = log.complete(prompt, budget)
    answer = completion.text
    found = extract_code(answer)
    for _ in range(_MAX_CONTINUATIONS):
        begun = _to_continue(answer, completion)
        if begun is None:
            break
        following = _continued(log, materials, build, begun, wanted)
        if following is None:
            break
        completion = log.complete(*following)
        answer = begun + completion.text
        longer = extract_code(answer)
        is_thought = begun == _OPENED
        if found and not is_thought and (longer is None or len(longer.code) <= len(found.code)):
            break  # it did not go on but began anew
        found = longer or found
    if completion.finish_reason != "stop":
        log.note(
            f"{log.name}: the answer ended after {completion.completion_tokens} tokens"
            f" ({completion.finish_reason})"
        )
    if found is not None:
        log.notes += [f"{log.name}: {note}" for note in found.notes]
    return found


def write_script(log: StageLog, materials: Mapping[str, str], build: Build) -> str:
    """Ask for a whole script and return the code of the answer.

    Raises:
        GenerationError: the answer holds none, or the prompt leaves no room for an answer.
    """
    found = write_code(log, materials, build)
    if found is None:
        raise GenerationError(
            f"{log.name}: no code block in the completion", hint="try another seed or another model"
        )
    return found.code


def script_result(log: StageLog, source: str, bases: Mapping[str, str]) -> StageResult:
    """Close the account of a script that the model wrote; `bases` under `*` hold for every section."""
    sections = cut_source(source)
    names = [name for name in SECTION_NAMES if sections and sections.bodies.get(name)]
    shared = bases.get("*")
    return log.result(
        source, dict.fromkeys(names, "model"), dict.fromkeys(names, shared) if shared else bases
    )


def write_steps(log: StageLog, materials: Mapping[str, str], build: Build) -> str:
    """Return the reasoning that a model wrote, without thoughts and code.

    Raises:
        GenerationError: it wrote none, or the prompt leaves no room for an answer.
    """
    prompt, budget = fit_prompt(log.name, log.llm, materials, build, _MAX_STEPS_TOKENS)
    text = without_thoughts(log.complete(prompt, budget).text).partition("```")[0].strip()
    if not text:
        raise GenerationError(f"{log.name}: no steps in the completion", hint="try another model")
    return text


def script_tokens(log: StageLog, materials: Mapping[str, str]) -> int:
    """Return how many tokens a script that is written after these materials may take."""
    longest = max((log.llm.count_tokens(text) for text in materials.values()), default=0)
    return min(max(longest * 3 // 2, _MIN_SCRIPT_TOKENS), log.settings.max_answer_tokens)


def script_fits(log: StageLog, materials: Mapping[str, str], build: Build) -> bool:
    """Tell whether materials and the script written after them fit into the context, with nothing cut."""
    return fits_whole(log.llm, materials, build, script_tokens(log, materials))


def _to_continue(answer: str, completion: Completion) -> str | None:
    """Return the text that an answer goes on from; None where it is done or not worth it."""
    if completion.finish_reason != "length" or is_pointless(answer):
        return None
    visible = without_thoughts(answer)
    if has_begun(visible):
        return visible
    return None if visible.strip() else _OPENED  # still thinking: now it has to write


def _continued(
    log: StageLog, materials: Mapping[str, str], build: Build, begun: str, wanted: int
) -> tuple[Prompt, Budget] | None:
    try:
        following = fit_prompt(
            f"{log.name} continued",
            log.llm,
            materials,
            lambda kept: replace(build(kept), assistant_prefix=begun),
            wanted,
        )
    except GenerationError as exc:
        log.note(f"{log.name}: not continued, {exc.message}")
        return None
    log.note(f"{log.name}: the answer was cut after {log.llm.count_tokens(begun)} tokens and goes on")
    return following
