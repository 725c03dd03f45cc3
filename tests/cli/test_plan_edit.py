"""A plan that a user wrote in: every wrong edit is named, and none is lost."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.cli import options
from dlcodegen_local.cli.editing import edited_plan
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.schema import Plan
from tests.cli.conftest import REPOSITORY

PLAN = Plan(
    category="Tabular Regression",
    dataset_input="(batch_size, 4)",
    dataset_output="(batch_size, 1)",
    preprocess="scaled",
    layers=("Input(shape=(4,))", "Dense(1)"),
    optimizer="adam",
    loss="mse",
    learning_rate=0.001,
    batch_size=8,
    epochs=5,
    metric="mae",
)
TEXT = PLAN.to_json() + "\n"
# what is replaced, by what, what the answer says
WRONG_IN_EVERY_FILE = [
    ('"Preprocess": ', '"Steps": 1, "Preprocess": ', "unknown keys: Steps"),
    ('"epochs": 5', '"epochs": -5', "epochs: must be over 0"),
    ('"epochs": 5', '"epochs": 2.5', "epochs: must be a whole number"),
    ('"epochs": 5', '"epochs": "many"', "epochs: must be a whole number"),
    ('"epochs": 5', '"epochs": 5, "epochs": 6', "'epochs' stands twice"),
    ('"learning rate": 0.001', '"learning rate": 0', "learning rate: must be over 0"),
    ('"learning rate": 0.001', '"learning rate": NaN', "learning rate: must be over 0"),
    ('"batch size": 8', '"batch size": true', "batch size: must be a whole number"),
    ('"adam"', '["adam"]', "optimizer: must be a text, not list"),
    ('"epochs": 5', '"epohcs": 5', "epohcs"),
    ("Tabular Regression", "Tabular Regresion", "Tabular Regresion"),
    ("Tabular Regression", "Cookery", "'Cookery' is not a known category"),
    ('"Tabular Regression"', "7", "Task Category: must be a text"),
    ('"Dense(1)"', '""', "Layers[1]: is empty"),
    ('"Dense(1)"', "3", "Layers[1]: must be a text"),
    ('"epochs": 5,', '"epochs": 5', "line 19, column 7: not JSON"),
    ("}", "", "not JSON"),
    (TEXT, "", "is empty"),
    (TEXT, "[]", "must be a"),
    (TEXT, "{}", "plan: "),
]
WRONG_IN_AN_EDIT = [
    ('"Preprocess": "scaled",', "", "plan: lacks Preprocess"),
    ('"epochs": 5,', "", "Hyperparameters: lacks epochs"),
    ('"epochs": 5', '"epoch": 5', "lacks epochs; has unknown keys: epoch; epoch may be epochs"),
    ('"Input"', '"Inputs"', "Dataset: lacks Input; has unknown keys: Inputs"),
]


def follow(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    return options.read_plan_to_follow(tmp_path / "plan.json")


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """Return a function that makes an editor which writes a text, and an empty folder for its file."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.delenv("VISUAL", raising=False)

    def make(text, exit_code=0):
        (tmp_path / "text").write_text(text)
        program = tmp_path / "editor"
        program.write_text(f'#!/bin/sh\necho editing\ncat {tmp_path}/text > "$1"\nexit {exit_code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(program))
        return tmp_path / "tmp"

    return make


def edit():
    stream = io.StringIO()
    with edited_plan(PLAN, StderrReporter(stream)) as plan:
        pass
    return plan, stream.getvalue()


@pytest.mark.parametrize(("old", "new", "word"), WRONG_IN_EVERY_FILE)
def test_a_wrong_plan_file_is_answered_with_the_field(tmp_path, old, new, word):
    assert old in TEXT
    with pytest.raises(ConfigError, match=re.escape(word)) as caught:
        follow(tmp_path, TEXT.replace(old, new, 1))
    assert caught.value.hint


@pytest.mark.parametrize(("old", "new", "word"), WRONG_IN_EVERY_FILE + WRONG_IN_AN_EDIT)
def test_a_wrong_edit_is_answered_with_the_field_and_kept(editor, old, new, word):
    wrong = TEXT.replace(old, new, 1)
    folder, stream = editor(wrong), io.StringIO()
    with (
        pytest.raises(ConfigError, match=re.escape(word)),
        edited_plan(PLAN, StderrReporter(stream)),
    ):
        pytest.fail("a wrong edit was taken")
    kept = Path(re.search("your edit is kept in (.*)", stream.getvalue()).group(1))
    assert kept.is_relative_to(folder) and kept.read_text() == wrong


def test_a_list_without_layers_is_named(tmp_path):
    table = PLAN.to_dict()
    table["Model Architecture"]["Layers"] = []
    with pytest.raises(ConfigError, match="Layers: is empty"):
        follow(tmp_path, json.dumps(table))


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("image clasification", "Image Classification"),
        ("Forecasting of Time Series", "Time Series Forecasting"),
        ("regression", "Tabular Regression"),
    ],
)
def test_near_categories_are_suggested(tmp_path, wrong, meant):
    with pytest.raises(ConfigError) as caught:
        follow(tmp_path, TEXT.replace("Tabular Regression", wrong))
    assert meant in caught.value.hint


