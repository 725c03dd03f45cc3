"""The paper's baselines as methods of the one pipeline: their examples, their stages, their candidates.

Paper: IV. The plan is made as for every method, for the checks and the last resort; no baseline's prompt
holds it, but for C-CoT its category decides which problem is reasoned about. The chain of a category is
written once by each model and kept in the cache.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation.baselines import (
    chain_of_thought,
    demonstration,
    direct,
    plan_and_solve,
    reasoning_chain,
)
from dlcodegen_local.generation.llm import CodeLLM
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.outcome import with_unique_ids
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index import Hit
from dlcodegen_local.run_inputs import Engines, PipelineConfig
from dlcodegen_local.run_stages import StageRunner

Method = Literal["dlcodegen", "direct", "ps", "ccot", "cedar", "code-rag", "template-rag"]
BASELINES = ("direct", "ps", "ccot", "cedar")
# A method that is an ablation, and what it leaves out.
ABLATIONS = {
    "code-rag": frozenset({"template-rag", "comparison"}),
    "template-rag": frozenset({"code-rag", "comparison"}),
}


class Baselines:
    """Carry what the baselines of one run are asked with; `hits` are the samples that they saw."""

    def __init__(
        self,
        requirement: str,
        plan: Plan,
        engines: Engines,
        config: PipelineConfig,
        stages: StageRunner,
    ) -> None:
        self._requirement = requirement
        self._plan = plan
        self._engines = engines
        self._config = config
        self._stages = stages
        self.hits: list[Hit] = []

    def draft(self, method: str, settings: GenerationSettings, mark: str = "") -> StageResult | None:
        """Return the draft of one of `BASELINES`; None where the model wrote no code.

        Raises:
            ArtifactError: a pool is damaged.
        """
        write: dict[str, Callable[[], StageResult | None]] = {
            "direct": lambda: self._run(method, mark, lambda llm: direct(self._requirement, llm, settings)),
            "ps": lambda: self._run(
                method, mark, lambda llm: plan_and_solve(self._requirement, llm, settings)
            ),
            "ccot": lambda: self._chain_of_thought(settings, mark),
            "cedar": lambda: self._demonstration(settings, mark),
        }
        return write[method]()

    def _run(self, name: str, mark: str, write: Callable[[CodeLLM], StageResult]) -> StageResult | None:
        return self._stages.run(f"{name}{mark}", lambda: write(self._engines.llm))

    def _demonstration(self, settings: GenerationSettings, mark: str) -> StageResult | None:
        """Draft after the sample whose requirement is most like this one, of whatever category."""
        example = self._find(self._requirement, None).sample
        return self._run("cedar", mark, lambda llm: demonstration(self._requirement, example, llm, settings))

    def _chain_of_thought(self, settings: GenerationSettings, mark: str) -> StageResult | None:
        """Draft after the chain of the category's representative problem: the first sample for its name."""
        problem = self._find(self._plan.category, self._plan.category).sample
        llm = self._engines.llm
        path = _chain_path(self._config.retrieval.cache, llm.info.sha256, problem.sha256)
        kept = _read_chain(path)
        made = self._run(
            "reasoning chain",
            mark,
            lambda llm: (
                StageResult("reasoning_chain", outputs=(kept,))
                if kept
                else reasoning_chain(problem, llm, settings)
            ),
        )
        if made is None:
            return None
        text = made.outputs[-1]
        if not kept:
            write_file(path, json.dumps({"chain": text}, ensure_ascii=False) + "\n", private=True)
        return self._run(
            "ccot", mark, lambda llm: chain_of_thought(self._requirement, problem, text, llm, settings)
        )

    def _find(self, query: str, category: str | None) -> Hit:
        found = self._engines.index.search(query, 1, category, framework=self._config.framework)
        if not found:
            raise ArtifactError("no sample was found", hint="add some with: dlcodegen pool add")
        self.hits = with_unique_ids([*self.hits, *found])
        return self.hits[-1]


def _chain_path(cache: Path, model: str, sample: str) -> Path:
    digest = hashlib.sha256(f"{model} {sample}".encode()).hexdigest()[:16]
    return cache / "chains" / f"{digest}.json"


def _read_chain(path: Path) -> str:
    """Return a kept chain, "" where there is none or the file is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    chain = kept.get("chain") if isinstance(kept, dict) else None
    return chain if isinstance(chain, str) else ""
