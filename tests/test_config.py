import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.config import OFFLINE_ENVIRONMENT, find_paths, read_settings
from dlcodegen_local.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[1]


def test_no_settings_file_is_no_settings(tmp_path):
    assert read_settings(tmp_path / "absent.toml") == {}


def test_a_key_outside_a_table_is_named(tmp_path):
    (tmp_path / "c.toml").write_text("seed = 3\n")
    with pytest.raises(ConfigError, match="seed"):
        read_settings(tmp_path / "c.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"c\.toml"):
        read_settings(tmp_path / "c.toml")


def test_the_bundled_artefacts_are_found():
    paths = find_paths()
    assert (paths.models / "planner").is_dir()
    assert (paths.index / "samples").is_dir()


def test_folders_follow_xdg(tmp_path):
    code = (
        "from dlcodegen_local.config import find_paths; p = find_paths(); print(p.state, p.cache, p.config)"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": "/s",
        "XDG_CACHE_HOME": "relative/is/ignored",
    }
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert answer.stdout.split() == [
        "/s/dlcodegen",
        f"{tmp_path}/.cache/dlcodegen",
        f"{tmp_path}/.config/dlcodegen",
    ]


def test_telemetry_is_off_in_the_test_process():
    assert OFFLINE_ENVIRONMENT.items() <= os.environ.items()