def test_keys_of_other_dialects_are_read_and_mistyped_ones_named(tmp_path):
    dialect = TEXT.replace("Hyperparameters", "Hypermeters").replace('"batch size"', '"batch_size"')
    assert follow(tmp_path, dialect) == PLAN
    with pytest.raises(ConfigError, match="'optimzer' is no field") as caught:
        follow(tmp_path, dialect.replace('"optimizer"', '"optimzer"'))
    assert caught.value.hint == "write 'optimizer'"
    with pytest.raises(ConfigError, match="'Cookery' is not a known category"):
        follow(tmp_path, dialect.replace("Tabular Regression", "Cookery"))


@pytest.mark.parametrize("name", ["", "absent.json", "/dev/zero"])
def test_what_is_no_file_of_text_is_refused(tmp_path, name):
    with pytest.raises(ConfigError):
        options.read_plan_to_follow(tmp_path / name)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "plan.json").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert options.read_plan_to_follow(tmp_path / "plan.json") == PLAN


def test_a_good_edit_is_taken_and_leaves_nothing(editor, capfd):
    folder = editor(TEXT.replace('"epochs": 5', '"epochs": 77'))
    plan, notes = edit()
    assert (plan.epochs, notes, os.listdir(folder)) == (77, "", [])
    assert capfd.readouterr() == ("", "editing\n"), "the editor's screen is not the plan's output"


def test_an_unchanged_plan_is_noted(editor):
    folder = editor(TEXT)
    assert edit() == (PLAN, "note: the plan was not changed\n")
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("text", "kept"), [(TEXT, 0), (TEXT.replace("scaled", "log"), 1)])
def test_an_editor_that_fails_loses_no_edit(editor, text, kept):
    folder = editor(text, exit_code=3)
    with pytest.raises(ConfigError, match="ended with exit code 3"):
        edit()
    assert len(os.listdir(folder)) == kept


def test_an_editor_that_is_missing_is_named(editor, monkeypatch):
    folder = editor(TEXT)
    monkeypatch.setenv("EDITOR", "no-such-editor --wait")
    with pytest.raises(ConfigError, match="'no-such-editor --wait' cannot be found") as caught:
        edit()
    assert caught.value.hint == "set $EDITOR" and os.listdir(folder) == []


def test_an_edit_outlives_a_plan_that_cannot_be_written(editor):
    folder = editor(TEXT.replace("scaled", "log"))
    with pytest.raises(OSError), edited_plan(PLAN, StderrReporter(io.StringIO())):
        raise OSError("disk full")
    assert len(os.listdir(folder)) == 1


def test_on_a_terminal_a_wrong_edit_can_be_opened_again(tmp_path):
    program = tmp_path / "editor"
    program.write_text(
        '#!/bin/sh\nif grep -q many "$1"; then sed -i s/many/9/ "$1"; '
        'else sed -i \'s/"epochs": 5/"epochs": many/\' "$1"; fi\n'
    )
    program.chmod(0o755)
    script = (
        "from tests.cli.test_plan_edit import *\n"
        "with edited_plan(PLAN, StderrReporter()) as plan: Path('done').write_text(str(plan.epochs))\n"
    )
    terminal, side = os.openpty()
    os.write(terminal, b"y\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "EDITOR": str(program)}
    try:
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=side,
            stdout=side,
            stderr=side,
            check=True,
            timeout=60,
        )
        assert "Open the editor again?" in os.read(terminal, 4000).decode()
    finally:
        os.close(terminal)
        os.close(side)
    assert (tmp_path / "done").read_text() == "9"


def test_a_file_that_exists_is_replaced_only_by_force(run, tmp_path):
    taken = tmp_path / "work/plan.json"
    taken.write_text("my notes\n")
    answer = run("plan", "Predict house prices", "-o", "plan.json")
    assert answer.returncode == 2 and taken.read_text() == "my notes\n"
    assert "plan.json exists" in answer.stderr.decode() and "--force" in answer.stderr.decode()
    assert "not a regular file" in run("plan", "Predict house prices", "-o", "..").stderr.decode()
    assert run("plan", "Predict house prices", "-o", "plan.json", "--force").returncode == 0
    assert Plan.from_dict(json.loads(taken.read_text()))
    taken.write_text("")
    assert run("plan", "Predict house prices", "-o", "plan.json").returncode == 0


def test_generate_names_the_wrong_field_of_its_plan(run, tmp_path):
    (tmp_path / "work/plan.json").write_text(TEXT.replace("Tabular Regression", "Tabular Regresion"))
    answer = run("generate", "--plan", "plan.json", "-o", "out")
    assert answer.returncode == 2 and os.listdir(tmp_path / "work") == ["plan.json"]
    assert "did you mean Tabular Regression" in answer.stderr.decode()
