import ast
from pathlib import Path

import pytest

import dlcodegen_local

FOLDER = Path(dlcodegen_local.__file__).parent
FILES = sorted(path for name in ("generation", "compiler") for path in (FOLDER / name).glob("*.py"))


def functions_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_functions_are_short_and_public_ones_say_what_they_do(path):
    functions = functions_of(path)
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 50] == []
    public = [node for node in functions if not node.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []
