import json

import pytest

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.runs.store import RunStore
from tests.runs.recorded import record_run


def change(state, record, **changes):
    """Rewrite a record file as its own code would, but for what is changed."""
    from dlcodegen_local.runs.objects import digest_of

    path = state / "runs" / record.run_id / "record.json"
    table = {**json.loads(path.read_text()), **changes}
    del table["sha256"]
    path.write_text(json.dumps({"sha256": digest_of(table), **table}))


def test_the_newest_run_comes_first_whatever_the_clock_says(tmp_path):
    old, new = record_run(tmp_path, 1), record_run(tmp_path, 2)
    change(tmp_path, new, began="1970-01-01T00:00:00+00:00")
    store = RunStore(tmp_path)
    assert [row.id for row in store.rows()] == [new.run_id, old.run_id]
    assert store.find("last") == new.run_id


def test_a_run_that_died_is_interrupted_and_one_at_work_is_running(tmp_path):
    record = record_run(tmp_path, status="running")
    store = RunStore(tmp_path)
    assert [row.status for row in store.rows()] == ["running"]
    record._release()
    assert [row.status for row in store.rows()] == ["interrupted"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"status": "done"', '"status": "gone"'),
        lambda text: "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        lambda text: "null",
    ],
    ids=["cut", "empty", "nested", "changed", "no text", "null"],
)
def test_a_damaged_record_is_a_row_and_one_error(tmp_path, damage):
    sound, broken = record_run(tmp_path, 1), record_run(tmp_path, 2)
    path = tmp_path / "runs" / broken.run_id / "record.json"
    path.write_text(damage(path.read_text()))
    store = RunStore(tmp_path)
    assert [(row.id, row.status) for row in store.rows()] == [
        (sound.run_id, "done"),
        (broken.run_id, "damaged"),
    ]
    with pytest.raises(ArtifactError, match="damaged") as refusal:
        store.load(broken.run_id)
    assert "purge" in refusal.value.hint
    assert store.purge([broken.run_id]) == []
    assert [row.id for row in store.rows()] == [sound.run_id]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "gone"},
        {"stages": [{"name": "x"}]},
        {"stages": [{"name": "x", "object": "../../etc/passwd", "key": "", "timings": {}}]},
        {"stages": {"a": 1}},
        {"number": "1"},
        {"order": []},
        {"inputs": {"requirement": "another"}},
        {"more": 1},
        {"format": 99},
        {"versions": {"python": 3}},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_refused(tmp_path, changes):
    record = record_run(tmp_path)
    change(tmp_path, record, **changes)
    with pytest.raises(ArtifactError, match="damaged"):
        RunStore(tmp_path).load(record.run_id)


def test_a_record_that_is_a_link_is_refused(tmp_path):
    record = record_run(tmp_path)
    path = tmp_path / "runs" / record.run_id / "record.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="damaged"):
        RunStore(tmp_path).load(record.run_id)


def test_ids_are_found_by_their_start(tmp_path):
    ids = [record_run(tmp_path, seed).run_id for seed in range(20)]
    store = RunStore(tmp_path)
    assert store.find(ids[0][:12].upper()) == ids[0]
    shared = next(first for first in "0123456789abcdef" if sum(i.startswith(first) for i in ids) > 1)
    with pytest.raises(ConfigError, match="is the start of"):
        store.find(shared)
    for unknown in ("zz", ""):
        with pytest.raises(ConfigError, match="no run has the id"):
            store.find(unknown)
    with pytest.raises(ConfigError, match="there are no runs yet"):
        RunStore(tmp_path / "empty").find("last")


def test_a_purge_takes_what_no_other_run_uses(tmp_path):
    kept, gone = record_run(tmp_path, 1, "y = 2\n"), record_run(tmp_path, 2)
    (tmp_path / "objects" / ".tmp-0123456789ab").write_text("half")
    store = RunStore(tmp_path)
    assert store.purge([gone.run_id]) == []
    used = {stage["object"] for stage in kept.summary()["stages"]}
    assert {path.stem for path in (tmp_path / "objects").iterdir()} == used
    assert all(stage.value is not None for stage in store.load(kept.run_id).stages)


def test_a_run_under_way_is_not_purged(tmp_path):
    record = record_run(tmp_path, status="running")
    store = RunStore(tmp_path)
    assert store.purge([record.run_id]) == [record.run_id]
    assert all(stage.value is not None for stage in store.load(record.run_id).stages)


def test_old_runs_are_told_by_when_they_began(tmp_path):
    old, new, broken = (record_run(tmp_path, seed) for seed in range(3))
    change(tmp_path, old, began="2001-01-01T00:00:00+00:00")
    change(tmp_path, broken, began="no date")
    assert RunStore(tmp_path).older_than(1) == [old.run_id]
    assert new.run_id in RunStore(tmp_path).older_than(-1)
