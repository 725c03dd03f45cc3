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
from dlcodegen_local.errors import SandboxError

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
    """Load the code model of a GGUF file into a confined process.

    `notify` gets a line where that takes long, and one for each wall that this machine cannot give.

    Raises:
        ArtifactError: it is missing, damaged, or too large for this machine.
    """
    from dlcodegen_local.generation.pace import ModelCache
    from dlcodegen_local.model_worker.worker_llm import WorkerLLM

    admit_code_model(config.model)
    cache = ModelCache(find_paths().cache, notify)
    llm = WorkerLLM(config.model, n_ctx=config.n_ctx, n_threads=config.threads, cache=cache)
    for gap in llm.gaps:
        notify(gap)
    return llm


def find_smoke_sandbox(config: VerificationConfig) -> "Sandbox":
    """Return the sandbox that this machine can start; with `unsafe_run`, one without walls where it has none.

    Raises:
        SandboxError: there is none.
    """
    from dlcodegen_local.verification.sandbox import NO_WALLS, find_sandbox

    if config.run:
        admit_run()
    try:
        return find_sandbox(config.sandbox)
    except SandboxError:
        if config.unsafe_run:
            admit_run(unsafe=True)
            return NO_WALLS
        raise


def try_smoke_sandbox(config: VerificationConfig, notify: Callable[[str], None]) -> "Sandbox | None":
    """Return the sandbox for smoke runs, None where none is wanted, or none works: `notify` hears why."""
    if not config.run:
        return None
    try:
        sandbox = find_smoke_sandbox(config)
    except SandboxError as exc:
        notify(f"{exc.message}: static checks only ({exc.hint})")
        return None
    if not sandbox.has_walls:
        notify("no sandbox works here: as --unsafe-run asks, the project runs with all that you may do")
    return sandbox


def bundled_model(models: Path) -> Path:
    """Return the bundled starter GGUF, checked against its manifest.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    from dlcodegen_local.artifacts import read_manifest

    manifest = read_manifest(models / "starter")
    manifest.check_files()
    return manifest.path_of(".gguf")
