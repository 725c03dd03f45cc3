import json

import pytest

from tests.cli.conftest import REPOSITORY
from tests.cli.test_evaluate import PLAN
from tests.cli.test_wrong_input import refused

STARTER = str(REPOSITORY / "models/starter/starter.gguf")
TASK = {"id": "a", "requirement": "Predict house prices from 4 columns of a table", "plan": PLAN}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def work(tmp_path, run):
    folder = tmp_path / "work"
    (folder / "own.jsonl").write_text(lines(TASK, TASK | {"id": "b", "plan": None}))
    (folder / "train.jsonl").write_text(
        lines(
            {"id": 1, "requirement": "Predict the price of a flat", "plan": PLAN},
            {"id": 2, "requirement": TASK["requirement"], "plan": PLAN},
        )
    )
    return folder


def test_planners_are_run_once_and_scored_again(run, work):
    arguments = ("evaluate", "table4", "own.jsonl", "-o", "out", "--shots-from", "train.jsonl")
    first = run(*arguments)
    assert first.returncode == 0, first.stderr.decode()
    assert (
        "planner-beam" in first.stdout.decode()
        and "Layer similarity minus planner-beam" in first.stdout.decode()
    )
    assert "1 of 6: planner-beam, a" in first.stderr.decode()
    assert "too few to plan after examples" in first.stderr.decode()
    assert "2 tasks stand among the examples too" in first.stderr.decode()
    rows = (work / "out/planners/planner-beam.jsonl").read_bytes()
    again = run(*arguments, "--json")
    assert again.returncode == 0 and "1 of 6" not in again.stderr.decode()
    document = json.loads(again.stdout)
    kept = json.loads((work / "out/results.json").read_text())["tables"]
    assert document == {"table": "table4", **kept["table4"]}
    assert document["tasks"]["items"] == 2 and document["tasks"]["with_reference"] == 1
    assert rows == (work / "out/planners/planner-beam.jsonl").read_bytes()
    assert "Table IV" in (work / "out/report.html").read_text()
    other = run(*arguments, "--seed", "1")
    refused(other, 2, "other settings: seed")


@pytest.mark.parametrize("table", ["table2", "table4"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.jsonl", "-o", "out"), ("none.jsonl does not exist",)),
        (("empty", "-o", "out"), ("empty holds no tasks",)),
        (("broken.jsonl", "-o", "out"), ("broken.jsonl, line 2", "not JSON")),
        (("twice.jsonl", "-o", "out"), ("line 2", "stands twice")),
        (("own.jsonl", "-o", "own.jsonl"), ("own.jsonl is not a folder",)),
        (("own.jsonl", "-o", "kept"), ("kept/results.json is not JSON",)),
        (("own.jsonl",), ("--output",)),
        (("own.jsonl", "-o", "out", "--limit", "0"), ("--limit",)),
        (("data", "-o", "out"), ("published/m-", "line 1", "must have")),
    ],
)
def test_wrong_input_is_one_line_before_anything_runs(run, work, table, arguments, words):
    (work / "broken.jsonl").write_text(lines(TASK) + "{\n")
    (work / "twice.jsonl").write_text(lines(TASK, TASK))
    (work / "empty").mkdir()
    (work / "kept").mkdir()
    (work / "kept/results.json").write_text("NaN?")
    (work / "data/published").mkdir(parents=True)
    (work / "data/tasks.jsonl").write_text(lines(TASK | {"reference": "x = 1"}))
    for name in ("direct", "beam"):
        (work / f"data/published/m-{name}.jsonl").write_text('{"id": "a"}\n')
    refused(run("evaluate", table, *arguments), 2, *words)
    assert not (work / "out").exists()


def test_a_file_that_is_no_model_is_refused(run, work):
    answer = run("evaluate", "fig5", "own.jsonl", "-o", "out", "--model", "own.jsonl")
    refused(answer, 3, "own.jsonl")
    answer = run("evaluate", "table4", "own.jsonl", "-o", "out", "--shots-from", "none.jsonl")
    refused(answer, 2, "none.jsonl")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("own.jsonl",), 2, ("takes 2 values",)),
        (("own.jsonl", "own.jsonl"), 3, ("own.jsonl",)),
        ((STARTER, STARTER), 2, ("are the same model",)),
        ((STARTER, STARTER, "--tasks", "none.jsonl"), 2, ("none.jsonl does not exist",)),
    ],
)
def test_bench_refuses_what_it_cannot_compare(run, work, arguments, code, words):
    refused(run("models", "bench", *arguments), code, *words)
