from dataclasses import replace

from dlcodegen_local.evaluation.plan_fields import read_fields
from dlcodegen_local.plan.schema import Plan
from export.score_planner import score

PLAN = Plan(
    "Tabular Regression",
    "(batch_size, 4)",
    "(batch_size, 1)",
    "scaled",
    ("Dense(1)",),
    "adam",
    "mse",
    0.01,
    8,
)


def test_a_planner_is_scored_by_the_measures_of_evaluate_plans():
    references = {"a": read_fields(PLAN.to_dict()), "b": read_fields(PLAN.to_dict()), "c": read_fields({})}
    scores = score({"a": PLAN, "b": replace(PLAN, optimizer="sgd", learning_rate=0.1)}, references)
    assert scores["rows"] == 2
    assert scores["valid_json"] == scores["category"] == scores["layer_similarity"] == 100
    assert scores["optimizer"] == 50
    assert scores["optimizer_ci95"] == [0, 100]
    assert scores["learning_rate"] == 0.5
    assert "epochs" not in scores
