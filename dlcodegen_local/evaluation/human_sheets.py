"""Write what raters fill in: a CSV sheet for a spreadsheet, and one HTML form for a browser, without network.

Guarantees that no cell is read as a formula and that no text of a requirement or a code becomes markup.
"""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any

from dlcodegen_local.evaluation.human_criteria import CRITERIA
from dlcodegen_local.evaluation.human_study import Study
from dlcodegen_local.plain_text import plain

KEY_FILE = "key.json"
RATERS_FOLDER = "for-raters"
FORM_FILE = "form.html"
SCORE_COLUMNS = tuple(criterion.name for criterion in CRITERIA)
COLUMNS = ("study", "rater", "id", "requirement", "code", *SCORE_COLUMNS, "remark")
MAX_CELL = 32_767  # characters that a spreadsheet shows of a cell

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BOM = "\ufeff"  # tells spreadsheets that the text is UTF-8


def study_files(study: Study, raters: int) -> dict[str, str]:
    """Return the files of a study by their paths: one sheet a rater, the form, and beside them the key."""
    files = {KEY_FILE: json.dumps(study.key, indent=2, ensure_ascii=True) + "\n"}
    files[f"{RATERS_FOLDER}/{FORM_FILE}"] = form(study)
    for rater in range(1, raters + 1):
        files[f"{RATERS_FOLDER}/rater-{rater}.csv"] = sheet(study, f"rater-{rater}")
    return files


def sheet(study: Study, rater: str) -> str:
    """Return a rater's sheet: one row a code, the columns of the scores empty."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    empty = [""] * (len(SCORE_COLUMNS) + 1)
    for item in study.items:
        for shown in item.codes:
            cells = (study.name, rater, shown.id, item.requirement, shown.code)
            writer.writerow([*(cell(value) for value in cells), *empty])
    return _BOM + text.getvalue()


def cell(text: str) -> str:
    """Return a text as a spreadsheet shows it: what would be read as a formula begins with an apostrophe."""
    text = shown_text(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def shown_text(text: str) -> str:
    """Return a text with its lines, without what a screen cannot show or shows as something else."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(plain(line.expandtabs(4)) for line in lines)


def long_codes(study: Study) -> int:
    """Count the codes that a spreadsheet would cut."""
    return sum(len(cell(shown.code)) > MAX_CELL for item in study.items for shown in item.codes)


def form(study: Study) -> str:
    """Return the HTML form: it keeps what is entered in the browser and downloads it as a sheet.

    Its policy lets nothing run but its own script, which writes texts as texts, and nothing be loaded.
    """
    folder = resources.files("dlcodegen_local.evaluation") / "human_form"
    page, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("form.html", "form.css", "form.js")
    )
    parts = {
        "STYLE_HASH": _hash(style),
        "SCRIPT_HASH": _hash(script),
        "STYLE": style,
        "SCRIPT": script,
        "STUDY": _json_in_html(_shown(study)),
    }
    before, *rest = page.split("{{")
    for part in rest:  # one pass: what is put in is not looked at again
        name, _, after = part.partition("}}")
        before += parts[name] + after
    return before


def _shown(study: Study) -> dict[str, Any]:
    return {
        "study": study.name,
        "columns": [name for name in COLUMNS if name not in ("requirement", "code")],
        "criteria": [asdict(criterion) for criterion in CRITERIA],
        "items": [
            {
                "number": item.number,
                "requirement": shown_text(item.requirement),
                "codes": [
                    {"id": shown.id, "letter": shown.letter, "code": shown_text(shown.code)}
                    for shown in item.codes
                ],
            }
            for item in study.items
        ],
    }


def _json_in_html(value: Mapping[str, Any]) -> str:
    """Return JSON in which no character can end or begin a tag."""
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
