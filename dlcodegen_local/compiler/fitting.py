"""Fit a plan's layers into one network that is valid, changing as little as possible.

The fitter walks through the layers with the current shape. A layer that cannot follow its predecessor gets an
adapter (Flatten, Reshape, pooling) before it; a window that does not fit gets `padding="same"`; a layer that
cannot be built stays as a comment. Every change is one line in `Chain.deviations`.

Guarantees a chain whose last shape is the head's. Does not know tasks: what comes in, which units and
activation the last layer must have, and which names mean which size (`Symbols`) are given by the family.
"""

from collections.abc import Sequence
from dataclasses import replace

from dlcodegen_local.compiler.arguments import Bound, Symbols, bind
from dlcodegen_local.compiler.catalog import BASE_FACTS, MERGES, RECURRENT, SPECS
from dlcodegen_local.compiler.chain import Chain, Head, Item
from dlcodegen_local.compiler.heads import HeadKinds
from dlcodegen_local.compiler.sizes import Shape, volume
from dlcodegen_local.plan.layers import LayerCall

MAX_STEPS = 512


def fit_layers(
    items: Sequence[Item], input_shape: Shape, input_code: str, head: Head | None, symbols: Symbols
) -> Chain:
    """Return the fitted network; without a head the chain ends where the plan ends."""
    fitter = Fitter(list(items), Chain(input_shape, input_code), symbols, head)
    return fitter.run()


