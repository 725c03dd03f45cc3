import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.human_ratings import read_key, read_sheets
from dlcodegen_local.evaluation.human_sheets import form, sheet
from tests.evaluation.human_files import filled, study_in

SCORES = {
    ("t1", "plain"): ("7", "7.5", "0"),
    ("t1", "fancy"): ("10", "", " 3 "),
    ("t2", "plain"): ("1", "2", "3"),
}


def read(folder, *texts):
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"sheet{number}.csv")
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sheets(paths, read_key(folder))


def code_of(study, item, system):
    return next(code for code, by in study.key["codes"].items() if tuple(by.values()) == (item, system))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_scores_are_read_and_gaps_stay_gaps(tmp_path, delimiter):
    study = study_in(tmp_path)
    [found] = read(tmp_path, filled(study, "Ann", SCORES, delimiter))
    assert found.rater == "Ann"
    assert found.scores[code_of(study, "t1", "plain")] == {
        "compliance": 7, "helpfulness": 7.5, "idiomaticity": 0,
    }  # fmt: skip
    assert found.scores[code_of(study, "t1", "fancy")] == {"compliance": 10, "idiomaticity": 3}
    assert found.scores[code_of(study, "t2", "fancy")] == {}


def test_what_a_spreadsheet_does_to_a_sheet_is_understood(tmp_path):
    study = study_in(tmp_path)
    text = filled(study, "'=Ann", {("t1", "plain"): ("7,5", "7", "1")}, ";").replace("\n", "\r\n")
    [found] = read(tmp_path, ("\ufeff" + text + ";;;;;;;;\r\n").encode())
    assert found.rater == "=Ann"
    assert found.scores[code_of(study, "t1", "plain")]["compliance"] == 7.5


def test_what_the_form_downloads_is_read(tmp_path):
    study = study_in(tmp_path)
    columns = json.loads(form(study).split('id="study">')[1].partition("</script>")[0])["columns"]
    first, second = list(study.key["codes"])[:2]
    rows = [
        columns,
        [study.name, "Ann", first, "1", "2", "", '\'-1 ""; <b>'],
        [study.name, "Ann", second, *[""] * 4],
    ]
    text = "\r\n".join(",".join(f'"{value}"' for value in row) for row in rows)
    [found] = read(tmp_path, "\ufeff" + text + "\r\n")
    assert found.scores == {first: {"compliance": 1, "helpfulness": 2}, second: {}}
    assert found.remarks == {first: "'-1 \"; <b>"}


@pytest.mark.parametrize(
    "score", ["11", "10.01", "-1", "good", "NaN", "inf", "1e1", "7/10", "٣", "0x1", "1_0", "'7"]
)
def test_a_wrong_score_is_named_with_its_place(tmp_path, score):
    study = study_in(tmp_path)
    text = filled(study, "Ann", {("t1", "plain"): ("7", score, "1")})
    with pytest.raises(ConfigError, match=r"sheet0.csv, line \d+, helpfulness: .* is no number from 0 to 10"):
        read(tmp_path, text)


def test_wrong_sheets_are_one_line(tmp_path):
    study = study_in(tmp_path)
    good = filled(study, "Ann", SCORES)
    last = list(study.key["codes"])[-1]
    cases = {
        "column idiomaticity is missing": good.replace("idiomaticity", "style", 1),
        "column id is missing": good.replace(",id,", ",name,", 1),
        "column compliance stands twice": good.replace("remark", "compliance", 1),
        "unknown id 'item-009-A'": good.replace(last, "item-009-A"),
        "stands twice": good + good.splitlines(keepends=True)[-2] + good.splitlines(keepends=True)[-1],
        "another study": good.replace(study.name, "study-0123456789abcdef"),
        "holds no score": filled(study, "Ann", {}),
        "one rater": good.replace(",Ann,", ",Bob,", 1),
        "fill the column": filled(study, "", SCORES),
        "is empty": "",
        "too few cells": good + "study,Ann\n",
        "save the sheet as CSV": good.replace("asked", '"asked"x', 1),
        "UTF-8": b"\xff\xfe\x00",
    }
    for words, text in cases.items():
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, text)
        assert words in f"{caught.value.message} ({caught.value.hint})", words


def test_an_unfilled_sheet_holds_no_score(tmp_path):
    study = study_in(tmp_path)
    with pytest.raises(ConfigError, match="holds no score"):
        read(tmp_path, sheet(study, "rater-1"))


def test_a_sheet_or_a_rater_given_twice_is_refused(tmp_path):
    good = filled(study_in(tmp_path), "Ann", SCORES)
    with pytest.raises(ConfigError, match="are the same sheet"):
        read(tmp_path, good, good)
    with pytest.raises(ConfigError, match="both of rater 'Ann'"):
        read(tmp_path, good, good + "\n")
    assert len(read(tmp_path, good, good.replace("Ann", "Bob"))) == 2


def test_a_changed_key_is_refused(tmp_path):
    study = study_in(tmp_path)
    text = (tmp_path / "key.json").read_text()
    (tmp_path / "key.json").write_text(text.replace('"plain"', '"other"'))
    with pytest.raises(ConfigError, match="another study than the key"):
        read(tmp_path, filled(study, "Ann", SCORES))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        (b"\xff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no key"),
        ("{}", "is no key"),
        ('{"format": "dlcodegen rating key 1", "codes": [], "systems": {}}', "is no key"),
        (
            '{"format": "dlcodegen rating key 1", "codes": {"a": {"item": 1, "system": 2}}, "systems": {}}',
            "is no key",
        ),
    ],
)
def test_a_damaged_key_is_one_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "key.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=words):
        read_key(tmp_path)


def test_a_long_code_is_no_obstacle(tmp_path):
    text = filled(study_in(tmp_path), "Ann", SCORES).replace("asked", "x" * 2**20)
    assert read(tmp_path, text)[0].scores
