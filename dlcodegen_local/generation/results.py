"""What a stage is given to work with, and what it hands back.

Guarantees that every prompt, output, cut and second of a stage is in its result.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.budget import Budget
from dlcodegen_local.generation.extraction import is_pointless
from dlcodegen_local.generation.llm import CodeLLM, Completion, Progress, Prompt, Sampling
from dlcodegen_local.generation.prompts import SECTION_STOP
from dlcodegen_local.generation.syntax import is_broken_start
from dlcodegen_local.plan.schema import Plan


class ReferenceSample(Protocol):
    """What a stage reads of a retrieved sample."""

    @property
    def id(self) -> str:
        """Name the sample."""
        ...

    @property
    def source(self) -> str:
        """Return its code, one script."""
        ...

    @property
    def plan(self) -> Plan:
        """Return the plan that it carries out."""
        ...


@dataclass(frozen=True)
class Floor:
    """Hold a plain script of the plan in the section contract: what foreign code falls back on.

    `single_source` is the same for labels of 0 and 1 in place of two classes; "" where that is not known.
    """

    source: str
    plan: Plan
    id: str = "compiler"
    single_source: str = ""

    def with_single_labels(self) -> "Floor":
        """Return the floor whose model answers with one probability, and the plan with the loss for it."""
        return Floor(self.single_source, dataclasses.replace(self.plan, loss="binary_crossentropy"), self.id)


@dataclass(frozen=True)
class GenerationSettings:
    """Set how the stages write.

    `auto` drafts and merges section by section for a model under `small_model_params` weights, and
    whole scripts for others. A merge lets the model rewrite a section where it finds both versions
    less likely than `rewrite_below` (mean log-probability per token). A stage writes sections a second
    time until that took `max_retry_tokens`. `floor` is what sections fall back on where the samples do
    not keep the section contract, as a team's own scripts do not.
    """

    temperature: float = 0.0
    min_p: float = 0.05
    seed: int = 0
    drafting: Literal["auto", "whole", "segments"] = "auto"
    merge: Literal["auto", "free", "segments"] = "auto"
    small_model_params: int = 500_000_000
    max_answer_tokens: int = 4096
    max_retry_tokens: int = 1024
    rewrite_below: float = -4.0
    on_progress: Callable[[str, Progress], None] | None = None
    floor: Floor | None = None

    def by_sections(self, llm: CodeLLM, mode: str) -> bool:
        """Tell whether `mode` means section by section for this model."""
        n_params = llm.info.n_params
        is_small = n_params is not None and n_params < self.small_model_params
        return mode == "segments" or (mode == "auto" and is_small)


@dataclass(frozen=True)
class StageResult:
    """Hold what a stage made. `source` is one script, or None where the stage made none.

    `provenance` maps a section to what wrote it: `model`, `sample:<id>` (copied), `sample:<id>+plan` or
    `template:<id>+plan` (copied, the plan's values put in), `compiler` (the floor), `computed`. `bases`
    maps a section to the sample that it was written after or copied from, as `sample:<id>`.
    """

    name: str
    source: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    outputs: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    prompt_seconds: float = 0.0
    completion_seconds: float = 0.0
    scoring_seconds: float = 0.0

    def account(self) -> str:
        """Say what a stage read and wrote, and which share of its sections is the model's own."""
        own = sum(source == "model" for source in self.provenance.values())
        parts = []
        if self.prompt_tokens or not self.provenance:
            parts += [f"{self.prompt_tokens} tokens read", f"{self.completion_tokens} written"]
        if self.completion_seconds > 0 and self.completion_tokens:
            parts.append(f"{self.completion_tokens / self.completion_seconds:.0f} tokens/s")
        if self.scoring_seconds > 0:
            parts.append(f"sections compared in {self.scoring_seconds:.1f} s")
        if self.provenance:
            parts.append(f"{own} of {len(self.provenance)} sections by the model")
        return ", ".join(parts)


class StageLog:
    """Call the model for one stage and keep account of it."""

    def __init__(self, name: str, llm: CodeLLM, settings: GenerationSettings) -> None:
        self.name = name
        self.llm = llm
        self.settings = settings
        self.notes: list[str] = []
        self._prompts: list[Prompt] = []
        self._outputs: list[str] = []
        self._budgets: list[Budget] = []
        self._completions: list[Completion] = []
        self._scoring_seconds = 0.0
        self.retried_tokens = 0

    def note(self, text: str) -> None:
        """Add a note to the result."""
        self.notes.append(text)

    def complete(
        self, prompt: Prompt, budget: Budget, *, is_section: bool = False, attempt: int = 0
    ) -> Completion:
        """Ask the model. A second attempt has another seed, and a temperature of at least 0.7.

        A section ends at the next marker, and as soon as it can no longer parse; a whole script as soon as
        nothing will come of it.
        """
        settings = self.settings
        sampling = Sampling(
            max_tokens=budget.max_tokens,
            temperature=max(settings.temperature, 0.7) if attempt else settings.temperature,
            min_p=max(settings.min_p, 0.1) if attempt else settings.min_p,
            seed=settings.seed + attempt,
            stop=SECTION_STOP if is_section else (),
            is_hopeless=is_broken_start if is_section else is_pointless,
        )
        report = settings.on_progress
        on_progress = (lambda progress: report(self.name, progress)) if report else None
        completion = self.llm.complete(prompt, sampling=sampling, on_progress=on_progress)
        self.retried_tokens += completion.completion_tokens if attempt else 0
        self._prompts.append(prompt)
        self._outputs.append(completion.text)
        self._budgets.append(budget)
        self._completions.append(completion)
        self.notes += budget.notes()
        return completion

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> tuple[float, ...]:
        """Return the likelihood of each candidate; where they do not fit, all are equal, with a note."""
        start = time.monotonic()
        try:
            return self.llm.score(prompt, candidates)
        except GenerationError as exc:
            self.note(f"{self.name}: candidates not compared, {exc.message}")
            return (0.0,) * len(candidates)
        finally:
            self._scoring_seconds += time.monotonic() - start

    def result(
        self, source: str | None, provenance: Mapping[str, str], bases: Mapping[str, str] | None = None
    ) -> StageResult:
        """Close the account."""
        done = self._completions
        return StageResult(
            name=self.name,
            source=source,
            provenance=dict(provenance),
            bases=dict(bases or {}),
            notes=tuple(self.notes),
            prompts=tuple(self._prompts),
            outputs=tuple(self._outputs),
            budgets=tuple(self._budgets),
            prompt_tokens=sum(c.prompt_tokens for c in done),
            cached_tokens=sum(c.cached_tokens for c in done),
            completion_tokens=sum(c.completion_tokens for c in done),
            prompt_seconds=sum(c.prompt_seconds for c in done),
            completion_seconds=sum(c.completion_seconds for c in done),
            scoring_seconds=self._scoring_seconds,
        )
