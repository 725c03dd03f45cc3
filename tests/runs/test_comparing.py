from dlcodegen_local.runs import RunRecord
from dlcodegen_local.runs.comparing import compare_runs
from dlcodegen_local.runs.store import RunStore
from tests.runs.recorded import record_run


def load(state, record):
    return RunStore(state).load(record.run_id)


def test_a_run_is_the_same_as_itself_made_again(tmp_path):
    one, two = record_run(tmp_path / "a"), record_run(tmp_path / "b")
    comparison = compare_runs(load(tmp_path / "a", one), load(tmp_path / "b", two))
    assert comparison.is_same
    assert {stage.side for stage in comparison.stages} == {"same"}


def test_inputs_stages_and_code_that_differ_are_named(tmp_path):
    one, two = record_run(tmp_path, 1), record_run(tmp_path, 2, code="x = 2\n")
    comparison = compare_runs(load(tmp_path, one), load(tmp_path, two))
    assert [(item.name, item.first, item.second) for item in comparison.inputs] == [("seed", 1, 2)]
    assert [(stage.name, stage.side, stage.fields) for stage in comparison.stages] == [
        ("retrieve", "same", ()),
        ("merge", "differs", ("source",)),
        ("choice", "differs", ("source",)),
    ]
    assert "-x = 1\n+x = 2\n" in comparison.code


def test_samples_that_changed_or_vanished_are_named(tmp_path):
    runs = []
    for name, hits in (
        ("a", [{"id": "one", "sha256": "1"}, {"id": "two", "sha256": "2"}, {"id": "three", "sha256": "3"}]),
        ("b", [{"id": "one", "sha256": "9"}, {"id": "four", "sha256": "2"}]),
    ):
        record = RunRecord(tmp_path / name, {"x": 1})
        record.add_stage("retrieve", {"hits": hits}, {})
        record.finish("done")
        runs.append(load(tmp_path / name, record))
    (stage,) = compare_runs(*runs).stages
    assert stage.detail == (
        "sample one has changed",
        "sample two gave way to four",
        "sample three is in one run alone",
    )


def test_a_stage_of_one_run_alone_and_a_damaged_one_differ(tmp_path):
    one, two = record_run(tmp_path / "a"), record_run(tmp_path / "b", status="running")
    two.add_stage("merge", {"source": ""}, {})
    two.finish("done")
    lost = two.summary()["stages"][0]["object"]
    (tmp_path / "b/objects" / f"{lost}.json").unlink()
    comparison = compare_runs(load(tmp_path / "a", one), load(tmp_path / "b", two))
    assert [(stage.name, stage.side) for stage in comparison.stages if stage.side != "same"] == [
        ("retrieve", "differs"),
        ("merge (2)", "second alone"),
    ]
