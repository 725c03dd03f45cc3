import ast
import json
import re
import shutil
import subprocess
import sys

import click
import pytest

from dlcodegen_local.cli import cli
from tests.cli.conftest import REPOSITORY

COMMANDS = ("plan", "search", "generate", "verify", "evaluate", "pool", "runs", "models", "bundle", "doctor")
LEAVES = (
    ("plan",),
    ("search",),
    ("generate",),
    ("verify",),
    ("evaluate", "plans"),
    ("evaluate", "code"),
    ("evaluate", "leaks"),
    ("evaluate", "human"),
    *(("pool", leaf) for leaf in ("add", "list", "show", "remove", "status", "check", "export")),
    *(("runs", leaf) for leaf in ("list", "show", "resume", "replay", "diff", "purge")),
    *(("models", leaf) for leaf in ("list", "import", "info", "verify", "remove", "bench")),
    *(("bundle", leaf) for leaf in ("create", "verify", "install")),
    ("doctor",),
    *(("evaluate", table) for table in ("table2", "table4", "table5", "fig4", "fig5")),
)
HEAVY = (
    "onnxruntime",
    "llama_cpp",
    "tantivy",
    "tokenizers",
    "numpy",
    "tensorflow",
    "keras",
    "torch",
    "rich",
    "pathspec",
)


def context_of(*path):
    context = click.Context(cli, info_name="dlcodegen", auto_envvar_prefix="DLCODEGEN")
    for name in path:
        command = context.command.get_command(context, name)
        context = click.Context(command, info_name=name, parent=context)
    return context


def test_every_command_is_among_the_tested():
    found = set()
    for name in cli.list_commands(context_of()):
        command = context_of(name).command
        inner = command.list_commands(context_of(name)) if isinstance(command, click.Group) else []
        found |= {(name, leaf) for leaf in inner} or {(name,)}
    assert found == set(LEAVES)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_no_heavy_library(command):
    arguments = [command, "--help"] if command else ["--help"]
    code = (
        "import sys, io, contextlib\n"
        f"sys.argv = ['dlcodegen', *{arguments}]\n"
        "from dlcodegen_local.cli import main\n"
        "try:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        main()\n"
        "except SystemExit as exc:\n"
        "    assert not exc.code, exc.code\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(answer.stdout) == []


def test_help_lists_the_exit_codes_and_every_command(run):
    text = run("--help").stdout.decode()
    for word in (*COMMANDS, "130", "the sandbox cannot start"):
        assert word in text


def test_search_prints_json(run):
    answer = run("search", "classify images of cats", "-k", "3", "--why", "--json")
    rows = json.loads(answer.stdout)
    assert len(rows) == 3
    assert rows[0]["score"] >= rows[1]["score"]
    assert rows[0]["terms"]


def test_search_keeps_to_the_category(run):
    rows = json.loads(run("search", "anything", "-k", "1", "--category", "ner", "--json").stdout)
    assert rows[0]["category"] == "Token Classification"


def test_search_says_where_a_sample_is_from_and_why(run):
    answer = run("search", "classify images", "-k", "2", "--why", "--framework", "keras")
    text = answer.stdout.decode()
    assert "searched in everything: " in text and "pool bundled" in text and "Apache-2.0" in text
    rows = json.loads(run("search", "images", "--json", "-k", "1", "--framework", "torch").stdout)
    assert {"pool", "licence", "partition", "topped_up", "framework"} <= rows[0].keys()


def test_two_pools_are_searched_side_by_side(run, tmp_path):
    samples = REPOSITORY / "index/samples"
    (tmp_path / "work/ours").mkdir()
    for suffix in ("py", "json"):
        shutil.copy(samples / f"churn_dense.{suffix}", tmp_path / "work/ours")
    for pools in (("--pool", "bundled", "--pool", "ours"), ("--pool", "ours", "--pool", "bundled")):
        rows = json.loads(run("search", "customer churn", "-k", "2", "--json", *pools).stdout)
        assert [(row["id"], row["pool"]) for row in rows] == [
            ("churn_dense", "ours"),
            ("churn_dense", "bundled"),
        ]
    variable = run("search", "customer churn", "--json", DLCODEGEN_SEARCH_POOL="ours:bundled").stdout
    assert {row["pool"] for row in json.loads(variable)} == {"ours", "bundled"}
    (tmp_path / "home/.config/dlcodegen").mkdir(parents=True)
    (tmp_path / "home/.config/dlcodegen/dlcodegen.toml").write_text('[search]\npool = ["ours"]\n')
    assert {row["pool"] for row in json.loads(run("search", "churn", "--json").stdout)} == {"ours"}


def test_settings_come_after_variables_and_flags(run, tmp_path):
    folder = tmp_path / "home/.config/dlcodegen"
    folder.mkdir(parents=True)
    (folder / "dlcodegen.toml").write_text("[search]\nk = 2\njson = true\n")
    assert len(json.loads(run("search", "images").stdout)) == 2
    assert len(json.loads(run("search", "images", DLCODEGEN_SEARCH_K="3").stdout)) == 3
    assert len(json.loads(run("search", "images", "-k", "4", DLCODEGEN_SEARCH_K="3").stdout)) == 4


def test_flags_have_variables_of_their_own_name(run, tmp_path):
    assert json.loads(run("search", "images", "-k", "1", DLCODEGEN_SEARCH_JSON="1").stdout)
    assert json.loads(run("models", "list", DLCODEGEN_MODELS_LIST_JSON="1").stdout)
    (tmp_path / "work/plan.json").write_text('{"Task Category": "Translation"}')
    rows = json.loads(run("search", "--json", "-k", "1", DLCODEGEN_SEARCH_PLAN="plan.json").stdout)
    assert rows[0]["category"] == "Translation"


def test_settings_of_a_group_hold_tables_of_its_commands(run, tmp_path):
    folder = tmp_path / "home/.config/dlcodegen"
    folder.mkdir(parents=True)
    (folder / "dlcodegen.toml").write_text("[models.list]\njson = true\n")
    assert json.loads(run("models", "list").stdout)


def test_models_are_listed_and_described(run):
    rows = json.loads(run("models", "list", "--json").stdout)
    assert {row["kind"] for row in rows} == {"planner", "code-model"}
    starter = next(row["name"] for row in rows if row["kind"] == "code-model")
    facts = json.loads(run("models", "info", starter, "--json").stdout)
    assert facts["architecture"] == "llama"
    assert facts["parameters"] > 1_000_000


def test_plan_is_one_json_document_on_stdout(run):
    answer = run("plan", "Classify images of birds by species")
    assert json.loads(answer.stdout)["Task Category"] == "Image Classification"
    full = json.loads(run("plan", "Classify images of birds by species", "--json").stdout)
    assert full["plan"] == json.loads(answer.stdout)
    assert 0 <= min(full["confidence"].values()) <= max(full["confidence"].values()) <= 1


def test_plan_batch_writes_one_row_an_item(run, tmp_path):
    rows = [{"id": "a", "requirement": "Translate text"}, {"id": "b", "requirement": "Forecast sales"}]
    (tmp_path / "work/in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = run("plan", "--batch", "in.jsonl", "-o", "out.jsonl", "--beams", "1")
    assert answer.returncode == 0, answer.stderr.decode()
    out = [json.loads(line) for line in (tmp_path / "work/out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in out] == ["a", "b"]
    assert set(out[0]) == {"id", "plan", "log_prob", "seconds", "steps"}


def test_plan_edit_is_taken_and_a_wrong_edit_is_named(run, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/"epochs": .*,/"epochs": 77,/\' "$1"\n')
    editor.chmod(0o755)
    plan = json.loads(run("plan", "Classify birds", "--edit", EDITOR=str(editor)).stdout)
    assert plan["Model Architecture"]["Hyperparameters"]["epochs"] == 77
    editor.write_text('#!/bin/sh\nsed -i \'s/"epochs": .*,/"epochs": "many",/\' "$1"\n')
    answer = run("plan", "Classify birds", "--edit", EDITOR=str(editor))
    assert answer.returncode == 2
    assert "epochs: must be a whole number" in answer.stderr.decode()


def test_doctor_answers_for_every_part(run):
    answer = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(answer.stdout)}
    assert {"planner", "code model", "samples", "sandbox"} <= checks.keys()
    for name in ("planner", "code model", "samples"):
        assert checks[name]["ok"] is True, checks[name]
    assert answer.returncode == (0 if checks["sandbox"]["ok"] else 1)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_and_every_option_says_what_it_is_for(path):
    leaf = context_of(*path).command
    assert leaf.help
    for option in leaf.params:
        if isinstance(option, click.Option):
            assert option.help, f"{' '.join(path)} {option.opts}"


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_has_a_variable_of_its_flag_s_name(path, monkeypatch):
    context = context_of(*path)
    for option in context.command.params:
        if isinstance(option, click.Option):
            flag = max(option.opts, key=len).lstrip("-").replace("-", "_")
            variable = f"DLCODEGEN_{'_'.join(path)}_{flag}".upper()
            monkeypatch.setenv(variable, "1")
            assert option.resolve_envvar_value(context) == "1", variable


def test_a_changed_optimizer_is_a_finding(run, tmp_path):
    answer = run("generate", "Predict house prices from a table", "-o", "out", "--no-run")
    assert answer.returncode == 0, answer.stderr.decode()
    config = tmp_path / "work/out/config.py"
    text = config.read_text()
    optimizer = re.search(r'optimizer: str = "(\w+)"', text).group(1)
    other = "sgd" if optimizer != "sgd" else "adam"
    config.write_text(text.replace(f'optimizer: str = "{optimizer}"', f'optimizer: str = "{other}"'))
    found = json.loads(run("verify", "out", "--json").stdout)
    messages = [finding["message"] for finding in found["static"]["findings"]]
    assert any(message.startswith("optimizer does not follow the plan") for message in messages)


@pytest.mark.parametrize("layout", ["script", "notebook"])
def test_every_layout_is_verified_again(run, layout):
    plan = run("plan", "Predict house prices from a table", "-o", "plan.json")
    assert plan.returncode == 0
    made = run("generate", "--plan", "plan.json", "-o", "out", "--layout", layout, "--no-run")
    assert made.returncode == 0, made.stderr.decode()
    found = run("verify", "out", "--json")
    assert found.returncode == 0, found.stdout.decode()
