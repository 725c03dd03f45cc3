import json

import pytest

from dlcodegen_local.errors import ConfigError, GenerationError
from dlcodegen_local.evaluation.systems import TABLES, System, repeated
from dlcodegen_local.evaluation.table_run import TableRun, Task

SYSTEMS = (System("one", ""), System("two", ""))
TASKS = (Task("a", "Sort mail"), Task("b", "Find cats"))
SETTINGS = {"model": "0" * 64, "seed": 0}


class Recorder:
    """Makes rows and remembers for what."""

    def __init__(self, raises=None):
        self.asked = []
        self.raises = raises

    def __call__(self, system, task):
        self.asked.append((system.name, task.id))
        if self.raises is not None:
            raise self.raises
        return {"method": system.method, "code": f"x = '{task.id}'"}


def run(folder, make, settings=SETTINGS):
    shown = []
    TableRun(folder, settings).run(SYSTEMS, TASKS, make, shown.append)
    return shown


def rows(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_every_system_makes_every_item_once(tmp_path):
    first, second = Recorder(), Recorder()
    shown = run(tmp_path, first)
    assert first.asked == [("one", "a"), ("one", "b"), ("two", "a"), ("two", "b")]
    assert [progress.done for progress in shown] == [0, 1, 2, 3] and shown[0].seconds_left is None
    assert run(tmp_path, second) == [] and second.asked == []
    assert [row["id"] for row in rows(tmp_path, "two")] == ["a", "b"]


def test_a_killed_run_goes_on_after_the_last_whole_line(tmp_path):
    run(tmp_path, Recorder())
    path = tmp_path / "two.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    again = Recorder()
    run(tmp_path, again)
    assert again.asked == [("two", "b")]
    assert [row["id"] for row in rows(tmp_path, "two")] == ["a", "b"]


@pytest.mark.parametrize("error", [GenerationError("nothing fits"), ZeroDivisionError("nothing fits")])
def test_an_error_costs_its_item_alone(tmp_path, error):
    run(tmp_path, Recorder(error))
    for row in rows(tmp_path, "one"):
        assert row["code"] == "" and "nothing fits" in row["error"]


def test_an_item_that_ends_the_process_twice_is_left(tmp_path):
    for _ in range(2):
        with pytest.raises(SystemExit):
            run(tmp_path, Recorder(SystemExit(139)))
    third = Recorder()
    run(tmp_path, third)
    assert ("one", "a") not in third.asked
    assert "ended 2 times" in rows(tmp_path, "one")[0]["error"]


def test_an_interrupted_item_is_not_counted(tmp_path):
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, Recorder(KeyboardInterrupt()))
    after = Recorder()
    run(tmp_path, after)
    assert len(after.asked) == 4


def test_results_of_other_settings_are_not_added_to(tmp_path):
    run(tmp_path, Recorder())
    with pytest.raises(ConfigError, match="other settings: seed"):
        run(tmp_path, Recorder(), {**SETTINGS, "seed": 1})


@pytest.mark.parametrize("name", ["one.jsonl", "settings.json"])
def test_a_file_that_is_no_json_is_named(tmp_path, name):
    run(tmp_path, Recorder())
    (tmp_path / name).write_text("NaN?\n")
    with pytest.raises(ConfigError, match=name):
        run(tmp_path, Recorder())


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    run(tmp_path, lambda system, task: run(tmp_path, Recorder()))
    assert "another run writes" in rows(tmp_path, "one")[0]["error"]


def test_half_characters_are_kept_and_what_is_no_json_fails(tmp_path):
    run(tmp_path, lambda system, task: {"code": "\ud800" if task.id == "a" else float("nan")})
    kept, failed = rows(tmp_path, "one")
    assert kept["code"] == "\ud800"
    assert failed["code"] == "" and "no JSON" in failed["error"]


def test_repeats_are_systems_with_a_seed_of_their_own():
    systems = (System("one", "one"), System("floor", "", floor="copy"))
    assert [(system.name, system.repeat) for system in repeated(systems, 3)] == [
        ("one", 0),
        ("floor", 0),
        ("one-repeat1", 1),
        ("one-repeat2", 2),
    ]


def test_the_tables_hold_the_paper_s_systems():
    assert [system.name for system in TABLES["table2"]][:5] == ["dlcodegen", "direct", "ps", "c-cot", "cedar"]
    assert len(TABLES["table5"]) == 7 and len(TABLES["fig5"]) == 5
    assert len({(system.without, system.method) for system in TABLES["table5"]}) == 7
