"""What a run leaves, read into a page: of either form, whole or damaged."""

import json
import os
from random import Random

import pytest

from dlcodegen_local.outcome import Candidate, Outcome
from dlcodegen_local.run_page import page_of_outcome, page_of_record
from dlcodegen_local.run_page.definition import Check, Repair
from dlcodegen_local.run_page.reading import read_run, with_outcome
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.verification.report import Compliance, Finding, SmokeResult, Verification
from tests.run_page.pages import EVIL, PLAN, Page, script

FACTS = {
    "batch_losses": [2.0, 1.5, "nan"],
    "history": {"loss": [1.5], "val_loss": [1.25]},
    "metrics": {"accuracy": 0.5},
    "confusion": [[1, 0], [1, 0]],
    "parameters": 1234,
    "prediction_shape": [2, 2],
    "sandbox": "bubblewrap",
    "log": "a path of this machine",
}


def draft(source, by="model", **more):
    return {"source": source, "provenance": {"config": "sample:s1", "model": by}, "tokens": [100, 20], **more}


def check(ok=True, *, smoke=True, score=1.0):
    finding = {
        "file": "project.py",
        "line": 3,
        "rule": "import",
        "message": "no such module",
        "severity": "error",
    }
    return {
        "static": {"ok": ok, "findings": [] if ok else [finding]},
        "compliance": {"score": score, "fields": {"layers": score}},
        "smoke": {"ok": smoke, "message": "trained"},
    }


STAGES = [
    ("plan", {"plan": PLAN.to_dict(), "notes": ["stated"]}, {"seconds": 1.5}),
    (
        "retrieve",
        {
            "hits": [
                {"id": "s1", "score": 2.5, "licence": "MIT", "why": [["conv2d", 1.5], ["bad"], ["x", None]]}
            ]
        },
        {},
    ),
    ("code-rag", draft(script()), {"tokens_read": 60, "reading_s": 1.0, "writing_s": 0.5}),
    ("template", draft(script()), {}),
    ("template-rag", draft(script("def build_model(config):\n    return 2")), {}),
    ("merge", draft(script()), {}),
    ("verify merge", check(ok=False, smoke=None), {"smoke_seconds": 0.0}),
    ("repair 1", draft(script("def build_model(config):\n    return 3")), {}),
    ("verify repair", check(score=0.9), {"smoke_seconds": 9.0, "facts": FACTS}),
]
CHOICE = (
    "choice",
    {
        "origin": "repair",
        "source": script("def build_model(config):\n    return 3"),
        "provenance": {"config": "sample:s1", "model": "model"},
        "bases": {},
        "licences": {"s1": "MIT"},
        "plan": PLAN.to_dict(),
    },
    {},
)


def recorded(stages=(*STAGES, CHOICE), **more):
    """Return a record and how its objects are read."""
    values = {f"object {number}": value for number, (_, value, _) in enumerate(stages)}
    rows = [
        {"name": name, "object": f"object {number}", "timings": timings}
        for number, (name, _, timings) in enumerate(stages)
    ]
    inputs = {"requirement": "a wish", "seed": 7, "model": {"name": "starter", "sha256": "ab" * 32}}
    return {"run": "0123", "inputs": inputs, "stages": rows, "status": "done", **more}, values.get


def test_a_whole_run_is_read():
    page = read_run(*recorded(), is_portable=False)
    assert (page.run_id, page.requirement, page.plan, page.status) == ("0123", "a wish", PLAN, "done")
    assert page.hits[0].terms == (("conv2d", 1.5),) and page.licences == {"s1": "MIT"}
    (first,) = page.rounds
    assert [version.name for version in first.drafts] == ["code-rag", "template-rag"]
    assert first.merge is not None and first.merge.source == script()
    assert [type(step) for step in page.steps] == [Check, Repair, Check]
    assert page.delivered is not None and page.origin == "repair" and "return 3" in page.delivered.source
    assert page.settings["Seed"] == "7" and page.versions["Code model"] == "starter"


