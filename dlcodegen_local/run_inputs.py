"""What a run is given: the request, the settings of every stage, the loaded engines, the compiled plan."""

import functools
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.config import GenerationConfig, PlannerConfig, RetrievalConfig, VerificationConfig
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.results import Floor
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import Planner
from dlcodegen_local.retrieval.index import SampleIndex
from dlcodegen_local.verification.verifier import Verifier


@dataclass(frozen=True)
class Request:
    """Hold what a user asks; a given plan replaces the planner."""

    requirement: str
    dataset: str = ""
    plan: Plan | None = None


@dataclass(frozen=True)
class PipelineConfig:
    """Set every stage; `without` leaves out `comparison`, `code-rag` or `template-rag` (Table V).

    Without both drafts their places are taken by those of C-CoT and CEDAR, as in the paper. `method` is
    `dlcodegen` or a baseline. `has_floor` False delivers the best version whatever its checks say: for
    evaluation, where the plan compiler must not stand in.
    """

    planner: PlannerConfig
    retrieval: RetrievalConfig
    generation: GenerationConfig
    verification: VerificationConfig
    without: frozenset[str] = frozenset()
    framework: str = "keras"
    method: str = "dlcodegen"
    has_floor: bool = True


@dataclass(frozen=True)
class Engines:
    """Hold the loaded engines; `planner` is None where the plan is given."""

    planner: Planner | None
    index: SampleIndex
    llm: CodeLLM
    verifier: Verifier


def run_inputs(request: Request, engines: Engines, config: PipelineConfig) -> dict[str, Any]:
    """Return what a run depends on, as JSON: the same inputs give the same bytes."""
    generation = config.generation
    return {
        "requirement": request.requirement,
        "dataset": request.dataset,
        "plan": request.plan.to_dict() if request.plan else None,
        "planner": sha256_of(config.planner.folder / "manifest.json") if engines.planner else None,
        "num_beams": config.planner.num_beams,
        "index": engines.index.sha256,
        "k": config.retrieval.k,
        "model": {"name": engines.llm.info.name, "sha256": engines.llm.info.sha256},
        "n_ctx": engines.llm.info.n_ctx,
        "threads": generation.threads,
        "version": __version__,
        "code": _code_hash(),
        "merge": generation.merge,
        "temperature": generation.temperature,
        "seed": generation.seed,
        "max_repairs": generation.max_repairs,
        "effort": generation.effort,
        "run": config.verification.run,
        "min_compliance": config.verification.min_compliance,
        "without": sorted(config.without),
        "method": config.method,
        "has_floor": config.has_floor,
        "framework": config.framework,
    }


def floor_of(plan: Plan, framework: str) -> Floor:
    """Compile a plan: what sections fall back on, and what is delivered where no draft survives."""
    single = compile_plan(replace(plan, loss="binary_crossentropy"), framework)
    return Floor(compile_plan(plan, framework), plan, single_source=single)


def installed_packages(python: Path) -> list[str]:
    """Return the packages of an interpreter with their versions, as their metadata folders are named."""
    prefix = Path(os.path.abspath(python)).parent.parent
    return sorted(
        f"{path.parent.parent.name}/{path.name}"
        for pattern in ("lib*/python3*/site-packages", "lib*/python3/dist-packages")
        for folder in prefix.glob(pattern)
        for path in folder.glob("*.dist-info")
    )


@functools.cache
def _code_hash() -> str:
    """Return the hash of this package's code and prompts: another prompt is another run."""
    root = Path(__file__).parent
    lines = [
        f"{path.relative_to(root).as_posix()} {sha256_of(path)}"
        for path in sorted(root.rglob("*"))
        if path.suffix in (".py", ".txt", ".json")
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
