import pytest

from dlcodegen_local.generation.extraction import complete_statements, extract_code, is_pointless

CODE = "import os\n\n\ndef f():\n    return os.name"


@pytest.mark.parametrize(
    "answer",
    [
        CODE,
        f"```python\n{CODE}\n```",
        f"Sure! Here is the code:\n\n```\n{CODE}\n```\nI hope that it helps.",
        f"Here it is:\n\n{CODE}\n",
        f"<think>I could write ```python\nx = 1\n``` but</think>\n```py\n{CODE}\n```",
        f"```bash\npip install keras\n```\n\n```python\n{CODE}\n```\n```python\nf()\n```",
        f"```python\r\n{CODE}\r\n```".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"~~~python\n{CODE}\n~~~",
    ],
)
def test_the_code_is_found_whatever_stands_around_it(answer):
    found = extract_code(answer)
    assert found is not None
    assert found.code == CODE
    assert found.notes == ()


def test_sections_in_several_blocks_are_joined():
    found = extract_code("```python\n# %% [config]\na = 1\n```\nthen\n```python\n# %% [data]\nb = 2\n```")
    assert found is not None
    assert found.code == "# %% [config]\na = 1\n\n\n# %% [data]\nb = 2"


def test_an_answer_that_was_cut_keeps_its_complete_statements():
    found = extract_code(f"```python\n{CODE}\n\n\ndef g(:\n    x = (1,")
    assert found is not None
    assert found.code == CODE
    assert "never closed" in found.notes[0]
    assert "incomplete" in found.notes[1]


@pytest.mark.parametrize(
    "answer", ["", "   \n", "I cannot do that.", "word", "```python\n\n```", "<think>" * 50]
)
def test_no_code_is_none(answer):
    assert extract_code(answer) is None


def test_noise_ends_soon():
    noise = "\n".join(f"line {i} (" for i in range(20_000))
    assert complete_statements(noise) is None
    assert extract_code("(" * 100_000) is None


@pytest.mark.parametrize(
    "answer",
    [
        f"[THINK]import os[/THINK]\n```python\n{CODE}\n```",
        f"so I write import os\n</think>\n```python\n{CODE}\n```",
        f"<|channel|>analysis<|message|>import os<|end|><|channel|>final<|message|>{CODE}",
        f"<thinking>```python\nno\n```</thinking>{CODE}",
        f"````python3 title=x\n{CODE}\n````",
        f'```python\n{CODE}\n```\n~~~\nprint("shell")\n~~~',
    ],
)
def test_thoughts_in_any_form_and_fences_of_any_kind_are_left_out(answer):
    found = extract_code(answer)
    assert found is not None
    assert found.code == CODE


def test_files_under_headings_are_joined_as_sections():
    answer = (
        "### `config.py`\n\n```python\nSIZE = 3\n```\n\n**train.py**\n```python\n"
        "from config import SIZE\nfrom model import (\n    build_model,\n)\nimport os\n\n\n"
        "def train():\n    return SIZE\n```\n"
        "```python\n# model.py\ndef build_model():\n    return SIZE\n```\n"
    )
    found = extract_code(answer)
    assert found is not None
    assert found.code == (
        "# %% [config]\nSIZE = 3\n\n\n# %% [model]\n# model.py\ndef build_model():\n    return SIZE\n\n\n"
        "# %% [train]\nimport os\n\n\ndef train():\n    return SIZE"
    )


def test_what_fills_a_code_block_is_taken_from_its_first_line():
    assert extract_code(f"SIZE = 3\n{CODE}\n").code == f"SIZE = 3\n{CODE}"


def test_what_comes_to_nothing_is_told_early():
    assert is_pointless("".join(f"import m{i}\n" for i in range(200)))
    assert not is_pointless("".join(f"import m{i}\n" for i in range(20)))
    assert is_pointless("I think that it should be so.\n" * 300)
    assert not is_pointless("<think>" + "I think that it should be so.\n" * 300)
    assert not is_pointless("Here it is:\n```python\n" + "x = 1  # one\n" * 900)


def test_long_noise_is_cut_in_little_time():
    lines = "".join(f"import module_{i}\n" for i in range(15_000))
    found = extract_code(f"```python\n{lines}import (")
    assert found is not None
    assert found.code == lines.strip("\n")
