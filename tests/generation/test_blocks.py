"""Several blocks, odd fences, and code that came with something on every line."""

import pytest

from dlcodegen_local.generation.blocks import undecorated
from dlcodegen_local.generation.extraction import extract_code

CODE = "import os\n\n\ndef f():\n    return os.name\n\n\ndef train(config):\n    return 1"
LINES = CODE.split("\n")
FENCED = f"```python\n{CODE}\n```"
DOCUMENTED = CODE.replace(
    "return 1", '"""Fit.\n\n    ```python\n    train(config)\n    ```\n    """\n    return 1'
)


def numbered(form: str) -> str:
    return "\n".join(form.format(number, line) for number, line in enumerate(LINES, start=1))


@pytest.mark.parametrize(
    "code",
    [
        numbered("{} {}"),
        numbered("{:>3} | {}"),
        numbered("{:<4}{}"),
        numbered("{}: {}"),
        numbered("{}\t{}"),
        "\n".join(f"+{line}" for line in LINES),
        "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,9 @@\n-import sys\n+" + "\n+".join(LINES),
        "\n".join(f"   {line}" for line in LINES),
        CODE.replace("    ", "\u00a0" * 4),
        f"%matplotlib inline\n!pip install keras\n{CODE}",
    ],
)
def test_what_every_line_has_is_taken_off(code):
    assert undecorated(code) == CODE
    for tag in ("python", "diff", ""):
        assert extract_code(f"Here:\n```{tag}\n{code}\n```").code == CODE


def test_of_a_session_the_prompts_and_the_answers_are_left_out():
    session = ">>> import os\n>>> def f():\n...     return os.name\n...\n>>> f()\n'posix'"
    assert undecorated(session) == "import os\ndef f():\n    return os.name\n\nf()"


def test_numbered_code_that_was_cut_keeps_its_complete_statements():
    found = extract_code(f"```python\n{numbered('{:>3} {}')}\n 10 \n 11 def g(:")
    assert found.code == CODE


@pytest.mark.parametrize("text", ["1 + 1", "x = [\n 1,\n 2]", "# a\n+1\n-1", "2001 was a good year", ""])
def test_what_has_no_such_thing_is_left_as_it_is(text):
    assert undecorated(text) == text


@pytest.mark.parametrize(
    "answer",
    [
        "```\n" + "epoch 1, loss 0.3\n" * 60 + f"```\n{FENCED}",
        f"{FENCED}\nTry it:\n```python\nfrom train import train\n" + "train(None)\n" * 60 + "```",
        f"```python\n{CODE}\n# a first version\n```\nThat lacks something. Better:\n{FENCED}",
        f"```js\nlet x = 1;\n```\n```json\n{{}}\n```\n{FENCED}",
        f"```tensorflow\n{CODE}\n```",
        f"```python\nimport os\n{FENCED}",
        f"```markdown\n# Title\n{FENCED}\n```",
        f"1. Write:\n{FENCED}\n".replace("\n", "\n   "),
    ],
)
def test_of_several_blocks_the_program_is_chosen(answer):
    assert extract_code(answer).code == CODE


@pytest.mark.parametrize("fence", ["```", "````", "~~~"])
def test_a_fence_inside_of_a_docstring_ends_nothing(fence):
    assert extract_code(f"{fence}python\n{DOCUMENTED}\n{fence}\nDone.").code == DOCUMENTED


def test_parts_that_define_different_functions_are_joined_in_their_order():
    parts = ("import os", "def load_data(config):\n    return os.name", "def train(config):\n    return 1")
    found = extract_code("\nthen\n".join(f"```python\n{part}\n```" for part in parts))
    assert found.code == "\n\n\n".join(parts)
    assert "joined" in found.notes[0]


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>a</think>\nfirst\n<think>```python\nx = 1\n```</think>\n{FENCED}",
        f"<think>Write\n{FENCED}\nand that is all",
        f"<think>It is {FENCED} I think</think>\n{FENCED}",
    ],
    ids=["several", "never closed", "closed"],
)
def test_thoughts_are_left_out_unless_they_never_end(answer):
    assert extract_code(answer).code == CODE


def test_a_thought_without_end_gives_no_half_block():
    assert extract_code(f"<think>Write\n```python\n{CODE}\nand") is None
