"""A small study: three tasks, two systems, one of which has no code for the last task."""

import csv
import io
import json

from dlcodegen_local.evaluation.human_sheets import COLUMNS, KEY_FILE
from dlcodegen_local.evaluation.human_study import make_study

TASKS = {"t1": "Guess a price", "t2": "Name birds", "t3": "Sort letters"}
CODES = {
    "plain": {item: f"plain_code = {item!r}" for item in TASKS},
    "fancy": {"t1": "fancy_code = 't1'", "t2": "fancy_code = 't2'", "t3": "  \n", "t9": "unknown = 1"},
}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_study(folder, tasks=TASKS, codes=CODES):
    folder.mkdir(exist_ok=True)
    references = folder / "tasks.jsonl"
    references.write_text(lines({"id": item, "requirement": text} for item, text in tasks.items()))
    paths = []
    for name, own in codes.items():
        paths.append(folder / f"{name}.jsonl")
        paths[-1].write_text(lines({"id": item, "code": code} for item, code in own.items()))
    return paths, references


def study_in(folder, items=None, seed=0, **files):
    paths, references = write_study(folder, **files)
    study = make_study(paths, references, items, seed)
    (folder / KEY_FILE).write_text(json.dumps(study.key))
    return study


def cells(text):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def filled(study, rater, scores, delimiter=","):
    """Return a sheet with scores by (item, system), three each."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for code, by in study.key["codes"].items():
        said = scores.get((by["item"], by["system"]), ("", "", ""))
        writer.writerow((study.name, rater, code, "asked", "x = 1\ny = 2", *said, ""))
    return text.getvalue()
