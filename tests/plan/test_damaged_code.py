"""What is left of code that does not parse."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.plan.damaged_code import readable_part


def test_code_that_parses_stays_as_it_is() -> None:
    assert readable_part("x = 1\n") == ("x = 1\n", ())


def test_a_line_is_cut_where_the_parser_stops() -> None:
    code, notes = readable_part("history = fit(3)n\nx = 1\n")
    assert code == "history = fit(3)\nx = 1\n"
    assert [note.split(":")[0] for note in notes] == ["line 1"]


def test_a_statement_that_cannot_be_cut_is_left_out() -> None:
    code, notes = readable_part("a = 1\nwhere is it:\n    b = 2\nc = 3\n")
    assert {"a", "c"} <= {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    assert code.count("\n") == 4
    assert notes


@given(st.text(alphabet="ab=()[]:\n \t'\"#", max_size=60))
def test_nothing_raises_and_the_lines_stay_as_many(source: str) -> None:
    code, _ = readable_part(source)
    assert code.count("\n") == source.count("\n")
