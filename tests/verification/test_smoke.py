"""Smoke runs of tiny projects: what passes, what fails, at which stage and line."""

import dataclasses
import importlib.util
import sys
from functools import cache
from pathlib import Path

import pytest

from dlcodegen_local.errors import ConfigError, SandboxError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.report import SmokeResult
from dlcodegen_local.verification.sandbox import Limits, Sandbox, find_sandbox
from dlcodegen_local.verification.smoke import (
    SmokeScale,
    _prediction_fits,
    environment_paths,
    smoke_findings,
    smoke_project,
    smoke_run,
)

PROJECT = """
import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np


@dataclasses.dataclass
class Config:
    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    epochs: int = 5


def parse_config(argv=None):
    parser = argparse.ArgumentParser()
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


def make_synthetic(config):
    Path(config.data_dir).mkdir()
    np.save(Path(config.data_dir) / "x.npy", np.arange(config.synthetic_samples * 3.0).reshape(-1, 3))


def load_data(config):
    if not Path(config.data_dir).exists():
        make_synthetic(config)
    return np.load(Path(config.data_dir) / "x.npy")


def build_model(config):
    return {"weights": np.ones(3)}


def train(config):
    features = load_data(config)
    assert config.synthetic and config.epochs == 1
    Path(config.output_dir).mkdir()
    (Path(config.output_dir) / "model.json").write_text(json.dumps([1, 1, 1]))
    return {"loss": float(len(features))}


def evaluate(config):
    return {"accuracy": 0.5}


def predict(config):
    return load_data(config)[:4, :2]
"""
PLAN = Plan("Tabular Classification", "(batch_size, 3)", "(batch_size, 2)", "none", ("Dense(2)",))


@cache
def sandbox() -> Sandbox:
    try:
        return find_sandbox()
    except SandboxError as error:
        pytest.skip(error.message)


def run(source: str, plan: Plan | None = PLAN, **limits: float) -> SmokeResult:
    bounds = Limits(**{"wall_s": 60, **limits})
    return smoke_run(source, python=Path(sys.executable), sandbox=sandbox(), plan=plan, limits=bounds)


def test_a_run_says_whose_class_was_taken_for_whose() -> None:
    source = PROJECT.replace(
        'return np.load(Path(config.data_dir) / "x.npy")',
        "return np.zeros((8, 3)), np.array([0, 1] * 4)",
    ).replace('"loss": float(len(features))', '"loss": 1.0')
    source = source.replace("return load_data(config)[:4, :2]", "return np.eye(2)[[0, 1, 0, 1, 0, 1, 1, 0]]")
    source = source.replace('{"accuracy": 0.5}', '{"accuracy": 0.75}')
    result = run(source)
    assert result.ok is True, result
    assert result.facts["confusion"] == [[3, 1], [1, 3]]
    doubtful = run(source.replace('{"accuracy": 0.75}', '{"accuracy": 0.25}'))
    assert doubtful.ok is True and "confusion" not in doubtful.facts, (
        "it has not the accuracy that was reported"
    )


def test_honest_project_passes() -> None:
    result = run(PROJECT)
    assert result.ok is True, result
    assert result.exit_code == 0
    assert result.facts["loss"] == SmokeScale().samples
    assert result.facts["metrics"] == {"accuracy": 0.5}
    assert result.facts["prediction_shape"] == [4, 2]
    assert result.facts["saved"] == ["model.json"]
    assert result.facts["versions"]["python"]
    assert smoke_findings(result) == ()


@pytest.mark.parametrize(
    ("old", "new", "stage", "rule"),
    [
        ("features = load_data(config)", "features = missing", "train", "smoke"),
        ('"loss": float(len(features))', '"loss": float("nan")', "train", "non-finite-loss"),
        ('"loss": float(len(features))', '"accuracy": 1.0', "train", "smoke"),
        ('"accuracy": 0.5', '"accuracy": float("inf")', "evaluate", "smoke"),
        ('"accuracy": 0.5', '"report": "good"', "evaluate", "smoke"),
        ("[:4, :2]", "[:4, :3]", "", "prediction-shape"),
        ("[:4, :2]", "[:0]", "predict", "smoke"),
        ('(Path(config.output_dir) / "model.json")', 'Path("elsewhere.json")', "train", "smoke"),
        ("import json\n", "import json\nimport no_such_module\n", "import", "smoke"),
        ("def build_model(config):", "def build_model(config)", "import", "smoke"),
        ("def evaluate(config):", "def evaluate(config):\n    import os; os._exit(0)", "evaluate", "smoke"),
    ],
)
def test_broken_project_fails_where_it_is_broken(old: str, new: str, stage: str, rule: str) -> None:
    result = run(PROJECT.replace(old, new))
    assert result.ok is False
    assert result.message.startswith(stage)
    (finding,) = smoke_findings(result)
    assert finding.rule == rule
    assert finding.file == "project.py"


