"""Assign symbolic values to the targets of code: names, attributes, items, and tuples of these."""

import ast

from dlcodegen_local.plan.extraction_values import (
    ClassValue,
    Instance,
    Layer,
    Model,
    Scope,
    Symbol,
    Tensor,
    Value,
)

MAX_ITERATIONS = 64


class Assignments:
    """Assign values; evaluating expressions is left to the subclass."""

    def evaluate(self, node: ast.expr, scope: Scope) -> Value:
        """Return the value of an expression."""
        raise NotImplementedError

    def bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Assign a value to a target: a name keeps its own text where the value is unknown."""
        if isinstance(target, ast.Name):
            scope.names[target.id] = Symbol(target.id) if isinstance(value, Symbol) else value
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target.elts, value, scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value, scope)
        elif isinstance(target, ast.Attribute):
            self._store(self.evaluate(target.value, scope), target.attr, value)
        elif isinstance(target, ast.Subscript):
            owner, key = self.evaluate(target.value, scope), None
            if not isinstance(target.slice, ast.Slice):
                key = self.evaluate(target.slice, scope)
            if isinstance(owner, dict) and isinstance(key, str | int):
                owner[key] = value
            elif isinstance(owner, Model) and owner.is_torch and isinstance(value, Layer | Model):
                _replace_part(owner, key, value)

    def _unpack(self, targets: list[ast.expr], value: Value, scope: Scope) -> None:
        if isinstance(value, list | tuple) and len(value) == len(targets):
            items = list(value)
        elif isinstance(value, Tensor):
            rest = (Tensor(parents=(value,), is_torch=value.is_torch) for _ in targets[1:])
            items = [value, *rest]
        elif isinstance(value, list | tuple) and any(isinstance(target, ast.Starred) for target in targets):
            items = _spread(targets, list(value))
        else:
            items = [Symbol("") for _ in targets]
        for target, item in zip(targets, items, strict=False):
            self.bind(target, item, scope)

    def _store(self, owner: Value, name: str, value: Value) -> None:
        if isinstance(owner, Model) and owner.instance is not None:
            parts = owner.held if owner.is_torch and owner.base is None else owner.parts
            parts.extend(_parts_within(value))
            owner = owner.instance
        if isinstance(owner, Instance):
            owner.attributes[name] = Symbol(name) if isinstance(value, Symbol) else value
        elif isinstance(owner, ClassValue):
            owner.attributes[name] = value


def _parts_within(value: Value) -> list[Layer | Model]:
    """Return the layers and models that an attribute holds."""
    items = list(value.values()) if isinstance(value, dict) else value
    if isinstance(items, list | tuple):
        return [item for item in items if isinstance(item, Layer | Model)]
    return [value] if isinstance(value, Layer | Model) else []


def _replace_part(model: Model, key: Value, part: Layer | Model) -> None:
    """Put a part in the place of another; a pretrained architecture is followed by its new head."""
    if model.base is None and isinstance(key, int) and -len(model.parts) <= key < len(model.parts):
        model.parts[key] = part
    else:
        model.parts.append(part)


def iterations(value: Value) -> list[Value] | None:
    """Return what a loop over a value runs through, None where it is unknown or too long."""
    if isinstance(value, dict):
        value = list(value)
    if isinstance(value, Model) and value.is_torch:
        value = value.parts
    if isinstance(value, list | tuple) and len(value) <= MAX_ITERATIONS:
        return list(value)
    return None


def _spread(targets: list[ast.expr], items: list[Value]) -> list[Value]:
    """Share items out to targets of which one is starred."""
    star = next(index for index, target in enumerate(targets) if isinstance(target, ast.Starred))
    after = len(targets) - star - 1
    if len(items) < len(targets) - 1:
        return [Symbol("") for _ in targets]
    end = len(items) - after
    return [*items[:star], items[star:end], *items[end:]]
