"""Run the command line as a user does: its own process, its own HOME."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return a function that runs `dlcodegen` with arguments in a work folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "work").mkdir()

    def call(*arguments: str, stdin: bytes = b"", **changes: str) -> subprocess.CompletedProcess[bytes]:
        fresh = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(
            [sys.executable, "-m", "dlcodegen_local", *arguments],
            cwd=tmp_path / "work",
            env={**fresh, **changes},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=300,
        )

    return call
