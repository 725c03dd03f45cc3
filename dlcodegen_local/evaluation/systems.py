"""The systems that the paper's tables over code compare, each a configuration of the one pipeline.

Paper: IV, Tables II and V, Fig. 5. Differs: two floors stand beside them, the top sample as it is and the
plan compiler, because CodeBLEU alone is no proof of quality.
"""

from dataclasses import dataclass, replace
from typing import Literal

from dlcodegen_local.run_inputs import PipelineConfig

TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class System:
    """Name one way to a program. `published` is what its published predictions are called."""

    name: str
    published: str
    method: str = "dlcodegen"
    without: tuple[str, ...] = ()
    temperature: float | None = None
    floor: Literal["", "copy", "compiler"] = ""

    def configured(self, config: PipelineConfig) -> PipelineConfig:
        """Return the settings of a run; the plan compiler never stands in for a model that failed."""
        generation = config.generation
        if self.temperature is not None:
            generation = replace(generation, temperature=self.temperature)
        return replace(
            config,
            generation=generation,
            method=self.method,
            without=frozenset(self.without),
            has_floor=False,
        )


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
