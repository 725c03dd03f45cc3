"""Planners from examples to a scored table, with a model and a planner that say what they are told."""

import json
from dataclasses import replace

import pytest

from dlcodegen_local.errors import ConfigError, GenerationError
from dlcodegen_local.evaluation.plan_tables import score_planners
from dlcodegen_local.evaluation.planner_maker import PlanMaker
from dlcodegen_local.evaluation.planner_systems import PLANNERS
from dlcodegen_local.evaluation.report import render_report
from dlcodegen_local.evaluation.shots import Shots
from dlcodegen_local.evaluation.table_run import TableRun, Task
from dlcodegen_local.evaluation.tasks import read_tasks
from dlcodegen_local.generation.results import GenerationSettings
from tests.evaluation.test_table_maker import CountingPlanner
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import PLAN

OTHER = replace(PLAN, optimizer="sgd", epochs=2).to_dict()
SYSTEMS = {system.name: system for system in PLANNERS}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def shots(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [
        {"id": "1", "requirement": "Tell cats from dogs", "plan": OTHER},
        {"id": "2", "requirement": "Sort the mail of a firm", "dataset_attributes": {"n": 9}, "plan": OTHER},
        {"id": "3", "requirement": "sort mail!", "plan": PLAN.to_dict()},
    ]
    path.write_text(lines(rows))
    return Shots(path)


def test_the_nearest_examples_come_first_and_the_own_answer_never(shots):
    task = Task("a", "Sort mail")
    assert [shot.requirement for shot in shots.nearest(task, 5)] == [
        "Sort the mail of a firm",
        "Tell cats from dogs",
    ]
    assert shots.own_answers(task) == 1 and shots.own_answers(Task("b", "Sing")) == 0
    assert shots.nearest(task, 1)[0].to_text().startswith("Requirement: Sort the mail of a firm\nDataset: {")


def test_examples_without_a_plan_are_refused(tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"id": 1, "requirement": "x"}\n')
    with pytest.raises(ConfigError, match="line 1: must have requirement and plan"):
        Shots(tmp_path / "bad.jsonl")
    (tmp_path / "bad.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="holds no plan"):
        Shots(tmp_path / "bad.jsonl")


def test_every_planner_is_scored_beside_the_published_ones(tmp_path, shots):
    row = {"requirement": "Sort mail", "plan": PLAN.to_dict()}
    (tmp_path / "test.jsonl").write_text(lines([{"id": "a", **row}, {"id": "b", **row}]))
    (tmp_path / "published").mkdir()
    (tmp_path / "published/m-beam.jsonl").write_text(lines([{"id": "a", "text": '{"Task Category": "x'}]))
    tasks = read_tasks(tmp_path, "plan")
    llm = ScriptedLLM([f"Here:\n```json\n{json.dumps(OTHER)}\n```", "no plan"])
    make = PlanMaker(CountingPlanner(), llm, shots, GenerationSettings())
    run = TableRun(tmp_path / "out", {"seed": 0})
    run.run(PLANNERS, tasks.tasks, make, lambda progress: None)
    document, items = score_planners(run, PLANNERS, tasks, tmp_path / "out/references.jsonl", 0)
    systems = {system["name"]: system for system in document["comparison"]["systems"]}
    assert list(systems) == [*list(SYSTEMS)[:4], "m-beam", "nearest-plan"]
    scores = {name: system["scores"] for name, system in systems.items()}
    assert scores["planner-beam"]["layer_similarity"]["mean"] == 100
    assert (
        scores["model-3shot"]["valid_json"]["mean"] == 50 and scores["model-5shot"]["valid_json"]["mean"] == 0
    )
    assert scores["nearest-plan"]["optimizer"]["mean"] == 0
    assert scores["nearest-plan"]["epochs_mae"]["mean"] == 18 and scores["planner-beam"]["mld"]["mean"] == 0
    assert document["p_values"]["nearest-plan"]["optimizer"] <= 1 and document["floors"] == ["nearest-plan"]
    assert "model-5shot: 2 of 2 items failed" in document["notes"]
    assert "m-beam: 1 predictions are missing and count as wrong" in document["notes"]
    assert items[0].predictions["m-beam"][0] == '{"Task Category": "x'
    assert items[0].predictions["model-5shot"] == ("", "few-shot plan: no JSON object in the completion")
    shown = document | {"settings": {"seed": 0}}
    assert "Layer similarity" in render_report({"table4": shown, "fig4": shown}, {"table4": items})


def test_a_model_is_shown_as_many_examples_as_the_system_says(shots):
    llm = ScriptedLLM(["{}"])
    make = PlanMaker(None, llm, shots, GenerationSettings())
    make(replace(SYSTEMS["model-3shot"], count=1), Task("a", "Sort mail", "some text"))
    [prompt] = llm.prompts
    assert prompt.user.count("<example>") == 1 and "<dataset>\nsome text" in prompt.user


def test_a_failed_plan_is_the_error_s(shots):
    with pytest.raises(GenerationError):
        PlanMaker(None, ScriptedLLM(["no"]), shots, GenerationSettings())(
            SYSTEMS["model-3shot"], Task("a", "x")
        )
