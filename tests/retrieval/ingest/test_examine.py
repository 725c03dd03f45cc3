import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.retrieval.ingest.examine import MAX_FILE_BYTES, Examined, examine
from dlcodegen_local.retrieval.ingest.secrets import Secret
from tests.retrieval.ingest.notebook_files import MODEL, code, markdown, notebook

PASSWORD = "Tr0ub4" + "dor"


def test_a_script_becomes_a_sample():
    source = f'# SPDX-License-Identifier: MIT\n"""Digits.\n\nClassify images of single digits."""\n{MODEL}'
    found = examine(source.encode(), "digits.py")
    assert (found.status, found.reason, found.notes) == ("taken", "", ())
    assert (found.title, found.requirement) == ("Digits", "Classify images of single digits.")
    assert (found.framework, found.licence, found.code) == ("keras", "MIT", source)
    assert found.plan is not None
    assert (found.plan.category, found.plan.batch_size, found.plan.epochs) == ("Image Classification", 32, 5)
    assert len(found.signature) == 128


def test_a_notebook_becomes_one_script_with_its_markdown_as_comments():
    found = examine(
        notebook(
            markdown("# Digits\n\nThis notebook classifies images of single digits."),
            code("%matplotlib inline\nimport numpy as np"),
            code("print 'old'"),
            markdown("## Model\n"),
            code(MODEL),
            code("%%bash\nls"),
        ),
        "a/b.ipynb",
    )
    assert found.status == "taken"
    assert found.code == (
        "# %%\n# # Digits\n# This notebook classifies images of single digits.\nimport numpy as np\n\n"
        f"# %%\n# ## Model\n{MODEL}"
    )
    assert found.title == "Digits"
    assert found.requirement == "This notebook classifies images of single digits."
    assert found.notes == (
        "cell 3 left out: Python 2 (print statement, line 1)",
        "cell 6 left out: %%bash",
        "1 magic left out",
    )


def test_a_secret_keeps_a_file_out_and_is_not_shown():
    found = examine(notebook(code(MODEL), code(f"x = 1\npassword = '{PASSWORD}'")), "x.ipynb")
    assert found == Examined(
        "quarantined", "holds a secret: password in cell 2, line 2", secrets=(Secret("password", 2, 2),)
    )
    assert examine(f"{MODEL}\npassword = '{PASSWORD}'".encode(), "x.py").secrets[0].cell is None
    marked = f"{MODEL}\npassword = '{PASSWORD}'  # pragma: allowlist secret"
    assert examine(marked.encode(), "x.py").status == "taken"


def test_secrets_in_outputs_do_not_matter_since_outputs_are_dropped():
    outputs = [{"output_type": "stream", "text": f"password = '{PASSWORD}'"}]
    found = examine(notebook(code(MODEL, outputs=outputs)), "x.ipynb")
    assert found.status == "taken"
    assert PASSWORD not in found.code


@pytest.mark.parametrize(
    ("content", "name", "status", "reason"),
    [
        (b"x = 1", "x.py", "no-deep-learning", "imports neither Keras, TensorFlow nor PyTorch"),
        (b"", "x.py", "no-deep-learning", "imports neither Keras, TensorFlow nor PyTorch"),
        (b"print 'x'", "x.py", "unreadable", "Python 2 (print statement, line 1)"),
        (b"try: pass\nexcept A, e: pass", "x.py", "unreadable", "Python 2 (except clause, line 2)"),
        (b"x =", "x.py", "unreadable", "line 1: invalid syntax"),
        (b"x = 1\n" * 4_000_000, "x.py", "unreadable", "has 24000000 bytes, at most 20000000 are read"),
        (b"x = '" + b"a" * 50_000 + b"'", "x.py", "unreadable", "line 1: has 50006 characters"),
        (b"(" * 5000, "x.py", "unreadable", "line 1: too many nested parentheses"),
        (b"x = " + b"[" * 9000 + b"]" * 9000, "x.py", "unreadable", "line 1: too many nested parentheses"),
        (b"(\n" * 100_000, "x.py", "unreadable", "line 201: too many nested parentheses"),
        (b"x = 1" + b"\\\n+1" * 90_000, "x.py", "unreadable", "is nested too deeply to be read"),
        (b"x = 1\0", "x.py", "unreadable", "holds a NUL byte in line 1"),
        ("x = '\u202e'".encode(), "x.py", "unreadable", "line 1: holds the control character, U+202E"),
        (b"\xff\xfe\0", "x.ipynb", "unreadable", "is not in its encoding"),
        (b"[" * 100_000, "x.ipynb", "unreadable", "is not a notebook: its JSON is nested too deeply"),
        (b'{"cells": []}', "x.ipynb", "no-deep-learning", "imports neither Keras"),
        (b"{}", "X.IPYNB", "unreadable", "is not a notebook: it has no cells"),
    ],
)
def test_whatever_is_not_taken_says_why_in_one_line(content, name, status, reason):
    found = examine(content, name)
    assert (found.status, found.reason[: len(reason)]) == (status, reason)
    assert found.plan is None and found.code == ""


def test_form_feeds_tabs_latin_1_and_old_line_breaks_are_read():
    source = (
        "\f# caf\xe9\r\nimport keras\rif True:\r\n\tmodel = keras.Sequential([keras.layers.Dense(3)])\r\n"
    )
    found = examine(source.encode("latin-1"), "x.py")
    assert (found.status, found.notes) == ("taken", ("read as Latin-1",))
    assert "\r" not in found.code


def test_a_script_may_hold_magics():
    found = examine(f"!pip install keras\n{MODEL}%matplotlib inline\n".encode(), "x.py")
    assert (found.status, found.notes) == ("taken", ("2 magics left out",))
    assert found.code == f"\n{MODEL}\n"


def test_comments_at_the_head_of_a_script_give_the_requirement_but_no_title():
    source = f"# flake8: noqa\n# Classify images of single digits with a small network.\n{MODEL}"
    found = examine(source.encode(), "digit_net.py")
    assert (found.title, found.requirement) == (
        "Digit net",
        "Classify images of single digits with a small network.",
    )


def test_notes_are_bounded():
    found = examine(notebook(code(MODEL), *[code(f"x{n} = = {n}") for n in range(100)]), "x.ipynb")
    assert len(found.notes) == 21
    assert found.notes[-1] == "80 more notes"


def test_the_limit_holds_for_what_is_just_over_it():
    assert examine(b"#" * (MAX_FILE_BYTES + 1), "x.py").reason.startswith("has 20000001 bytes")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
sources = json_values | st.sampled_from(
    [MODEL, "%%time\nx = 1", "x = !ls", "if x:\n  %cd", "'''", "\\", "(", "%"]
)
cells = json_values | st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading", "x"]) | json_values,
        "source": sources,
    }
)
notebooks = st.fixed_dictionaries(
    {"cells": st.lists(cells, max_size=6) | json_values, "metadata": json_values}
)


def check(found):
    assert (found.status == "taken") == (found.reason == "") == (found.plan is not None)
    for line in (found.reason, found.title, found.requirement, *found.notes):
        assert find_unplain(line, allowed="") is None
    assert find_unplain(found.code) is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore")))
def test_no_bytes_raise(content):
    check(examine(content, "x.py"))
    check(examine(content, "x.ipynb"))


@settings(max_examples=150, deadline=None)
@given(notebooks)
def test_no_notebook_raises(table):
    check(examine(json.dumps(table).encode(), "x.ipynb"))


def test_nothing_heavy_is_imported():
    program = (
        "import sys; import dlcodegen_local.retrieval.ingest.examine; "
        "print(sorted({'requests', 'yaml', 'detect_secrets', 'socket', 'nbformat'} & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_script_with_one_broken_line_is_taken_without_it():
    lines = ["import keras", "model = keras.Sequential([keras.layers.Dense(3)])", "n model.summary()"]
    lines += [f"size_{place} = {place}" for place in range(30)]
    code = "\n".join([*lines, "model.compile('adam', 'mse')"])
    taken = examine(code.encode(), "broken.py")
    assert taken.status == "taken"
    assert taken.notes == ("left out line 3: invalid syntax",)
    assert taken.plan is not None and taken.plan.layers == ("Dense(3)",)
    assert "model.summary" not in taken.code
