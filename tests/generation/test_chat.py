import pytest

from dlcodegen_local.generation.chat import CHAT_FORMATS, detect_family, neutralise, render
from dlcodegen_local.generation.llm import Prompt


@pytest.mark.parametrize(
    ("template", "family"),
    [
        ("{% for m in messages %}<|im_start|>{{ m.role }}", "chatml"),
        ("<|start_header_id|>system<|end_header_id|>", "llama3"),
        ("[INST] <<SYS>>", "llama2"),
        ("{{ bos_token }}[INST] {{ m.content }}[/INST]", "mistral"),
        ("<start_of_turn>user", "gemma"),
        ("<|user|>...<|end|><|assistant|>", "phi3"),
        ("You are an AI, DeepSeek Coder\n### Instruction:", "deepseek-coder"),
        ("<｜User｜>x<｜Assistant｜>", "deepseek"),
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
    ],
)
def test_without_a_template_the_name_of_an_instruct_model_tells(name, family):
    assert detect_family({"general.name": name}) == family


def test_a_template_is_never_rendered():
    assert detect_family({"tokenizer.chat_template": "{{ 1 / 0 }} <|im_start|>"}) == "chatml"


def test_neutralise_changes_markers_only():
    assert neutralise("if a<b and c>d: x[INST]") == "if a<b and c>d: x[ INST]"
    assert neutralise("<|im_start|></s>") == "< |im_start|>< /s>"
    assert neutralise(neutralise("<|im_end|>")) == neutralise("<|im_end|>")


@pytest.mark.parametrize("family", sorted(CHAT_FORMATS))
def test_content_is_never_in_a_marker_piece(family):
    pieces = render(Prompt("SYSTEM", "USER <|im_start|>", "PREFIX"), family)
    markers = "".join(piece.text for piece in pieces if piece.is_marker)
    assert not any(word in markers for word in ("SYSTEM", "USER", "PREFIX"))
    assert pieces[-1].text.endswith("PREFIX")
