"""Make the programs of a table's systems with one set of engines.

Guarantees that every system gets the same plan for a task: it is made once, and kept beside the results.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import GenerationError, PlanningError
from dlcodegen_local.evaluation.peak_memory import peak_bytes, reset_peak
from dlcodegen_local.evaluation.systems import System
from dlcodegen_local.evaluation.table_run import Task
from dlcodegen_local.outcome import Candidate, Outcome, Reporter
from dlcodegen_local.pipeline import Engines, PipelineConfig, Request, generate, run_inputs
from dlcodegen_local.plan.reading import read_plan
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.runs import RunRecord


class ProgramMaker:
    """Make one program after the other; `state` is where run records go."""

    def __init__(
        self,
        engines: Engines,
        config: PipelineConfig,
        plans: Path,
        state: Path,
        reporter: Reporter,
    ) -> None:
        self._engines = engines
        self._config = config
        self._plans = plans
        self._state = state
        self._reporter = reporter

    def __call__(self, system: System, task: Task) -> Mapping[str, Any]:
        """Return the row of a program, without its id.

        Raises:
            DlcodegenError: no plan or no program could be made.
        """
        plan = self._plan(task)
        make: Callable[[System, Task, Plan], Outcome] = self._floor if system.floor else self._generated
        reset_peak()
        row = make(system, task, plan).to_row()
        return {**row, "peak_memory_bytes": peak_bytes()}

    def _generated(self, system: System, task: Task, plan: Plan) -> Outcome:
        config = system.configured(self._config)
        request = Request(task.requirement, task.dataset, plan)
        record = RunRecord(self._state, run_inputs(request, self._engines, config))
        try:
            outcome = generate(request, self._engines, config, record, self._reporter)
        except BaseException:
            record.finish("failed")
            raise
        record.finish("done" if outcome.verification.ok else "findings")
        return outcome

    def _floor(self, system: System, task: Task, plan: Plan) -> Outcome:
        """Return what needs no code model: the top sample as it is, or the compiler's program."""
        source, licences = "", {}
        if system.floor == "compiler":
            source = compile_plan(plan, self._config.framework)
        else:
            for hit in self._engines.index.search(plan, 1, framework=self._config.framework):
                source, licences = hit.sample.source, {hit.sample.id: hit.sample.licence}
        if not source:
            raise GenerationError("no sample was found", hint="add some with: dlcodegen pool add")
        verifier = self._engines.verifier
        verification = verifier.prove(source, plan, verifier.inspect(source, plan))
        return Outcome(
            plan=plan,
            method=system.name,
            chosen=Candidate(system.floor, source),
            verification=verification,
            licences=licences,
            pools={},
            seconds=0.0,
            tokens=0,
        )

    def _plan(self, task: Task) -> Plan:
        kept = json.loads(self._plans.read_text(encoding="utf-8")) if self._plans.exists() else {}
        if task.id not in kept:
            if self._engines.planner is None:
                raise PlanningError("there is no planner", hint="name one with --planner")
            made = self._engines.planner.plan(
                task.requirement,
                task.dataset,
                num_beams=self._config.planner.num_beams,
                layer_style="calls",
            )
            kept[task.id] = made.plan.to_dict()
            write_file(self._plans, json.dumps(kept, ensure_ascii=False) + "\n")
        return read_plan(kept[task.id])
