"""Every wrong input: one line on stderr, nothing on stdout, the documented exit code, nothing changed."""

import json
import os
import stat

import pytest

from dlcodegen_local.cli.options import plan_from_value
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.schema import Plan
from tests.cli.conftest import REPOSITORY

PLAN = Plan(
    "Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "scaled", ("Dense(1)",), "adam", "mse"
)


def refused(answer, code, *words):
    lines = answer.stderr.decode().strip().splitlines()
    assert answer.returncode == code, answer.stderr.decode()
    assert answer.stdout == b""
    assert lines[-1].startswith("dlcodegen: ")
    assert "Traceback" not in answer.stderr.decode()
    for word in words:
        assert word in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("plan",), "no requirement"),
        (("plan", ""), "empty"),
        (("plan", "  \n "), "empty"),
        (("plan", "?!"), "empty"),
        (("plan", "x" * 100_000), "longer"),
        (("plan", "a\x01b"), "control"),
        (("plan", "a\x7fb"), "U+007F"),
        (("plan", "a\x9bb"), "U+009B"),
        (("plan", "a\u202eb"), "U+202E"),
        (("plan", "a\u2066b"), "U+2066"),
        (("generate", "x", "-o", "out", "--dataset", "a\u202eb"), "U+202E"),
        (("plan", "x", "--beams", "0"), "--beams"),
        (("plan", "x", "--nonsense"), "--nonsense"),
        (("plan", "--batch", "absent.jsonl", "-o", "out"), "absent.jsonl"),
        (("search",), "text or --plan"),
        (("search", "x", "--category", "cooking"), "cooking"),
        (("search", "x", "-k", "0"), "-k"),
        (("generate", "x"), "--output"),
        (("generate", "", "-o", "out"), "empty"),
        (("generate", "x", "-o", "out", "--without", "soup"), "soup"),
        (("generate", "x", "-o", "out", "--without", "code-rag,template-rag,comparison"), "must stay"),
        (("generate", "x", "-o", "out", "--method", "ps", "--without", "comparison"), "--without goes with"),
        (("generate", "x", "-o", "out", "--method", "cot"), "'cot' is not one of"),
        (("generate", "x", "-o", "out", "--temperature", "9"), "--temperature"),
        (("generate", "x", "-o", "out", "--plan", "absent.json"), "absent.json"),
        (("verify", "absent"), "absent"),
        (("cook",), "cook"),
    ],
)
def test_usage_is_refused_with_2(run, tmp_path, arguments, word):
    refused(run(*arguments), 2, word)
    assert os.listdir(tmp_path / "work") == []


@pytest.mark.parametrize(
    ("stdin", "word"),
    [
        (b"\xff\xfe\x00binary", "UTF-8"),
        (b"a\x00b", "control"),
        (b"", "empty"),
        (b"x" * 100_000, "longer"),
    ],
)
def test_stdin_is_refused_with_2(run, stdin, word):
    refused(run("plan", "-", stdin=stdin), 2, word)


def test_a_plan_with_wrong_types_names_the_field(run, tmp_path):
    table = PLAN.to_dict()
    table["Model Architecture"]["Hyperparameters"]["batch size"] = "many"
    (tmp_path / "work/plan.json").write_text(json.dumps(table))
    refused(run("generate", "x", "-o", "out", "--plan", "plan.json"), 2, "batch size", "whole number")
    assert os.listdir(tmp_path / "work") == ["plan.json"]


def test_a_plan_with_half_a_character_is_refused(run, tmp_path):
    (tmp_path / "work/plan.json").write_text(json.dumps({**PLAN.to_dict(), "Preprocess": "\ud800"}))
    refused(run("search", "--plan", "plan.json"), 2, "Preprocess", "U+D800")


def test_plans_of_other_dialects_are_read_leniently():
    model = PLAN.to_dict()["Model Architecture"]
    numbers = {key: value for key, value in model["Hyperparameters"].items() if key != "evaluation metric"}
    other = {"Layers": model["Layers"], "Hypermeters": model["Hyperparameters"]}
    assert plan_from_value({**PLAN.to_dict(), "Model Architecture": other}) == PLAN
    assert (
        plan_from_value({**PLAN.to_dict(), "Model Architecture": {**model, "Hyperparameters": numbers}})
        == PLAN
    )
    wrong = {**model, "Hyperparameters": {**model["Hyperparameters"], "epochs": "ten"}}
    with pytest.raises(ConfigError, match="epochs"):
        plan_from_value({**PLAN.to_dict(), "Model Architecture": wrong})


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("plan", "x"), "REQUIREMENT"),
        (("plan", "--dataset", "rows"), "--dataset"),
        (("plan", "--edit"), "--edit"),
        (("plan", "--json"), "--json"),
        (("generate", "x"), "REQUIREMENT"),
        (("generate", "--dataset", "rows"), "--dataset"),
        (("generate", "--plan", "plan.json"), "--plan"),
        (("generate", "--json"), "--json"),
    ],
)
def test_what_a_batch_would_leave_unread_is_refused(run, tmp_path, arguments, word):
    (tmp_path / "work/in.jsonl").write_text('{"id": "a", "requirement": "Classify birds"}\n')
    refused(run(*arguments, "--batch", "in.jsonl", "-o", "out"), 2, "--batch", word)
    assert os.listdir(tmp_path / "work") == ["in.jsonl"]


def test_a_batch_is_not_written_over(run, tmp_path):
    (tmp_path / "work/in.jsonl").write_text('{"id": "a", "requirement": "Classify birds"}\n')
    refused(run("plan", "--batch", "in.jsonl", "-o", "./in.jsonl"), 2, "batch file itself")
    assert "requirement" in (tmp_path / "work/in.jsonl").read_text()


