"""Run the model's stages one by one: shown while they run, recorded when they end, their tokens counted."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.llm import Progress
from dlcodegen_local.generation.results import StageResult
from dlcodegen_local.outcome import Reporter
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.transcript import Transcript


@dataclass
class StageRunner:
    """Carry record and reporter of one run; `tokens` are those read and written so far."""

    record: RunRecord
    reporter: Reporter
    tokens: int = 0
    _transcript: Transcript = field(init=False)

    def __post_init__(self) -> None:
        self._transcript = Transcript(self.reporter)

    def run(self, name: str, write: Callable[[], StageResult]) -> StageResult | None:
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

    def show(self, stage: str, progress: Progress) -> None:
        """Show how far a stage is with reading or writing, and what it writes."""
        self._transcript(stage, progress)
