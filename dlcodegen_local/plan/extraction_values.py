"""The values that reading code without running it works with, and their text in a plan.

A value is a Python constant, list, tuple or dict, or one of the classes here. What cannot be known is a
`Symbol` that keeps its name. Layers, tensors and models compare by identity: they are nodes of a graph.
"""

import ast
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Value = Any  # a constant, a container of values, or one of the classes below
MAX_SYMBOL_CHARS = 120
MAX_FLOAT_CHARS = 10
MAX_TEXT_CHARS = 600
MAX_WALK = 5000
_UNTOLD = ("_initializer", "_constraint")
_TEXT = "text_on_one_line"


@dataclass(frozen=True)
class Symbol:
    """Stand for a value that is not known; `text` is how the code spells it."""

    text: str


@dataclass(frozen=True)
class Dotted:
    """Stand for something imported, by its full path ("keras.layers.Dense")."""

    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit(".", 1)[-1]


@dataclass(eq=False)
class Layer:
    """Hold one layer with its arguments; `order` counts first uses, -1 where it is unused.

    `is_base` marks a pretrained architecture, which stands as one layer. `takes` is the shape that a layer
    of PyTorch says it takes in, its channels last; only these layers have one, or are `is_torch`.
    """

    name: str
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = field(default_factory=dict)
    order: int = -1
    is_base: bool = False
    shape: tuple[Value, ...] | None = None
    takes: tuple[Value, ...] | None = None
    is_torch: bool = False


@dataclass(eq=False)
class Tensor:
    """Hold a node of the data flow: what made it, from which tensors; shape without the batch axis.

    Of a tensor of PyTorch the shape has its channels last too, as Keras would have it.
    """

    parents: tuple["Tensor", ...] = ()
    producer: "Layer | Model | None" = None
    shape: tuple[Value, ...] | None = None
    is_torch: bool = False


@dataclass(eq=False)
class Model:
    """Hold a model: `parts` for a sequential one, `outputs` for a functional one, both for a class.

    The parts of a PyTorch model of a class (`is_torch`) are what its `forward` uses, in that order; `held` is
    what it keeps in attributes. `base` is the pretrained architecture that a model is made from.
    """

    parts: list["Layer | Model"] = field(default_factory=list)
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    instance: "Instance | None" = None
    order: int = -1
    created: int = 0
    is_torch: bool = False
    held: list["Layer | Model"] = field(default_factory=list)
    base: Layer | None = None

    def layers(self) -> list[Layer]:
        """Return every layer once, in the order in which data flows, inner models in place."""
        found: dict[int, Layer] = {}
        seen: set[int] = set()
        stack: list[Layer | Model] = [self]
        while stack:
            part = stack.pop()
            if isinstance(part, Layer):
                found.setdefault(id(part), part)
            elif id(part) not in seen:
                seen.add(id(part))
                stack.extend(reversed(part._members()))
        return list(found.values())

    def inner_models(self) -> list["Model"]:
        """Return the models that this one is directly made of."""
        return [part for part in self._members() if isinstance(part, Model)]

    def _members(self) -> list["Layer | Model"]:
        if self.is_torch:
            return self.parts or self.held
        members = {id(member): member for member in (producers(self.outputs) if self.outputs else [])}
        parts = self.parts
        if self.instance is not None and all(isinstance(part, Model) for part in parts):
            parts = sorted(parts, key=lambda part: part.created if isinstance(part, Model) else 0)
        for part in parts:
            members.setdefault(id(part), part)
        return list(members.values())


@dataclass(eq=False)
class Function:
    """Hold a function of the code with the scope that it closes over."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: "Scope"
    owner: Value = None


@dataclass(eq=False)
class ClassValue:
    """Hold a class of the code; `kind` is "model", "torch", "layer" or "" from its bases."""

    name: str
    attributes: dict[str, Value]
    bases: tuple[Value, ...]
    kind: str
    node: ast.ClassDef

    def lookup(self, name: str) -> Value | None:
        """Return a class attribute or method, its own or a base's."""
        if name in self.attributes:
            return self.attributes[name]
        for base in self.bases:
            if isinstance(base, ClassValue) and (found := base.lookup(name)) is not None:
                return found
        return None


@dataclass(eq=False)
class Instance:
    """Hold an object of a class of the code (`cls` None: a namespace, such as parsed arguments)."""

    cls: ClassValue | None
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Super:
    """Hold what `super()` yields: the bases of a class, bound to an object."""

    cls: ClassValue
    owner: Value


@dataclass(eq=False)
class Setting:
    """Hold a library object that is no layer.

    Its `kind` is "optimizer", "loss", "metric", "schedule", "trainer" or "other".
    """

    kind: str
    name: str
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Method:
    """Hold a method of a value that is not an object of the code's own classes."""

    owner: Value
    name: str


@dataclass(frozen=True, eq=False)
class Partial:
    """Hold a function with arguments that are given already."""

    function: Value
    args: tuple[Value, ...]
    kwargs: dict[str, Value]


@dataclass(frozen=True, eq=False)
class Parameters:
    """Hold the weights of a model or layer, as they are given to an optimizer."""

    owner: Layer | Model