def test_a_repair_is_compared_with_what_it_mended():
    repair = read_run(*recorded(), is_portable=False).steps[1]
    assert isinstance(repair, Repair)
    assert "return 1" in repair.before and "return 3" in repair.after


def test_a_repair_that_was_no_better_is_not_mended_further():
    worse = [("verify repair", check(ok=False, smoke=False), {}), ("repair 2", draft(script("x = 4")), {})]
    steps = read_run(*recorded((*STAGES[:8], *worse)), is_portable=False).steps
    assert isinstance(steps[-1], Repair)
    assert "return 1" in steps[-1].before, "the merge, not the first repair"


def test_measurements_of_the_smoke_run_are_read():
    smoke = read_run(*recorded(), is_portable=False).verification.smoke
    assert smoke.batch_losses == (2.0, 1.5), "what is no number is left out"
    assert smoke.history == {"loss": (1.5,), "val_loss": (1.25,)} and smoke.confusion == ((1, 0), (1, 0))
    assert smoke.facts["Parameters of the network"] == "1,234" and smoke.log and smoke.facts["Sandbox"]


def test_costs_count_what_was_kept():
    costs = {cost.name: cost for cost in read_run(*recorded(), is_portable=False).costs}
    draft_cost = costs["code-rag"]
    assert (draft_cost.tokens_in, draft_cost.tokens_kept, draft_cost.tokens_out) == (100, 40, 20)
    assert draft_cost.seconds == 1.5 and costs["verify repair"].seconds == 9.0
    assert "choice" not in costs
    timed = [(name, value, {**timings, "wall_s": 4.0}) for name, value, timings in STAGES]
    assert {cost.seconds for cost in read_run(*recorded(timed), is_portable=False).costs} == {4.0}


def test_timings_in_a_list_of_their_own_are_read():
    record, read = recorded()
    timings = [{"name": row["name"], **row.pop("timings")} for row in record["stages"]]
    page = read_run({**record, "timings": timings}, read, is_portable=False)
    assert page.costs == read_run(*recorded(), is_portable=False).costs


def test_a_portable_page_is_free_of_clock_and_machine():
    one = recorded(began="2026", versions={"numpy": "2"}, machine={"pace": 1})
    slow = [
        (name, value, {"seconds": 99.0, "facts": timings.get("facts", {})}) for name, value, timings in STAGES
    ]
    two = recorded((*slow, CHOICE), began="2027", status="findings")
    pages = [read_run(*run, is_portable=True) for run in (one, two)]
    assert pages[0] == pages[1]
    assert not pages[0].verification.smoke.log and "Sandbox" not in pages[0].verification.smoke.facts


def test_without_a_choice_the_last_version_that_was_checked_counts():
    page = read_run(*recorded(STAGES[:7]), is_portable=False)
    assert page.delivered is not None and page.delivered.name == "merge" and not page.verification.static_ok
    assert read_run(*recorded(STAGES[:4]), is_portable=False).delivered is None


def test_the_drafts_of_several_temperatures_are_rounds():
    again = [(f"{name} 2", value, timings) for name, value, timings in STAGES[2:6]]
    rounds = read_run(*recorded((*STAGES[:6], *again)), is_portable=False).rounds
    assert [found.merge.name for found in rounds if found.merge] == ["merge", "merge 2"]
    assert [len(found.drafts) for found in rounds] == [2, 2]


def test_a_baseline_is_one_draft():
    (only,) = read_run(*recorded([("direct", draft(script()), {})]), is_portable=False).rounds
    assert only.merge is None and [version.name for version in only.drafts] == ["direct"]


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], {}, {"a": 1}, [[]], {"source": 3, "provenance": [1], "hits": {}}]
)
def test_anything_may_stand_in_a_record(value):
    for name in ("plan", "retrieve", "merge", "verify merge", "repair 1", "choice", "", None):
        record = {
            "run": value,
            "inputs": value,
            "stages": [{"name": name, "object": "o", "timings": value}, value],
        }
        html = page_of_record({**record, "timings": value, "versions": value}, lambda _: value)
        assert Page(html).wrong == []


