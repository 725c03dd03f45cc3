import pytest

from dlcodegen_local.generation.extraction import complete_statements, extract_code

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
