"""Choose, of all the models that code makes, those that its plan is about."""

from dlcodegen_local.plan.extraction_torch import owners_of
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import Layer, Model, layer_text

_Held = list[tuple[Model, frozenset[int]]]


def main_models(trace: Trace) -> list[Model]:
    """Return the models that the plan is about: what is trained, without what is inside of it.

    Of PyTorch's models these are all that an optimizer is given, in the order of their first use.
    """
    filled = [model for model in trace.models if model.layers()]
    made: list[Layer | Model] = [*filled, *trace.layers]
    if made and all(part.is_torch for part in made):
        return _torch_models(trace, filled)
    trained = [event.owner for event in trace.events if event.kind in ("fit", "compile")]
    chosen = [model for model in filled if any(model is owner for owner in trained)]
    fitted = [model for event in trace.of_kind("fit") for model in chosen if model is event.owner]
    if fitted:
        return [fitted[-1]]
    outer = _outer(chosen or filled)
    return outer[:1] if chosen and outer else _different(outer)


def _torch_models(trace: Trace, filled: list[Model]) -> list[Model]:
    outer = _outer(filled)
    owners = [owner for event in trace.of_kind("optimizer") for owner in owners_of(list(event.args))]
    owners += [event.owner for event in trace.of_kind("fit") if isinstance(event.owner, Model)]
    held = [(model, frozenset(map(id, model.layers()))) for model in outer]
    chosen: dict[int, Model] = {}
    for owner in owners:
        layers = {id(owner)} if isinstance(owner, Layer) else set(map(id, owner.layers()))
        around = [model for model, theirs in held if layers and layers <= theirs]
        if isinstance(owner, Layer) and not around:
            around = [Model(parts=[owner], is_torch=True, order=owner.order)]
            held.append((around[0], frozenset(layers)))
        chosen.update({id(model): model for model in around[:1]})
    used = [model for model in outer if model.order >= 0]
    models = list(chosen.values()) or _different(used or outer)
    return sorted(models, key=lambda model: (model.order < 0, model.order))


def _different(models: list[Model]) -> list[Model]:
    """Return the models that do not repeat an earlier one layer by layer, as a target network does."""
    seen: set[tuple[str, ...]] = set()
    kept: list[Model] = []
    for model in models:
        layers = tuple(layer_text(layer) for layer in model.layers())
        if layers not in seen:
            kept.append(model)
        seen.add(layers)
    return kept


def _outer(models: list[Model]) -> list[Model]:
    """Return the models that are inside of no other."""
    held = [(model, frozenset(map(id, model.layers()))) for model in models]
    return [model for model, layers in held if not _is_inside(model, layers, held)]


def _is_inside(model: Model, layers: frozenset[int], held: _Held) -> bool:
    return any(
        layers < theirs or (layers == theirs and other.created > model.created)
        for other, theirs in held
        if other is not model
    )
