import json

import pytest

from dlcodegen_local.plan.schema import Plan
from tests.cli.test_wrong_input import refused

PLAN = Plan(
    "Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "scaled", ("Dense(8)", "Dense(1)"), "adam",
    "mse", 0.01, 32, 10, "mae",
).to_dict()  # fmt: skip
ASKED = {
    "a": "Tell healthy beehives from sick ones by the sound of their entrance on a summer day.",
    "b": "Guess how many passengers a tram has from the weight on each of its axles.",
    "c": "Find the words of old letters that were written in a hurry with a blunt pencil.",
}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def work(tmp_path, run):
    folder = tmp_path / "work"
    tasks = [
        {"id": item, "requirement": text, "plan": PLAN, "reference": f"name = {item!r}\nprint(name)\n"}
        for item, text in ASKED.items()
    ]
    (folder / "tasks.jsonl").write_text(lines(tasks))
    (folder / "good.jsonl").write_text(
        lines({"id": row["id"], "code": row["reference"], "plan": PLAN} for row in tasks)
    )
    (folder / "bad.jsonl").write_text(lines({"id": item, "code": "x = 1\n", "plan": None} for item in ASKED))
    training = [
        {"requirement": "Sort apples by their weight and their colour."},
        {"requirement": ASKED["a"].upper()},
        {"requirement": ASKED["c"].replace("in a hurry", "in great haste")},
    ]
    (folder / "training.jsonl").write_text(lines(training))
    return folder


def test_leaks_are_listed_item_by_item(run, work):
    arguments = ("evaluate", "leaks", "--references", "tasks.jsonl", "--training", "training.jsonl")
    answer = run(*arguments, "--pool", "bundled", "-o", "leaks.json")
    assert answer.returncode == 1, answer.stderr.decode()
    first, second, label, signature = answer.stdout.decode().splitlines()
    assert first.split() == ["a", "requirement", "exact", "training.jsonl,", "line", "2"]
    assert second.startswith("c  requirement")
    assert "%" in second
    assert label == "NOT HELD OUT: 2 of 3 items leak"
    assert "8 words of a plan's values" in signature
    document = json.loads((work / "leaks.json").read_text())
    assert document == json.loads(run(*arguments, "--pool", "bundled", "--json").stdout)
    assert [leak["id"] for leak in document["leaks"]] == ["a", "c"]
    assert not document["held_out"]
    assert [source["name"] for source in document["sources"]] == ["training.jsonl", "bundled"]


def test_a_pool_made_of_the_references_is_named_item_by_item(run, work):
    (work / "pool").mkdir()
    for row in map(json.loads, (work / "tasks.jsonl").read_text().splitlines()):
        (work / f"pool/of_another_{row['id']}.py").write_text(f"# a copy\n{row['reference']}")
    answer = run("evaluate", "leaks", "--references", "tasks.jsonl", "--pool", "pool", "--json")
    assert answer.returncode == 1
    leaks = json.loads(answer.stdout)["leaks"]
    assert [(leak["id"], leak["matches"][0]["where"]) for leak in leaks] == [
        (item, f"pool: of_another_{item}.py") for item in ASKED
    ]


def test_nothing_found_is_held_out(run, work):
    (work / "training.jsonl").write_text('{"requirement": "Sort apples by their weight and their colour."}\n')
    answer = run("evaluate", "leaks", "--references", "tasks.jsonl", "--training", "training.jsonl")
    assert answer.returncode == 0
    assert "held out: none of 3 items was found in 1 rows and samples" in answer.stdout.decode()


@pytest.mark.parametrize("kind", ["plans", "code"])
def test_a_score_with_leaks_is_labelled_and_the_clean_items_are_scored_beside_it(run, work, kind):
    arguments = ("evaluate", kind, "--predictions", "good.jsonl", "--predictions", "bad.jsonl")
    arguments += ("--references", "tasks.jsonl", "--leaks-from", "training.jsonl")
    answer = run(*arguments)
    assert answer.returncode == 0, answer.stderr.decode()
    text = answer.stdout.decode()
    assert text.startswith("NOT HELD OUT: 2 of 3 items leak\n")
    assert "bad (clean)" in text
    assert "note: NOT HELD OUT" in answer.stderr.decode()
    document = json.loads(run(*arguments, "--json").stdout)
    assert not document["held_out"]
    assert [system["name"] for system in document["systems"]] == ["good", "bad"]
    first, second = document["clean_systems"]
    assert (first["name"], second["name"]) == ("good (clean)", "bad (clean)")
    name, best = {"plans": ("category", 100), "code": ("parse_rate", 100)}[kind]
    assert first["scores"][name] == {"mean": best, "low": best, "high": best, "n": 1}
    assert first["difference_to_first"] == {}
    assert second["difference_to_first"][name]["n"] == 1


def test_where_all_items_leak_no_clean_score_is_made(run, work):
    arguments = ("evaluate", "code", "--predictions", "good.jsonl", "--references", "tasks.jsonl")
    document = json.loads(run(*arguments, "--leaks-from", "tasks.jsonl", "--json").stdout)
    assert document["label"] == "NOT HELD OUT: 3 of 3 items leak"
    assert document["clean_systems"] == []
    assert "no item is clean" in document["notes"]


def test_a_score_without_leaks_says_so(run, work):
    arguments = ("evaluate", "plans", "--predictions", "good.jsonl", "--references", "tasks.jsonl")
    answer = run(*arguments, "--leaks-from", "bundled")
    assert answer.stdout.decode().startswith("held out: none of 3 items")
    assert "(clean)" not in answer.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        ((), 2, ("nothing to look into", "--training")),
        (("--training", "absent.jsonl"), 2, ("absent.jsonl", "No such file")),
        (("--training", "training.jsonl", "--training", "./training.jsonl"), 2, ("given twice",)),
        (("--pool", "absent"), 3, ("there is no pool absent",)),
        (("--pool", "team"), 3, ("there is no team pool",)),
        (("--training", "training.jsonl", "-o", "./training.jsonl"), 2, ("files to be read",)),
    ],
)
def test_wrong_usage_is_one_line(run, work, arguments, exit_code, words):
    answer = run("evaluate", "leaks", "--references", "tasks.jsonl", *arguments)
    refused(answer, exit_code, *words)
