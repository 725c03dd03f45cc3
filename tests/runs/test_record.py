import json
import os
import subprocess
import sys

from dlcodegen_local.runs import RunRecord
from tests.runs.recorded import nobody, record_run


def take(record, name, reads=None):
    return record.take(name, lambda value, timings: (value, timings), reads)


def folder_of(state, record):
    return state / "runs" / record.run_id


def test_the_same_inputs_have_the_same_id(tmp_path):
    one, two = RunRecord(tmp_path / "a", {"x": 1, "y": 2}), RunRecord(tmp_path / "b", {"y": 2, "x": 1})
    assert one.run_id == two.run_id
    assert one.run_id != RunRecord(tmp_path / "c", {"x": 2}).run_id


def test_every_stage_is_stored_before_the_next(tmp_path):
    record = RunRecord(tmp_path, {"x": 1})
    record.add_stage("plan", {"answer": 42}, {"seconds": 1.5})
    stored = json.loads((folder_of(tmp_path, record) / "record.json").read_text())
    assert stored["status"] == "running"
    (stage,) = stored["stages"]
    assert json.loads((tmp_path / "objects" / f"{stage['object']}.json").read_text()) == {"answer": 42}
    assert record.value_of(stage["object"]) == {"answer": 42}


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


def test_records_and_their_folders_are_private(tmp_path):
    record_run(tmp_path / "state")
    for path in (tmp_path / "state", *(tmp_path / "state").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_folder_that_others_could_enter_is_closed(tmp_path):
    (tmp_path / "objects").mkdir(mode=0o755)
    record_run(tmp_path)
    assert (tmp_path / "objects").stat().st_mode & 0o077 == 0


def test_a_finished_stage_is_taken_in_its_order_of_keys(tmp_path):
    first = RunRecord(tmp_path, {"x": 1}, on_wait=nobody)
    first.add_stage("plan", {"z": 1, "a": 2}, {"seconds": 1.5}, reads="r")
    first.finish("interrupted")
    again = RunRecord(tmp_path, {"x": 1}, on_wait=nobody)
    value, timings = take(again, "plan", "r")
    assert list(value) == ["z", "a"]
    assert timings["seconds"] == 1.5
    assert again.summary() == first.summary()
    assert again.timings == ()


def test_a_stage_is_not_taken_after_another_past_or_for_other_reading(tmp_path):
    first = RunRecord(tmp_path, {"x": 1}, on_wait=nobody)
    first.add_stage("plan", {"answer": 42}, {})
    first.add_stage("merge", {"code": "x"}, {}, reads="one")
    first.finish("interrupted")
    again = RunRecord(tmp_path, {"x": 1}, on_wait=nobody)
    assert take(again, "merge", "one") is None
    assert take(again, "plan") is not None
    assert take(again, "merge", "two") is None
    assert take(again, "merge", "one") is not None


def test_without_leave_to_go_on_nothing_is_taken(tmp_path):
    record_run(tmp_path)
    inputs = {"requirement": "Translate", "seed": 0}
    assert take(RunRecord(tmp_path, inputs), "retrieve") is None


def test_what_the_clock_ended_is_not_taken(tmp_path):
    first = RunRecord(tmp_path, {"x": 1}, on_wait=nobody)
    first.add_stage("verify", {"ok": False}, {}, is_final=False)
    first.finish("failed")
    assert take(RunRecord(tmp_path, {"x": 1}, on_wait=nobody), "verify") is None


def test_a_damaged_object_is_done_anew(tmp_path):
    first = record_run(tmp_path, status="interrupted")
    name = first.summary()["stages"][0]["object"]
    path = tmp_path / "objects" / f"{name}.json"
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    again = RunRecord(tmp_path, first.inputs, on_wait=nobody)
    assert take(again, "retrieve") is None
    assert "damaged" in again.notes[0]
    again.add_stage("retrieve", {"hits": [{"id": "one", "sha256": "a" * 64}]}, {})
    assert b"one" in path.read_bytes()
    assert take(again, "merge") is not None


def test_an_object_that_is_a_link_is_not_read(tmp_path):
    first = record_run(tmp_path, status="interrupted")
    path = tmp_path / "objects" / f"{first.summary()['stages'][0]['object']}.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert take(RunRecord(tmp_path, first.inputs, on_wait=nobody), "retrieve") is None


def test_a_damaged_record_is_begun_anew_and_said(tmp_path):
    first = record_run(tmp_path, status="interrupted")
    path = folder_of(tmp_path, first) / "record.json"
    path.write_text(path.read_text().replace('"tokens_read": 5', '"tokens_read": 6'))
    again = RunRecord(tmp_path, first.inputs, on_wait=nobody)
    assert take(again, "retrieve") is None
    assert "its sha256 differs" in again.notes[0]


def test_stages_not_come_to_yet_outlive_another_interruption(tmp_path):
    inputs = record_run(tmp_path, status="interrupted").inputs
    second = RunRecord(tmp_path, inputs, on_wait=nobody)
    assert take(second, "retrieve") is not None
    second.finish("interrupted")
    third = RunRecord(tmp_path, inputs, on_wait=nobody)
    assert [take(third, name) is not None for name in ("retrieve", "merge", "choice")] == [True] * 3


def test_a_second_process_waits_and_takes_over(tmp_path):
    first = record_run(tmp_path, status="running")
    code = (
        "import sys, pathlib\n"
        "from dlcodegen_local.runs import RunRecord\n"
        "from tests.runs.recorded import PLAN\n"
        "inputs = {'requirement': 'Translate', 'seed': 0, 'plan': PLAN}\n"
        "record = RunRecord(pathlib.Path(sys.argv[1]), inputs, on_wait=lambda: print('waits', flush=True))\n"
        "print(record.take('retrieve', lambda value, timings: value['hits'][0]['id']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout.readline() == "waits\n"
    first.finish("done")
    assert process.communicate(timeout=60)[0] == "one\n"


def test_an_evaluation_beside_a_run_keeps_no_record_of_its_own(tmp_path):
    first = record_run(tmp_path, status="running")
    beside = RunRecord(tmp_path, first.inputs)
    beside.add_stage("retrieve", {"hits": []}, {})
    beside.finish("failed")
    assert "another process" in beside.notes[0]
    stored = json.loads((folder_of(tmp_path, first) / "record.json").read_text())
    assert stored["status"] == "running" and len(stored["stages"]) == 3


def test_nothing_is_kept_of_a_discarded_run(tmp_path):
    kept = record_run(tmp_path, seed=1, code="y = 2\n")
    record = record_run(tmp_path, status="running")
    record.discard()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [kept.run_id]
    stored = {path.stem for path in (tmp_path / "objects").iterdir()}
    assert stored == {stage["object"] for stage in kept.summary()["stages"]}


def test_half_characters_of_a_model_are_stored_and_taken(tmp_path):
    first = RunRecord(tmp_path, {"x": 1}, on_wait=nobody)
    first.add_stage("merge", {"outputs": ["\ud800 is half"]}, {})
    first.finish("interrupted")
    value, _ = take(RunRecord(tmp_path, {"x": 1}, on_wait=nobody), "merge")
    assert value == {"outputs": ["\ud800 is half"]}
