import subprocess
import sys

import pytest

from dlcodegen_local.evaluation.code_worker import CodeTask, measure_task
from dlcodegen_local.evaluation.code_workers import measure_tasks
from dlcodegen_local.plan.schema import Plan
from tests.benchmarks.scoring import program

PLAN = Plan(
    "Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "scaled", ("Dense(8)", "Dense(1)"), "adam",
    "mse", 0.01, 32, 10, "mae",
).to_dict()  # fmt: skip
CODE = """
model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
model.fit(x, y, batch_size=32, epochs=10)
"""


def test_what_is_measured_by_hand():
    task = CodeTask("x = 1\ny = 2", ("x=1\n# two\ny=2", "x = 3\ny = 2", "x = (", "%time\nx = 1", ""))
    same, other, broken, magic, nothing = measure_task(task)
    assert (same.is_exact, same.parses, same.lines, same.edit_distance, same.bleu) == (True, True, 3, 0, 1)
    assert (other.is_exact, other.edit_distance) == (False, pytest.approx(1 / 6))
    assert (broken.parses, broken.lines) == (False, 1)
    assert (magic.parses, magic.edit_distance) == (False, 0.5)
    assert (nothing.parses, nothing.lines, nothing.edit_distance, nothing.codebleu) == (False, 0, 1, 0)
    assert same.compliance is None


def test_compliance_is_measured_against_the_plan():
    follows, nothing, broken = measure_task(CodeTask("x = 1", (CODE, "", "x = ("), PLAN))
    assert follows.compliance == pytest.approx(1)
    assert nothing.compliance == broken.compliance == 0


def test_processes_answer_in_the_tasks_order_and_tell_of_each():
    tasks = [CodeTask(program(6 + i, i), (program(6, i), "", program(9, 50 + i))) for i in range(9)]
    calls = []
    found = measure_tasks(tasks, lambda: calls.append(1))
    assert len(calls) == len(tasks)
    assert found == measure_tasks(tasks)
    assert [row[0].counts[:16] for row in found] == [measure_task(task)[0].counts[:16] for task in tasks]
    assert measure_tasks([]) == []


def test_a_worker_ends_with_its_parent_in_the_middle_of_an_answer():
    """A killed parent closes the pipe and does nothing else."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "dlcodegen_local.evaluation.code_worker"], stdin=subprocess.PIPE, text=True
    )
    long = "".join(f"a{i} = b{i}\n" for i in range(40_000))
    worker.stdin.write(CodeTask(long, (long.replace("a", "c"),)).to_json() + "\n")
    worker.stdin.close()
    assert worker.wait(timeout=30) == 0
