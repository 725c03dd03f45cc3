import pytest

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.budget import cut_code, fit_prompt
from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.merge import comparative_merge
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.generation.syntax import parse_module
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import PLAN, TABLE


def build(kept):
    return Prompt("system", "|".join(kept.values()))


def test_what_fits_goes_in_whole():
    llm = ScriptedLLM(n_ctx=4000)
    prompt, budget = fit_prompt("draft", llm, {"sample": TABLE}, build, 500)
    assert prompt.user == TABLE
    assert budget.max_tokens == 500
    assert budget.notes() == ()


def test_the_longest_material_is_cut_at_a_statement_and_reported():
    llm = ScriptedLLM(n_ctx=800)
    prompt, budget = fit_prompt("draft", llm, {"sample": TABLE, "requirement": "short"}, build, 300)
    sample, requirement = prompt.user.split("|")
    assert requirement == "short"
    assert TABLE.startswith(sample)
    assert parse_module(sample) is not None
    assert budget.prompt_tokens + budget.max_tokens <= 800
    (note,) = budget.notes()
    assert note.startswith("draft: sample cut from ")
    assert " in [" in note


def test_an_answer_gets_at_most_half_of_a_context_that_is_short():
    _, budget = fit_prompt("draft", ScriptedLLM(n_ctx=600), {"sample": TABLE}, build, 5000)
    assert budget.max_tokens >= 300


def test_two_drafts_are_cut_alike():
    llm = ScriptedLLM(n_ctx=1200)
    prompt, budget = fit_prompt("merge", llm, {"a": TABLE, "b": TABLE}, build, 400)
    first, second = prompt.user.split("|")
    assert first == second != TABLE
    assert [cut.material for cut in budget.cuts] == ["a", "b"]


def test_no_room_at_all_is_an_error():
    with pytest.raises(GenerationError, match=r"merge: .* 100 tokens"):
        fit_prompt("merge", ScriptedLLM(n_ctx=100), {}, lambda kept: Prompt("x" * 500, ""), 64)


def test_text_is_cut_at_a_line_and_code_at_a_statement():
    count = ScriptedLLM().count_tokens
    assert cut_code("not code at all\nsecond (line\nthird", 5, count) == (
        "not code at all",
        "after line 1 of 3",
    )
    kept, place = cut_code(TABLE, count(TABLE) - 10, count)
    assert kept.endswith("return np.asarray(x)")
    assert place.endswith("in [predict]")
    assert cut_code(TABLE, 0, count) == ("", "left out")
    assert cut_code("one two three four", 2, count) == ("one two", "after word 2 of 4")
    assert cut_code("x" * 99, 2, count) == ("", "left out")


def test_drafts_that_do_not_fit_together_are_merged_section_by_section():
    second = TABLE.replace("Dense(8", "Dense(9")
    llm = ScriptedLLM([f"```python\n{TABLE}```"], n_params=7_000_000_000, n_ctx=2000)
    drafts = [StageResult(name, source) for name, source in (("one", TABLE), ("two", second))]
    merged = comparative_merge("Classify rows", PLAN, *drafts, llm, GenerationSettings())
    assert merged.source in (TABLE, second)
    assert any("do not fit into 2000 tokens" in note for note in merged.notes)
    assert not merged.prompts


def test_a_thought_has_room_of_its_own():
    plain, thinking = (
        fit_prompt("draft", ScriptedLLM(n_ctx=8000, chat_format=name), {"sample": TABLE}, build, 500)[1]
        for name in ("chatml", "chatml+think")
    )
    assert thinking.max_tokens == plain.max_tokens + 1000
