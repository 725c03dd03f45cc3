"""Requirement to project, in the paper's stages: a function of (request, config, engines).

Paper: III-B to III-D. Differs: what is merged is also verified, repaired a bounded number of times,
and where no draft of the model survives, the plan compiler writes the project and it is labelled so.
Guarantees that an outcome always has a source that was checked; never raises because a model
writes badly.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from dlcodegen_local import __version__
from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.config import GenerationConfig, PlannerConfig, RetrievalConfig, VerificationConfig
from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.llm import CodeLLM, Progress
from dlcodegen_local.generation.repair import repair
from dlcodegen_local.generation.results import Floor, GenerationSettings, StageResult
from dlcodegen_local.generation.stages import (
    code_rag_draft,
    comparative_merge,
    template,
    template_rag_draft,
)
from dlcodegen_local.outcome import Candidate, Outcome, merit
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import Planner
from dlcodegen_local.retrieval.index import Hit, SampleIndex
from dlcodegen_local.retrieval.samples import Sample
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.sections import Sections
from dlcodegen_local.verification.report import Finding, Verification
from dlcodegen_local.verification.verifier import Verifier

IS_A_TASK = 0.5
SURE_OF_THE_TASK = 0.6


class Reporter(Protocol):
    """Show a person what runs and how far it is."""

    def stage(self, name: str) -> None:
        """Begin a stage."""

    def progress(self, kind: str, done: int, total: int, rate: float, seconds_left: float) -> None:
        """Show `done` of `total` tokens at `rate` a second."""

    def done(self, text: str) -> None:
        """End the stage with what came of it."""

    def note(self, text: str) -> None:
        """Show a message that a person should not miss."""

    def detail(self, text: str) -> None:
        """Show a message for those who want to know everything."""


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


def named_samples(hits: Sequence[Hit]) -> dict[str, Sample]:
    """Return the samples under the names that prompts and projects know them by.

    That is the id; where two pools have a sample of one id, the later one's name ends in `-2`.
    """
    named: dict[str, Sample] = {}
    for hit in hits:
        name, number = hit.sample.id, 1
        while name in named:
            number += 1
            name = f"{hit.sample.id}-{number}"
        named[name] = hit.sample
    return named


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
        self.reporter.stage("retrieve")
        hits = self.engines.index.search(plan, self.config.retrieval.k, framework=self.config.framework)
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

    def draft(self, plan: Plan, hits: list[Hit]) -> list[Candidate]:
        """Return the model's versions, best first: the merge, then the drafts it was made of."""
        requirement, llm, settings = self.request.requirement, self.engines.llm, self._settings(plan)
        samples = [dataclasses.replace(sample, id=name) for name, sample in named_samples(hits).items()]
        drafts: dict[str, StageResult] = {}
        if "code-rag" not in self.config.without:
            self._write(drafts, "code-rag", lambda: code_rag_draft(requirement, plan, samples, llm, settings))
        if "template-rag" not in self.config.without:
            abstracted = self._stage("template", lambda: template(requirement, plan, samples, llm, settings))
            if abstracted is not None:
                self._write(
                    drafts,
                    "template-rag",
                    lambda: template_rag_draft(requirement, plan, abstracted, samples, llm, settings),
                )
        if len(drafts) == 2 and "comparison" not in self.config.without:
            first, second = drafts["code-rag"], drafts["template-rag"]
            self._write(
                drafts,
                "merge",
                lambda: comparative_merge(requirement, plan, first, second, llm, settings),
            )
        return [
            Candidate(origin, draft.source, draft.provenance, draft.bases)
            for origin in ("merge", "code-rag", "template-rag")
            if (draft := drafts.get(origin)) is not None and draft.source and not _is_compiled(draft)
        ]

    def choose(self, plan: Plan, candidates: list[Candidate]) -> tuple[Candidate, Verification]:
        """Return the first version that passes; repaired ones come before the drafts, the compiler last."""
        tried: set[str] = set()
        for rank, candidate in enumerate(candidates):
            if candidate.source in tried:
                continue
            tried.add(candidate.source)
            verification = self._verify(plan, candidate)
            if rank == 0:
                candidate, verification = self._repaired(plan, candidate, verification)
            if self._survives(verification):
                return candidate, verification
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

    def _write(self, drafts: dict[str, StageResult], origin: str, write: Callable[[], StageResult]) -> None:
        result = self._stage(origin, write)
        if result is not None:
            drafts[origin] = result

    def _stage(self, name: str, write: Callable[[], StageResult]) -> StageResult | None:
        """Run one stage of the model and record it; a model that writes no code costs only the stage."""
        self.reporter.stage(name)
        try:
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
        self.reporter.done(_account(result))
        return result

    def _settings(self, plan: Plan) -> GenerationSettings:
        generation = self.config.generation
        return GenerationSettings(
            temperature=generation.temperature,
            seed=generation.seed,
            merge=generation.merge,
            on_progress=self._show,
            floor=Floor(compile_plan(plan, self.config.framework), plan),
        )

    def _show(self, stage: str, progress: Progress) -> None:
        self.reporter.progress(
            progress.kind, progress.tokens, progress.total, progress.tokens_per_second, progress.seconds_left
        )


def _is_compiled(draft: StageResult) -> bool:
    """Tell whether nothing in a draft is of the model or of a sample."""
    sources = {source.removesuffix("+plan") for source in draft.provenance.values()}
    return bool(sources) and sources <= {Floor.id, "computed"}


def _account(result: StageResult) -> str:
    """Say what a stage read and wrote, and which share of its sections is the model's own."""
    own = sum(source == "model" for source in result.provenance.values())
    parts = [f"{result.prompt_tokens} tokens read", f"{result.completion_tokens} written"]
    if result.completion_seconds > 0 and result.completion_tokens:
        parts.append(f"{result.completion_tokens / result.completion_seconds:.0f} tokens/s")
    if result.provenance:
        parts.append(f"{own} of {len(result.provenance)} sections by the model")
    return ", ".join(parts)
