"""The results of stages as JSON, for the record of a run, and back again.

What the same inputs give again is in a stage's value; what a clock or a machine decided is in its timings.
Guarantees that a result which is read back acts in the rest of the run as the one that was written. Reading
raises KeyError, TypeError or ValueError on anything else: a value of another version is no result.
"""

from collections.abc import Mapping
from typing import Any

from dlcodegen_local.generation.budget import Budget, Cut
from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.results import StageResult
from dlcodegen_local.outcome import Outcome
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import PlannedResult
from dlcodegen_local.retrieval.index import Hit
from dlcodegen_local.verification.report import Compliance, Finding, SmokeResult, Verification

Json = dict[str, Any]
_WHY_TERMS = 12


def plan_value(result: PlannedResult) -> tuple[Json, Json]:
    """Return value and timings of a planned result."""
    value = {
        "plan": result.plan.to_dict(),
        "log_prob": result.log_prob,
        "confidence": dict(result.confidence),
        "notes": list(result.notes),
    }
    return value, {"seconds": result.seconds, "steps": result.steps}


def read_plan_value(value: Mapping[str, Any], timings: Mapping[str, Any]) -> PlannedResult:
    """Return the planned result; its alternatives are not kept."""
    return PlannedResult(
        plan=Plan.from_dict(value["plan"]),
        log_prob=value["log_prob"],
        seconds=timings["seconds"],
        steps=timings["steps"],
        confidence=dict(value["confidence"]),
        notes=tuple(value["notes"]),
    )


def hits_value(hits: list[Hit]) -> Json:
    """Return the value of a retrieval: which samples, and why."""
    rows = [
        {
            "id": hit.sample.id,
            "pool": hit.sample.pool,
            "sha256": hit.sample.sha256,
            "licence": hit.sample.licence,
            "category": hit.sample.plan.category,
            "framework": hit.sample.framework,
            "score": hit.score,
            "partition": hit.partition,
            "topped_up": hit.topped_up,
            "why": [[term, score] for term, score in hit.terms[:_WHY_TERMS]],
        }
        for hit in hits
    ]
    return {"hits": rows}


def stage_value(result: StageResult) -> tuple[Json, Json]:
    """Return value and timings of a stage of the model."""
    value = {
        "stage": result.name,
        "source": result.source,
        "provenance": dict(result.provenance),
        "bases": dict(result.bases),
        "notes": list(result.notes),
        "prompts": [[prompt.system, prompt.user, prompt.assistant_prefix] for prompt in result.prompts],
        "outputs": list(result.outputs),
        "budgets": [_budget_row(budget) for budget in result.budgets],
        "tokens": [result.prompt_tokens, result.completion_tokens],
    }
    timings = {
        "tokens_read": result.prompt_tokens - result.cached_tokens,
        "reading_s": result.prompt_seconds,
        "tokens_written": result.completion_tokens,
        "writing_s": result.completion_seconds,
        "comparing_s": result.scoring_seconds,
    }
    return value, timings


def read_stage_value(value: Mapping[str, Any], timings: Mapping[str, Any]) -> StageResult:
    """Return the result of a stage of the model."""
    prompt_tokens, completion_tokens = value["tokens"]
    return StageResult(
        name=value["stage"],
        source=value["source"],
        provenance=dict(value["provenance"]),
        bases=dict(value["bases"]),
        notes=tuple(value["notes"]),
        prompts=tuple(Prompt(*row) for row in value["prompts"]),
        outputs=tuple(value["outputs"]),
        budgets=tuple(_read_budget(row) for row in value["budgets"]),
        prompt_tokens=prompt_tokens,
        cached_tokens=prompt_tokens - timings["tokens_read"],
        completion_tokens=completion_tokens,
        prompt_seconds=timings["reading_s"],
        completion_seconds=timings["writing_s"],
        scoring_seconds=timings["comparing_s"],
    )


def choice_value(outcome: Outcome) -> Json:
    """Return what is delivered: the code, where each section is from, and the samples it rests on."""
    return {
        "origin": outcome.origin,
        "source": outcome.source,
        "provenance": dict(outcome.chosen.provenance),
        "bases": dict(outcome.chosen.bases),
        "licences": dict(outcome.licences),
        "pools": dict(outcome.pools),
        "plan": outcome.plan.to_dict(),
        "passed": outcome.verification.ok,
    }


def verification_value(verification: Verification) -> tuple[Json, Json]:
    """Return value and timings of a verification; what the smoke run measured is among the timings."""
    value = verification.to_dict()
    del value["smoke"]["seconds"]
    value["smoke"]["exit_code"] = verification.smoke.exit_code
    value["compliance"] = {
        **value["compliance"],
        "fields": dict(verification.compliance.fields),
        "contradicted": list(verification.compliance.contradicted),
    }
    return value, {"smoke_seconds": verification.smoke.seconds, "facts": verification.smoke.facts}


def read_verification_value(value: Mapping[str, Any], timings: Mapping[str, Any]) -> Verification:
    """Return the verification."""
    compliance, smoke = value["compliance"], value["smoke"]
    return Verification(
        tuple(Finding(**row) for row in value["static"]["findings"]),
        Compliance(compliance["score"], dict(compliance["fields"]), tuple(compliance["contradicted"])),
        SmokeResult(
            smoke["ok"],
            timings["smoke_seconds"],
            smoke["message"],
            smoke["exit_code"],
            dict(timings["facts"]),
        ),
    )


def _budget_row(budget: Budget) -> list[Any]:
    cuts = [[cut.material, cut.tokens, cut.kept_tokens, cut.where] for cut in budget.cuts]
    return [budget.stage, budget.n_ctx, budget.prompt_tokens, budget.max_tokens, cuts]


def _read_budget(row: list[Any]) -> Budget:
    stage, n_ctx, prompt_tokens, max_tokens, cuts = row
    return Budget(stage, n_ctx, prompt_tokens, max_tokens, tuple(Cut(*cut) for cut in cuts))
