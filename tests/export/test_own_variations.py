import ast
import random
import re

import pytest

from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.facts import stated_facts
from export import own_wording
from export.own_german import VERBS, verb_forms
from export.own_rows import own_rows
from export.own_subjects_german import GERMAN_SUBJECTS
from export.own_subjects_romance import ROMANCE_TASKS
from export.own_variations import ENGLISH_SUBJECTS, KINDS, varied

ROWS = [varied(name, random.Random(f"{name} {seed}")) for seed in range(25) for name in KINDS]
LAST_OF_LOSS = {
    "binary_crossentropy": r"sigmoid|Conv2D\(1,",
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
}


def test_every_kind_has_words_in_every_language():
    assert set(KINDS) == set(ENGLISH_SUBJECTS) == set(GERMAN_SUBJECTS) == set(ROMANCE_TASKS)
    assert {kind.category for kind in KINDS.values()} == set(CATEGORIES)
    for subjects in (*ENGLISH_SUBJECTS.values(), *GERMAN_SUBJECTS.values()):
        assert all(template.count("{}") == 1 for template in (*subjects.short, *subjects.tasks))
        assert len(set(subjects.nouns)) == len(subjects.nouns) > 9
    assert sum(len(subjects.nouns) for subjects in ENGLISH_SUBJECTS.values()) > 700


def test_every_german_task_ends_with_a_verb_of_known_forms():
    for subjects in GERMAN_SUBJECTS.values():
        assert all(task.split()[-1] in VERBS for task in subjects.tasks)
    assert verb_forms("Mieten vorhersagen") == (
        "Mieten vorhersagen",
        "Mieten vorherzusagen",
        "Mieten vorhersagt",
    )


def test_what_is_stated_stands_in_the_plan():
    for requirement, dataset, plan in ROWS:
        facts = stated_facts(requirement, dataset)
        assert all(getattr(plan, name) == value for name, value in facts.values.items()), requirement
        if facts.sizes.image_size is not None:
            assert str(facts.sizes.image_size) in plan.dataset_input, requirement
        if facts.sizes.num_classes is not None and plan.category.endswith(" Classification"):
            assert f"{facts.sizes.num_classes}" in plan.dataset_output, requirement


def test_plans_agree_with_themselves():
    for requirement, _, plan in ROWS:
        assert Plan.from_dict(plan.to_dict()) == plan
        assert re.search(LAST_OF_LOSS.get(plan.loss, ""), plan.layers[-1]), (requirement, plan)
        classes = re.fullmatch(r"\(batch_size, (\d+)\), class probabilities", plan.dataset_output)
        if classes:
            assert plan.layers[-1].startswith(f"Dense({classes.group(1)}, activation='softmax')")


@pytest.mark.parametrize("place", range(0, 2 * len(KINDS), 2))
def test_plans_compile(place):
    rows = list(own_rows(2 * len(KINDS) + 1, seed=7))
    ast.parse(compile_plan(rows[place + 1 if place + 1 < len(rows) else 0].plan))


def test_short_ones_are_short_and_a_seed_gives_one_row():
    texts = [requirement for requirement, _, _ in ROWS]
    assert sum(len(text.split()) <= 5 for text in texts) > len(texts) / 8
    assert varied("forecasting", random.Random(3)) == varied("forecasting", random.Random(3))
    assert len(set(texts)) > 0.95 * len(texts)


def test_rows_are_old_and_new_by_turns():
    rows = list(own_rows(2 * len(KINDS), seed=11))
    assert [row.plan.category for row in rows[1::2]] == [kind.category for kind in KINDS.values()]


def test_typing_errors_leave_numbers_and_short_words_alone():
    text = "classify 64x64 photos of cats into 12 kinds, lr 0.001"
    for seed in range(200):
        wrong = own_wording.with_typing_errors(text, random.Random(seed))
        assert re.findall(r"[\d.]+", wrong) == re.findall(r"[\d.]+", text) and "lr" in wrong
