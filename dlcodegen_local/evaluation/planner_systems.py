"""The systems that the paper's tables over plans compare. Paper: IV, Table IV and Fig. 4.

Differs: the nearest plan among the examples stands beside them as a floor.
"""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class PlannerSystem:
    """Name one way to a plan; `count` is of beams, or of examples. `published` is as for programs."""

    name: str
    published: str
    kind: Literal["planner", "few-shot", "nearest"]
    count: int

    @property
    def is_floor(self) -> bool:
        """Tell whether it needs no model."""
        return self.kind == "nearest"

    def failed(self, error: str) -> dict[str, Any]:
        """Return the row of an item without a plan."""
        return {"plan": None, "error": error}


PLANNERS = (
    PlannerSystem("planner-beam", "beam", "planner", 3),
    PlannerSystem("planner-greedy", "greedy", "planner", 1),
    PlannerSystem("model-3shot", "3shot", "few-shot", 3),
    PlannerSystem("model-5shot", "5shot", "few-shot", 5),
    PlannerSystem("nearest-plan", "", "nearest", 1),
)
