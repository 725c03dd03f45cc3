import pytest

from dlcodegen_local.generation.chat import (
    CHAT_FORMATS,
    detect_family,
    format_named,
    neutralise,
    render,
    render_text,
)
from dlcodegen_local.generation.chat_formats import completion_format
from dlcodegen_local.generation.llm import Prompt


@pytest.mark.parametrize(
    ("template", "family"),
    [
        ("{% for m in messages %}<|im_start|>{{ m.role }}", "chatml"),
        ("<|start_header_id|>system<|end_header_id|>", "llama3"),
        ("[INST] <<SYS>>", "llama2"),
        ("{{ bos_token }}[INST] {{ m.content }}[/INST]", "mistral"),
        ("{{ '[INST] ' + m.content + ' [/INST]' }}", "mistral-v1"),
        ('{{ "[INST]" + m.content + "[/INST]" }}', "mistral-tekken"),
        ("[SYSTEM_PROMPT]x[/SYSTEM_PROMPT][INST]", "mistral-v7"),
        ("<start_of_turn>user", "gemma"),
        ("<|user|>...<|end|><|assistant|>", "phi3"),
        ("You are an AI, DeepSeek Coder\n### Instruction:", "deepseek-coder"),
        ("<｜User｜>x<｜Assistant｜>", "deepseek"),
        ("<｜User｜>x<｜Assistant｜><think>", "deepseek+think"),
        ("{{ 'User: ' + m.content }}{{ 'Assistant: ' + eos_token }}", "deepseek-v2"),
        ("<|im_start|>{% if enable_thinking is false %}<think>", "chatml+no-think"),
        ("<|im_start|>user<|im_sep|>", "phi4"),
        ("<|header_start|>user<|header_end|>", "llama4"),
        ("<|start_of_role|>user<|end_of_role|>x<|end_of_text|>", "granite"),
        ("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "command-r"),
        ("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>", "command-r7b"),
        ("<|start|>assistant<|channel|>final<|message|>", "harmony"),
        ("### Instruction\n{{ m.content }}\n\n### Response\n", "starcoder2"),
        ("USER: {{ m.content }} ASSISTANT:", "vicuna"),
        ("### Instruction:\n### Response:", "alpaca"),
        ("{% for i in range(10**10) %}x{% endfor %}", "plain"),
    ],
)
def test_the_family_is_told_by_the_markers_in_the_template(template, family):
    assert detect_family({"tokenizer.chat_template": template, "general.name": "x"}) == family


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Qwen2.5 Coder 1.5B Instruct", "chatml"),
        ("Qwen2.5 Coder 1.5B", "plain"),
        ("deepseek-coder-6.7b-instruct", "deepseek-coder"),
        ("gemma-2b-it", "gemma"),
        ("nobody-instruct", "plain"),
        ("Yi-34B-Chat", "chatml"),
        ("granite-8b-code-instruct", "granite"),
        ("WizardCoder-15B", "alpaca"),
        ("DeepSeek-Coder-V2-Lite-Instruct", "deepseek-v2"),
        ("starcoder2-15b-instruct-v0.1", "starcoder2"),
        ("gpt-oss-20b", "harmony"),
    ],
)
def test_without_a_template_the_name_of_an_instruct_model_tells(name, family):
    assert detect_family({"general.name": name}) == family


def test_an_architecture_tells_where_the_name_only_says_that_it_is_tuned():
    assert detect_family({"general.name": "ours-instruct", "general.architecture": "qwen2"}) == "chatml"
    assert detect_family({"general.name": "ours", "general.architecture": "qwen2"}) == "plain"


def test_a_thought_is_skipped_where_the_answer_is_begun_or_the_template_can_switch_it_off():
    assert render_text(Prompt("s", "u"), "chatml+no-think").endswith("assistant\n<think>\n\n</think>\n\n")
    assert render_text(Prompt("s", "u"), "chatml+think").endswith("assistant\n")
    assert render_text(Prompt("s", "u", "x = 1"), "chatml+think").endswith("</think>\n\nx = 1")


def test_a_format_that_was_written_out_reads_the_same():
    found = completion_format("<P>", "<S>", "<M>")
    assert format_named(found.to_text()) == found
    text = render_text(Prompt("s", "u", "import os"), found.to_text())
    assert text == "<P>s\n\nu\n\n```python\n<S>\n```\n<M>import os"


def test_a_template_is_never_rendered():
    assert detect_family({"tokenizer.chat_template": "{{ 1 / 0 }} <|im_start|>"}) == "chatml"


def test_neutralise_changes_markers_only():
    assert neutralise("if a<b and c>d: x[INST]") == "if a<b and c>d: x[ INST]"
    assert neutralise("<|im_start|></s>") == "< |im_start|>< /s>"
    assert neutralise(neutralise("<|im_end|>")) == neutralise("<|im_end|>")


@pytest.mark.parametrize("family", sorted(CHAT_FORMATS))
def test_content_is_never_in_a_marker_piece(family):
    pieces = render(Prompt("word-s", "word-u <|im_start|>", "word-p"), family)
    markers = "".join(piece.text for piece in pieces if piece.is_marker)
    assert "word-" not in markers
    assert pieces[-1].text.endswith("word-p")
