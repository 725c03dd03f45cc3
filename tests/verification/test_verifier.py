"""The delivered modules are what is checked, not the script that they are cut from."""

import dataclasses
from pathlib import Path

import pytest

from dlcodegen_local.config import VerificationConfig
from dlcodegen_local.verification.report import Compliance, Finding, SmokeResult, Verification
from dlcodegen_local.verification.sandbox import LauncherSandbox
from dlcodegen_local.verification.verifier import Verifier, write_modules
from tests.generation.scripts import PLAN, TABLE


@pytest.fixture
def verifier(tmp_path):
    return Verifier(VerificationConfig(run=False), None, tmp_path)


def rules(verification):
    return {finding.rule for finding in verification.findings if finding.severity == "error"}


def test_a_sound_program_passes_and_follows_its_plan(verifier):
    verification = verifier.inspect(TABLE, PLAN)
    assert verification.ok
    assert verifier.follows_plan(verification.compliance)
    assert list(verifier.defects(TABLE, verification)) == []


LOSS = 'loss: str = "sparse_categorical_crossentropy"'


@pytest.mark.parametrize(
    ("loss", "stands"),
    [
        ("sparse_categorical_crossentropy", True),
        ("categorical_crossentropy", True),
        ("an_own_one", True),
        ("mean_squared_error", False),
        ("binary_crossentropy", False),
    ],
)
def test_without_a_smoke_run_the_loss_may_not_contradict_the_plan(loss, stands, verifier):
    verification = verifier.inspect(TABLE.replace(LOSS, f'loss: str = "{loss}"'), PLAN)
    assert verification.compliance.score > 0.85
    assert verifier.follows_plan(verification.compliance) is stands
    assert (verifier.objection(verification) is None) is stands


def test_where_a_smoke_run_proves_it_another_loss_may_stand(tmp_path):
    verifier = Verifier(VerificationConfig(), LauncherSandbox("landlock", ""), tmp_path)
    verification = verifier.inspect(TABLE.replace(LOSS, 'loss: str = "mean_squared_error"'), PLAN)
    assert verification.compliance.contradicted == ("loss function",)
    assert verifier.follows_plan(verification.compliance)


@pytest.mark.parametrize(
    ("source", "said", "minimum"),
    [
        (TABLE.replace("return model", "return modell"), "undefined-name", 0.8),
        (TABLE.replace('optimizer: str = "adam"', 'optimizer: str = "sgd"'), "optimizer 0.00", 0.9),
        (TABLE.replace(LOSS, 'loss: str = "mean_squared_error"'), "loss function contradicts the plan", 0.8),
    ],
)
def test_an_objection_says_in_one_line_what_is_wrong(source, said, minimum, tmp_path):
    verifier = Verifier(VerificationConfig(run=False, min_compliance=minimum), None, tmp_path)
    objection = verifier.objection(verifier.inspect(source, PLAN))
    assert said in objection and "\n" not in objection


def test_a_failed_smoke_run_is_an_objection(verifier):
    failed = SmokeResult(False, 1.0, "exit 1: boom", 1)
    assert verifier.objection(Verification((), Compliance(1.0, {}), failed)) == "smoke run: exit 1: boom"


def test_an_import_inside_a_section_serves_the_other_modules(verifier, tmp_path):
    source = TABLE.replace("# %% [data]\n", "# %% [data]\nimport math\n\n\n").replace(
        "    model.compile(", "    math.sqrt(4)\n    model.compile("
    )
    assert verifier.inspect(source, PLAN).ok
    write_modules(source, tmp_path)
    assert "import math" in (tmp_path / "model.py").read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import argparse\nimport dataclasses\n", "import argparse; import dataclasses\n"),
        ("import argparse\n", "import argparse\n\x0c\n"),
        ("import argparse\n", "import argparse  # \u2028\n"),
    ],
    ids=["one line", "form feed", "line separator"],
)
def test_odd_lines_are_cut_where_the_parser_cuts_them(tmp_path, old, new):
    write_modules(TABLE.replace(old, new), tmp_path)
    for path in tmp_path.iterdir():
        compile(path.read_text(), path.name, "exec")
    assert "import argparse" in (tmp_path / "config.py").read_text()


def test_a_program_that_cannot_be_written_is_an_error_and_no_crash(verifier):
    source = TABLE.replace('"""Classify rows of a table.', '"""Classify \\ud800 rows.')
    verification = verifier.inspect(source, PLAN)
    assert not verification.static_ok


def test_a_missed_field_is_placed_in_its_section(verifier):
    wrong = dataclasses.replace(PLAN, layers=("LSTM(7)", "LSTM(9)", "Conv1D(3, 3)"))
    verification = verifier.inspect(TABLE, wrong)
    first = verifier.defects(TABLE, verification)[0]
    assert first.rule == "plan-mismatch"
    assert TABLE.split("\n")[first.line - 2] == "# %% [model]"


def test_a_finding_in_a_module_is_placed_in_the_script(verifier, tmp_path):
    write_modules(TABLE, tmp_path)
    lines = (tmp_path / "train.py").read_text().split("\n")
    line = next(i for i, text in enumerate(lines, 1) if "history =" in text)
    smoke = SmokeResult(False, 1.0, "boom", 1, {"error": {"file": "train.py", "line": line}, "rule": "smoke"})
    verification = Verification((), Compliance(1.0, {}), smoke)
    (finding,) = verifier.defects(TABLE, verification)
    assert isinstance(finding, Finding)
    assert "history =" in TABLE.split("\n")[finding.line - 1]
    assert Path(finding.file).name == "project.py"
