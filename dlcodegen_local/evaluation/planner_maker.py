"""Make the plans of a table's systems with one set of engines."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.evaluation.peak_memory import peak_bytes, reset_peak
from dlcodegen_local.evaluation.planner_systems import PlannerSystem
from dlcodegen_local.evaluation.shots import Shots
from dlcodegen_local.evaluation.table_run import Task
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.planning import few_shot_plan
from dlcodegen_local.generation.results import GenerationSettings
from dlcodegen_local.planner.planner import Planner


@dataclass(frozen=True)
class PlanMaker:
    """Make one plan after the other; what no system of a table needs may be None."""

    planner: Planner | None
    llm: CodeLLM | None
    shots: Shots | None
    settings: GenerationSettings

    def __call__(self, system: PlannerSystem, task: Task) -> Mapping[str, Any]:
        """Return the row of a plan, without its id.

        Raises:
            DlcodegenError: no plan could be made.
        """
        make = {"planner": self._planned, "few-shot": self._written, "nearest": self._nearest}
        reset_peak()
        began = time.monotonic()
        row = make[system.kind](system, task)
        return {"seconds": round(time.monotonic() - began, 3), **row, "peak_memory_bytes": peak_bytes()}

    def _planned(self, system: PlannerSystem, task: Task) -> dict[str, Any]:
        assert self.planner is not None
        made = self.planner.plan(task.requirement, task.dataset, num_beams=system.count)
        return {"plan": made.plan.to_dict(), "log_prob": made.log_prob, "steps": made.steps}

    def _written(self, system: PlannerSystem, task: Task) -> dict[str, Any]:
        assert self.shots is not None and self.llm is not None
        examples = [shot.to_text() for shot in self.shots.nearest(task, system.count)]
        made = few_shot_plan(task.requirement, task.dataset, examples, self.llm, self.settings)
        return {"text": made.source, "tokens": made.prompt_tokens + made.completion_tokens}

    def _nearest(self, system: PlannerSystem, task: Task) -> dict[str, Any]:
        assert self.shots is not None
        return {"plan": next(iter(self.shots.nearest(task, system.count))).plan}
