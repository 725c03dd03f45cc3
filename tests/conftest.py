"""Shared fixtures: goldens that only `--update-golden` rewrites."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcodegen_local.config import prepare_environment

prepare_environment()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


def pytest_unconfigure() -> None:
    """Close what llama_cpp opens when it is imported, else the interpreter's end complains of it."""
    module = sys.modules.get("llama_cpp._utils")
    for name in ("outnull_file", "errnull_file"):
        if (file := getattr(module, name, None)) is not None:
            file.close()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with `golden/NAME` beside the test file."""

    def compare(name: str, text: str) -> None:
        path = Path(request.path).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden {path.name}: run with --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare
