"""Every wrong input: one line on stderr, nothing on stdout, the documented exit code, nothing changed."""

import json
import os
import stat

import pytest

from dlcodegen_local.plan.schema import Plan

PLAN = Plan("Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "none", ("Dense(1)",), "adam", "mse")


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
        (("plan", "x", "--beams", "0"), "--beams"),
        (("plan", "x", "--nonsense"), "--nonsense"),
        (("plan", "--batch", "absent.jsonl", "-o", "out"), "absent.jsonl"),
        (("search",), "text or --plan"),
        (("search", "x", "--category", "cooking"), "cooking"),
        (("search", "x", "-k", "0"), "-k"),
        (("generate", "x"), "--output"),
        (("generate", "", "-o", "out"), "empty"),
        (("generate", "x", "-o", "out", "--without", "soup"), "soup"),
        (("generate", "x", "-o", "out", "--without", "code-rag,template-rag"), "must stay"),
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
