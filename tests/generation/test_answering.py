"""What comes of an answer that is cut, empty, or has no end."""

import pytest

from dlcodegen_local.generation.answering import write_code
from dlcodegen_local.generation.chat import render_text
from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Prompt, Sampling
from dlcodegen_local.generation.results import GenerationSettings, StageLog
from tests.generation.odd_gguf import without_end_token
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import TABLE
from tests.generation.tiny_gguf import write_tiny_gguf

HALF = len(TABLE) // 2


def ask(*answers, n_ctx=16_384, chat_format="plain", **settings):
    llm = ScriptedLLM(answers, n_ctx=n_ctx, chat_format=chat_format)
    log = StageLog("draft", llm, GenerationSettings(**settings))
    return write_code(log, {"sample": TABLE}, lambda kept: Prompt("s", kept["sample"])), log, llm


def goes_on(prompt):
    return TABLE[len(prompt.assistant_prefix) - len("```python\n") :] + "\n```"


def test_an_answer_that_was_cut_goes_on_where_it_stopped():
    found, log, llm = ask(f"```python\n{TABLE}" + "#" * 4000, goes_on, max_answer_tokens=400)
    assert found.code == TABLE.strip("\n")
    assert llm.prompts[1].assistant_prefix == f"```python\n{TABLE}"[:1600]
    assert any("cut after 400 tokens and goes on" in note for note in log.notes)


def test_a_model_that_begins_anew_costs_one_more_answer_and_keeps_the_first():
    found, _, llm = ask(f"```python\n{TABLE}", max_answer_tokens=400)
    assert TABLE.startswith(found.code)
    assert len(llm.prompts) == 2


def test_continuing_is_bounded():
    lines = "import os\n" + "".join(f"x{i} = {i}\n" for i in range(90_000))
    _, _, llm = ask(lambda prompt: lines[len(prompt.assistant_prefix) :], max_answer_tokens=300)
    assert len(llm.prompts) == 3


def test_no_room_to_go_on_keeps_what_there_is():
    found, log, _ = ask(f"```python\n{TABLE}" + "\n# more" * 500, n_ctx=500, max_answer_tokens=4096)
    assert TABLE.startswith(found.code)
    assert log.notes


def test_a_thought_without_end_is_cut_off_and_the_model_has_to_write():
    found, _, llm = ask("<think>" + "hm, " * 20_000, f"{TABLE}\n```", chat_format="chatml+think")
    assert found.code == TABLE.strip("\n")
    assert llm.samplings[0].max_tokens > llm.samplings[1].max_tokens  # a thought has its own room


@pytest.mark.parametrize(
    "answer",
    ["", "I would rather not. " * 8000, "x" * 160_000, "import os\n" * 40_000, "<think>" * 20_000],
)
def test_an_answer_that_comes_to_nothing_ends_within_three_times_its_budget(answer):
    found, _, llm = ask(answer)
    assert found is None or found.code.count("import os") == len(found.code.split("\n"))
    assert sum(sampling.max_tokens for sampling in llm.samplings) <= 3 * 4096


def test_a_vocabulary_without_an_end_token_ends_within_the_budget(tiny_gguf, tmp_path):
    with LlamaCppLLM(without_end_token(tiny_gguf, tmp_path / "endless.gguf")) as llm:
        log = StageLog("draft", llm, GenerationSettings(max_answer_tokens=40))
        write_code(log, {"sample": "x = 1"}, lambda kept: Prompt("s", kept["sample"]))
        result = log.result(None, {})
    assert 0 < result.completion_tokens <= 3 * 40


def test_a_model_with_a_template_of_its_own_gets_prompts_in_it(tmp_path):
    template = "{% for m in messages %}[{{ m.role }}|{{ m.content }}]{% endfor %}[model|"
    with LlamaCppLLM(write_tiny_gguf(tmp_path / "own.gguf", template=template)) as llm:
        text = render_text(Prompt("a", "b"), llm.info.chat_format)
        answer = llm.complete(Prompt("a", "b"), sampling=Sampling(max_tokens=4))
    assert text == "[system|a][user|b][model|"
    assert answer.prompt_tokens >= len(text)