def test_a_plan_that_is_no_json_is_refused(run, tmp_path):
    (tmp_path / "work/plan.json").write_bytes(b"\xff{")
    refused(run("search", "--plan", "plan.json"), 2, "plan.json")


def test_a_full_output_folder_is_refused_and_kept(run, tmp_path):
    (tmp_path / "work/out").mkdir()
    (tmp_path / "work/out/mine").write_text("precious")
    refused(run("generate", "x", "-o", "out"), 2, "not empty")
    assert os.listdir(tmp_path / "work/out") == ["mine"]


def test_a_read_only_folder_is_refused(run, tmp_path):
    if os.geteuid() == 0:
        refused(run("generate", "x", "-o", "/proc/out"), 2, "cannot be written")
        return
    (tmp_path / "work").chmod(stat.S_IRUSR | stat.S_IXUSR)
    refused(run("generate", "x", "-o", "out"), 2, "cannot be written")


def test_a_text_file_named_gguf_is_refused_with_3(run, tmp_path):
    (tmp_path / "work/model.gguf").write_text("I am a poem, and long enough for a header.\n" * 9)
    refused(run("generate", "x", "-o", "out", "--model", "model.gguf"), 3, "model.gguf")
    refused(run("models", "info", "model.gguf"), 3, "GGUF")
    assert os.listdir(tmp_path / "work") == ["model.gguf"]


def test_a_missing_model_is_refused_with_3(run):
    refused(run("generate", "x", "-o", "out", "--model", "absent.gguf"), 3, "absent.gguf")
    refused(run("plan", "x", "--planner", "absent"), 3, "absent")
    refused(run("search", "x", "--pool", "absent"), 3, "absent")


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("{", "line 1"),
        ("[]", "line 1"),
        ('{"id": "a"}', "requirement"),
        ('{"id": "../a", "requirement": "x"}', "../a"),
        ('{"id": "a", "requirement": ""}', "empty"),
        ('{"id": "a", "requirement": "x"}\n{"id": "a", "requirement": "y"}', "twice"),
        ("", "no requirement"),
        ('{"id": "a", "requirement": "a \\ud800"}', "U+D800"),
        ('{"id": "a", "requirement": "a", "dataset_attributes": {"x": "\\ud800"}}', "U+D800"),
        ('{"id": "results.jsonl", "requirement": "a"}', "reserved"),
    ],
)
def test_a_bad_batch_is_refused_before_it_starts(run, tmp_path, row, word):
    (tmp_path / "work/in.jsonl").write_text(row + "\n")
    refused(run("plan", "--batch", "in.jsonl", "-o", "out.jsonl"), 2, word)
    assert os.listdir(tmp_path / "work") == ["in.jsonl"]


def test_an_unknown_key_of_the_settings_is_named(run, tmp_path):
    folder = tmp_path / "home/.config/dlcodegen"
    folder.mkdir(parents=True)
    (folder / "dlcodegen.toml").write_text("[generate]\nseeed = 3\n")
    refused(run("plan", "x"), 2, "seeed")
    (folder / "dlcodegen.toml").write_text("[cook]\nseed = 3\n")
    refused(run("plan", "x"), 2, "cook")
    (folder / "dlcodegen.toml").write_text("seed = \n")
    refused(run("plan", "x"), 2, "TOML")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[search]\nk = [1, 2]\n", "[search] k"),
        ("[search]\nk = true\n", "[search] k"),
        ("[search]\nwhy = 1\n", "[search] why"),
        ('[search]\njson = "yes"\n', "[search] json"),
        ("[generate]\nmodel = { a = 1 }\n", "[generate] model"),
        ("[generate]\noutput = 2026-01-01\n", "[generate] output"),
        ("[models.list]\njson = 3\n", "[models.list] json"),
        ("[models.list]\njsom = true\n", "[models.list] unknown key: jsom"),
        ("[models]\nlist = true\n", "[models] unknown key: list"),
    ],
)
def test_a_setting_of_a_wrong_type_is_named(run, tmp_path, text, place):
    folder = tmp_path / "home/.config/dlcodegen"
    folder.mkdir(parents=True)
    (folder / "dlcodegen.toml").write_text(text)
    refused(run("search", "images"), 2, place)


def test_a_number_in_the_settings_may_stand_for_a_text(run, tmp_path):
    folder = tmp_path / "home/.config/dlcodegen"
    folder.mkdir(parents=True)
    (folder / "dlcodegen.toml").write_text("[generate]\nmodel = 5\n")
    refused(run("generate", "x", "-o", "out"), 3, "5")


def without_package(tmp_path, name):
    (tmp_path / "stubs").mkdir()
    line = f"raise ModuleNotFoundError({name!r}, name={name!r})\n"
    (tmp_path / f"stubs/{name}.py").write_text(line)
    return {"PYTHONPATH": os.pathsep.join((str(tmp_path / "stubs"), str(REPOSITORY)))}


def test_a_package_that_is_not_installed_is_one_line_and_3(run, tmp_path):
    refused(run("search", "x", **without_package(tmp_path, "tantivy")), 3, "tantivy is not installed", "pip")


def test_doctor_names_a_package_that_cannot_be_imported(run, tmp_path):
    answer = run("doctor", "--json", **without_package(tmp_path, "tantivy"))
    assert answer.returncode == 1
    checks = {check["name"]: check for check in json.loads(answer.stdout)}
    assert checks["samples"]["ok"] is False
    assert "tantivy" in checks["samples"]["detail"]
    assert checks["samples"]["mend"] == "pip install dlcodegen"
    assert checks["planner"]["ok"] is True
