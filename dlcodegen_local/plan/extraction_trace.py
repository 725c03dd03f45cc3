"""The record of one reading of code: which models, layers and settings it made, in order."""

from dataclasses import dataclass, field, replace

from dlcodegen_local.plan.extraction_values import Layer, Model, Tensor, Value, layer_text

MAX_STEPS = 60_000
MAX_LAYERS = 4_000
MAX_MODELS = 1_000
MAX_SOURCES = 100


class BudgetSpentError(Exception):
    """End a reading that takes too many steps; what was found until then counts."""


@dataclass(frozen=True)
class Event:
    """Hold one thing that the code does: `kind` "compile", "fit", "optimizer", "batch", ...

    `owner` is the model, setting or name that it is done to.
    """

    kind: str
    owner: Value
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = field(default_factory=dict)


@dataclass
class Trace:
    """Collect events, models and layers; count steps against the budget.

    `following` are the PyTorch models whose use of parts is being noted, the innermost last; `in_forward`
    tells whether what is followed belongs to a model's `forward`.
    """

    events: list[Event] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    steps: int = 0
    ticks: int = 0
    following: list[Model] = field(default_factory=list)
    in_forward: bool = False
    copies: dict[tuple[str, tuple[int, ...]], tuple[Layer, tuple[Tensor, ...]]] = field(default_factory=dict)

    def step(self) -> None:
        """Count one step.

        Raises:
            BudgetSpentError: the budget is spent.
        """
        self.steps += 1
        if self.steps > MAX_STEPS or len(self.layers) > MAX_LAYERS or len(self.models) > MAX_MODELS:
            raise BudgetSpentError

    def tick(self) -> int:
        """Return the next number of the order of uses."""
        self.ticks += 1
        return self.ticks

    def record(
        self,
        kind: str,
        owner: Value,
        args: tuple[Value, ...] = (),
        kwargs: dict[str, Value] | None = None,
    ) -> None:
        """Add an event."""
        self.events.append(Event(kind, owner, args, dict(kwargs or {})))

    def of_kind(self, kind: str) -> list[Event]:
        """Return the events of a kind, in order."""
        return [event for event in self.events if event.kind == kind]

    def new_layer(self, layer: Layer) -> Layer:
        """Add a layer that the code makes."""
        self.layers.append(layer)
        return layer

    def new_model(self, model: Model) -> Model:
        """Add a model that the code makes."""
        model.created = self.tick()
        self.models.append(model)
        return model

    def used(self, producer: Layer | Model, *inputs: Tensor) -> Tensor:
        """Note a use of a layer or model, and return the tensor that comes out."""
        if producer.order < 0:
            producer.order = self.tick()
        if self.following and producer is not self.following[-1]:
            self.following[-1].parts.append(producer)
        return Tensor(parents=inputs, producer=producer, is_torch=producer.is_torch)

    def use_of(self, layer: Layer, *inputs: Tensor) -> Layer:
        """Return the layer that a use of a layer without weights stands for.

        The same module, or the same function, is one layer for each place in the data flow.
        """
        key = (layer_text(layer), tuple(id(_source(tensor)) for tensor in inputs))
        if known := self.copies.get(key):
            return known[0]
        if layer.order >= 0:
            layer = replace(layer, order=-1)
        self.copies[key] = (layer, inputs)
        return layer


def _source(tensor: Tensor) -> Layer | Model | Tensor:
    """Return the last of the layers that a tensor was computed from, itself where there is none."""
    last: Layer | Model | None = None
    waiting, seen = [tensor], 0
    while waiting and seen < MAX_SOURCES:
        item = waiting.pop()
        seen += 1
        if item.producer is None:
            waiting.extend(item.parents)
        elif last is None or item.producer.order > last.order:
            last = item.producer
    return last or tensor
