"""Requirement to project, in the paper's stages: a function of (request, config, engines).

Paper: III-B to III-D. Differs: what is merged is also verified, repaired a bounded number of times,
and where no draft of the model survives, the plan compiler writes the project and it is labelled so.
Guarantees that an outcome always has a source that was checked; never raises because a model
writes badly.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping

from dlcodegen_local.config import PlannerConfig
from dlcodegen_local.generation.following import by_ability, follow
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.generation.stages import (
    code_rag_draft,
    comparative_merge,
    template,
    template_rag_draft,
)
from dlcodegen_local.outcome import Candidate, Outcome, Reporter, is_compiled, with_unique_ids
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index import Hit
from dlcodegen_local.retrieval.samples import Sample
from dlcodegen_local.run_inputs import Engines, PipelineConfig, Request, floor_of, run_inputs
from dlcodegen_local.run_stages import StageRunner
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.selection import Selection

__all__ = ["Engines", "PipelineConfig", "Request", "generate", "low_confidence", "run_inputs"]

IS_A_TASK = 0.5
SURE_OF_THE_TASK = 0.6
# So many samples are looked at for one whose code can follow the plan.
_CONSIDERED = 6
# What is tried beside the given temperature where time does not matter; 1.5 is the paper's.
_FURTHER_TEMPERATURES = (0.7, 1.5)


def low_confidence(confidence: Mapping[str, float]) -> tuple[str, ...]:
    """Return a warning where the planner is unsure of the task itself."""
    task = confidence.get("task", 1.0)
    if task < IS_A_TASK:
        return (f"this does not read like a task for deep learning ({task:.2f} of 1): check the plan",)
    sure = confidence.get("category", 1.0)
    if sure >= SURE_OF_THE_TASK:
        return ()
    return (f"the planner is unsure what kind of task this is ({sure:.2f} of 1): check the plan",)


def generate(
    request: Request, engines: Engines, config: PipelineConfig, record: RunRecord, reporter: Reporter
) -> Outcome:
    """Make a program for a request.

    Raises:
        PlanningError: no plan could be made.
        SandboxError: the sandbox does not start.
    """
    began = time.monotonic()
    stages = StageRunner(record, reporter)
    record.add_machine({"pace": dict(engines.llm.info.pace)})
    plan = request.plan or _make_plan(request, engines, config.planner, stages)
    run = _Drafting(request, plan, engines, config, stages)
    hits = run.retrieve()
    spare: list[Candidate] = []
    if run.is_by_sections:
        hits, spare = run.able_first(hits)
    candidates = run.draft(run.keep(hits))
    selection = Selection(plan, engines, config, run.settings, stages)
    chosen, verification = selection.choose(candidates, [] if config.without else spare)
    named = ", ".join((*chosen.provenance.values(), *chosen.bases.values()))
    traced = {source.split(":", 1)[-1].removesuffix("+plan") for source in named.split(", ")}
    samples = [hit.sample for hit in hits if hit.sample.id in traced]
    return Outcome(
        plan=plan,
        method="dlcodegen",
        chosen=chosen,
        verification=verification,
        licences={sample.id: sample.licence for sample in samples},
        pools={sample.id: sample.pool for sample in samples},
        seconds=time.monotonic() - began,
        tokens=stages.tokens,
    )


def _make_plan(request: Request, engines: Engines, planner: PlannerConfig, stages: StageRunner) -> Plan:
    assert engines.planner is not None
    stages.reporter.stage("plan")
    result = engines.planner.plan(
        request.requirement,
        request.dataset,
        num_beams=planner.num_beams,
        layer_style="calls",
    )
    for note in (*result.notes, *low_confidence(result.confidence)):
        stages.reporter.note(note)
    value = {"plan": result.plan.to_dict(), "log_prob": result.log_prob, "notes": list(result.notes)}
    stages.record.add_stage("plan", value, {"seconds": result.seconds, "steps": result.steps})
    stages.reporter.done(f"{result.plan.category}, {len(result.plan.layers)} layers")
    return result.plan


class _Drafting:
    """Carry request, plan and engines through retrieval and the stages that write."""

    def __init__(
        self, request: Request, plan: Plan, engines: Engines, config: PipelineConfig, stages: StageRunner
    ) -> None:
        self._request = request
        self._plan = plan
        self._engines = engines
        self._config = config
        self._stages = stages
        self._unable: frozenset[str] = frozenset()
        generation = config.generation
        self.settings = GenerationSettings(
            temperature=generation.temperature,
            seed=generation.seed,
            merge=generation.merge,
            max_retry_tokens=0 if generation.effort == "fast" else GenerationSettings.max_retry_tokens,
            on_progress=stages.show,
            floor=floor_of(plan, config.framework),
        )

    @property
    def is_by_sections(self) -> bool:
        """Tell whether drafts are written section by section, from samples brought to the plan."""
        return self.settings.by_sections(self._engines.llm, self.settings.drafting)

    def retrieve(self) -> list[Hit]:
        """Return the samples to draft after; for drafts by sections, some more to choose among."""
        self._stages.reporter.stage("retrieve")
        k = self._config.retrieval.k
        count = max(k, _CONSIDERED) if self.is_by_sections else k
        found = self._engines.index.search(self._plan, count, framework=self._config.framework)
        return with_unique_ids(found)

    def able_first(self, hits: list[Hit]) -> tuple[list[Hit], list[Candidate]]:
        """Return hits of the plan's category in the order of how well their code can follow the plan.

        With them go versions that the model did not touch: samples that can follow it as they are. A draft on
        the data of one that cannot is not taken later, whatever its smoke run would say.
        """
        floor = self.settings.floor
        assert floor is not None
        own = [hit for hit in hits if not hit.topped_up]
        followers = [follow(hit.sample, self._request.requirement, self._plan, floor) for hit in own]
        order = by_ability(followers)
        neighbours = [hit for hit in hits if hit.topped_up]
        self._unable = frozenset(
            f"sample:{hit.sample.id}"
            for hit, follower in zip(own, followers, strict=True)
            if follower and not follower.is_able
        )
        if any(follower and follower.is_able for follower in followers):
            # What cannot follow the plan is no model for code that should, and neighbours least of all.
            neighbours = []
            order = [place for place in order if not (follower := followers[place]) or follower.is_able]
        spare = [
            Candidate("code-rag", follower.source, follower.provenance, follower.bases)
            for place in order
            if (follower := followers[place])
            and follower.is_able
            and not is_compiled(follower.source, follower.provenance)
        ]
        return [own[place] for place in order] + neighbours, spare

    def keep(self, hits: list[Hit]) -> list[Sample]:
        """Record and show the k samples that drafts are written after."""
        kept = hits[: self._config.retrieval.k]
        value = [
            {
                "id": hit.sample.id,
                "pool": hit.sample.pool,
                "sha256": hit.sample.sha256,
                "licence": hit.sample.licence,
                "score": hit.score,
                "topped_up": hit.topped_up,
            }
            for hit in kept
        ]
        self._stages.record.add_stage("retrieve", {"hits": value}, {})
        self._stages.reporter.done(", ".join(f"{hit.sample.id} ({hit.score:.1f})" for hit in kept))
        for hit in kept:
            if hit.topped_up:
                origin = f"{hit.sample.plan.category}, {hit.sample.framework}"
                self._stages.reporter.note(f"{hit.sample.id} is {hit.topped_up}: {origin}")
        return [hit.sample for hit in kept]

    def draft(self, samples: list[Sample]) -> list[Candidate]:
        """Return the model's versions, best first: the merge, then the drafts it was made of."""
        found: list[Candidate] = []
        for round_, temperature in enumerate(self._temperatures()):
            settings = dataclasses.replace(self.settings, temperature=temperature)
            found += self._drafted(samples, settings, f" {round_ + 1}" if round_ else "")
        return found

    def _temperatures(self) -> tuple[float, ...]:
        given = self._config.generation.temperature
        further = _FURTHER_TEMPERATURES if self._config.generation.effort == "best" else ()
        return (given, *(temperature for temperature in further if temperature != given))

    def _drafted(self, samples: list[Sample], settings: GenerationSettings, mark: str) -> list[Candidate]:
        """Return what the stages make at one temperature; `mark` tells their records apart."""
        requirement, plan, llm = self._request.requirement, self._plan, self._engines.llm
        drafts: dict[str, StageResult] = {}
        if "code-rag" not in self._config.without:
            self._write(
                drafts, "code-rag", mark, lambda: code_rag_draft(requirement, plan, samples, llm, settings)
            )
        if "template-rag" not in self._config.without:
            abstracted = self._stages.run(
                f"template{mark}", lambda: template(requirement, plan, samples, llm, settings)
            )
            if abstracted is not None:
                self._write(
                    drafts,
                    "template-rag",
                    mark,
                    lambda: template_rag_draft(requirement, plan, abstracted, samples, llm, settings),
                )
        if len(drafts) == 2 and "comparison" not in self._config.without:
            first, second = drafts["code-rag"], drafts["template-rag"]
            self._write(
                drafts,
                "merge",
                mark,
                lambda: comparative_merge(requirement, plan, first, second, llm, settings),
            )
        return [
            Candidate(origin, draft.source, draft.provenance, draft.bases)
            for origin in ("merge", "code-rag", "template-rag")
            if (draft := drafts.get(origin))
            and draft.source
            and not is_compiled(draft.source, draft.provenance)
            and draft.provenance.get("data", "").removesuffix("+plan") not in self._unable
        ]

    def _write(
        self, drafts: dict[str, StageResult], origin: str, mark: str, write: Callable[[], StageResult]
    ) -> None:
        result = self._stages.run(f"{origin}{mark}", write)
        if result is not None:
            drafts[origin] = result
