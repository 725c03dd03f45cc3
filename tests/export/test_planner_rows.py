import json
import random
import re

import pytest

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.facts import stated_facts
from export.own_rows import own_rows
from export.planner_rows import augmented, file_hashes, held_out_rows, read_rows, training_rows

PLAN = Plan(
    category="Image Classification",
    dataset_input="(batch_size, 32, 32, 3)",
    dataset_output="(batch_size, 2)",
    preprocess="Rescaled.",
    layers=("Flatten()", "Dense(2)"),
    optimizer="adam",
    loss="binary_crossentropy",
    learning_rate=0.001,
    batch_size=8,
    epochs=2,
    metric="accuracy",
).to_dict()


def write_rows(path, requirements, plan=PLAN):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": f"r{index}", "requirement": text, "dataset_attributes": {"count": 3}, "plan": plan}
        for index, text in enumerate(requirements)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    write_rows(
        tmp_path / "plans/train.jsonl",
        [
            "I want to sort ripe apples from rotten apples on a conveyor belt with a camera.",
            "I want to sort ripe apples from rotten apples on a conveyor belt with a camera today!",
            "i want to COUNT sheep in aerial pictures",
            "I want to predict the tide from the moon.",
        ],
    )
    write_rows(
        tmp_path / "plans/test.jsonl",
        [
            "I want to sort ripe apples from rotten apples on a conveyor belt with a camera",
            "I want to count sheep in aerial pictures.",
        ],
    )
    return tmp_path


def test_the_last_rows_of_the_rare_dialect_are_held_out(tmp_path):
    other = {"Task Category": "x", "Model architecture": {"Layers": ["Dense"], "Hypermeters": {"epochs": 1}}}
    write_rows(tmp_path / "rare.jsonl", [f"rare {place}" for place in range(20)])
    write_rows(tmp_path / "common.jsonl", [f"common {place}" for place in range(20)], other)
    rows = [*read_rows(tmp_path / "rare.jsonl")[0], *read_rows(tmp_path / "common.jsonl")[0]]
    assert [row.dialect for row in rows[::20]] == ["hyperparameters", "hypermeters"]
    trained, held_out = held_out_rows(rows, 3)
    assert [row.requirement for row in held_out] == ["rare 17", "rare 18", "rare 19"]
    assert len(trained) == 37 and not {row.requirement for row in trained} & {"rare 17", "rare 19"}
    assert len(held_out_rows(rows, 100)[1]) == 4 and held_out_rows(rows, 0)[1] == []


def test_evaluation_requirements_are_left_out(folder):
    rows, dropped = training_rows(folder)
    assert [row.requirement for row in rows] == ["I want to predict the tide from the moon."]
    assert (dropped.same_requirement, dropped.near_requirement, dropped.unreadable) == (2, 1, 0)


def test_without_evaluation_files_all_rows_are_kept(folder):
    (folder / "plans/test.jsonl").unlink()
    assert len(training_rows(folder)[0]) == 4
    assert list(file_hashes(folder)) == ["plans/train.jsonl"]


def test_unreadable_plans_are_counted(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ["a", "b"], plan=["no plan"])
    assert read_rows(tmp_path / "rows.jsonl") == ([], 2)


def test_dataset_attributes_become_text(folder):
    assert read_rows(folder / "plans/test.jsonl")[0][0].dataset == "count: 3"


def test_augmentation_is_seeded_and_keeps_outline_openings(folder):
    row = read_rows(folder / "plans/train.jsonl")[0][3]
    seen = {augmented(row, "calls", random.Random(seed))[0] for seed in range(60)}
    assert "Predict the tide from the moon." in seen and row.requirement in seen
    kept = [augmented(row, "outline", random.Random(seed))[0].lower() for seed in range(60)]
    assert all(text.startswith("i want to") for text in kept)
    assert augmented(row, "calls", random.Random(4)) == augmented(row, "calls", random.Random(4))


def test_own_rows_cover_all_categories_and_say_what_they_state():
    rows = list(own_rows(600, seed=1))
    assert {row.plan.category for row in rows} == set(CATEGORIES)
    for row in rows:
        for name, value in stated_facts(row.requirement).values.items():
            assert getattr(row.plan, name) == value
        size = re.search(r"(\d+)x\1 pixels|images of (\d+) x|image size (\d+)", row.requirement)
        if size:
            assert next(filter(None, size.groups())) in row.plan.dataset_input
    assert rows[:30] == list(own_rows(30, seed=1)) and rows[:30] != list(own_rows(30, seed=2))
