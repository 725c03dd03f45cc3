import pytest

from dlcodegen_local.generation.chat import format_named, render_text
from dlcodegen_local.generation.chat_template import find_format
from dlcodegen_local.generation.gguf_header import read_header, read_tokens
from dlcodegen_local.generation.llm import Prompt
from tests.generation.odd_gguf import write_odd_gguf

OURS = (
    "{%- for m in messages -%}((turn {{ m['role'] }})){{ m['content'] | trim }}((end))\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}((turn model)){%- endif -%}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "[{{ m.role }}:{{ m.content }}]{{ eos_token }}{% endfor %}[model:"
)
PROMPT = Prompt("be brief", "write code")


def found(tmp_path, template, **settings):
    path = write_odd_gguf(tmp_path / "model.gguf", template=template, **settings)
    return find_format(path, read_header(path), tmp_path / "cache")


def test_the_literal_pieces_of_an_unknown_template_are_kept(tmp_path):
    learned = found(tmp_path, OURS)
    text = render_text(PROMPT, learned.name)
    assert text == "((turn system))be brief((end))((turn user))write code((end))((turn model))"
    assert format_named(learned.name).stop == ("((end))",)
    assert "learned" in learned.notes[0]


def test_what_was_learned_is_kept_by_the_hash_of_the_template(tmp_path):
    first = found(tmp_path, OURS)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(kept.read_text().replace("((turn model))", "((kept))"))
    assert "((kept))" in found(tmp_path, OURS).name
    kept.write_text("{")
    assert found(tmp_path, OURS) == first


def test_a_template_without_a_system_turn_gets_both_texts_in_one_turn(tmp_path):
    learned = found(tmp_path, NO_SYSTEM)
    assert render_text(PROMPT, learned.name) == "[user:be brief\n\nwrite code]</end>[model:"


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('touch /tmp/evil').read() }}",
        "{{ messages[1].content }}{{ messages[0].content }}",
        "{% broken",
        "no turn at all",
        "{% for m in messages %}{{ m.content }}\x1b[2J{% endfor %}",
    ],
)
def test_a_template_that_loops_or_reaches_out_ends_in_the_plain_format_with_a_note(template, tmp_path):
    learned = found(tmp_path, template)
    assert learned.name == "plain"
    (note,) = learned.notes
    assert note.startswith("its template was not used") and "\n" not in note


def test_a_base_model_fills_the_code_block_in(tmp_path):
    learned = found(tmp_path, "", fills_in=True)
    assert render_text(PROMPT, learned.name).startswith("<pre>be brief\n\nwrite code\n\n```python\n")
    assert "base model" in learned.notes[0]


def test_a_known_family_and_a_model_without_template_start_no_worker(tmp_path):
    assert found(tmp_path, "<|im_start|>").name == "chatml"
    assert found(tmp_path, "").name == "plain"
    assert not (tmp_path / "cache").exists()


def test_the_texts_of_tokens_are_read_from_the_vocabulary(tmp_path):
    path = write_odd_gguf(tmp_path / "odd.gguf")
    header = read_header(path)
    assert read_tokens(path, header, [header.token_id("eos"), 0]) == ("</end>", "a")
    assert header.token_id("fim_pre") is None
