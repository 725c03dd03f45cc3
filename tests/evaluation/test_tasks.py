import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.tasks import published_of, read_tasks

ROWS = [
    {"id": "a", "requirement": "Sort mail"},
    {"id": 2, "requirement": "Find\ncats", "dataset_attributes": {"n": 3}, "reference": "x = 1"},
]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_folder_and_a_file_hold_the_same_tasks_those_with_a_reference_first(tmp_path):
    path = write(tmp_path / "code/tasks.jsonl", ROWS)
    write(tmp_path / "code/published/m-direct.jsonl", [{"id": "2", "code": ""}])
    found = read_tasks(tmp_path, "reference")
    assert found == read_tasks(path, "reference")
    assert [task.id for task in found.tasks] == ["2", "a"] and [task.id for task in found.compared] == ["2"]
    assert found.tasks[0].requirement == "Find cats" and found.tasks[0].dataset == '{"n": 3}'
    assert [file.stem for file in found.published] == ["m-direct"]


def test_a_limit_takes_the_first_and_keeps_the_file_s_hash(tmp_path):
    found = read_tasks(write(tmp_path / "own.jsonl", ROWS), "reference")
    limited = found.limited(1)
    assert [task.id for task in limited.tasks] == ["2"] and limited.sha256 == found.sha256
    limited.write(tmp_path / "references.jsonl")
    [row] = map(json.loads, (tmp_path / "references.jsonl").read_text().splitlines())
    assert row["id"] == "2" and row["reference"] == "x = 1"


def test_published_files_are_found_by_the_end_of_their_name(tmp_path):
    names = ("m-dlcodegen", "m-dlcodegen-t0.5", "dlcodegen", "mdlcodegen")
    files = [tmp_path / f"{name}.jsonl" for name in names]
    assert [file.stem for file in published_of(files, "dlcodegen")] == ["m-dlcodegen", "dlcodegen"]
    assert published_of(files, "") == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "holds no task"),
        ([{"id": "a"}], "line 1: must have a requirement"),
        ([{"id": "a", "requirement": "!"}], "line 1: the requirement is empty"),
        ([{"id": "a", "requirement": "x" * 30_000}], "line 1: requirement is longer"),
        ([{"id": "a\u202e", "requirement": "x"}], "line 1: id must be"),
        ([ROWS[0], ROWS[0]], "line 2: id 'a' stands twice"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, rows, words):
    with pytest.raises(ConfigError, match=words):
        read_tasks(write(tmp_path / "own.jsonl", rows), "reference")


def test_a_folder_without_tasks_and_a_missing_path_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no tasks"):
        read_tasks(tmp_path, "reference")
    with pytest.raises(ConfigError, match="does not exist"):
        read_tasks(tmp_path / "none", "plan")
