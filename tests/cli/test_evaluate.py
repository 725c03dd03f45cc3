import json

import pytest

from dlcodegen_local.plan.schema import Plan
from tests.cli.test_wrong_input import refused

PLAN = Plan(
    "Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "scaled", ("Dense(8)", "Dense(1)"), "adam",
    "mse", 0.01, 32, 10, "mae",
).to_dict()  # fmt: skip
ROW = json.dumps({"id": "a", "requirement": "x", "dataset_attributes": "", "plan": PLAN}) + "\n"


@pytest.fixture
def work(tmp_path, run):
    folder = tmp_path / "work"
    (folder / "references.jsonl").write_text(ROW + ROW.replace('"a"', '"b"'))
    broken = json.dumps({"Code Plan": PLAN}).partition("se(1)")[0]
    rows = [{"id": "a", "text": json.dumps({"Code Plan": PLAN})}, {"id": "b", "text": broken}]
    (folder / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "half.jsonl").write_text(ROW + ROW.replace('"a"', '"z"'))
    return folder


def test_plans_are_scored_as_json(run, work):
    answer = run(
        "evaluate", "plans", "--predictions", "raw.jsonl", "--references", "references.jsonl", "--json"
    )
    assert answer.returncode == 0, answer.stderr.decode()
    [system] = json.loads(answer.stdout)["systems"]
    assert (system["name"], system["items"], system["missing"]) == ("raw", 2, 0)
    assert system["scores"]["valid_json"]["mean"] == 50
    assert system["scores"]["category"] == {"mean": 100, "low": 100, "high": 100, "n": 2}
    assert system["scores"]["layer_similarity"]["mean"] == 75
    assert system["difference_to_first"] == {}


def test_systems_are_compared_in_one_table_and_one_file(run, work):
    arguments = (
        "--predictions",
        "raw.jsonl",
        "--predictions",
        "half.jsonl",
        "--references",
        "references.jsonl",
    )
    answer = run("evaluate", "plans", *arguments, "-o", "out/results.json")
    assert answer.returncode == 0, answer.stderr.decode()
    text = answer.stdout.decode()
    assert "100.0 [100.0, 100.0] n=2" in text
    assert "minus raw" in text
    assert "sentence BLEU-4, smoothing method 1" in text
    assert "half: 1 predictions are missing and count as wrong" in answer.stderr.decode()
    assert "half: 1 predictions of unknown ids are left out" in answer.stderr.decode()
    document = json.loads((work / "out/results.json").read_text())
    assert document == json.loads(run("evaluate", "plans", *arguments, "--json").stdout)
    assert document["systems"][1]["difference_to_first"]["valid_json"]["mean"] == 0
    assert document["systems"][1]["scores"]["optimizer"]["mean"] == 50


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("given.jsonl", "No such file")),
        ("", ("holds no plan",)),
        ("nonsense\n", ("line 1", "not JSON")),
        ("[" * 100_000, ("line 1", "not JSON")),
        (b"\xff\n", ("line 1", "UTF-8")),
        ("[1]\n", ("line 1", "id")),
        ('{"plan": {}}\n', ("line 1", "id")),
        (ROW + '{"id": "b"}\n', ("line 2", "must have a plan")),
        (ROW + ROW, ("line 2", "'a' stands twice")),
    ],
)
@pytest.mark.parametrize("place", ["--predictions", "--references"])
def test_a_wrong_file_is_one_line(run, work, content, words, place):
    if content is not None:
        (work / "given.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    files = {"--predictions": "raw.jsonl", "--references": "references.jsonl", place: "given.jsonl"}
    answer = run(
        "evaluate", "plans", *(part for pair in files.items() for part in pair), "-o", "results.json"
    )
    refused(answer, 2, *words)
    assert not (work / "results.json").exists()


def test_a_line_past_the_bound_is_refused(run, work):
    (work / "given.jsonl").write_text('{"id": "a", "text": "' + "x" * 2**24 + '"}\n')
    answer = run("evaluate", "plans", "--predictions", "given.jsonl", "--references", "references.jsonl")
    refused(answer, 2, "line 1", "longer")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--references", "references.jsonl"), ("--predictions",)),
        (("--predictions", "raw.jsonl"), ("--references",)),
        (
            (
                "--predictions",
                "raw.jsonl",
                "--predictions",
                "./raw.jsonl",
                "--references",
                "references.jsonl",
            ),
            ("given twice",),
        ),
        (("--predictions", "other.jsonl", "--references", "references.jsonl"), ("share no id",)),
        (
            ("--predictions", "raw.jsonl", "--references", "references.jsonl", "-o", "./raw.jsonl"),
            ("files to be read",),
        ),
    ],
)
def test_wrong_usage_is_one_line(run, work, arguments, words):
    (work / "other.jsonl").write_text(ROW.replace('"a"', '"z"'))
    refused(run("evaluate", "plans", *arguments), 2, *words)


@pytest.mark.parametrize("predictions", ['"raw.jsonl"', '["raw.jsonl", "half.jsonl"]'])
def test_predictions_come_from_the_settings_too(run, work, tmp_path, predictions):
    folder = tmp_path / "home/.config/dlcodegen"
    folder.mkdir(parents=True)
    settings = f'[evaluate.plans]\nreferences = "references.jsonl"\npredictions = {predictions}\n'
    (folder / "dlcodegen.toml").write_text(settings)
    answer = run("evaluate", "plans", "--json")
    assert answer.returncode == 0, answer.stderr.decode()
    assert len(json.loads(answer.stdout)["systems"]) == predictions.count("jsonl")
