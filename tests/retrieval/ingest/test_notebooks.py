import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.ingest.notebooks import read_notebook
from tests.retrieval.ingest.notebook_files import code, markdown, notebook


def read(*cells, **more):
    return read_notebook(notebook(*cells, **more).decode())


def test_source_is_text_or_a_list_of_lines_and_outputs_are_dropped():
    found = read(code("x = 1", outputs=[{"text": "secret"}]), code(["y = 2\n", "z = 3"]), code(""))
    assert [(cell.number, cell.source) for cell in found.cells] == [(1, "x = 1"), (2, "y = 2\nz = 3")]
    assert found.notes == ()


def test_format_3_has_worksheets_and_inputs():
    cells = [
        {"cell_type": "heading", "level": 1, "source": ["Digits"]},
        {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "language": "python"},
        {"cell_type": "code", "input": "ls", "language": "bash"},
    ]
    found = read_notebook(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}))
    assert [(cell.kind, cell.source) for cell in found.cells] == [
        ("markdown", "# Digits"),
        ("code", "x = 1\ny = 2"),
    ]
    assert found.notes == ("cell 3 left out: it is bash",)


@pytest.mark.parametrize(
    ("cell", "note"),
    [
        (code("x = = 1"), "line 1: invalid syntax"),
        (code("x = 1\nprint 'hello'"), "Python 2 (print statement, line 2)"),
        (code("%%bash\nls"), "%%bash"),
        (code(17), "its source is not text"),
        (code(["x = 1", None]), "its source is not text"),
        (code("x = '\u202e'"), "line 1: holds the control character, U+202E"),
        (code("\ud800 = 1"), "line 1: holds half a character, U+D800"),
        (code("x = '\0'"), "line 1: holds the control character, U+0000"),
        (code("(" * 5000), "line 1: too many nested parentheses"),
        (code("-" * 19000 + "1"), "is nested too deeply to be read"),
        (code("x = '" + "y" * 30000 + "'"), "line 1: has 30006 characters, at most 20000 are read"),
        (code("x = 1\n" * 200_000), "has 1200000 characters of code, at most 1000000 are read"),
        ("text", "it is not an object"),
        ({"cell_type": "plot", "source": ""}, "it is neither code nor text"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_and_no_other_is_lost(cell, note):
    found = read(code("a = 1"), cell, code("b = 2"))
    assert [cell.source for cell in found.cells] == ["a = 1", "b = 2"]
    assert found.notes == (f"cell 2 left out: {note}",)


def test_magics_are_counted_and_raw_cells_are_passed_over():
    raw = {"cell_type": "raw", "source": "---"}
    found = read(raw, code("%matplotlib inline\nx = 1"), code("!ls\n!pwd"), markdown("# Title"))
    assert [(cell.kind, cell.source) for cell in found.cells] == [
        ("code", "\nx = 1"),
        ("markdown", "# Title"),
    ]
    assert (found.magics, found.notes) == (3, ())


def test_the_licence_of_the_metadata_counts():
    assert read(code("x = 1"), metadata={"license": "MIT"}).licence == "MIT"
    assert read(code("x = 1"), metadata={"license": {"name": "Apache 2.0"}}).licence == "Apache-2.0"
    assert read(code("x = 1")).licence == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON: line 1: Expecting value"),
        ("{]", "is not JSON: line 1: Expecting property name enclosed in double quotes"),
        ("[1]", "is not a notebook: its JSON is no object"),
        ("{}", "is not a notebook: it has no cells"),
        ('{"cells": 3}', "is not a notebook: it has no cells"),
        ("[" * 100_000, "is not a notebook: its JSON is nested too deeply"),
        ('{"cells": [' + "9" * 5000 + "]}", "is not a notebook: its JSON holds a number of too many digits"),
        ('{"cells": [{"cell_type": "code", "source": "x ="}]}', "has no code cell that can be read: cell 1"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "is a notebook of r code"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(text, reason):
    with pytest.raises(ConfigError) as caught:
        read_notebook(text)
    assert caught.value.message.startswith(reason)
    assert "\n" not in caught.value.message


def test_of_two_equal_keys_the_last_counts():
    cell = json.dumps(code("x = 1"))
    found = read_notebook(f'{{"cells": [], "cells": [{cell}]}}')
    assert [cell.source for cell in found.cells] == ["x = 1"]
