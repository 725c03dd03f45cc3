"""Models on their way in as a user sees them, and the policy at every load."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY
from tests.generation.tiny_gguf import write_tiny_gguf
from tests.planner.test_planner import TINY

BIRDS = "Classify images of birds"


@pytest.fixture
def stick(tmp_path):
    """A folder with a tiny code model."""
    write_tiny_gguf(tmp_path / "mine.gguf")
    return tmp_path


def refused(answer, code, *words):
    """Tell whether a command ended with one line that holds the words."""
    lines = answer.stderr.decode().splitlines()
    assert answer.returncode == code, lines
    assert len([line for line in lines if line.startswith("dlcodegen: ")]) == 1 and "Traceback" not in lines
    assert all(word in lines[-1] for word in words), lines[-1]
    return True


def test_a_model_is_imported_named_everywhere_verified_and_removed(run, stick):
    answer = run("models", "import", str(stick / "mine.gguf"), "--licence", "MIT")
    assert answer.returncode == 0, answer.stderr.decode()
    assert "licence  MIT (stated by: declared)" in answer.stdout.decode()
    (row,) = [
        row for row in json.loads(run("models", "list", "--json").stdout) if row["origin"] == "imported"
    ]
    assert (row["name"], row["licence"]) == ("mine", "MIT")
    assert "as recorded" in run("models", "info", "mine").stdout.decode()
    assert run("generate", BIRDS, "--dry-run", "--model", "mine").returncode == 0
    assert refused(run("plan", BIRDS, "--planner", "mine"), 2, "mine is a code-model, not a planner")
    assert json.loads(run("models", "verify", "mine", "--json").stdout) == [
        {"name": "mine", "ok": True, "message": ""}
    ]
    assert run("models", "remove", "mine").returncode == 0
    assert refused(run("models", "remove", "mine"), 2, "no imported model")
    assert refused(run("models", "remove", "starter"), 2, "came with the tool")


def test_a_planner_is_imported_and_plans(run, tmp_path):
    folder = Path(shutil.copytree(TINY, tmp_path / "ours"))
    assert run("models", "import", str(folder), "--name", "ours").returncode == 0
    assert json.loads(run("plan", BIRDS, "--planner", "ours").stdout)["Task Category"]


def test_a_swapped_model_is_refused_at_load(run, stick, tmp_path):
    run("models", "import", str(stick / "mine.gguf"))
    model = tmp_path / "home/.local/share/dlcodegen/models/mine/model.gguf"
    content = bytearray(model.read_bytes())
    content[-3] ^= 1
    model.write_bytes(content)
    plan = tmp_path / "work/plan.json"
    plan.write_bytes(run("plan", BIRDS, "--planner", str(TINY)).stdout)
    answer = run("generate", "--plan", str(plan), "-o", "out", "--no-run", "--model", "mine")
    assert refused(answer, 3, "model.gguf is damaged")
    answer = run("models", "verify", "mine")
    assert answer.returncode == 3 and "DAMAGED  mine" in answer.stdout.decode()


def test_a_full_disk_lists_nothing(run, stick, tmp_path):
    with (stick / "mine.gguf").open("ab") as file:
        file.write(bytes(8_000_000))
    command = f"ulimit -f 4000; exec {sys.executable} -m dlcodegen_local models import {stick}/mine.gguf"
    home = tmp_path / "home"
    answer = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert refused(answer, 2, "cannot be written")
    assert [path.name for path in (home / ".local/share/dlcodegen/models").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("nothing.gguf", (), 3, ("missing",)),
        ("mine.gguf", ("--name", "../x"), 2, ("no name of a model",)),
        ("mine.gguf", ("--licence", "a b"), 2, ("SPDX",)),
        ("damaged.gguf", (), 3, ("not a sound GGUF file",)),
        ("x-00002-of-00003.gguf", (), 2, ("shard 2 of 3", "--merge")),
    ],
)
def test_what_is_refused_costs_one_line(run, stick, name, arguments, code, words):
    (stick / "damaged.gguf").write_bytes((stick / "mine.gguf").read_bytes()[:5000])
    (stick / "x-00002-of-00003.gguf").write_bytes(b"GGUF")
    assert refused(run("models", "import", str(stick / name), *arguments), code, *words)


@pytest.mark.parametrize(
    ("rule", "command", "words"),
    [
        ('[models]\nsha256 = ["{other}"]', ("plan", BIRDS), ("planner", "[models] sha256")),
        ('[models]\nlicences = ["MIT"]', ("plan", BIRDS), ("Apache-2.0", "[models] licences")),
        ('[pools]\nallowed = ["team"]', ("search", BIRDS), ("pool bundled", "[pools] allowed")),
        ('[samples]\nlicences = ["MIT"]', ("search", BIRDS), ("Apache-2.0", "[samples] licences")),
        (
            '[code]\nrun = "never"',
            ("verify", "--smoke", "project.py"),
            ("may not be run", '[code] run = "never"'),
        ),
        ("[code]\nruns = 3", ("plan", BIRDS), ("unknown key: [code] runs",)),
    ],
)
def test_a_policy_is_asked_at_every_load(run, tmp_path, rule, command, words):
    path = tmp_path / "policy.toml"
    path.write_text(rule.format(other="0" * 64))
    (tmp_path / "work/project.py").write_text("print(1)\n")
    answer = run(*command, DLCODEGEN_POLICY=str(path))
    assert refused(answer, 2, str(path), *words)
    path.write_text("")
    assert "policy.toml" not in run(*command, DLCODEGEN_POLICY=str(path)).stderr.decode()


def test_a_code_model_is_refused_by_hash_and_the_users_own_policy_counts(run, stick, tmp_path):
    plan = tmp_path / "work/plan.json"
    plan.write_bytes(run("plan", BIRDS, "--planner", str(TINY)).stdout)
    own = tmp_path / "home/.config/dlcodegen/policy.toml"
    own.parent.mkdir(parents=True)
    own.write_text(f'[models]\nsha256 = ["{"0" * 64}"]')
    arguments = (
        "generate",
        "--plan",
        str(plan),
        "-o",
        "out",
        "--no-run",
        "--model",
        str(stick / "mine.gguf"),
    )
    assert refused(run(*arguments), 2, "mine.gguf", str(own))
    (tmp_path / "wide.toml").write_text("")
    assert refused(run(*arguments, DLCODEGEN_POLICY=str(tmp_path / "wide.toml")), 2, str(own))
    assert refused(run("models", "import", str(stick / "mine.gguf")), 2, str(own))
    assert refused(run(*arguments, DLCODEGEN_POLICY="missing.toml"), 2, "missing.toml cannot be read")
    assert not (tmp_path / "work/out").exists()


def test_doctor_shows_the_policy_in_force(run, tmp_path):
    (tmp_path / "policy.toml").write_text('[pools]\nallowed = ["bundled"]')
    answer = run("doctor", "--json", DLCODEGEN_POLICY=str(tmp_path / "policy.toml"))
    (check,) = [check for check in json.loads(answer.stdout) if check["name"] == "policy"]
    assert check["detail"] == f"{tmp_path / 'policy.toml'} allows 1 pools"
