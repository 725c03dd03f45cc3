"""Requirement to project, in the paper's stages: a function of (request, config, engines).

Paper: III-B to III-D. Differs: what is merged is also verified, repaired a bounded number of times,
and where no draft of the model survives, the plan compiler writes the project and it is labelled so.
Guarantees that an outcome always has a source that was checked; never raises because a model
writes badly.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence

from dlcodegen_local.config import PlannerConfig
from dlcodegen_local.generation.following import by_ability, follow
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.generation.stages import (
    code_rag_draft,
    comparative_merge,
    template,
    template_rag_draft,
)
from dlcodegen_local.methods import BASELINES, Baselines
from dlcodegen_local.outcome import Candidate, Outcome, Reporter, is_compiled, with_unique_ids
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index import Hit
from dlcodegen_local.retrieval.samples import Sample
from dlcodegen_local.run_inputs import Engines, PipelineConfig, Request, floor_of, run_inputs
from dlcodegen_local.run_stages import FROM_THE_RECORD, StageRunner
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.selection import Selection
from dlcodegen_local.stage_values import choice_value, hits_value, plan_value, read_plan_value

__all__ = ["Engines", "PipelineConfig", "Request", "generate", "low_confidence", "run_inputs"]

IS_A_TASK = 0.5
SURE_OF_THE_TASK = 0.6
# So many samples are looked at for one whose code can follow the plan.
_CONSIDERED = 6
# What is tried beside the given temperature where time does not matter; 1.5 is the paper's.
_FURTHER_TEMPERATURES = (0.7, 1.5)
# What takes the place of the two drafts where both are left out, as in the paper's ablation.
_REPLACED = ("cedar", "ccot")


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
    candidates = run.draft()
    selection = Selection(plan, engines, config, run.settings, stages)
    chosen, verification = selection.choose(candidates, run.spare)
    named = ", ".join((*chosen.provenance.values(), *chosen.bases.values()))
    traced = {source.split(":", 1)[-1].removesuffix("+plan") for source in named.split(", ")}
    samples = [hit.sample for hit in run.hits if hit.sample.id in traced]
    outcome = Outcome(
        plan=plan,
        method=config.method,
        chosen=chosen,
        verification=verification,
        licences={sample.id: sample.licence for sample in samples},
        pools={sample.id: sample.pool for sample in samples},
        seconds=time.monotonic() - began,
        tokens=stages.tokens,
    )
    record.add_stage("choice", choice_value(outcome), {})
    return outcome


def _make_plan(request: Request, engines: Engines, planner: PlannerConfig, stages: StageRunner) -> Plan:
    assert engines.planner is not None
    stages.reporter.stage("plan")
    stored = stages.record.take("plan", read_plan_value)
    result = stored or engines.planner.plan(
        request.requirement,
        request.dataset,
        num_beams=planner.num_beams,
        layer_style="calls",
    )
    for note in (*result.notes, *low_confidence(result.confidence)):
        stages.reporter.note(note)
    if stored is None:
        stages.record.add_stage("plan", *plan_value(result))
    origin = f" ({FROM_THE_RECORD})" if stored else ""
    stages.reporter.done(f"{result.plan.category}, {len(result.plan.layers)} layers{origin}")
    return result.plan


class _Drafting:
    """Carry request, plan and engines through retrieval and the stages that write.

    `hits` are the samples that were looked at, `spare` versions of them that the model did not touch.
    """

    def __init__(
        self, request: Request, plan: Plan, engines: Engines, config: PipelineConfig, stages: StageRunner
    ) -> None:
        self._request = request
        self._plan = plan
        self._engines = engines
        self._config = config
        self._stages = stages
        self.hits: list[Hit] = []
        self.spare: list[Candidate] = []
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

    def draft(self) -> list[Candidate]:
        """Return the model's versions, best first: the merge, then the drafts it was made of."""
        methods = self._methods()
        samples = self._retrieved() if "dlcodegen" in methods else []
        found: list[Candidate] = []
        for round_, temperature in enumerate(self._temperatures()):
            settings = dataclasses.replace(self.settings, temperature=temperature)
            mark = f" {round_ + 1}" if round_ else ""
            if samples:
                drafts = self._rag_drafts(samples, settings, mark)
            else:
                drafts = self._baselines(methods, settings, mark)
            found += self._compared(drafts, settings, mark)
        return found

    def _methods(self) -> tuple[str, ...]:
        """Return whose drafts are compared: those of the whole method, or of baselines."""
        if self._config.method in BASELINES:
            return (self._config.method,)
        return _REPLACED if {"code-rag", "template-rag"} <= self._config.without else ("dlcodegen",)

    @property
    def _is_by_sections(self) -> bool:
        """Tell whether drafts are written section by section, from samples brought to the plan."""
        return self.settings.by_sections(self._engines.llm, self.settings.drafting)

    def _retrieved(self) -> list[Sample]:
        """Return the samples to draft after; for drafts by sections, those whose code can follow first."""
        self._stages.reporter.stage("retrieve")
        k = self._config.retrieval.k
        count = max(k, _CONSIDERED) if self._is_by_sections else k
        found = self._engines.index.search(self._plan, count, framework=self._config.framework, why=True)
        self.hits = with_unique_ids(found)
        if self._is_by_sections:
            self._sort_by_ability()
        return self._keep(self.hits[:k])

    def _sort_by_ability(self) -> None:
        """Put first the hits of the plan's category whose code can follow the plan.

        A draft on the data of one that cannot is not taken later, whatever its smoke run would say.
        """
        floor = self.settings.floor
        assert floor is not None
        own = [hit for hit in self.hits if not hit.topped_up]
        followers = [follow(hit.sample, self._request.requirement, self._plan, floor) for hit in own]
        order = by_ability(followers)
        neighbours = [hit for hit in self.hits if hit.topped_up]
        self._unable = frozenset(
            f"sample:{hit.sample.id}"
            for hit, follower in zip(own, followers, strict=True)
            if follower and not follower.is_able
        )
        if any(follower and follower.is_able for follower in followers):
            # What cannot follow the plan is no model for code that should, and neighbours least of all.
            neighbours = []
            order = [place for place in order if not (follower := followers[place]) or follower.is_able]
        self.hits = [own[place] for place in order] + neighbours
        self.spare = [
            Candidate("code-rag", follower.source, follower.provenance, follower.bases)
            for place in order
            if not self._config.without
            and (follower := followers[place])
            and follower.is_able
            and not is_compiled(follower.source, follower.provenance)
        ]

    def _keep(self, kept: list[Hit]) -> list[Sample]:
        """Record and show the samples that drafts are written after."""
        self._stages.record.add_stage("retrieve", hits_value(kept), {})
        self._stages.reporter.done(", ".join(f"{hit.sample.id} ({hit.score:.1f})" for hit in kept))
        for hit in kept:
            if hit.topped_up:
                origin = f"{hit.sample.plan.category}, {hit.sample.framework}"
                self._stages.reporter.note(f"{hit.sample.id} is {hit.topped_up}: {origin}")
        return [hit.sample for hit in kept]

    def _temperatures(self) -> tuple[float, ...]:
        given = self._config.generation.temperature
        further = _FURTHER_TEMPERATURES if self._config.generation.effort == "best" else ()
        return (given, *(temperature for temperature in further if temperature != given))

    def _compared(
        self, drafts: dict[str, StageResult], settings: GenerationSettings, mark: str
    ) -> list[Candidate]:
        """Return the merge of two drafts, then the drafts; `mark` tells records apart."""
        if len(drafts) == 2 and "comparison" not in self._config.without:
            first, second = drafts.values()
            request, plan, llm = self._request, self._plan, self._engines.llm
            merged = self._stages.run(
                f"merge{mark}",
                lambda: comparative_merge(request.requirement, plan, first, second, llm, settings),
            )
            drafts = {"merge": merged, **drafts} if merged else drafts
        return [
            Candidate(origin, draft.source, draft.provenance, draft.bases)
            for origin, draft in drafts.items()
            if draft.source
            and not is_compiled(draft.source, draft.provenance)
            and draft.provenance.get("data", "").removesuffix("+plan") not in self._unable
        ]

    def _rag_drafts(
        self, samples: list[Sample], settings: GenerationSettings, mark: str
    ) -> dict[str, StageResult]:
        requirement, plan, llm = self._request.requirement, self._plan, self._engines.llm
        without, run = self._config.without, self._stages.run
        drafts: dict[str, StageResult | None] = {}
        if "code-rag" not in without:
            drafts["code-rag"] = run(
                f"code-rag{mark}", lambda: code_rag_draft(requirement, plan, samples, llm, settings)
            )
        if "template-rag" not in without:
            abstracted = run(f"template{mark}", lambda: template(requirement, plan, samples, llm, settings))
            if abstracted is not None:
                drafts["template-rag"] = run(
                    f"template-rag{mark}",
                    lambda: template_rag_draft(requirement, plan, abstracted, samples, llm, settings),
                )
        return {origin: draft for origin, draft in drafts.items() if draft is not None}

    def _baselines(
        self, methods: Sequence[str], settings: GenerationSettings, mark: str
    ) -> dict[str, StageResult]:
        baselines = Baselines(
            self._request.requirement, self._plan, self._engines, self._config, self._stages
        )
        drafts = {method: baselines.draft(method, settings, mark) for method in methods}
        self.hits = baselines.hits
        return {method: draft for method, draft in drafts.items() if draft is not None}
