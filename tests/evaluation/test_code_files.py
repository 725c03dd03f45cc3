import json

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.code_files import Prediction, read_predictions, read_references
from tests.evaluation.test_code_workers import PLAN


@pytest.fixture
def write(tmp_path):
    def write(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        return path

    return write


def test_references_are_rows_with_code(write):
    rows = [
        {"id": "a", "reference": "x = 1", "plan": PLAN},
        {"id": 2, "reference": "y", "plan": []},
        {"id": "c"},
    ]
    file = read_references(write(*rows, {"id": "d", "reference": " \n"}))
    assert {name: found.code for name, found in file.references.items()} == {"a": "x = 1", "2": "y"}
    assert file.references["a"].plan.batch_size == 32 and file.references["2"].plan is None
    assert file.without_code == 2


def test_predictions_are_code_or_answers(write):
    smoke = {"static": {}, "smoke": {"ok": False, "seconds": float("nan"), "message": ""}}
    file = read_predictions(
        write(
            {"id": "a", "code": "```\nx\n```", "verification": smoke},
            {"id": "b", "output": "So:\n```python\nx\n```"},
            {"id": "c", "code": None},
            {"id": "d", "code": "", "verification": {"smoke": {"ok": None}}},
        )
    )
    assert dict(file.predictions) == {
        "a": Prediction("```\nx\n```", True, False),
        "b": Prediction("x\n"),
        "c": Prediction(""),
        "d": Prediction("", True, None),
    }


def test_a_folder_is_read_by_its_names(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.py").write_text(f"{name} = 1\n")
    (tmp_path / "notes.txt").write_text("x")
    assert list(read_references(tmp_path).references) == ["a", "b"]
    assert read_predictions(tmp_path).predictions["b"] == Prediction("b = 1\n")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("nonsense\n", "not JSON"),
        ("[1]\n", "an id"),
        ({"id": "a"}, "code or output"),
        ({"id": "a", "code": 3}, "code or output"),
        ({"id": "a", "output": ["x"]}, "code or output"),
        ({"id": "a", "code": "x", "verification": {"smoke": {"ok": "yes"}}}, "true, false or null"),
        ({"id": "a", "code": "x", "verification": {"smoke": {"ok": float("nan")}}}, "true, false or null"),
        ({"id": "a", "code": "x", "verification": {"smoke": 1}}, "true, false or null"),
    ],
)
def test_a_wrong_row_names_its_line(write, row, words):
    with pytest.raises(ConfigError, match=f"line 2: .*{words}"):
        read_predictions(write({"id": "z", "code": "x"}, row))


def test_nothing_to_compare_is_refused(write, tmp_path):
    for read in (read_references, read_predictions):
        with pytest.raises(ConfigError, match="holds no"):
            read(write())
    with pytest.raises(ConfigError, match="reference must be a text"):
        read_references(write({"id": "a", "reference": 1}))
    with pytest.raises(ConfigError, match="stands twice"):
        read_predictions(write({"id": "a", "code": "x"}, {"id": "a", "code": "y"}))
    (tmp_path / "a.py").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"a\.py: is not UTF-8"):
        read_references(tmp_path)