def mutated(value, random):
    """Return a JSON value in which some part is another thing."""
    if random.random() < 0.08:
        return random.choice(
            [None, True, -1, 10**400, 1e308, float("nan"), "", EVIL, [], {}, [None], {"": 0}]
        )
    if isinstance(value, dict):
        kept = {key: mutated(item, random) for key, item in value.items() if random.random() > 0.03}
        return kept | ({EVIL: EVIL} if random.random() < 0.03 else {})
    if isinstance(value, list):
        return [mutated(item, random) for item in value for _ in range(random.choice([0, 1, 1, 1, 1, 2]))]
    return value


def test_mutated_records_make_whole_pages():
    count = int(os.environ.get("DLCODEGEN_FUZZ_COUNT", "60"))
    record, read = recorded()
    values = {row["object"]: json.loads(json.dumps(read(row["object"]))) for row in record["stages"]}
    for seed in range(count):
        random = Random(seed)
        changed = {name: mutated(value, random) for name, value in values.items()}
        html = page_of_record(mutated(record, random) or {}, changed.get)
        assert Page(html).wrong == [], seed
        assert "<script" not in html and len(html) < 1_000_000


def test_lost_objects_are_said_to_be_lost():
    record, _ = recorded()
    text = Page(page_of_record(record, lambda _: None)).text
    assert text.count("what this stage wrote is not kept") == 3


def test_hostile_records_make_harmless_pages():
    hostile = json.loads(
        json.dumps(recorded()[0] | {"versions": {EVIL: EVIL}}).replace("a wish", json.dumps(EVIL)[1:-1])
    )
    values = [
        json.loads(json.dumps(value).replace("s1", json.dumps(EVIL)[1:-1]))
        for _, value, _ in (*STAGES, CHOICE)
    ]
    read = dict(zip((row["object"] for row in hostile["stages"]), values, strict=True)).get
    page = Page(page_of_record(hostile, read))
    assert page.wrong == [] and "script" not in page.tags and "alert('1')" in page.text


def outcome():
    finding = Finding("project.py", 3, "import", "odd", "warning")
    smoke = SmokeResult(True, 9.5, "trained", 0, FACTS)
    return Outcome(
        plan=PLAN,
        method="dlcodegen",
        chosen=Candidate("repair", CHOICE[1]["source"], CHOICE[1]["provenance"]),
        verification=Verification((finding,), Compliance(0.9, {"layers": 0.9}), smoke),
        licences={"s1": "MIT"},
        pools={"s1": "bundled"},
        seconds=12.5,
        tokens=321,
    )


def test_the_page_of_an_outcome_needs_no_record():
    text = Page(page_of_outcome(outcome(), {}, lambda _: None)).text
    assert "The project passed its checks" in text and "1 of 2 right" in text and "odd" in text


def test_an_outcome_stands_for_the_stage_that_checked_it():
    value = outcome().verification.to_dict()
    stages = (*STAGES[:8], ("verify repair", value, {}))
    page = with_outcome(read_run(*recorded(stages), is_portable=True), outcome())
    assert [step.version for step in page.steps if isinstance(step, Check)] == ["merge", "repair"]
    assert page.steps[-1] is page.verification and page.verification.smoke.confusion


def test_real_records_are_read(tmp_path):
    record = RunRecord(tmp_path, {"requirement": "a wish"})
    for name, value, timings in (*STAGES, CHOICE):
        record.add_stage(name, value, timings)

    def read(name):
        return json.loads((tmp_path / "objects" / f"{name}.json").read_text(encoding="utf-8"))

    one = page_of_outcome(outcome(), record.summary(), read)
    assert one == page_of_outcome(outcome(), record.summary(), read)
    assert "a wish" in one and "merge takes Draft 1" in one and "12.5" not in one
