"""The comparison of runs with and without a sandbox sees what is the same and what is not."""

import json
from pathlib import Path

import pytest

from dlcodegen_local.errors import SandboxError
from dlcodegen_local.verification.sandbox import Sandbox, find_sandbox
from tests.verification.honest import compare, start_times, summary
from tests.verification.test_smoke import PLAN, PROJECT


@pytest.fixture(scope="module")
def box() -> Sandbox:
    try:
        return find_sandbox()
    except SandboxError as error:
        pytest.skip(error.message)


def compared(folder: Path, source: str, box: Sandbox) -> dict:
    script = folder / "sample.py"
    script.write_text(source)
    script.with_suffix(".json").write_text(json.dumps({"plan": PLAN.to_dict()}))
    return compare(script, box, bare_first=True)


def test_an_honest_project_runs_alike(tmp_path: Path, box: Sandbox) -> None:
    row = compared(tmp_path, PROJECT, box)
    assert row["same"] is True
    assert row["inside"]["ok"] is row["outside"]["ok"] is True
    assert summary([row])["passed"] == 1


def test_a_project_that_finds_other_things_outside_is_told(tmp_path: Path, box: Sandbox) -> None:
    (tmp_path / "secret").write_text("x")
    peek = f'{{"accuracy": 0.5, "seen": float(Path({str(tmp_path / "secret")!r}).exists())}}'
    source = PROJECT.replace('{"accuracy": 0.5}', f"{peek} if {peek}['seen'] else {{'accuracy': 0.5}}")
    row = compared(tmp_path, source, box)
    assert row["inside"]["ok"] is True
    assert row["same"] is False


def test_the_start_is_measured_both_ways(box: Sandbox) -> None:
    times = start_times(box, 1)
    assert 0 < times["outside_wall_ms"] < times["inside_wall_ms"]
