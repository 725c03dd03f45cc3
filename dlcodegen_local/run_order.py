"""What a user ordered: the request, every setting, the place of the project. Kept in the record of its run.

Guarantees that an order which is read back is the one that was given, its paths made absolute; only the cache
is that of the machine which goes on.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from dlcodegen_local.config import (
    GenerationConfig,
    PlannerConfig,
    PoolPlace,
    RetrievalConfig,
    VerificationConfig,
)
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.run_inputs import PipelineConfig, Request

T = TypeVar("T")
# What stands for an input of a run in a sentence.
_CALLED = {
    "code": "dlcodegen itself",
    "index": "the pool of samples",
    "model": "the code model",
    "planner": "the planner",
    "version": "dlcodegen itself",
}


@dataclass(frozen=True)
class Order:
    """Hold an order. `keep_record` False: nothing of the run is kept once its project is written."""

    request: Request
    config: PipelineConfig
    output: Path
    layout: str = "project"
    keep_record: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        request, config = self.request, self.config
        return {
            "requirement": request.requirement,
            "dataset": request.dataset,
            "plan": request.plan.to_dict() if request.plan else None,
            "output": os.path.abspath(self.output),
            "layout": self.layout,
            "keep_record": self.keep_record,
            "planner": _table(config.planner),
            "pools": [[place.name, os.path.abspath(place.folder)] for place in config.retrieval.pools],
            "k": config.retrieval.k,
            "generation": _table(config.generation),
            "verification": _table(config.verification),
            "without": sorted(config.without),
            "framework": config.framework,
            "method": config.method,
            "has_floor": config.has_floor,
        }


def read_order(run_id: str, table: Mapping[str, Any] | None, cache: Path) -> Order:
    """Read what `Order.to_dict` wrote.

    Raises:
        ArtifactError: there is nothing, or it is something else.
    """
    hint = "make the project anew: dlcodegen generate"
    if table is None:
        raise ArtifactError(f"run {run_id} was made by an evaluation: it keeps no order", hint=hint)
    try:
        plan = None if table["plan"] is None else Plan.from_dict(table["plan"])
        pools = tuple(PoolPlace(str(name), Path(folder)) for name, folder in table["pools"])
        config = PipelineConfig(
            planner=_read(PlannerConfig, table["planner"]),
            retrieval=RetrievalConfig(pools, cache, int(table["k"])),
            generation=_read(GenerationConfig, table["generation"]),
            verification=_read(VerificationConfig, table["verification"]),
            without=frozenset(table["without"]),
            framework=table["framework"],
            method=table["method"],
            has_floor=table["has_floor"],
        )
        request = Request(table["requirement"], table["dataset"], plan)
        return Order(request, config, Path(table["output"]), table["layout"], table["keep_record"])
    except (KeyError, TypeError, ValueError, ConfigError) as exc:
        raise ArtifactError(f"run {run_id} keeps an order of another version", hint=hint) from exc


def changed_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the inputs of a run that are others now, in a person's words."""
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return tuple(dict.fromkeys(_CALLED.get(name, name) for name in names))


def _table(config: PlannerConfig | GenerationConfig | VerificationConfig) -> dict[str, Any]:
    return {
        name: os.path.abspath(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
    }


def _read(kind: type[T], table: Mapping[str, Any]) -> T:
    paths = {item.name for item in fields(kind) if item.type is Path}  # type: ignore[arg-type]
    return kind(**{name: Path(value) if name in paths else value for name, value in table.items()})