class Fitter(HeadKinds):
    """Walk through the planned layers, keeping the shape valid."""

    def __init__(self, items: list[Item], chain: Chain, symbols: Symbols, head: Head | None) -> None:
        super().__init__(items, chain, symbols, head)
        self.head_index = self._find_head()

    def run(self) -> Chain:
        """Place every item, then make the end fit the head."""
        for index, item in enumerate(self.items):
            self._place(index, item)
        if self.head and self.head_index is None:
            self._append_head()
        return self.chain

    def _place(self, index: int, item: Item) -> None:
        call = item.call
        if call is None:
            self.leave_out(item.text, "not a layer that can be built")
        elif call.name == "Input":
            return
        elif self.head and index == self.head_index:
            self._place_head(index, item)
        elif call.name in BASE_FACTS:
            self._place_base(item)
        elif call.name in ("TimeDistributed", "Bidirectional"):
            self._place_wrapper(index, item)
        elif call.name in MERGES:
            self.place_merge(item)
        elif call.name == "InstanceNormalization":
            self.add("layers.GroupNormalization(groups=-1)", self.shape, "InstanceNormalization")
        elif call.name not in SPECS:
            self.leave_out(item.text, "no such Keras layer")
        elif self.head_index is not None and index > self.head_index:
            self._place_after_head(item)
        else:
            self._place_layer(index, item, bind(call, self.symbols))

    def _place_layer(self, index: int, item: Item, bound: Bound) -> None:
        name = bound.name
        wanted = SPECS[name].rank
        if name == "Embedding":
            self.place_embedding(bound)
        elif name == "Dense":
            self.flatten_for_dense(index, bound)
            self.add_dense(bound)
        elif wanted is not None and self.rank != wanted and not self._reach_rank(wanted, item):
            return
        elif name in RECURRENT or name.startswith("ConvLSTM"):
            self.add_recurrent(index, bound)
        elif "Conv" in name:
            self.add_convolution(bound)
        elif "Pooling" in name:
            self.add_pooling(bound)
        elif name in ("Attention", "AdditiveAttention", "MultiHeadAttention"):
            self.add_attention(bound)
        else:
            self.add_plain(index, item, bound)
        self.chain.deviations += bound.notes

    def _reach_rank(self, wanted: int, item: Item) -> bool:
        """Bring the shape to the rank that a layer takes; False where the layer is left out instead."""
        name, shape = item.name, self.shape
        if name in ("Masking", "SpatialDropout1D") and self.rank != wanted:
            self.leave_out(item.text, f"the values are of rank {self.rank} here")
            return False
        pooling_or_padding = "Pooling" in name or name.startswith(
            ("ZeroPadding", "Cropping", "UpSampling", "Spatial")
        )
        if self._retarget(wanted, item, pooling_or_padding):
            return False
        if pooling_or_padding and self.rank < wanted:
            self.leave_out(item.text, f"the values are of rank {self.rank} here")
            return False
        if wanted == 3 and self.rank == 4 and item.call is not None:
            self._place_distributed(item, item.call)
            self.chain.deviations.append(f"{name} applied to every frame")
            return False
        if wanted == 1:
            self.to_vector(f"{name} takes vectors")
        elif self.rank < wanted:
            self.adapt(
                f"layers.Reshape({self._raised(wanted)[0]})",
                self._raised(wanted)[1],
                f"{name} takes rank {wanted}",
            )
        elif wanted == 2 and self.rank >= 3:
            width = volume(shape[1:])
            self.adapt(f"layers.Reshape((-1, {width}))", (shape[0], width), f"{name} takes sequences")
        else:
            self.to_vector(f"{name} takes rank {wanted}")
            return self._reach_rank(wanted, item)
        return True

    def _retarget(self, wanted: int, item: Item, pooling: bool) -> bool:
        """Use the variant of a pooling or convolution that has the data's number of axes."""
        name = item.name
        axes = self.rank - 1
        other = f"{name[:-2]}{axes}D" if name[-2:] in ("1D", "2D", "3D") else ""
        if other == name or other not in SPECS or self.rank < 2 or not (pooling or item.call is None):
            return False
        assert item.call is not None
        self.chain.deviations.append(f"{name} built as {other}: the values have {axes} axes here")
        self._place_layer(0, item, bind(replace(item.call, name=other), self.symbols))
        return True

    def _raised(self, wanted: int) -> tuple[str, Shape]:
        """Return a Reshape target of a higher rank, and the shape that it gives."""
        if self.rank == 1:
            length = self.shape[0]
            if wanted == 2 and length and length > MAX_STEPS:
                return f"(1, {length})", (1, length)
            steps = (1,) * (wanted - 2)
            return f"({', '.join(['-1', *map(str, steps), '1'])})", (length, *steps, 1)
        extra = (1,) * (wanted - self.rank)
        sizes = (*self.shape, *extra)
        text = ["-1", *(str(size) for size in sizes[1:])]
        return f"({', '.join(text)})", sizes

    def _place_wrapper(self, index: int, item: Item) -> None:
        call = item.call
        assert call is not None
        inner = call.args[0] if call.args else call.kwargs.get("layer")
        if not isinstance(inner, LayerCall) or (inner.name not in SPECS and inner.name not in BASE_FACTS):
            if call.name == "Bidirectional":
                inner = LayerCall("LSTM")
            elif self.rank >= 2:
                inner = LayerCall("Dense")
            else:
                self.leave_out(item.text, "no layer to wrap")
                return
        if call.name == "Bidirectional":
            if inner.name not in RECURRENT:
                inner = LayerCall("LSTM")
            if self.rank != 2 and not self._reach_rank(2, Item(item.text, inner)):
                return
            self.add_recurrent(index, bind(inner, self.symbols), wrapped=True)
        else:
            self._place_distributed(item, inner)

    def _place_distributed(self, item: Item, inner: LayerCall) -> None:
        """Apply a layer to every step of a sequence."""
        if self.rank < 2:
            self._place(-1, Item(item.text, inner))
            return
        chain = Chain(self.shape[1:], "")
        nested = Fitter([Item(item.text, inner)], chain, self.symbols, None)
        nested.run()
        steps = [step for step in chain.steps if step.code]
        if not steps or any(step.merges is not None for step in steps):
            self.leave_out(item.text, "the inner layer does not fit the steps")
            return
        for step in steps:
            self.add(f"layers.TimeDistributed({step.code})", (self.shape[0], *step.shape), step.comment)
        self.chain.deviations += chain.deviations

    def _place_base(self, item: Item) -> None:
        call = item.call
        assert call is not None
        least, shrink, channels = BASE_FACTS[call.name]
        if self.has_base or self.rank != 3 or (self.chain.steps and (self.shape[0] or 0) < least):
            self.leave_out(
                item.text, "one pretrained network is enough" if self.has_base else "no image here"
            )
            return
        height, width, depth = self.shape
        if height is None or width is None or min(height, width) < least:
            height, width = max(height or least, least), max(width or least, least)
            self.adapt(
                f"layers.Resizing({height}, {width})",
                (height, width, depth),
                f"{call.name} takes {least} pixels and more",
            )
        self.has_base = True
        pooling = call.kwargs.get("pooling")
        pooled = pooling if pooling in ("avg", "max") else None
        arguments = {
            "weights": "weights=config.pretrained_weights",
            "include_top": "include_top=False",
            "input_shape": f"input_shape=({height}, {width}, {depth})",
        }
        if self.chain.steps == [] and self.chain.input_code:
            arguments["input_shape"] = f"input_shape={self.chain.input_code}"
        order = [key for key in call.kwargs if key in arguments]
        order += [key for key in arguments if key not in order]
        text = ", ".join([arguments[key] for key in order] + ([f'pooling="{pooled}"'] if pooled else []))
        shape = (-(-height // shrink), -(-width // shrink), channels)
        self.add(f"keras.applications.{call.name}({text})", (channels,) if pooled else shape)
