import dataclasses

import pytest

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.methods import ABLATIONS
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import PLAN, TABLE
from tests.test_pipeline import fenced, run, whole

STEPS = "1. The rows fall into classes.\n2. Two dense layers."


def asked(llm):
    """Return the tags of the material in each prompt, in order."""
    tags = ("requirement", "plan", "sample", "problem", "chain", "steps", "code", "code_1", "template")
    return [[tag for tag in tags if f"<{tag}>" in prompt.user] for prompt in llm.prompts]


@pytest.mark.parametrize(
    ("method", "answers", "materials"),
    [
        ("direct", [fenced(TABLE)], [["requirement"]]),
        ("ps", [STEPS, fenced(TABLE)], [["requirement"], ["requirement", "steps"]]),
        ("ccot", [STEPS, fenced(TABLE)], [["problem", "code"], ["requirement", "problem", "chain"]]),
        ("cedar", [fenced(TABLE)], [["requirement", "sample", "problem"]]),
    ],
)
def test_a_baseline_asks_as_the_paper_says_and_shows_no_plan(tmp_path, method, answers, materials):
    llm = whole(answers)
    outcome, _, _, _ = run(tmp_path, llm, method=method)
    assert (outcome.method, outcome.origin) == (method, method)
    assert asked(llm) == materials
    assert set(outcome.chosen.provenance.values()) == {"model"}
    assert bool(outcome.licences) == (method == "cedar")


def test_a_chain_is_reasoned_once(tmp_path):
    run(tmp_path, whole([STEPS, fenced(TABLE)]), method="ccot")
    again = whole([fenced(TABLE)])
    run(tmp_path, again, method="ccot")
    assert asked(again) == [["requirement", "problem", "chain"]]
    assert STEPS in again.prompts[0].user


def test_a_damaged_chain_is_reasoned_again(tmp_path):
    run(tmp_path, whole([STEPS, fenced(TABLE)]), method="ccot")
    (chain,) = tmp_path.glob("**/chains/*.json")
    chain.write_text('{"chain": 7')
    again = whole([STEPS, fenced(TABLE)])
    run(tmp_path, again, method="ccot")
    assert len(again.prompts) == 2


def test_without_both_drafts_those_of_two_baselines_are_merged(tmp_path):
    other = TABLE.replace("seed: int = 0", "seed: int = 1")
    llm = whole([fenced(TABLE), STEPS, fenced(other), fenced(other)])
    outcome, reporter, _, _ = run(tmp_path, llm, without=frozenset({"code-rag", "template-rag"}))
    assert outcome.origin == "merge"
    assert [stage for stage in reporter.stages if not stage.startswith("verify")][:4] == [
        "cedar",
        "reasoning chain",
        "ccot",
        "merge",
    ]


def test_without_a_floor_the_best_version_comes_out_whatever_its_checks_say(tmp_path):
    poor = TABLE.replace("batch_size: int = 32", "batch_size: int = 5")
    plan = dataclasses.replace(PLAN, loss="huber", optimizer="sgd", epochs=99)
    outcome, _, _, _ = run(tmp_path, whole([fenced(poor)]), plan=plan, method="direct", has_floor=False)
    assert outcome.origin in ("direct", "repair")
    with pytest.raises(GenerationError, match="no program"):
        run(tmp_path, whole(["no"]), method="direct", has_floor=False)


def test_an_ablation_writes_one_draft(tmp_path):
    outcome, reporter, _, _ = run(tmp_path, whole([fenced(TABLE)]), without=ABLATIONS["code-rag"])
    assert outcome.origin == "code-rag"
    assert not {"template", "merge"} & set(reporter.stages)


def test_a_small_model_is_asked_for_whole_scripts_too(tmp_path):
    outcome, _, _, _ = run(tmp_path, ScriptedLLM([fenced(TABLE)]), method="direct")
    assert outcome.origin == "direct"


@pytest.mark.parametrize("method", ["code-rag", "template-rag"])
def test_an_ablation_can_be_asked_for_as_a_method(tmp_path, method):
    left_out = ABLATIONS[method]
    outcome, reporter, _, _ = run(tmp_path, whole([fenced(TABLE)]), method=method, without=left_out)
    assert outcome.origin == method and outcome.method == method
    assert not left_out & set(reporter.stages)
