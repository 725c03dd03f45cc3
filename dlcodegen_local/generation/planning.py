"""The code model as a planner: a plan from a requirement and some solved examples. Paper: IV, Table IV.

Guarantees nothing about the plan: what is returned is what the model wrote, thoughts, fence and prose around
the object left out. The constrained planner is `planner.planner`.
"""

import json
from collections.abc import Sequence

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.budget import fit_prompt
from dlcodegen_local.generation.extraction import without_thoughts
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.prompts import few_shot_plan_prompt
from dlcodegen_local.generation.results import GenerationSettings, StageLog, StageResult

_PLAN_TOKENS = 1024


def few_shot_plan(
    requirement: str, dataset: str, examples: Sequence[str], llm: CodeLLM, settings: GenerationSettings
) -> StageResult:
    """Let the model write a plan after examples, each a requirement and its plan as text.

    The plan's text is the result's source; an example that does not fit the context is cut.

    Raises:
        GenerationError: the model wrote no object, or nothing fits its context.
    """
    log = StageLog("few-shot plan", llm, settings)
    materials = {f"example {number}": text for number, text in enumerate(examples, start=1)}
    prompt, budget = fit_prompt(
        log.name,
        llm,
        materials,
        lambda kept: few_shot_plan_prompt(requirement, dataset, tuple(kept.values())),
        _PLAN_TOKENS,
    )
    text = object_in(log.complete(prompt, budget).text)
    if not text:
        raise GenerationError("few-shot plan: no JSON object in the completion", hint="try another model")
    return log.result(text, {})


def object_in(answer: str) -> str:
    """Return the JSON object of an answer as it was written, one that breaks off up to its end, or ""."""
    _, brace, rest = without_thoughts(answer).partition("{")
    text = brace + rest
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text.partition("\n```")[0].strip()
    return text[:end]
