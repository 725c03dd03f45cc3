import pytest

from dlcodegen_local.evaluation.code_files import Prediction, Reference
from dlcodegen_local.evaluation.code_scores import MEASURES, score_systems
from dlcodegen_local.plan.schema import Plan
from tests.benchmarks.scoring import program
from tests.evaluation.test_code_workers import CODE, PLAN

BEST = {
    "codebleu",
    "codebleu_defined",
    "codebleu_mean",
    "ngram",
    "weighted_ngram",
    "syntax",
    "dataflow",
    "bleu",
}
REFERENCES = {
    "a": Reference(CODE, Plan.from_dict(PLAN)),
    "b": Reference(program(20, 1)),
    "c": Reference("import os\n"),
}
SAME = {item: Prediction(found.code, True, True) for item, found in REFERENCES.items()}


@pytest.fixture(scope="module")
def scored():
    half = {"a": SAME["a"], "b": Prediction("\n", True, None), "z": Prediction("x = 1")}
    return score_systems({"same": SAME, "half": half, "nothing": {}}, REFERENCES)


def means(system):
    return {name: found and found.mean for name, found in system.scores.items()}


def test_the_references_score_best_against_themselves(scored):
    found = means(scored.systems[0])
    assert found["bleu"] > 60  # a text of two tokens has no 4-gram
    for name in BEST - {"bleu", "codebleu_mean"}:
        assert found[name] == pytest.approx(100, abs=1.5)
    assert (found["exact_match"], found["edit_distance"], found["parse_rate"]) == (100, 0, 100)
    assert (found["compliance"], found["smoke_rate"]) == (pytest.approx(100), 100)
    assert scored.undefined_flows == 1
    assert not any(scored.systems[0].difference)


def test_what_is_missing_or_empty_is_a_failure(scored):
    system = scored.systems[1]
    found = means(system)
    assert (system.missing, system.empty, system.crashed, system.unread) == (1, 1, 0, 0)
    for name in ("exact_match", "parse_rate", "smoke_rate"):
        assert found[name] == pytest.approx(100 / 3)
    assert found["edit_distance"] == pytest.approx(200 / 3)
    assert found["compliance"] == pytest.approx(100)
    assert found["codebleu"] < 60
    assert found["lines"] == 4
    assert system.difference["exact_match"].mean == pytest.approx(-200 / 3)
    assert system.difference["codebleu"].mean == pytest.approx(
        found["codebleu"] - means(scored.systems[0])["codebleu"]
    )


def test_a_system_that_answers_nothing_scores_nothing(scored):
    found = means(scored.systems[2])
    assert {name for name, mean in found.items() if mean} == {"edit_distance"}
    assert found["smoke_rate"] is None and found["lines"] is None


def test_intervals_hold_their_means_and_are_reproducible(scored):
    again = score_systems({"half": {"a": SAME["a"]}}, REFERENCES).systems[0]
    assert again.scores["codebleu"] == scored.systems[1].scores["codebleu"]
    for system in scored.systems:
        for found in filter(None, system.scores.values()):
            assert found.low <= found.mean <= found.high


def test_every_measure_is_signed():
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert all("codebleu 0.7" in measure.signature for measure in MEASURES if measure.of_counts)
