import json

import pytest

from dlcodegen_local.evaluation.code_tables import CODEBLEU_IS_NO_PROOF, score_programs
from dlcodegen_local.evaluation.report import render_report
from dlcodegen_local.evaluation.systems import System, repeated
from dlcodegen_local.evaluation.table_run import TableRun
from dlcodegen_local.evaluation.tasks import read_tasks

CODE = "import keras\nmodel = keras.Sequential()\nmodel.add(keras.layers.Dense({}))\n"
SYSTEMS = repeated((System("dlcodegen", "dlcodegen"), System("top-sample", "", floor="copy")), 2)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def make(system, task):
    if task.id == "b":
        raise RuntimeError("out of luck")
    return {
        "code": CODE.format(8 if system.floor else 9 + system.repeat),
        "origin": "merge",
        "verification": {"smoke": {"ok": True}, "compliance": {"score": 1.0}},
        "seconds": 1.0,
        "tokens": 5,
    }


@pytest.fixture
def scored(tmp_path):
    """Return a function that runs and scores the systems on some rows of tasks."""

    def score(rows, limit=None):
        (tmp_path / "tasks.jsonl").write_text(lines(rows))
        published = tmp_path / "published"
        published.mkdir(exist_ok=True)
        (published / "m-dlcodegen.jsonl").write_text(
            lines({"id": row["id"], "output": f"```python\n{CODE.format(8)}```"} for row in rows)
        )
        (published / "m-direct.jsonl").write_text(lines([{"id": "a", "output": "x = 1"}]))
        tasks = read_tasks(tmp_path, "reference").limited(limit)
        run = TableRun(tmp_path / "out", {"seed": 0, "run": True})
        run.run(SYSTEMS, tasks.tasks, make, lambda progress: None)
        return score_programs(run, SYSTEMS, tasks, tmp_path / "out/references.jsonl", 0)

    return score


TASKS = [
    {"id": name, "requirement": "Stack a layer", "reference": CODE.format(8)} for name in ("a", "b", "c")
] + [{"id": "d", "requirement": "Stack two"}]


def test_ours_published_ones_and_floors_are_compared_on_tasks_with_references(scored):
    document, items = scored(TASKS)
    comparison = document["comparison"]
    names = [system["name"] for system in comparison["systems"]]
    assert names == ["dlcodegen", "dlcodegen-repeat1", "m-dlcodegen", "top-sample"]
    assert comparison["references"]["items"] == 3 and comparison["systems"][0]["empty"] == 1
    assert [found["name"] for found in document["summary"]] == [
        "dlcodegen",
        "top-sample",
        "dlcodegen-repeat1",
    ]
    assert document["summary"][0]["items"] == 4 and document["summary"][0]["failed"] == 1
    assert document["floors"] == ["top-sample"] and document["further"] == ["dlcodegen-repeat1"]
    assert comparison["systems"][2]["scores"]["exact_match"]["mean"] == 100
    assert 0 < document["p_values"]["m-dlcodegen"]["codebleu"] <= 1
    assert document["cautions"] == [CODEBLEU_IS_NO_PROOF]
    assert "dlcodegen: 1 of 4 items failed" in document["notes"]
    [repeats] = document["repeats"]
    assert repeats["runs"] == 2 and repeats["scores"]["parse_rate"]["n"] == 2
    assert [item.id for item in items] == ["a", "b", "c", "d"]
    assert items[1].predictions["dlcodegen"] == ("", "RuntimeError: out of luck")
    assert items[0].predictions["m-dlcodegen"][0] == CODE.format(8)
    json.dumps(document, allow_nan=False)
    html = render_report({"table2": document | {"settings": {"seed": 0}}}, {"table2": items})
    assert "dlcodegen, 2 seeds" in html and "out of luck" in html


def test_own_tasks_without_references_have_a_summary(scored):
    document, items = scored([TASKS[3]])
    assert document["comparison"] is None and document["p_values"] is None
    assert document["summary"][0]["smoke_rate"]["mean"] == 100 and items[0].reference == ""
    assert "no task has a reference: no CodeBLEU" in document["notes"]


def test_a_limit_does_not_count_what_it_leaves_out(scored):
    document, _ = scored(TASKS, limit=1)
    assert document["comparison"]["references"]["items"] == 1
    assert not any("unknown ids" in note for note in document["notes"])
