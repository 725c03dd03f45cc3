"""A plan's layers as a network: blocks, what each reads, and which repeat.

A plan lists its layers one after the other. Read from the list: an `Input` opens a branch, a layer that joins
closes the open ones. Inferred from shapes, and marked so: the source of an `Add` or `Concatenate` that has no
other branch to join. Guarantees blocks in an order in which every block comes after those it reads.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dlcodegen_local.compiler.catalog import MERGES, SPECS, TRANSPARENT
from dlcodegen_local.compiler.sizes import Shape
from dlcodegen_local.plan.layers import LayerCall, parse_layers, render_value
from dlcodegen_local.run_page.layer_shapes import output_shape

_ATTENTIVE = frozenset({"Attention", "AdditiveAttention", "MultiHeadAttention"})
_JOINS = MERGES | _ATTENTIVE | {"Dot", "Distance"}
_REACH = 12  # so many blocks back a residual connection may begin
_FAMILIES = (
    ("input", re.compile(r"^Input")),
    ("conv", re.compile(r"Conv")),
    ("recurrent", re.compile(r"LSTM|GRU|RNN|Bidirectional")),
    ("attention", re.compile(r"Attention|Transformer")),
    ("pool", re.compile(r"Pool|Flatten|Reshape|UpSampling|Padding|Cropping|Permute|RepeatVector")),
    ("merge", re.compile(r"^(?:Concatenate|Add|Multiply|Average|Maximum|Subtract|Dot)$")),
    ("dense", re.compile(r"Dense|Embedding")),
)


@dataclass(frozen=True)
class Block:
    """Hold one layer with those that follow it and leave its shape alone.

    `reads` are the indices of the blocks it reads, `inferred` those that are read as the shapes suggest;
    `times` counts equal layers side by side, each on a part of the input.
    """

    kind: str
    arguments: str
    after: tuple[str, ...] = ()
    shape: Shape | None = None
    reads: tuple[int, ...] = ()
    inferred: tuple[int, ...] = ()
    times: int = 1
    call: LayerCall | None = None

    @property
    def family(self) -> str:
        """The class of the layer in the style sheet."""
        return next((name for name, pattern in _FAMILIES if pattern.search(self.kind)), "other")


@dataclass(frozen=True)
class Fold:
    """Say that the blocks from `start` to before `end` stand `times` times in a row."""

    start: int
    end: int
    times: int


@dataclass
class _Reading:
    """Carry the blocks so far; `open` are the last blocks of the branches that nothing has read yet."""

    blocks: list[Block] = field(default_factory=list)
    open: list[int] = field(default_factory=list)

    def open_input(self, words: str, shape: Shape) -> None:
        """Begin with an input that no layer states."""
        self._append(Block("Input", words, shape=shape), [])

    def add(self, text: str, call: LayerCall | None) -> None:
        """Put in one layer, or a text that names none."""
        kind, arguments = (call.name, _arguments(call)) if call else ("", text)
        if kind == "Input" or not self.open:
            shape = output_shape(call, ()) if call else None
            self._append(Block(kind, arguments, shape=shape), [])
        elif call is None:
            self._append(Block("", text, reads=(self.open[-1],)), [self.open[-1]])
        elif kind in TRANSPARENT:
            self._follow(call)
        elif kind in _JOINS:
            self._join(call)
        elif kind == "Embedding":
            self._embed(call)
        else:
            source = self._source(call)
            closed = [source]
            if self._is_beside(call, source):
                source, closed = self.blocks[source].reads[-1], []
            shape = output_shape(call, (self.blocks[source].shape,))
            self._append(Block(kind, arguments, shape=shape, reads=(source,), call=call), closed)

    def _is_beside(self, call: LayerCall, source: int) -> bool:
        """Tell whether the block before is the way round this one: a strided convolution of one pixel.

        Where the next has the same stride, both bring the same input to the same size, to be added.
        """
        before = self.blocks[source]
        if before.call is None or before.after[1:] or not before.reads:
            return False
        strides = _strides(call)
        return (
            call.name == before.kind
            and strides == _strides(before.call) != 1
            and _whole(before.call.get("kernel_size", 1)) == 1 != _whole(call.get("kernel_size", 1))
            and call.get("filters", 0) == before.call.get("filters", 0)
        )

    def _embed(self, call: LayerCall) -> None:
        """Put an embedding on an input: one after another embedding stands beside it."""
        source, closed = self._source(call), True
        if (beside := self.blocks[source]).kind == "Embedding":
            if beside.arguments == _arguments(call):
                self.blocks[source] = replace(beside, times=beside.times + 1)
                return
            source, closed = beside.reads[-1] if beside.reads else source, False
        shape = output_shape(call, (self.blocks[source].shape,))
        block = Block(call.name, _arguments(call), shape=shape, reads=(source,))
        self._append(block, [source] if closed else [])

    def _append(self, block: Block, closed: Sequence[int]) -> None:
        self.open = [index for index in self.open if index not in closed]
        self.blocks.append(block)
        self.open.append(len(self.blocks) - 1)

    def _follow(self, call: LayerCall) -> None:
        """Put a layer that leaves the shape alone into the block before it."""
        source = self._source(call)
        text = call.render() if call.args or call.kwargs else call.name
        self.blocks[source] = replace(
            self.blocks[source], after=(*self.blocks[source].after, text.removesuffix("()"))
        )

    def _source(self, call: LayerCall) -> int:
        """Return the branch that a layer goes on: one that its rank fits, an unread input first."""
        inner = call.get("layer", 0) if call.name in ("TimeDistributed", "Bidirectional") else call
        extra = call.name == "TimeDistributed"
        spec = SPECS.get(inner.name) if isinstance(inner, LayerCall) else None
        wanted = spec.rank + extra if spec and spec.rank is not None else None
        waiting = [index for index in self.open if self.blocks[index].kind == "Input"]
        if call.name == "Embedding":
            return waiting[0] if waiting else self.open[-1]
        order = waiting if self.open[-1] in waiting else [self.open[-1], *waiting]
        fitting = [index for index in order if self._rank(index) in (None, wanted) or wanted is None]
        return fitting[0] if fitting else order[0]

    def _rank(self, index: int) -> int | None:
        shape = self.blocks[index].shape
        return None if shape is None else len(shape)

    def _join(self, call: LayerCall) -> None:
        main = self.open[-1]
        others = [index for index in self.open[:-1] if self._can_join(call.name, index, main)]
        if call.name in _ATTENTIVE and len(others) > 1:
            others = others[:1]
        inferred = () if others or call.name in _ATTENTIVE else self._skipped(call.name, main)
        read = (*inferred, *others, main)
        shape = output_shape(call, tuple(self.blocks[index].shape for index in read))
        block = Block(call.name, _arguments(call), (), shape, (*others, main), inferred)
        self._append(block, [*others, main])

    def _can_join(self, kind: str, other: int, main: int) -> bool:
        first, second = self.blocks[other].shape, self.blocks[main].shape
        if first is None or second is None or kind in _ATTENTIVE or kind in ("Dot", "Distance"):
            return True
        if kind == "Concatenate":
            return len(first) == len(second) and (first[:-1] == second[:-1] or len(self.open) > 1)
        return first == second

    def _skipped(self, kind: str, main: int) -> tuple[int, ...]:
        """Return the block that an `Add` or `Concatenate` without a second branch reads, if shapes tell."""
        chain = self._chain(main)
        shape = self.blocks[main].shape
        if shape is None:
            return ()
        if kind == "Concatenate":
            small = _volume(shape[:-1])
            shrunk = False
            for index in chain[1:]:
                found = self.blocks[index].shape
                if found is None or len(found) != len(shape):
                    return ()
                shrunk = shrunk or _volume(found[:-1]) < small
                if shrunk and found[:-1] == shape[:-1]:
                    return (index,)
            return ()
        near = chain[2:_REACH]
        same = [index for index in near if self.blocks[index].shape == shape]
        bounds = [index for index in same if self.blocks[index].family in ("merge", "pool", "input")]
        plain = same[1:2] if len(same) > 1 else same[:1]
        return tuple(bounds[:1] or plain)

    def _chain(self, index: int) -> list[int]:
        """Return a block and those before it on its own branch, backwards."""
        chain = [index]
        while self.blocks[chain[-1]].reads:
            chain.append(self.blocks[chain[-1]].reads[-1])
        return chain


def read_network(layers: Sequence[str], input_shape: Shape | None = None) -> tuple[Block, ...]:
    """Read a plan's layers; the branches of a join come one after the other, before it.

    Where the layers name no input, one of `input_shape` is put before them.
    """
    reading = _Reading()
    first = next(iter(parse_layers(layers[0])), None) if layers else None
    if layers and (first is None or first.name not in ("Input", "InputLayer")):
        stated = output_shape(LayerCall("Input", (first.get("input_shape"),)), ()) if first else None
        if shape := stated or input_shape:
            reading.open_input("as the dataset gives it", shape)
    for text in layers:
        calls = parse_layers(text)
        if not calls:
            reading.add(text, None)
        for call in calls:
            reading.add(text, call)
    return _ordered(reading.blocks)


def find_folds(blocks: Sequence[Block], longest: int = 12) -> tuple[Fold, ...]:
    """Find blocks that stand several times in a row on one branch, most saved first at each place."""
    folds: list[Fold] = []
    keys = [
        (block.kind, block.arguments, block.after, block.shape, 0 if block.reads == (place - 1,) else place)
        for place, block in enumerate(blocks)
    ]
    start = 0
    while start < len(keys):
        best = Fold(start, start + 1, 1)
        for period in range(1, min(longest, (len(keys) - start) // 2) + 1):
            times = 1
            first = keys[start : start + period]
            while keys[start + times * period : start + (times + 1) * period] == first:
                times += 1
            if times > 1 and (times - 1) * period > (best.times - 1) * (best.end - best.start):
                best = Fold(start, start + period, times)
        if best.times > 1:
            folds.append(best)
        start += (best.end - best.start) * best.times
    return tuple(folds)


def _ordered(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Sort so that a branch is whole before the next one of the same join begins."""
    read = {index for block in blocks for index in block.reads}
    roots: list[int] = []  # where the branch of every block begins
    for index, block in enumerate(blocks):
        roots.append(min((roots[source] for source in block.reads), default=index))
    order: list[int] = []
    seen: set[int] = set()
    for sink in (index for index in range(len(blocks)) if index not in read):
        waiting = [(sink, False)]
        while waiting:
            index, is_ready = waiting.pop()
            if is_ready:
                order.append(index)
            elif index not in seen:
                seen.add(index)
                waiting.append((index, True))
                sources = sorted(blocks[index].reads, key=lambda source: (roots[source], source))
                waiting += [(source, False) for source in reversed(sources)]
    place = {index: number for number, index in enumerate(order)}
    return tuple(
        replace(
            blocks[index],
            reads=tuple(place[source] for source in blocks[index].reads),
            inferred=tuple(place[source] for source in blocks[index].inferred),
        )
        for index in order
    )


def _arguments(call: LayerCall) -> str:
    parts = [render_value(value) for value in call.args]
    parts += [f"{key}={render_value(value)}" for key, value in call.kwargs.items()]
    return ", ".join(parts)


def _strides(call: LayerCall) -> object:
    return _whole(call.get("strides", 2, 1))


def _whole(value: object) -> object:
    """Return one number for a size that is the same along all axes."""
    if isinstance(value, tuple | list) and value and all(size == value[0] for size in value):
        return value[0]
    return value


def _volume(shape: Shape) -> int:
    total = 1
    for size in shape:
        total *= size if size is not None else 64
    return total
