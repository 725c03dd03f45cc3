"""One maker, every system: the same plan for all of them, floors without a model."""

from dataclasses import replace
from pathlib import Path

import pytest

from dlcodegen_local.config import GenerationConfig, PlannerConfig, RetrievalConfig, VerificationConfig
from dlcodegen_local.errors import PlanningError
from dlcodegen_local.evaluation.systems import TABLES
from dlcodegen_local.evaluation.table_maker import ProgramMaker
from dlcodegen_local.evaluation.table_run import Task
from dlcodegen_local.pipeline import Engines, PipelineConfig
from dlcodegen_local.planner.planner import PlannedResult
from dlcodegen_local.retrieval.index import SampleIndex
from dlcodegen_local.verification.verifier import Verifier
from tests.generation.scripts import PLAN, TABLE
from tests.retrieval.memory_pool import MemoryPool
from tests.test_pipeline import SilentReporter, fenced, make_sample, whole

SYSTEMS = {system.name: system for system in TABLES["table2"]}
TASK = Task("a", "Classify rows of a table")


class CountingPlanner:
    """Plans alike, and counts."""

    def __init__(self):
        self.calls = 0

    def plan(self, requirement, dataset="", *, num_beams=3, layer_style=None):
        self.calls += 1
        return PlannedResult(PLAN, 0.0, 0.0, 1, {})


def maker(tmp_path, llm, planner):
    config = PipelineConfig(
        planner=PlannerConfig(tmp_path),
        retrieval=RetrievalConfig((), tmp_path),
        generation=GenerationConfig(model=Path("scripted.gguf")),
        verification=VerificationConfig(run=False),
    )
    verifier = Verifier(config.verification, None, tmp_path / "cache")
    index = SampleIndex([MemoryPool([make_sample("first", TABLE)])], tmp_path / "cache")
    engines = Engines(None, index, llm, verifier)
    (tmp_path / "manifest.json").write_text("{}")
    engines = replace(engines, planner=planner)
    return ProgramMaker(engines, config, tmp_path / "plans.json", tmp_path / "state", SilentReporter())


def test_every_system_gets_the_one_plan_and_floors_ask_no_model(tmp_path):
    planner, llm = CountingPlanner(), whole([fenced(TABLE)])
    make = maker(tmp_path, llm, planner)
    rows = {name: make(SYSTEMS[name], TASK) for name in ("top-sample", "compiler")}
    assert llm.prompts == []
    rows["direct"] = make(SYSTEMS["direct"], TASK)
    assert planner.calls == 1 and len(llm.prompts) >= 1
    assert {name: row["origin"] for name, row in rows.items()} == {
        "top-sample": "copy",
        "compiler": "compiler",
        "direct": "direct",
    }
    assert rows["top-sample"]["code"] == TABLE
    assert all(row["plan"] == PLAN.to_dict() and row["peak_memory_bytes"] > 2**20 for row in rows.values())
    maker(tmp_path, llm, None)(SYSTEMS["compiler"], TASK)  # the plan is kept beside the results


def test_without_a_planner_an_unplanned_task_fails(tmp_path):
    with pytest.raises(PlanningError, match="no planner"):
        maker(tmp_path, whole([""]), None)(SYSTEMS["compiler"], TASK)


def test_a_repeat_has_a_seed_of_its_own(tmp_path):
    llm = whole([fenced(TABLE)])
    make = maker(tmp_path, llm, CountingPlanner())
    make(replace(SYSTEMS["direct"], repeat=3, temperature=0.5), TASK)
    assert {(sampling.seed, sampling.temperature) for sampling in llm.samplings[:1]} == {(3, 0.5)}
