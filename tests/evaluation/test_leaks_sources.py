import hashlib
import json

import pytest

from dlcodegen_local.config import PoolPlace
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.evaluation.leaks import Texts
from dlcodegen_local.evaluation.leaks_sources import SourceReader, plan_words, read_items
from dlcodegen_local.plan.schema import Plan

PLAN = Plan(
    "Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "scaled", ("Dense(8)", "Dense(1)"), "adam",
    "mse", 0.01, 32, 10, "mae",
)  # fmt: skip


def read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(SourceReader(path))


def test_a_training_row_is_read_by_its_fields(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [
        {"requirement": "Name birds", "plan": {"a": [1, None, {"b": "x"}], "c": ""}},
        {"id": 3, "code": "x = 1", "reference": "y = 2"},
        {"output": "Here:\n```python\nz = 3\n```\n"},
        {"requirement": None, "text": "Name fish"},
    ]
    found = read(file, "\n\n".join(json.dumps(row) for row in rows))
    assert found == [
        Texts(f"{file}, line 1", "Name birds", "1\nx\n"),
        Texts(f"{file}, line 3", code="x = 1\ny = 2"),
        Texts(f"{file}, line 5", rows[2]["output"], code="z = 3\n"),
        Texts(f"{file}, line 7", "Name fish", code="Name fish"),
    ]


def test_a_source_says_what_was_read_of_it(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"code": "x"}\n{"code": "y"}')
    reader = SourceReader(file)
    for _ in range(2):
        assert len(list(reader)) == reader.rows == 2
    assert reader.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds nothing to compare with"),
        ('{"code": "x"}\n{"prompt": "x"}\n', "line 2: holds nothing to compare"),
        ('{"code": 7}', "line 1: code must be a text"),
        ("[1]", "line 1: must be an object"),
        ("nonsense", "line 1: is not JSON"),
        ("[" * 100_000, "line 1: is not JSON"),
        (b"\xff", "line 1: is not UTF-8"),
        ('{"code": "' + "x" * 2**24 + '"}', "line 1: is longer"),
    ],
)
def test_a_wrong_training_file_is_one_line(tmp_path, content, words):
    with pytest.raises(ConfigError, match=words):
        read(tmp_path / "rows.jsonl", content)


def test_a_missing_file_or_pool_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        list(SourceReader(tmp_path / "rows.jsonl"))
    with pytest.raises(ArtifactError, match="there is no pool nowhere"):
        list(SourceReader(PoolPlace("nowhere", tmp_path / "nowhere")))
    with pytest.raises(ArtifactError, match="no samples"):
        list(SourceReader(PoolPlace("empty", tmp_path)))


def test_a_pool_gives_requirement_plan_and_code(tmp_path):
    code = "x = 1\n"
    record = {
        "title": "t", "requirement": "Guess a price", "framework": "keras", "licence": "MIT", "source": "own",
        "plan": PLAN.to_dict(), "sha256": hashlib.sha256(code.encode()).hexdigest(),
    }  # fmt: skip
    (tmp_path / "price.py").write_text(code)
    (tmp_path / "price.json").write_text(json.dumps(record))
    reader = SourceReader(PoolPlace("mine", tmp_path))
    [texts] = reader
    assert texts == Texts("mine: price", "Guess a price", plan_words(PLAN.to_dict()), code)
    assert "Dense(8)\nDense(1)" in texts.plan
    assert reader.rows == 1
    assert len(reader.sha256) == 64


def test_a_folder_of_programs_alone_is_a_pool_of_code(tmp_path):
    (tmp_path / "b.py").write_text("x = 1\n")
    [texts] = SourceReader(PoolPlace("mine", tmp_path))
    assert (texts.where, texts.code) == ("mine: b.py", "x = 1\n")
    assert read_items(tmp_path) == [Texts("b", code="x = 1\n")]


def test_a_folder_of_training_text_is_read_file_by_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.py").write_text("x = 1\n")
    (tmp_path / "notes.md").write_bytes(b"caf\xe9")
    (tmp_path / "rows.jsonl").write_text('{"requirement": "Name birds"}\n')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    reader = SourceReader(tmp_path)
    assert list(reader) == [
        Texts(f"{tmp_path}: a/x.py", "x = 1\n", code="x = 1\n"),
        Texts(f"{tmp_path}: notes.md", "caf\ufffd", code="caf\ufffd"),
        Texts(f"{tmp_path / 'rows.jsonl'}, line 1", "Name birds"),
    ]
    first = reader.sha256
    (tmp_path / "a/x.py").write_text("x = 2\n")
    assert list(reader)
    assert reader.sha256 != first


def test_items_have_ids_that_stand_once(tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text('{"id": 1, "requirement": "Name birds", "plan": null, "reference": null}\n')
    assert read_items(file) == [Texts("1", "Name birds")]
    file.write_text(file.read_text() * 2)
    with pytest.raises(ConfigError, match="'1' stands twice"):
        read_items(file)
    file.write_text("")
    with pytest.raises(ConfigError, match="holds no item"):
        read_items(file)


def test_a_deep_plan_is_read_without_end(tmp_path):
    deep = plan = []
    for _ in range(50_000):
        deep.append([])
        deep = deep[0]
    deep.append("bottom")
    assert plan_words(plan) == "bottom"
    assert plan_words('{"a": "x"}') == "x"
    assert plan_words("a = x") == "a = x"
