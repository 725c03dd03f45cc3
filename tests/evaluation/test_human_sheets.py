import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from dlcodegen_local.evaluation.human_sheets import (
    COLUMNS,
    MAX_CELL,
    cell,
    form,
    long_codes,
    sheet,
    study_files,
)
from tests.evaluation.human_files import cells, study_in

HOSTILE = (
    "</script><script>alert(1)</script>\n<!-- <img src=x onerror=alert(2)> {{SCRIPT}} {{STUDY}}\n"
    "\u2028 & &lt; \" ' \u202e \x00 \ud83d"
)
HOSTILE_FILES = {"tasks": {"t1": HOSTILE}, "codes": {"evil": {"t1": f"=cmd|' /C calc'!A0\n{HOSTILE}"}}}


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.texts = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        self.texts.setdefault((tag, attributes.get("type")), data)


def test_nothing_that_raters_get_names_a_system(tmp_path):
    codes = {name: {"t1": "x = 1"} for name in ("our_planner", "their_model")}
    files = study_files(study_in(tmp_path, tasks={"t1": "Guess"}, codes=codes), 3)
    assert list(files) == [
        "key.json",
        "for-raters/form.html",
        *(f"for-raters/rater-{number}.csv" for number in (1, 2, 3)),
    ]
    assert "our_planner" in files.pop("key.json")
    for text in files.values():
        assert not re.search("our_planner|their_model", text)


def test_a_sheet_has_one_row_a_code_and_empty_scores(tmp_path):
    study = study_in(tmp_path)
    header, *rows = cells(sheet(study, "rater-1"))
    assert tuple(header) == COLUMNS
    assert [row[2] for row in rows] == list(study.key["codes"])
    assert all(row[:2] == [study.name, "rater-1"] and row[5:] == ["", "", "", ""] for row in rows)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\n=1", "＝1", "\r@x"])
def test_no_cell_is_a_formula(text):
    assert cell(text).startswith("'")


def test_a_cell_shows_code_as_it_is():
    assert cell("def f():\n\treturn 1\r\n") == "def f():\n    return 1\n"
    assert cell("x = '\u202e'\x00\x0c") == "x = ' '  "


def test_hostile_text_stays_text_in_the_sheet(tmp_path):
    [row] = cells(sheet(study_in(tmp_path, **HOSTILE_FILES), "rater-1"))[1:]
    assert row[4].startswith("'=cmd|' /C calc'!A0\n</script>")
    assert "\x00" not in row[4]


def test_hostile_text_stays_text_in_the_form(tmp_path):
    page = form(study_in(tmp_path, **HOSTILE_FILES))
    parsed = Tags(page)
    assert [tag for tag, _ in parsed.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in parsed.tags]
    study = json.loads(parsed.texts["script", "application/json"])
    assert study["items"][0]["codes"][0]["code"].startswith("=cmd|' /C calc'!A0\n</script><script>alert(1)")
    assert page.count("alert(1)") == 2  # in the requirement and in the code, as data
    assert "\\u003c/script\\u003e" in page
    assert "</script><script>alert" not in page


def test_the_form_runs_its_own_script_alone_and_loads_nothing(tmp_path):
    page = form(study_in(tmp_path))
    parsed = Tags(page)
    [policy] = [found["content"] for tag, found in parsed.tags if found.get("http-equiv")]
    for tag in ("script", "style"):
        digest = hashlib.sha256(parsed.texts[tag, None].encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not [found for _, found in parsed.tags if {"src", "href", "action"} & found.keys()]
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval\\(", page)


def test_the_form_downloads_the_columns_that_are_read(tmp_path):
    study = json.loads(Tags(form(study_in(tmp_path))).texts["script", "application/json"])
    assert study["columns"] == [name for name in COLUMNS if name not in ("requirement", "code")]


def test_codes_that_a_spreadsheet_cuts_are_counted(tmp_path):
    codes = {"a": {"t1": "x" * (MAX_CELL + 1), "t2": "x" * MAX_CELL}}
    assert long_codes(study_in(tmp_path, codes=codes)) == 1


def test_the_same_study_gives_the_same_bytes(tmp_path):
    assert study_files(study_in(tmp_path), 2) == study_files(study_in(tmp_path), 2)