def test_finding_names_the_line() -> None:
    source = PROJECT.replace('    return {"accuracy": 0.5}', '    return {"accuracy": 1 / 0}')
    (finding,) = smoke_findings(run(source))
    assert "1 / 0" in source.splitlines()[finding.line - 1]
    assert "ZeroDivisionError: division by zero" in finding.message


def test_endless_training_ends_at_the_limit() -> None:
    result = run(PROJECT.replace("features = load_data(config)", "\n    while True: pass"), wall_s=2)
    assert result.ok is False
    assert result.exit_code is None
    assert "train: stopped at the limit on time" in result.message


def test_forged_result_is_not_believed() -> None:
    forged = 'open("result.json", "w").write("[" * 100000); import os; os._exit(0)'
    result = run(PROJECT.replace('return {"accuracy": 0.5}', forged))
    assert result.ok is False


@pytest.mark.parametrize(
    "forgery",
    [
        'os.symlink("/etc/passwd", "result.json")',
        'os.mkfifo("result.json")',
        'os.mkdir("result.json")',
        'open("result.json", "w").write("[" + "0," * 600_000 + "0]")',
        'open("other.json", "w").write(GOOD); os.link("other.json", "result.json")',
        'open("result.json", "w").write("1e400")',
    ],
    ids=["link", "fifo", "folder", "huge", "hard link", "number"],
)
def test_a_result_that_is_no_plain_small_file_is_not_read(forgery: str) -> None:
    good = '{"ok": true, "stage": "done", "loss": 1.0, "prediction_shape": [4, 2]}'
    code = f"GOOD = {good!r}; import os; os.remove('result.json'); {forgery}; os._exit(0)"
    result = run(PROJECT.replace('return {"accuracy": 0.5}', code))
    assert result.ok is False
    assert "no result" in result.message


def test_a_run_that_dies_of_memory_is_tried_again_with_single_items() -> None:
    needs_less = (
        "import os\n    assert config.batch_size == 1 or os.abort()\n    features = load_data(config)"
    )
    source = PROJECT.replace("    epochs: int = 5\n", "    epochs: int = 5\n    batch_size: int = 8\n")
    result = run(source.replace("features = load_data(config)", needs_less, 1))
    assert result.ok is True, result
    assert result.message.endswith("(out of memory with batches of 4, tried again with batches of 1)")
    assert result.facts["loss"] == SmokeScale().samples // 2


@pytest.mark.parametrize(
    ("end", "is_tried_again"),
    [
        ("raise MemoryError", True),
        ("raise RuntimeError('[enforce fail] DefaultCPUAllocator: can\\'t allocate memory')", True),
        ("taken = [bytearray(64 << 20) for _ in range(99)]", True),
        ("raise ValueError('x')", False),
    ],
    ids=["error", "framework", "limit", "other"],
)
def test_what_still_fails_says_what_was_tried(end: str, is_tried_again: bool) -> None:
    source = PROJECT.replace("features = load_data(config)", end)
    result = run(source, memory_bytes=512 << 20)
    assert result.ok is False
    assert ("tried again" in result.message) is is_tried_again


def test_project_folder_runs_like_the_script(tmp_path: Path) -> None:
    head, rest = PROJECT.split("def make_synthetic")
    imports = head.split("@dataclasses")[0]
    (tmp_path / "config.py").write_text(head)
    body = "def make_synthetic" + rest
    for name in ("data", "model", "train", "evaluate", "predict"):
        (tmp_path / f"{name}.py").write_text(imports + body)
    (tmp_path / "private.txt").write_text("not shown to the project")
    result = smoke_project(tmp_path, python=Path(sys.executable), sandbox=sandbox(), plan=PLAN)
    assert result.ok is True, result


def test_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks config\.py"):
        smoke_project(tmp_path, python=Path(sys.executable), sandbox=sandbox(), plan=None)


def test_python_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a working Python"):
        environment_paths(tmp_path / "python")


KERAS_MODEL = """
def build_model(config):
    import keras
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer="adam", loss="mse")
    return model
"""


@pytest.mark.smoke
def test_keras_trains_in_the_sandbox() -> None:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs the keras extra")
    source = PROJECT.replace('def build_model(config):\n    return {"weights": np.ones(3)}\n', KERAS_MODEL)
    source = source.replace(
        '    return {"loss": float(len(features))}',
        "    history = build_model(config).fit(features, features[:, :2], epochs=1, verbose=0)\n"
        '    return {"loss": history.history["loss"][-1]}',
    )
    result = run(source)
    assert result.ok is True, result
    assert result.facts["parameters"] == 8
    assert result.facts["versions"]["keras"]


def test_tasks_that_decode_may_predict_another_shape_than_the_network_puts_out():
    facts = {"prediction_shape": [4, 40, 8000], "prediction_kind": "f"}
    plan = Plan("Translation", "(batch_size, 40)", "(batch_size, 8000), next word", "", ())
    fits, note = _prediction_fits(facts, plan)
    assert fits
    assert "decodes" in note
    fits, note = _prediction_fits(facts, dataclasses.replace(plan, category="Tabular Classification"))
    assert not fits
