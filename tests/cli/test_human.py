import json

import pytest

from tests.cli.test_wrong_input import refused
from tests.evaluation.human_files import cells, write_study

EXPORT = (
    "evaluate", "human", "export", "--predictions", "plain.jsonl", "--predictions", "fancy.jsonl",
    "--references", "tasks.jsonl", "-o", "study",
)  # fmt: skip
IMPORT = ("evaluate", "human", "import", "study")


@pytest.fixture
def work(tmp_path, run):
    folder = tmp_path / "work"
    write_study(folder)
    return folder


def fill(folder, rater, *scores):
    """Write the sheet of a rater who gives the same three scores to every code."""
    header, *rows = cells((folder / f"study/for-raters/{rater}.csv").read_bytes().decode())
    lines = [",".join(f'"{value}"' for value in (*row[:3], *scores)) for row in rows]
    (folder / f"{rater}.csv").write_text(",".join((*header[:3], *header[5:8])) + "\n" + "\n".join(lines))


def test_sheets_go_out_and_come_back(run, work):
    answer = run(*EXPORT, "--items", "2", "--raters", "3")
    assert answer.returncode == 0, answer.stderr.decode()
    assert "to be kept from them: study/key.json" in answer.stdout.decode()
    assert sorted(path.name for path in (work / "study/for-raters").iterdir()) == [
        "form.html", "rater-1.csv", "rater-2.csv", "rater-3.csv",
    ]  # fmt: skip
    fill(work, "rater-1", 4, 5, 6)
    fill(work, "rater-2", 6, 5, "")
    answer = run(*IMPORT, "rater-1.csv", "rater-2.csv", "-o", "report.json")
    assert answer.returncode == 0, answer.stderr.decode()
    text = answer.stdout.decode()
    assert "minus plain" in text
    assert "helpfulness   undefined: all scores are equal" in text
    assert "compliance    rater-1 4, rater-2 6" in text
    assert "idiomaticity: alpha is undefined: no code was scored by two raters" in answer.stderr.decode()
    document = json.loads((work / "report.json").read_text())
    assert document == json.loads(run(*IMPORT, "rater-1.csv", "rater-2.csv", "--json").stdout)
    assert document["systems"][0]["scores"]["compliance"] == {"mean": 5, "low": 5, "high": 5, "n": 2}


def test_an_export_is_repeatable_and_replaces_nothing(run, work):
    assert json.loads(run(*EXPORT, "--json").stdout)["codes"] == 5
    first = (work / "study/for-raters/form.html").read_bytes()
    refused(run(*EXPORT), 2, "study exists and is not empty")
    assert run(*EXPORT[:-1], "again", "--seed", "0").returncode == 0
    assert (work / "again/for-raters/form.html").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("no sheet is given",)),
        (("absent.csv",), ("absent.csv", "No such file")),
        (("rater-1.csv", "./rater-1.csv"), ("same sheet",)),
        (("rater-1.csv", "-o", "study/key.json"), ("files to be read",)),
        (("rater-2.csv",), ("rater-2.csv, line 2, compliance", "no number from 0 to 10")),
    ],
)
def test_wrong_sheets_are_one_line(run, work, arguments, words):
    assert run(*EXPORT).returncode == 0
    fill(work, "rater-1", 4, 5, 6)
    fill(work, "rater-2", "four", 5, 6)
    refused(run(*IMPORT, *arguments), 2, *words)
