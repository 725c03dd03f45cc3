"""What stops a run: Ctrl-C, a full disk, and items of a batch that nobody thought of."""

import json
import os
import resource
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import (
    GenerationConfig,
    PlannerConfig,
    RetrievalConfig,
    VerificationConfig,
    find_paths,
)
from dlcodegen_local.delivery import deliver_batch
from dlcodegen_local.errors import PlanningError
from dlcodegen_local.pipeline import Engines, PipelineConfig, Request
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.run_order import Order
from tests.cli.conftest import REPOSITORY
from tests.generation.scripted import ScriptedLLM
from tests.generation.tiny_gguf import write_tiny_gguf

PLAN = Plan("Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "none", ("Dense(1)",), "adam", "mse")
FAST = ("--plan", "plan.json", "--model", "tiny.gguf", "--no-run", "--repairs", "0")


class FailingPlanner:
    """Raise what the requirement names."""

    def plan(self, requirement, dataset="", **settings):
        raise {"mistake": ValueError("\ud800 is new"), "refusal": PlanningError("no plan")}.get(
            requirement, KeyboardInterrupt()
        )


def batch(tmp_path, monkeypatch, *requirements):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = PipelineConfig(
        planner=PlannerConfig(find_paths().models / "planner"),
        retrieval=RetrievalConfig((), tmp_path),
        generation=GenerationConfig(model=tmp_path / "scripted.gguf"),
        verification=VerificationConfig(run=False),
    )
    engines = Engines(FailingPlanner(), SimpleNamespace(sha256="0" * 64), ScriptedLLM(), None)
    output = tmp_path / "out"
    orders = {text: Order(Request(text), config, output / text) for text in requirements}
    return deliver_batch(orders, output, engines, find_paths(), StderrReporter())


def statuses(tmp_path):
    return {json.loads(path.read_text())["status"] for path in tmp_path.glob("state/**/record.json")}


def test_a_batch_goes_on_after_any_failure(tmp_path, monkeypatch):
    assert batch(tmp_path, monkeypatch, "mistake", "refusal") == 1
    rows = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert rows == [
        {"id": "mistake", "method": "dlcodegen", "error": "ValueError: \ud800 is new", "exit_code": 5},
        {"id": "refusal", "method": "dlcodegen", "error": "no plan", "exit_code": 4},
    ]
    assert statuses(tmp_path) == {"failed"}


def test_a_batch_is_interrupted(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        batch(tmp_path, monkeypatch, "interrupt", "mistake")
    assert statuses(tmp_path) == {"interrupted"}


def command(tmp_path, *arguments, **options):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a full disk would cut them
    return subprocess.Popen(
        [sys.executable, "-m", "dlcodegen_local", *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_ctrl_c_leaves_no_output_folder(tmp_path):
    arguments = ("generate", "Classify images of birds by species", "-o", "out", "--no-run")
    # a shell starts its background jobs, and these their children, deaf to Ctrl-C
    process = command(tmp_path, *arguments, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for line in process.stderr:
        if line.startswith("code-rag ..."):
            break
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=15)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1] == "dlcodegen: interrupted; nothing half-written is left"
    assert "Traceback" not in stderr
    assert os.listdir(tmp_path) == ["home"]


@pytest.mark.parametrize(
    ("size_bytes", "layout", "line"),
    [(2000, "project", "output: File too large"), (4000, "script", "out cannot be written: File too large")],
    ids=["while it is checked", "while it is written"],
)
def test_a_full_disk_is_one_line_and_leaves_no_output_folder(tmp_path, size_bytes, layout, line):
    def fill_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    write_tiny_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "plan.json").write_text(PLAN.to_json())
    assert command(tmp_path, "search", "rows").communicate()[0]  # the index is built while there is room
    arguments = ("generate", "Predict prices", "-o", "out", "--layout", layout, *FAST)
    process = command(tmp_path, *arguments, preexec_fn=fill_disk)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert stdout == ""
    assert line in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    assert sorted(os.listdir(tmp_path)) == ["home", "plan.json", "tiny.gguf"]
