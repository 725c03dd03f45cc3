"""Run the stages one by one: shown while they run, recorded when they end, their tokens counted.

A stage that an earlier attempt at the same run has finished is taken from its record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcodegen_local.errors import GenerationError, ModelEndedError
from dlcodegen_local.generation.llm import Progress
from dlcodegen_local.generation.results import StageResult
from dlcodegen_local.outcome import Reporter
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.stage_values import read_stage_value, stage_value
from dlcodegen_local.transcript import Transcript

FROM_THE_RECORD = "from the record"


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
        if (stored := self.record.take(name, _read_answer)) is not None:
            if isinstance(stored, str):
                self.reporter.done(f"failed: {stored} ({FROM_THE_RECORD})")
                return None
            self._count(stored)
            self.reporter.done(f"{stored.account()} ({FROM_THE_RECORD})")
            return stored
        try:
            with self._transcript.kept(name, self.record):
                result = write()
        except GenerationError as exc:
            is_final = not isinstance(exc, ModelEndedError)
            self.record.add_stage(name, {"error": exc.message}, {}, is_final=is_final)
            self.reporter.done(f"failed: {exc.message}")
            return None
        self._count(result)
        self.record.add_stage(name, *stage_value(result))
        cuts = [note for budget in result.budgets for note in budget.notes()]
        for note in result.notes:
            (self.reporter.note if note in cuts else self.reporter.detail)(note)
        self.reporter.done(result.account())
        return result

    def show(self, stage: str, progress: Progress) -> None:
        """Show how far a stage is with reading or writing, and what it writes."""
        self._transcript(stage, progress)

    def _count(self, result: StageResult) -> None:
        self.tokens += result.prompt_tokens - result.cached_tokens + result.completion_tokens


def _read_answer(value: Mapping[str, Any], timings: Mapping[str, Any]) -> StageResult | str:
    """Return what a stage made, or why it made nothing."""
    return str(value["error"]) if "error" in value else read_stage_value(value, timings)
