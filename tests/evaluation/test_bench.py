import json
from pathlib import Path

import pytest

from dlcodegen_local.evaluation.bench import TASKS, ModelSwitch, model_system, quality, recommend
from dlcodegen_local.evaluation.table_run import Task
from dlcodegen_local.evaluation.tasks import read_tasks


def row(score=0.9, smoke=True, code="x = 1"):
    return {"code": code, "verification": {"smoke": {"ok": smoke}, "compliance": {"score": score}}}


def summary(**seconds):
    memory = {"big": 900.0, "small": 500.0}
    return [
        {"name": name, "seconds": value, "peak_memory_mib": memory[name]} for name, value in seconds.items()
    ]


@pytest.mark.parametrize(
    ("program", "worth"),
    [
        (row(), 90),
        (row(smoke=None), 90),
        (row(score=None), 100),
        (row(smoke=False), 0),
        (row(code="x ="), 0),
        ({"code": "", "error": "no"}, 0),
    ],
)
def test_a_program_that_does_not_work_is_worth_nothing(program, worth):
    assert quality(program) == worth


def test_the_better_model_is_recommended_where_the_difference_is_no_chance():
    found = recommend({"big": [row(0.9)] * 12, "small": [row(0.5)] * 12}, summary(big=60.0, small=5.0), 0)
    assert found.name == "big" and found.p_value is not None and found.p_value < 0.05
    assert "better (90.0 against 50.0" in found.reason and "60 s against 5 s" in found.reason
    json.dumps(found.to_dict(), allow_nan=False)


def test_where_no_difference_is_shown_the_cheaper_one_is():
    rows = {"big": [row(0.9), row(0.7)], "small": [row(0.8)] * 2}
    found = recommend(rows, summary(big=4.0, small=5.0), 0)
    assert found.name == "big" and "no difference in quality is shown" in found.reason
    found = recommend(rows, summary(big=4.9, small=5.0), 0)
    assert found.name == "small" and "memory 500 MiB against 900 MiB" in found.reason


def test_a_model_that_makes_nothing_is_never_recommended():
    failed = {"code": "", "error": "no"}
    found = recommend({"big": [row()], "small": [failed]}, summary(big=60.0, small=None), 0)
    assert found.name == "big"
    assert recommend({"big": [failed], "small": [failed]}, summary(big=None, small=None), 0).name is None


def test_one_model_is_loaded_at_a_time():
    loaded = []

    def load(system):
        loaded.append(system.name)
        return lambda system, task: {"code": f"{system.name} {task.id}"}

    first, second = (model_system(Path(f"{name}.gguf"), "0" * 64) for name in ("a b", "c"))
    switch = ModelSwitch(load)
    rows = [switch(system, Task("t", "x")) for system in (first, first, second)]
    assert loaded == ["a_b-00000000", "c-00000000"] and rows[2]["code"] == "c-00000000 t"


def test_the_tasks_that_come_with_it_can_be_read():
    tasks = read_tasks(TASKS, "reference")
    assert len(tasks.tasks) == 5 and not tasks.compared and all(task.dataset for task in tasks.tasks)
