from pathlib import Path

import pytest

from dlcodegen_local.config import find_paths
from dlcodegen_local.model_store.store import Store
from tests.generation.tiny_gguf import write_tiny_gguf


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data" / "models", find_paths().models, tmp_path / "cache")