@dataclass(eq=False)
class Scope:
    """Hold names and the scope around them."""

    names: dict[str, Value] = field(default_factory=dict)
    parent: "Scope | None" = None

    def lookup(self, name: str) -> Value:
        """Return the value of a name, a `Symbol` of that name where it has none."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return Symbol(name)


def producers(tensors: Iterable[Tensor]) -> list[Layer | Model]:
    """Return what made these tensors and all before them, in order of first use."""
    found: dict[int, Layer | Model] = {}
    seen: set[int] = set()
    stack = list(tensors)
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if tensor.producer is not None:
            found[id(tensor.producer)] = tensor.producer
        stack.extend(tensor.parents)
    return sorted(found.values(), key=lambda producer: producer.order)


def walk(value: Value) -> Iterator[Value]:
    """Yield a value or, of a container, what is in it at any depth, in order, at most `MAX_WALK` values."""
    stack = [value]
    for _ in range(MAX_WALK):
        if not stack:
            return
        item = stack.pop()
        if isinstance(item, list | tuple):
            stack.extend(reversed(item[:MAX_WALK]))
        elif isinstance(item, dict):
            stack.extend(reversed(list(item.values())[:MAX_WALK]))
        else:
            yield item


def tensors_in(value: Value) -> list[Tensor]:
    """Return the tensors in a value, those inside of containers too."""
    return [item for item in walk(value) if isinstance(item, Tensor)]


def is_known(value: Value) -> bool:
    """Say whether a value is a constant or a container of constants."""
    return all(item is None or isinstance(item, bool | int | float | str) for item in walk(value))


def number_of(value: Value) -> float | int | None:
    """Return a value as a number, None where it is none (a bool is none)."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def layer_text(layer: Layer, *, is_full: bool = True) -> str:
    """Return a layer as a plan writes it; without its initialisers where `is_full` is False."""
    kwargs = {
        key: value
        for key, value in layer.kwargs.items()
        if not isinstance(value, Tensor) and (is_full or not key.endswith(_UNTOLD))
    }
    return _joined(_call_pieces(layer.name, layer.args, kwargs))


def value_text(value: Value) -> str:
    """Return the text that a value has as an argument in a plan."""
    return _joined(_pieces(value))


def _joined(pieces: Iterator[str]) -> str:
    """Join pieces until the text is long enough: values can hold each other many times over."""
    parts: list[str] = []
    length = 0
    for piece in pieces:
        parts.append(piece)
        length += len(piece)
        if length > MAX_TEXT_CHARS:
            break
    return "".join(parts)


def _call_pieces(name: str, args: Iterable[Value], kwargs: Mapping[str, Value]) -> Iterator[str]:
    yield f"{name}("
    named = [("", value) for value in args]
    named += [(f"{key}=", value) for key, value in kwargs.items() if key not in ("name", "dtype")]
    for index, (prefix, value) in enumerate(named):
        yield (", " if index else "") + prefix
        yield from _pieces(value)
    yield ")"


def _pieces(value: Value) -> Iterator[str]:
    if isinstance(value, Layer | Setting):
        yield from _call_pieces(value.name, value.args, value.kwargs)
    elif isinstance(value, list | tuple):
        yield "[" if isinstance(value, list) else "("
        for index, item in enumerate(value):
            yield ", " if index else ""
            yield from _pieces(item)
        yield "]" if isinstance(value, list) else ",)" if len(value) == 1 else ")"
    elif isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else ''}{key!r}: "
            yield from _pieces(item)
        yield "}"
    else:
        yield _plain_text(value)


def _plain_text(value: Value) -> str:
    if isinstance(value, Symbol):
        return value.text
    if isinstance(value, Dotted):
        return repr(value.name) if ".nn." in value.path or ".activations." in value.path else value.name
    if isinstance(value, Function):
        is_lambda = isinstance(value.node, ast.Lambda)
        return shorten(ast.unparse(value.node)) if is_lambda else getattr(value.node, "name", "")
    if isinstance(value, ClassValue):
        return value.name
    if isinstance(value, Instance):
        return value.cls.name if value.cls else "config"
    if isinstance(value, float):
        return _float_text(value)
    return (
        repr(value) if value is None or isinstance(value, bool | int | str) else type(value).__name__.lower()
    )


def _float_text(value: float) -> str:
    """Write 1/255 as a fraction: its digits would say less."""
    text = repr(value)
    if len(text) > MAX_FLOAT_CHARS and math.isfinite(value) and 1e-6 < abs(value) < 1e6:
        if math.isclose(1 / value, inverse := round(1 / value, 1), rel_tol=1e-12):
            return f"1.0 / {inverse:g}"
        fraction = Fraction(value).limit_denominator(1000)
        if math.isclose(fraction, value, rel_tol=1e-12):
            return f"{float(fraction.numerator)} / {fraction.denominator}"
    return text


def text_of(node: ast.AST) -> str:
    """Return the code of a node on one line; a node that is followed many times is written once."""
    known = getattr(node, _TEXT, None)
    if isinstance(known, str):
        return known
    text = shorten(ast.unparse(node))
    setattr(node, _TEXT, text)
    return text


def shorten(text: str) -> str:
    """Return a text on one line, cut where it is too long for an argument."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_SYMBOL_CHARS else line[: MAX_SYMBOL_CHARS - 3] + "..."
