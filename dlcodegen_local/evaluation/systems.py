"""The systems that the paper's tables over code compare, each a configuration of the one pipeline.

Paper: IV, Tables II and V, Fig. 5. Differs: two floors stand beside them, the top sample as it is and the
plan compiler, because CodeBLEU alone is no proof of quality.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dlcodegen_local.run_inputs import PipelineConfig

TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class System:
    """Name one way to a program. `published` is what its published predictions are called.

    `repeat` counts up from 0; each has a seed of its own.
    """

    name: str
    published: str
    method: str = "dlcodegen"
    without: tuple[str, ...] = ()
    temperature: float | None = None
    floor: Literal["", "copy", "compiler"] = ""
    repeat: int = 0

    def configured(self, config: PipelineConfig) -> PipelineConfig:
        """Return the settings of a run; the plan compiler never stands in for a model that failed."""
        generation = replace(config.generation, seed=config.generation.seed + self.repeat)
        if self.temperature is not None:
            generation = replace(generation, temperature=self.temperature)
        return replace(
            config,
            generation=generation,
            method=self.method,
            without=frozenset(self.without),
            has_floor=False,
        )

    def failed(self, error: str) -> dict[str, Any]:
        """Return the row of an item without a program."""
        return {"method": self.method, "code": "", "error": error}


def repeated(systems: Sequence[System], repeats: int) -> list[System]:
    """Return the systems, then those of further seeds; a floor has no seed."""
    return [
        replace(system, name=f"{system.name}-repeat{number}", repeat=number) if number else system
        for number in range(repeats)
        for system in systems
        if not (number and system.floor)
    ]


_WHOLE = System("dlcodegen", "dlcodegen")
_FLOORS = (
    System("top-sample", "", floor="copy"),
    System("compiler", "", floor="compiler"),
)
_ABLATIONS = {
    "wo-cr": ("code-rag",),
    "wo-tr": ("template-rag",),
    "wo-cr-tr": ("code-rag", "template-rag"),
    "wo-comparison": ("comparison",),
    "wo-comparison-cr": ("comparison", "code-rag"),
    "wo-comparison-tr": ("comparison", "template-rag"),
}
TABLES: dict[str, tuple[System, ...]] = {
    "table2": (
        _WHOLE,
        System("direct", "direct", method="direct"),
        System("ps", "ps", method="ps"),
        System("c-cot", "c-cot", method="ccot"),
        System("cedar", "cedar", method="cedar"),
        *_FLOORS,
    ),
    "table5": (_WHOLE, *(System(name, name, without=without) for name, without in _ABLATIONS.items())),
    "fig5": tuple(
        System(f"dlcodegen-t{value}", f"dlcodegen-t{value}", temperature=value) for value in TEMPERATURES
    ),
}
