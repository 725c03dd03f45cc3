import json

from dlcodegen_local.runs import RunRecord


def test_the_same_inputs_have_the_same_id(tmp_path):
    one, two = RunRecord(tmp_path / "a", {"x": 1, "y": 2}), RunRecord(tmp_path / "b", {"y": 2, "x": 1})
    assert one.run_id == two.run_id
    assert one.run_id != RunRecord(tmp_path / "c", {"x": 2}).run_id


def test_every_stage_is_stored_before_the_next(tmp_path):
    record = RunRecord(tmp_path, {"x": 1})
    record.add_stage("plan", {"answer": 42}, {"seconds": 1.5})
    stored = json.loads((tmp_path / "runs" / record.run_id / "record.json").read_text())
    assert stored["status"] == "running"
    (stage,) = stored["stages"]
    assert json.loads((tmp_path / "objects" / f"{stage['object']}.json").read_text()) == {"answer": 42}


def test_the_clock_stays_out_of_the_summary(tmp_path):
    one, two = RunRecord(tmp_path / "a", {"x": 1}), RunRecord(tmp_path / "b", {"x": 1})
    one.add_stage("plan", {"answer": 42}, {"seconds": 1.5})
    two.add_stage("plan", {"answer": 42}, {"seconds": 9.5})
    assert one.summary() == two.summary()


def test_a_state_folder_that_cannot_be_written_is_noted(tmp_path):
    (tmp_path / "state").write_text("a file")
    record = RunRecord(tmp_path / "state", {"x": 1})
    record.add_stage("plan", {}, {})
    record.finish("done")
    assert len(record.notes) == 1
    assert "no run record is kept" in record.notes[0]


def test_records_are_private(tmp_path):
    record = RunRecord(tmp_path, {"x": 1})
    path = tmp_path / "runs" / record.run_id / "record.json"
    assert path.stat().st_mode & 0o077 == 0
