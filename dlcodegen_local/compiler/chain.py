"""The values that fitting works on: planned items, the head, and the chain of steps that comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dlcodegen_local.compiler.sizes import Shape
from dlcodegen_local.plan.layers import LayerCall, parse_layers


@dataclass(frozen=True)
class Item:
    """Hold one planned layer; `call` is None where the text names none."""

    text: str
    call: LayerCall | None

    @property
    def name(self) -> str:
        """The layer's name, "" where there is none."""
        return self.call.name if self.call else ""


@dataclass(frozen=True)
class Head:
    """Say what the network must end in: `shape` without batch, `units` as source text.

    `activation` is what the last layer needs; a planned activation in `accepts` may stay.
    """

    shape: tuple[int, ...]
    units: str
    activation: str | None
    accepts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """Hold one line of the network: a layer, or a comment where `code` is empty.

    `merges` is the index of the step whose output is the second input, -1 for the current one twice.
    """

    code: str
    shape: Shape
    comment: str = ""
    merges: int | None = None


@dataclass
class Chain:
    """Hold a fitted network; `render` in `compiler.rendering` turns it into code."""

    input_shape: Shape
    input_code: str
    steps: list[Step] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        """The shape after the last layer."""
        return self.steps[-1].shape if self.steps else self.input_shape

    @property
    def linear(self) -> bool:
        """True where every layer takes the output of the one before it."""
        return all(step.merges is None for step in self.steps)


def read_items(texts: Sequence[str]) -> list[Item]:
    """Read the planned layers; a text that names several becomes several items."""
    items: list[Item] = []
    for text in texts:
        calls = parse_layers(text)
        items += [Item(text, call) for call in calls] or [Item(text, None)]
    return items
