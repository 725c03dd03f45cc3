"""Requirement to project, in the paper's stages: a function of (request, config, engines).

Paper: III-B to III-D. Differs: what is merged is also verified, repaired a bounded number of times,
and where no draft of the model survives, the plan compiler writes the project and it is labelled so.
Guarantees that an outcome always has a source that was checked; never raises because a model
writes badly.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.config import GenerationConfig, PlannerConfig, RetrievalConfig, VerificationConfig
from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.following import by_ability, follow
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.repair import repair
from dlcodegen_local.generation.results import Floor, GenerationSettings, StageResult
from dlcodegen_local.generation.stages import (
    code_rag_draft,
    comparative_merge,
    template,
    template_rag_draft,
)
from dlcodegen_local.outcome import Candidate, Outcome, Reporter, is_compiled, merit, named_samples
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import Planner
from dlcodegen_local.retrieval.index import Hit, SampleIndex
from dlcodegen_local.retrieval.samples import Sample
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.sections import Sections
from dlcodegen_local.transcript import Transcript
from dlcodegen_local.verification.report import Finding, Verification
from dlcodegen_local.verification.verifier import Verifier

IS_A_TASK = 0.5
SURE_OF_THE_TASK = 0.6
# So many samples are looked at for one whose code can follow the plan.
_CONSIDERED = 6
# What is tried beside the given temperature where time does not matter; 1.5 is the paper's.
_FURTHER_TEMPERATURES = (0.7, 1.5)
_SPARE_SAMPLES = {"fast": 0, "normal": 1, "best": 3}


@dataclass(frozen=True)
class Request:
    """Hold what a user asks; a given plan replaces the planner."""

    requirement: str
    dataset: str = ""
    plan: Plan | None = None


@dataclass(frozen=True)
class PipelineConfig:
    """Set every stage; `without` leaves out `comparison`, `code-rag` or `template-rag` (Table V)."""

    planner: PlannerConfig
    retrieval: RetrievalConfig
    generation: GenerationConfig
    verification: VerificationConfig
    without: frozenset[str] = frozenset()
    framework: str = "keras"


@dataclass(frozen=True)
class Engines:
    """Hold the loaded engines; `planner` is None where the plan is given."""

    planner: Planner | None
    index: SampleIndex
    llm: CodeLLM
    verifier: Verifier


def low_confidence(confidence: Mapping[str, float]) -> tuple[str, ...]:
    """Return a warning where the planner is unsure of the task itself."""
    task = confidence.get("task", 1.0)
    if task < IS_A_TASK:
        return (f"this does not read like a task for deep learning ({task:.2f} of 1): check the plan",)
    sure = confidence.get("category", 1.0)
    if sure >= SURE_OF_THE_TASK:
        return ()
    return (f"the planner is unsure what kind of task this is ({sure:.2f} of 1): check the plan",)


def run_inputs(request: Request, engines: Engines, config: PipelineConfig) -> dict[str, Any]:
    """Return what a run depends on, as JSON: the same inputs give the same bytes."""
    generation = config.generation
    return {
        "requirement": request.requirement,
        "dataset": request.dataset,
        "plan": request.plan.to_dict() if request.plan else None,
        "planner": sha256_of(config.planner.folder / "manifest.json") if engines.planner else None,
        "num_beams": config.planner.num_beams,
        "index": engines.index.sha256,
        "k": config.retrieval.k,
        "model": {"name": engines.llm.info.name, "sha256": engines.llm.info.sha256},
        "n_ctx": engines.llm.info.n_ctx,
        "threads": generation.threads,
        "version": __version__,
        "merge": generation.merge,
        "temperature": generation.temperature,
        "seed": generation.seed,
        "max_repairs": generation.max_repairs,
        "effort": generation.effort,
        "run": config.verification.run,
        "min_compliance": config.verification.min_compliance,
        "without": sorted(config.without),
        "framework": config.framework,
    }


def generate(
    request: Request, engines: Engines, config: PipelineConfig, record: RunRecord, reporter: Reporter
) -> Outcome:
    """Make a program for a request.

    Raises:
        PlanningError: no plan could be made.
        SandboxError: the sandbox does not start.
    """
    run = _Run(request, engines, config, record, reporter)
    began = time.monotonic()
    plan = run.make_plan()
    hits = run.retrieve(plan)
    candidates = run.draft(plan, hits)
    chosen, verification = run.choose(plan, candidates)
    named = ", ".join((*chosen.provenance.values(), *chosen.bases.values()))
    traced = {source.split(":", 1)[-1].removesuffix("+plan") for source in named.split(", ")}
    return Outcome(
        plan=plan,
        method="dlcodegen",
        chosen=chosen,
        verification=verification,
        licences={name: sample.licence for name, sample in named_samples(hits).items() if name in traced},
        pools={name: sample.pool for name, sample in named_samples(hits).items() if name in traced},
        seconds=time.monotonic() - began,
        tokens=run.tokens,
    )


class _Run:
    """Carry the engines, the record and the token count through the stages of one run."""

    def __init__(
        self,
        request: Request,
        engines: Engines,
        config: PipelineConfig,
        record: RunRecord,
        reporter: Reporter,
    ) -> None:
        self.request = request
        self.engines = engines
        self.config = config
        self.record = record
        self.reporter = reporter
        self.tokens = 0
        self._transcript = Transcript(reporter)
        self._spare: list[Candidate] = []

    def make_plan(self) -> Plan:
        if self.request.plan is not None:
            return self.request.plan
        assert self.engines.planner is not None
        self.reporter.stage("plan")
        result = self.engines.planner.plan(
            self.request.requirement,
            self.request.dataset,
            num_beams=self.config.planner.num_beams,
            layer_style="calls",
        )
        for note in (*result.notes, *low_confidence(result.confidence)):
            self.reporter.note(note)
        value = {"plan": result.plan.to_dict(), "log_prob": result.log_prob, "notes": list(result.notes)}
        self.record.add_stage("plan", value, {"seconds": result.seconds, "steps": result.steps})
        self.reporter.done(f"{result.plan.category}, {len(result.plan.layers)} layers")
        return result.plan

    def retrieve(self, plan: Plan) -> list[Hit]:
        """Return the best k samples; for a small model, of a few more those whose code can follow."""
        self.reporter.stage("retrieve")
        k, settings = self.config.retrieval.k, self._settings(plan)
        is_small = settings.by_sections(self.engines.llm, settings.drafting)
        count = max(k, _CONSIDERED) if is_small else k
        hits = self.engines.index.search(plan, count, framework=self.config.framework)
        if is_small:
            hits = self._able_first(plan, hits)[:k]
        value = [
            {
                "id": hit.sample.id,
                "pool": hit.sample.pool,
                "sha256": hit.sample.sha256,
                "licence": hit.sample.licence,
                "score": hit.score,
                "topped_up": hit.topped_up,
            }
            for hit in hits
        ]
        self.record.add_stage("retrieve", {"hits": value}, {})
        self.reporter.done(", ".join(f"{hit.sample.id} ({hit.score:.1f})" for hit in hits))
        for hit in hits:
            if hit.topped_up:
                origin = f"{hit.sample.plan.category}, {hit.sample.framework}"
                self.reporter.note(f"{hit.sample.id} is {hit.topped_up}: {origin}")
        return hits

    def _able_first(self, plan: Plan, hits: list[Hit]) -> list[Hit]:
        """Return hits of the plan's category in the order of how well their code can follow the plan."""
        floor = self._settings(plan).floor
        assert floor is not None
        own = [hit for hit in hits if not hit.topped_up]
        names = list(named_samples(hits))
        samples = [dataclasses.replace(hit.sample, id=name) for hit, name in zip(hits, names, strict=True)]
        followers = [follow(sample, self.request.requirement, plan, floor) for sample in samples[: len(own)]]
        order = by_ability(followers)
        self._spare = [
            Candidate("code-rag", follower.source, follower.provenance, follower.bases)
            for place in order
            if (follower := followers[place]) and follower.is_able and not is_compiled(follower.provenance)
        ]
        return [own[place] for place in order] + hits[len(own) :]

    def draft(self, plan: Plan, hits: list[Hit]) -> list[Candidate]:
        """Return the model's versions, best first: the merge, then the drafts it was made of."""
        samples = [dataclasses.replace(sample, id=name) for name, sample in named_samples(hits).items()]
        found: list[Candidate] = []
        for round_, temperature in enumerate(self._temperatures()):
            settings = dataclasses.replace(self._settings(plan), temperature=temperature)
            found += self._drafted(plan, samples, settings, f" {round_ + 1}" if round_ else "")
        return found

    def _temperatures(self) -> tuple[float, ...]:
        given = self.config.generation.temperature
        further = _FURTHER_TEMPERATURES if self.config.generation.effort == "best" else ()
        return (given, *(temperature for temperature in further if temperature != given))

    def _drafted(
        self, plan: Plan, samples: list[Sample], settings: GenerationSettings, mark: str
    ) -> list[Candidate]:
        """Return what the stages make at one temperature; `mark` tells their records apart."""
        requirement, llm = self.request.requirement, self.engines.llm
        drafts: dict[str, StageResult] = {}
        if "code-rag" not in self.config.without:
            self._write(
                drafts, "code-rag", mark, lambda: code_rag_draft(requirement, plan, samples, llm, settings)
            )
        if "template-rag" not in self.config.without:
            abstracted = self._stage(
                f"template{mark}", lambda: template(requirement, plan, samples, llm, settings)
            )
            if abstracted is not None:
                self._write(
                    drafts,
                    "template-rag",
                    mark,
                    lambda: template_rag_draft(requirement, plan, abstracted, samples, llm, settings),
                )
        if len(drafts) == 2 and "comparison" not in self.config.without:
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
            if (draft := drafts.get(origin)) and draft.source and not is_compiled(draft.provenance)
        ]

    def choose(self, plan: Plan, candidates: list[Candidate]) -> tuple[Candidate, Verification]:
        """Return the first version that passes, with all the time the best that does; the compiler is last.

        Repaired ones come before the drafts, and these before samples that the model did not touch.
        """
        tried: set[str] = set()
        effort = self.config.generation.effort
        survivors: list[tuple[Candidate, Verification]] = []
        spare = [] if self.config.without else self._spare[: _SPARE_SAMPLES[effort]]
        for rank, candidate in enumerate((*candidates, *spare)):
            if candidate.source in tried:
                continue
            tried.add(candidate.source)
            verification = self._verify(plan, candidate)
            if rank == 0:
                candidate, verification = self._repaired(plan, candidate, verification)
            if self._survives(verification):
                survivors.append((candidate, verification))
            if survivors and effort != "best":
                break
        if survivors:
            return max(survivors, key=lambda survivor: merit(survivor[1]))
        self.reporter.stage("compile")
        source = compile_plan(plan, self.config.framework)
        provenance = dict.fromkeys(Sections.parse(source).bodies, "compiler")
        self.reporter.done("no draft of the model passed its checks; the plan compiler wrote the project")
        compiled = Candidate("compiler", source, provenance)
        return compiled, self._verify(plan, compiled)

    def _repaired(
        self, plan: Plan, candidate: Candidate, verification: Verification
    ) -> tuple[Candidate, Verification]:
        """Let the model mend what was found, a bounded number of times; never return a worse version."""
        best, found = candidate, verification
        for attempt in range(self.config.generation.max_repairs):
            defects = self.engines.verifier.defects(best.source, found)
            if not defects:
                break
            work = (best.source, defects[attempt % len(defects)], attempt)
            mended = self._stage(f"repair {attempt + 1}", partial(self._repair, plan, *work))
            if mended is None or not mended.source or mended.source == best.source:
                continue
            version = Candidate("repair", mended.source, {**best.provenance, **mended.provenance}, best.bases)
            after = self._verify(plan, version)
            if merit(after) > merit(found):
                best, found = version, after
        return best, found

    def _repair(self, plan: Plan, source: str, defect: Finding, attempt: int) -> StageResult:
        return repair(source, plan, defect, self.engines.llm, self._settings(plan), attempt)

    def _survives(self, verification: Verification) -> bool:
        return verification.ok and self.engines.verifier.follows_plan(verification.compliance)

    def _verify(self, plan: Plan, candidate: Candidate) -> Verification:
        self.reporter.stage(f"verify {candidate.origin}")
        verifier = self.engines.verifier
        verification = verifier.inspect(candidate.source, plan)
        if candidate.origin == "compiler" or verifier.follows_plan(verification.compliance):
            verification = verifier.prove(candidate.source, plan, verification)
        value = verification.to_dict()
        seconds = value["smoke"].pop("seconds")
        self.record.add_stage(f"verify {candidate.origin}", value, {"smoke_seconds": seconds})
        errors = sum(finding.severity == "error" for finding in verification.findings)
        score = verification.compliance.score
        smoke = {True: "passed", False: "failed", None: "not run"}[verification.smoke.ok]
        detail = f": {verification.smoke.message}" if verification.smoke.ok is False else ""
        followed = "no plan" if score is None else f"compliance {score:.2f}"
        self.reporter.done(f"{errors or 'no'} static errors, {followed}, smoke run {smoke}{detail}")
        return verification

    def _write(
        self, drafts: dict[str, StageResult], origin: str, mark: str, write: Callable[[], StageResult]
    ) -> None:
        result = self._stage(f"{origin}{mark}", write)
        if result is not None:
            drafts[origin] = result

    def _stage(self, name: str, write: Callable[[], StageResult]) -> StageResult | None:
        """Run one stage of the model and record it; a model that writes no code costs only the stage."""
        self.reporter.stage(name)
        try:
            with self._transcript.kept(name, self.record):
                result = write()
        except GenerationError as exc:
            self.record.add_stage(name, {"error": exc.message}, {})
            self.reporter.done(f"failed: {exc.message}")
            return None
        self.tokens += result.prompt_tokens - result.cached_tokens + result.completion_tokens
        value = {
            "source": result.source,
            "provenance": dict(result.provenance),
            "notes": list(result.notes),
            "prompts": [[prompt.system, prompt.user, prompt.assistant_prefix] for prompt in result.prompts],
            "outputs": list(result.outputs),
            "tokens": [result.prompt_tokens, result.completion_tokens],
        }
        timings = {
            "tokens_read": result.prompt_tokens - result.cached_tokens,
            "reading_s": result.prompt_seconds,
            "tokens_written": result.completion_tokens,
            "writing_s": result.completion_seconds,
        }
        self.record.add_stage(name, value, timings)
        cuts = [note for budget in result.budgets for note in budget.notes()]
        for note in result.notes:
            (self.reporter.note if note in cuts else self.reporter.detail)(note)
        self.reporter.done(result.account())
        return result

    def _settings(self, plan: Plan) -> GenerationSettings:
        generation = self.config.generation
        return GenerationSettings(
            temperature=generation.temperature,
            seed=generation.seed,
            merge=generation.merge,
            max_retry_tokens=0 if generation.effort == "fast" else GenerationSettings.max_retry_tokens,
            on_progress=self._transcript,
            floor=Floor(compile_plan(plan, self.config.framework), plan),
        )
