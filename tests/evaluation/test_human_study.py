import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.human_study import make_study, study_name
from tests.evaluation.human_files import CODES, TASKS, study_in, write_study

MANY = {f"t{number}": f"Task {number}" for number in range(40)}
OF_MANY = {name: {item: f"{name}_{item} = 1" for item in MANY} for name in ("a", "b", "c")}


def test_every_code_stands_once_under_its_key(tmp_path):
    study = study_in(tmp_path)
    shown = {code.id: code.code for item in study.items for code in item.codes}
    assert shown == {code: CODES[by["system"]][by["item"]] for code, by in study.key["codes"].items()}
    assert len(shown) == 5
    assert [item.requirement for item in study.items] == list(TASKS.values())


def test_what_is_missing_is_counted_and_said(tmp_path):
    study = study_in(tmp_path)
    assert study.key["systems"]["fancy"]["missing"] == ["t3"]
    assert study.notes == (
        ["fancy: 1 items have no code and will count 0", "fancy: 1 predictions of unknown ids are left out"]
    )


def test_an_item_without_any_code_is_left_out(tmp_path):
    study = study_in(tmp_path, codes={"plain": {"t2": "x = 1"}})
    assert study.key["references"]["items"] == ["t2"]
    assert "2 items are left out: no system has code for them" in study.notes


def test_the_seed_decides_who_is_a(tmp_path):
    first = study_in(tmp_path, tasks=MANY, codes=OF_MANY)
    firsts = [by["system"] for code, by in first.key["codes"].items() if code.endswith("A")]
    assert all(8 <= firsts.count(name) <= 19 for name in OF_MANY)
    assert study_in(tmp_path, tasks=MANY, codes=OF_MANY) == first
    other = study_in(tmp_path, seed=1, tasks=MANY, codes=OF_MANY)
    assert other.key["codes"] != first.key["codes"]
    assert other.name != first.name


def test_items_are_drawn_and_keep_their_order(tmp_path):
    study = study_in(tmp_path, items=7, tasks=MANY, codes=OF_MANY)
    chosen = study.key["references"]["items"]
    assert len(set(chosen)) == 7
    assert chosen == sorted(chosen, key=list(MANY).index)
    assert chosen != list(MANY)[:7]


def test_any_change_of_the_key_changes_its_name(tmp_path):
    key = study_in(tmp_path).key
    changed = json.loads(json.dumps(key))
    assert study_name(changed) == study_name(key)
    changed["codes"]["item-001-A"], changed["codes"]["item-001-B"] = (
        changed["codes"]["item-001-B"],
        changed["codes"]["item-001-A"],
    )
    assert study_name(changed) != study_name(key)


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [
        (None, "Guess a price"),
        ("", "Guess a price"),
        ("1,000 rows", "Guess a price\n\nData: 1,000 rows"),
        ({"rows": 7, "labels": ["a"]}, 'Guess a price\n\nData: \n- rows: 7\n- labels: ["a"]'),
    ],
)
def test_raters_see_what_is_known_of_the_data(tmp_path, dataset, shown):
    paths, references = write_study(tmp_path)
    references.write_text(
        json.dumps({"id": "t1", "requirement": "Guess a price", "dataset_attributes": dataset})
    )
    assert make_study(paths, references).items[0].requirement == shown


@pytest.mark.parametrize(
    ("row", "items", "words"),
    [
        ('{"id": "t1"}', None, "line 1: must have a requirement"),
        ('{"id": "t1", "requirement": " "}', None, "line 1: must have a requirement"),
        ('{"id": "z", "requirement": "x"}', None, "no prediction has code"),
        ('{"id": "t1", "requirement": "x"}', 2, "there are 1 items with code, not 2"),
    ],
)
def test_wrong_references_are_one_line(tmp_path, row, items, words):
    paths, references = write_study(tmp_path)
    references.write_text(row)
    with pytest.raises(ConfigError, match=words):
        make_study(paths, references, items)


def test_a_system_given_twice_is_refused(tmp_path):
    paths, references = write_study(tmp_path)
    with pytest.raises(ConfigError, match="given twice"):
        make_study([*paths, paths[0]], references)
