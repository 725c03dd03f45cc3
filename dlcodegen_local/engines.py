"""Load the engines that a command asks for: the only place that knows which class stands for what.

Every heavy library is imported inside a function, so that a command pays for what it uses.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dlcodegen_local.admission import admit_code_model, admit_planner, admit_pool, admit_run
from dlcodegen_local.config import (
    GenerationConfig,
    PlannerConfig,
    RetrievalConfig,
    VerificationConfig,
    find_paths,
)

if TYPE_CHECKING:
    from dlcodegen_local.generation.llm import CodeLLM
    from dlcodegen_local.planner.planner import Planner
    from dlcodegen_local.retrieval.index import SampleIndex
    from dlcodegen_local.verification.sandbox import Sandbox


def load_planner(config: PlannerConfig) -> "Planner":
    """Load the planner of a folder.

    Raises:
        ArtifactError: it is missing or damaged.
        ConfigError: a policy refuses it; so for every load.
    """
    from dlcodegen_local.planner.planner import Planner

    admit_planner(config.folder)
    return Planner(config.folder, threads=config.threads)


def load_index(config: RetrievalConfig, notify: Callable[[str], None]) -> "SampleIndex":
    """Open the pools for a search; `notify` gets a line where their index is damaged or takes long to build.

    Raises:
        ArtifactError: a pool is missing, damaged, or empty.
    """
    from dlcodegen_local.retrieval.index import SampleIndex
    from dlcodegen_local.retrieval.pools import open_pool

    pools = [open_pool(place.folder, place.name) for place in config.pools]
    for place, pool in zip(config.pools, pools, strict=True):
        admit_pool(place, pool)
    return SampleIndex(pools, config.cache, notify)


def load_code_model(config: GenerationConfig, notify: Callable[[str], None]) -> "CodeLLM":
    """Load the code model of a GGUF file; `notify` gets a line where that takes long.

    Raises:
        ArtifactError: it is missing, damaged, or too large for this machine.
    """
    from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
    from dlcodegen_local.generation.pace import ModelCache

    admit_code_model(config.model)
    cache = ModelCache(find_paths().cache, notify)
    return LlamaCppLLM(config.model, n_ctx=config.n_ctx, n_threads=config.threads, cache=cache)


def find_smoke_sandbox(config: VerificationConfig) -> "Sandbox":
    """Return the sandbox that this machine can start.

    Raises:
        SandboxError: there is none.
    """
    from dlcodegen_local.verification.sandbox import find_sandbox

    if config.run:
        admit_run()
    return find_sandbox(config.sandbox)


def bundled_model(models: Path) -> Path:
    """Return the bundled starter GGUF, checked against its manifest.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    from dlcodegen_local.artifacts import read_manifest

    manifest = read_manifest(models / "starter")
    manifest.check_files()
    return manifest.path_of(".gguf")
