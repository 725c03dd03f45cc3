"""The commands on runs, on records that were written without a model."""

import json

import pytest

from tests.runs.recorded import record_run


@pytest.fixture
def state(tmp_path):
    return tmp_path / "home/.local/state/dlcodegen"


def test_runs_are_listed_shown_compared_and_purged(run, state):
    one, two = record_run(state, 1), record_run(state, 2, code="x = 2\n")
    two.finish("done")
    rows = json.loads(run("runs", "list", "--json").stdout)
    assert [(row["id"], row["status"]) for row in rows] == [(two.run_id, "done"), (one.run_id, "done")]
    assert run("runs", "list").stdout.decode().splitlines()[0].startswith(f"{two.run_id}  done")
    shown = json.loads(run("runs", "show", one.run_id, "--json").stdout)
    assert [stage["name"] for stage in shown["stages"]] == ["retrieve", "merge", "choice"]
    assert shown["stages"][1]["value"] == {"source": "x = 1\n"}
    assert "Translation" in run("runs", "show", "last").stdout.decode()
    answer = run("runs", "diff", one.run_id, two.run_id)
    assert answer.returncode == 1
    assert "+x = 2" in answer.stdout.decode()
    assert run("runs", "diff", one.run_id, one.run_id).returncode == 0
    assert run("runs", "purge", one.run_id).returncode == 0
    assert json.loads(run("runs", "purge", "--all", "--json").stdout)["purged"] == [two.run_id]
    assert run("runs", "list").stdout.decode() == "no runs are kept\n"
    assert list((state / "objects").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("show", "0"), 2, "no run has the id 0"),
        (("resume", "last"), 2, "there are no runs yet"),
        (("purge",), 2, "name runs, or give --all, or --older-than"),
        (("purge", "--all", "--older-than", "1"), 2, "name runs, or give --all, or --older-than"),
        (("diff", "a", "b"), 2, "no run has the id a"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_line(run, arguments, code, line):
    answer = run("runs", *arguments)
    assert answer.returncode == code
    assert line in answer.stderr.decode()
    assert len(answer.stderr.splitlines()) == 1


def test_a_damaged_record_is_a_line_of_the_list_and_exit_code_3(run, state):
    record = record_run(state)
    (state / "runs" / record.run_id / "record.json").write_text("{")
    listed = run("runs", "list")
    assert listed.returncode == 0 and b"damaged" in listed.stdout
    for command in ("show", "resume", "replay"):
        answer = run("runs", command, record.run_id)
        assert answer.returncode == 3
        assert b"is damaged" in answer.stderr and len(answer.stderr.splitlines()) == 1
    assert run("runs", "purge", record.run_id).returncode == 0


def test_a_run_of_another_version_cannot_go_on(run, state):
    record = record_run(state, status="interrupted")
    answer = run("runs", "resume", record.run_id)
    assert answer.returncode == 3
    assert b"keeps an order of another version" in answer.stderr
