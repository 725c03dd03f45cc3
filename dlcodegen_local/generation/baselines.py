"""The paper's baselines: other ways to ask the same model for the same script. Paper: IV.

None of them reads the planner's plan. Each is a function of what it is given and of the model; it keeps
nothing. Differs: every answer is asked for in the section contract, so that all methods are measured alike.
"""

from typing import Protocol

from dlcodegen_local.generation.answering import script_result, write_script, write_steps
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.prompts import (
    chain_of_thought_prompt,
    chain_prompt,
    demonstration_prompt,
    direct_prompt,
    solve_prompt,
    steps_prompt,
)
from dlcodegen_local.generation.results import GenerationSettings, StageLog, StageResult


class Solved(Protocol):
    """What a baseline reads of a sample: a problem and its solution."""

    @property
    def id(self) -> str:
        """Name the sample."""
        ...

    @property
    def requirement(self) -> str:
        """Return the problem."""
        ...

    @property
    def source(self) -> str:
        """Return its code, one script."""
        ...


def direct(requirement: str, llm: CodeLLM, settings: GenerationSettings) -> StageResult:
    """Draft a script from the requirement alone.

    Raises:
        GenerationError: the model wrote no code, or nothing fits its context.
    """
    log = StageLog("direct", llm, settings)
    source = write_script(log, {"requirement": requirement}, lambda kept: direct_prompt(kept["requirement"]))
    return script_result(log, source, {})


def plan_and_solve(requirement: str, llm: CodeLLM, settings: GenerationSettings) -> StageResult:
    """Let the model write the steps first, then the script that carries them out.

    Raises:
        GenerationError: the model wrote no steps or no code, or nothing fits its context.
    """
    log = StageLog("ps", llm, settings)
    materials = {"requirement": requirement}
    steps = write_steps(log, materials, lambda kept: steps_prompt(kept["requirement"]))
    source = write_script(
        log, {**materials, "steps": steps}, lambda kept: solve_prompt(kept["requirement"], kept["steps"])
    )
    return script_result(log, source, {})


def reasoning_chain(problem: Solved, llm: CodeLLM, settings: GenerationSettings) -> StageResult:
    """Have the model reason once from a category's representative problem to its code.

    The chain is the result's last output; it has no source.

    Raises:
        GenerationError: the model wrote no steps, or nothing fits its context.
    """
    log = StageLog("reasoning chain", llm, settings)
    materials = {"problem": problem.requirement, "code": problem.source}
    write_steps(log, materials, lambda kept: chain_prompt(kept["problem"], kept["code"]))
    return log.result(None, {})


def chain_of_thought(
    requirement: str, problem: Solved, chain: str, llm: CodeLLM, settings: GenerationSettings
) -> StageResult:
    """Draft a script after the reasoning on the category's representative problem.

    Raises:
        GenerationError: the model wrote no code, or nothing fits its context.
    """
    log = StageLog("ccot", llm, settings)
    materials = {"problem": problem.requirement, "chain": chain, "requirement": requirement}
    source = write_script(
        log,
        materials,
        lambda kept: chain_of_thought_prompt(kept["requirement"], kept["problem"], kept["chain"]),
    )
    return script_result(log, source, {})


def demonstration(
    requirement: str, example: Solved, llm: CodeLLM, settings: GenerationSettings
) -> StageResult:
    """Draft a script after one solved problem, the one most like the requirement.

    Raises:
        GenerationError: the model wrote no code, or nothing fits its context.
    """
    log = StageLog("cedar", llm, settings)
    materials = {"sample": example.source, "problem": example.requirement, "requirement": requirement}
    source = write_script(
        log,
        materials,
        lambda kept: demonstration_prompt(kept["requirement"], kept["problem"], kept["sample"]),
    )
    return script_result(log, source, {"*": f"sample:{example.id}"})
