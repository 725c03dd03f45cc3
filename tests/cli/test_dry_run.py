"""What a run would take, told before anything is loaded; and models that are no models."""

import json
import os
import subprocess
import sys

import pytest

from dlcodegen_local.generation.speeds import model_key
from tests.cli.conftest import REPOSITORY
from tests.generation.odd_gguf import write_odd_gguf
from tests.generation.tiny_gguf import write_tiny_gguf


@pytest.fixture
def model(tmp_path):
    (tmp_path / "work").mkdir(exist_ok=True)
    return write_tiny_gguf(tmp_path / "work/tiny.gguf")


def test_a_dry_run_foretells_every_stage_and_writes_nothing(run, tmp_path):
    answer = run("generate", "Classify images of cats and dogs", "--dry-run", "-o", "out")
    assert answer.returncode == 0, answer.stderr.decode()
    lines = answer.stdout.decode().splitlines()
    assert lines[0].startswith("model: dlcodegen starter, with a context of ")
    assert [line.split()[0] for line in lines[2:7]] == [
        "code-rag",
        "template",
        "template-rag",
        "merge",
        "total",
    ]
    assert any(line.startswith("memory: about ") for line in lines)
    assert any(line.startswith("speed: estimated from the arithmetic of this machine") for line in lines)
    assert not (tmp_path / "work/out").exists()
    assert not (tmp_path / "home/.local/state/dlcodegen/runs").exists()


def test_no_model_is_loaded_by_a_dry_run(tmp_path):
    script = (
        "import sys; from dlcodegen_local.cli import main\n"
        "sys.argv = ['dlcodegen', 'generate', 'Classify images', '--dry-run']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'llama_cpp', 'onnxruntime'} & set(sys.modules), 'loaded'"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)


def test_a_run_of_the_same_model_tells_the_speed_of_the_next(run, tmp_path, model):
    row = {"read_tokens": 100, "read_seconds": 1, "written_tokens": 100, "written_seconds": 10}
    speeds = tmp_path / "home/.cache/dlcodegen/speeds.json"
    speeds.parent.mkdir(parents=True)
    speeds.write_text(json.dumps({model_key(model): row}))
    answer = run(
        "generate", "Classify images of cats and dogs", "--dry-run", "--json", "--model", "tiny.gguf"
    )
    table = json.loads(answer.stdout)
    assert table["total"]["seconds"] == pytest.approx(
        sum(0.01 * (s["in"] - s["shared"] + s["compared"]) + 0.1 * s["out"] for s in table["stages"]), abs=1
    )
    assert "measured" in table["speed"]


def test_output_is_needed_for_a_real_run_and_a_batch_is_not_foretold(run, tmp_path):
    assert run("generate", "Classify images").returncode == 2
    (tmp_path / "work/in.jsonl").write_text('{"id": "a", "requirement": "Classify images"}\n')
    answer = run("generate", "--batch", "in.jsonl", "-o", "out", "--dry-run")
    assert answer.returncode == 2
    assert b"--dry-run" in answer.stderr


@pytest.mark.parametrize("damage", ["half", "sizes"])
@pytest.mark.parametrize(
    "command", [("generate", "Classify images", "--dry-run", "--model"), ("models", "info")]
)
def test_a_damaged_model_is_one_line_and_exit_code_3(run, model, command, damage):
    content = bytearray(model.read_bytes())
    if damage == "half":
        content = content[: len(content) // 2]
    else:
        content[8:16] = (2**40).to_bytes(8, "little")
    model.write_bytes(content)
    answer = run(*command, "tiny.gguf")
    assert answer.returncode == 3
    assert answer.stdout == b""
    assert b"not a sound GGUF" in answer.stderr
    assert b"Traceback" not in answer.stderr


def test_a_template_that_reaches_out_and_no_end_token_are_told(run, tmp_path):
    write_odd_gguf(tmp_path / "work/odd.gguf", template="{{ ''.__class__ }}", has_end=False)
    text = run("models", "info", "odd.gguf").stdout.decode()
    assert "prompt format: plain; its template was not used" in text
    assert "end token: none" in text
    assert "with a context of 1024" in text
