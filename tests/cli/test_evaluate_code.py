import json

import pytest

from tests.benchmarks.scoring import program
from tests.cli.test_wrong_input import refused
from tests.evaluation.test_code_workers import CODE, PLAN

ARGUMENTS = ("evaluate", "code", "--predictions", "ours.jsonl", "--references", "tasks.jsonl")


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def work(tmp_path, run):
    folder = tmp_path / "work"
    broken = "def f(:\n\tx = 1\f\n"
    tasks = [
        {"id": "a", "reference": CODE, "plan": PLAN},
        {"id": "b", "reference": broken},
        {"id": "c", "requirement": "x"},
    ]
    (folder / "tasks.jsonl").write_text(lines(*tasks))
    smoke = {"smoke": {"ok": True, "seconds": 1.0, "message": ""}}
    (folder / "ours.jsonl").write_text(lines({"id": "a", "code": CODE, "verification": smoke}))
    answer = f"Here it is:\n```python\n{CODE}```\n"
    (folder / "raw.jsonl").write_text(
        lines({"id": "a", "output": answer}, {"id": "b", "output": ""}, {"id": "z", "output": "x"})
    )
    return folder


def test_code_is_scored_as_json(run, work):
    answer = run(*ARGUMENTS, "--json")
    assert answer.returncode == 0, answer.stderr.decode()
    document = json.loads(answer.stdout)
    [system] = document["systems"]
    assert (system["predictions"], system["missing"], system["unknown"]) == (1, 1, 0)
    assert system["scores"]["compliance"] == {"mean": 100, "low": 100, "high": 100, "n": 1}
    assert system["scores"]["exact_match"]["mean"] == system["scores"]["smoke_rate"]["mean"] == 50
    assert system["items"]["a"]["parse_rate"] == 100 and system["items"]["b"]["parse_rate"] == 0
    assert document["references"]["not_parsing"] == document["references"]["without_reference"] == 1
    assert document["versions"]["codebleu"] in document["measures"]["codebleu"]["signature"]


def test_systems_are_compared_and_what_is_odd_is_said(run, work):
    answer = run(*ARGUMENTS, "--predictions", "raw.jsonl", "-o", "out/results.json")
    assert answer.returncode == 0, answer.stderr.decode()
    said = answer.stderr.decode()
    for note in (
        "1 tasks have no reference",
        "1 references do not parse",
        "ours: 1 predictions are missing and count as failures",
        "raw: 1 predictions hold no code and count as failures",
        "raw: 1 predictions of unknown ids are left out",
    ):
        assert note in said
    text = answer.stdout.decode()
    assert "minus ours" in text and "counts pooled over all pairs" in text
    document = json.loads((work / "out/results.json").read_text())
    ours, raw = document["systems"]
    assert raw["scores"]["codebleu"] == ours["scores"]["codebleu"]
    assert raw["difference_to_first"]["codebleu"]["mean"] == 0
    assert raw["scores"]["smoke_rate"] is None


def test_a_folder_is_compared_with_a_folder(run, work):
    for name in ("ours", "theirs"):
        (work / name).mkdir()
        for item in ("a", "b"):
            (work / name / f"{item}.py").write_text(program(9, 1))
    answer = run("evaluate", "code", "--predictions", "ours", "--references", "theirs", "--json")
    assert answer.returncode == 0, answer.stderr.decode()
    [system] = json.loads(answer.stdout)["systems"]
    assert system["scores"]["codebleu"]["mean"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ours.jsonl", '{"id": "a"}\n', ("line 1", "code or output")),
        ("ours.jsonl", '{"id": "z", "code": "x"}\n', ("share no id",)),
        ("ours.jsonl", "", ("holds no prediction",)),
        ("tasks.jsonl", '{"id": "a"}\n', ("holds no reference",)),
        ("tasks.jsonl", "[1]\n", ("line 1", "an id")),
    ],
)
def test_a_wrong_file_is_one_line(run, work, name, content, words):
    (work / name).write_text(content)
    refused(run(*ARGUMENTS), 2, *words)


def test_the_output_is_none_of_the_inputs(run, work):
    refused(run(*ARGUMENTS, "-o", "./tasks.jsonl"), 2, "files to be read")
