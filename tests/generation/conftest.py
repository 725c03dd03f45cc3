from collections.abc import Iterator
from pathlib import Path

import pytest

from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from tests.generation.tiny_gguf import write_tiny_gguf


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_llm(tiny_gguf: Path) -> Iterator[LlamaCppLLM]:
    with LlamaCppLLM(tiny_gguf) as llm:
        yield llm
