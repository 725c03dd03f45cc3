"""Whose word counts before a model is loaded."""

import pytest

from dlcodegen_local.admission import (
    admit_code_model,
    admit_planner,
    model_roots,
    policy_in_force,
    stated_licences,
)
from dlcodegen_local.artifacts import read_manifest, sha256_of
from dlcodegen_local.config import find_paths
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.planner.test_planner import TINY
from tests.test_artifacts import write_model


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("DLCODEGEN_POLICY", raising=False)
    return tmp_path


def test_an_imported_model_is_held_to_its_manifest_and_a_lone_file_is_not(home):
    imported = write_model(model_roots(find_paths())[1] / "m") / "weights.gguf"
    assert admit_code_model(imported) == sha256_of(imported)
    imported.write_bytes(b"WEIGHTS")
    with pytest.raises(ArtifactError, match="is damaged"):
        admit_code_model(imported)
    lone = write_model(home / "elsewhere") / "weights.gguf"
    lone.write_bytes(b"another")
    assert admit_code_model(lone) == sha256_of(lone)


def test_a_planner_is_allowed_by_what_models_info_shows(home):
    policy = home / "config/dlcodegen/policy.toml"
    policy.parent.mkdir(parents=True)
    policy.write_text(f'[models]\nsha256 = ["{read_manifest(TINY).sha256}"]')
    admit_planner(TINY)
    assert policy_in_force() == f"{policy} allows 1 models by sha256"
    policy.write_text('[models]\nlicences = ["NoSuch-1.0"]')
    with pytest.raises(ConfigError, match=r"\[models\] licences of the policy"):
        admit_planner(TINY)


def test_every_word_on_a_licence_counts(tmp_path):
    manifest = read_manifest(write_model(tmp_path / "m"))
    assert stated_licences("apache-2.0", manifest) == ["apache-2.0", "MIT"]
    assert stated_licences(7, None) == []
    silent = read_manifest(write_model(tmp_path / "n", licence="not stated"))
    assert stated_licences(None, silent) == []


def test_without_a_policy_everything_is_allowed():
    assert policy_in_force() == "none: everything is allowed"
