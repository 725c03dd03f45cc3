import ast

import pytest

from dlcodegen_local.retrieval.ingest.magics import strip_magics


@pytest.mark.parametrize(
    ("source", "kept", "left_out"),
    [
        ("x = 1\n", "x = 1\n", 0),
        ("%matplotlib inline\nx = 1\n", "\nx = 1\n", 1),
        ("!pip install -q \\\n  'keras>=3' it's\nx = 1\n", "\n\nx = 1\n", 1),
        ("!!ls\n?len\nlen?\nmodel.fit??\n", "\n\n\n\n", 4),
        ("if colab:\n    !pip install keras\nx = 1", "if colab:\n    pass\nx = 1", 1),
        ("if colab:\n  %cd /content\nelse:\n  %cd ..\n", "if colab:\n  pass\nelse:\n  pass\n", 2),
        ("files = !ls *.png\nhome = %env HOME\n", "files = []\nhome = None\n", 2),
        ("%time model.fit(x)\n", "model.fit(x)\n", 1),
        ("%time history = model.fit(\n    x)\n", "history = model.fit(\n    x)\n", 1),
        ("h = %time model.fit(x)\n", "h = model.fit(x)\n", 1),
        ("%timeit -n 10 f(x)\n", "\n", 1),
        ("%%time\nx = 1\n", "\nx = 1\n", 1),
        ("# timed\n%%time\nx = 1\n", "\n\nx = 1\n", 1),
        ("%%backend jax\nx = 1\n", "\nx = 1\n", 1),
        ("%%writefile model.py\nx = 1\n", "\nx = 1\n", 1),
        ("pip install keras\nx = 1\n", "\nx = 1\n", 1),
        ("get_ipython().system('ls')\nx = 1\n", "\nx = 1\n", 1),
        ("files = get_ipython().getoutput('ls')\n", "files = []\n", 1),
        ("get_ipython().run_cell_magic('time', '', 'x = 1\\ny = 2\\n')\n", "x = 1\ny = 2\n", 1),
        ("get_ipython().run_cell_magic('bash', '', 'ls\\n')\n", "\n", 1),
        ("  x = 1\n  y = 2\n", "x = 1\ny = 2\n", 2),
    ],
)
def test_magic_goes_and_python_stays(source, kept, left_out):
    bare = strip_magics(source)
    assert (bare.source, bare.language) == (kept, "")
    ast.parse(bare.source)
    if not source.startswith(" "):
        assert bare.left_out == left_out


@pytest.mark.parametrize(
    "source",
    [
        'x = ("%d items"\n     % count)\n!ls\n',
        'text = """\n%matplotlib inline\n!ls\n"""\n!ls\n',
        "x = a \\\n  % b\n!ls\n",
        "if x != y:\n    z %= 2\n!ls\n",
        "print('what?')  # really?\n!ls\n",
        "s = 'it\\'s'  # \"\n!ls\n",
    ],
)
def test_percent_signs_inside_strings_and_brackets_are_python(source):
    bare = strip_magics(source)
    assert bare.source == source.removesuffix("!ls\n") + "\n"
    assert bare.left_out == 1


@pytest.mark.parametrize("name", ["bash", "html", "javascript", "R", "sql", "writefile notes.txt"])
def test_cells_of_other_languages_say_so(name):
    bare = strip_magics(f"%%{name}\nls -l\n")
    assert (bare.source, bare.language) == ("", f"%%{name.split()[0]}")


def test_lines_keep_their_numbers():
    bare = strip_magics("%load_ext tensorboard\n!ls \\\n  -l\nx = (1,\n     2)\n%cd x\ny = ?\n")
    assert bare.source.split("\n")[6] == "y = ?"
