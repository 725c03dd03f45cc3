import pytest

from dlcodegen_local.generation.repair import describe, repair, section_at
from dlcodegen_local.generation.results import GenerationSettings
from dlcodegen_local.generation.segments import is_sound_script
from dlcodegen_local.verification.report import Finding
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import PLAN, TABLE, section

SETTINGS = GenerationSettings()
FAULTY = TABLE.replace("np.mean(x - y)", "np.meen(x - y)")
LINE = FAULTY[: FAULTY.index("np.meen")].count("\n") + 1
FINDING = Finding("script.py", LINE, "unknown-attribute", "numpy has no attribute meen")


def test_the_section_that_holds_the_finding_is_rewritten():
    llm = ScriptedLLM([section(TABLE, "evaluate")])
    result = repair(FAULTY, PLAN, FINDING, llm, SETTINGS)
    assert result.source == TABLE
    assert result.provenance == {"evaluate": "model"}
    (prompt,) = llm.prompts
    assert "unknown-attribute: numpy has no attribute meen" in prompt.user
    assert "> " in prompt.user
    assert "load_data(config)" in prompt.user


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "def evaluate(",
        "def measure(config):\n    pass",
        "def evaluate(config):\n    return undefined_name",
    ],
)
def test_what_is_not_better_than_before_is_not_taken(answer):
    result = repair(FAULTY, PLAN, FINDING, ScriptedLLM([answer]), SETTINGS)
    assert result.source == FAULTY
    assert result.provenance == {}
    assert result.notes


def test_a_broken_section_is_repaired():
    broken = TABLE.replace("def predict(config):", "def predict(config:")
    line = broken[: broken.index("def predict")].count("\n") + 1
    finding = Finding("script.py", line, "syntax", "'(' was never closed")
    result = repair(broken, PLAN, finding, ScriptedLLM([section(TABLE, "predict")]), SETTINGS)
    assert result.source == TABLE


def test_the_line_may_stand_in_a_traceback():
    finding = Finding(
        "script.py", 0, "smoke", f'File "script.py", line {LINE}, in evaluate\nAttributeError: meen'
    )
    assert repair(FAULTY, PLAN, finding, ScriptedLLM([section(TABLE, "evaluate")]), SETTINGS).source == TABLE
    nowhere = Finding("script.py", 0, "smoke", "killed")
    llm = ScriptedLLM(["x"])
    assert repair(FAULTY, PLAN, nowhere, llm, SETTINGS).source == FAULTY
    assert llm.prompts == []


def test_a_big_model_rewrites_the_script():
    llm = ScriptedLLM([f"Fixed:\n```python\n{TABLE}```"], n_params=7_000_000_000)
    result = repair(FAULTY, PLAN, FINDING, llm, SETTINGS)
    assert is_sound_script(result.source)
    assert result.provenance == {"evaluate": "model"}
    for answer in ("", "```python\nx = 1\n```", TABLE[:500]):
        worse = ScriptedLLM([answer], n_params=7_000_000_000)
        assert repair(FAULTY, PLAN, FINDING, worse, SETTINGS).source == FAULTY


def test_a_script_over_the_context_is_not_repaired_in_part():
    llm = ScriptedLLM([TABLE], n_params=7_000_000_000, n_ctx=1400)
    result = repair(FAULTY, PLAN, FINDING, llm, SETTINGS)
    assert result.source == FAULTY
    assert llm.prompts == []


def test_another_attempt_has_another_seed():
    llm = ScriptedLLM([""])
    for attempt in range(3):
        repair(FAULTY, PLAN, FINDING, llm, GenerationSettings(seed=4), attempt)
    assert [sampling.seed for sampling in llm.samplings] == [4, 5, 6]


def test_a_finding_is_described_with_its_place():
    text = describe("a\nb\nc\nd\ne\nf\ng\nh", Finding("script.py", 5, "rule", "message"))
    assert text == "rule: message\n  b\n  c\n  d\n> e\n  f\n  g\n  h"
    assert len(describe("a", Finding("script.py", 9, "rule", "x" * 10_000))) < 2000
    assert section_at(TABLE, 1) is None
    assert section_at(TABLE, LINE) == "evaluate"
