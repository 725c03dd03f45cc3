"""Fit the layers of text and sequence plans: token ids come in, custom blocks stand beside Keras' layers.

Adds to `fitting.Fitter`: the embedding comes first (or is added), pretrained encoders and transformer
blocks are built as classes of their own (`blocks`), a sequence becomes a vector by pooling, and two global
poolings in a row read the same sequence. Guarantees the same as `Fitter`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dlcodegen_local.compiler.arguments import Bound, Symbols, plain
from dlcodegen_local.compiler.catalog import BASE_FACTS, SPECS, TRANSPARENT
from dlcodegen_local.compiler.chain import Chain, Head, Item, Step
from dlcodegen_local.compiler.fitting import Fitter
from dlcodegen_local.compiler.sequence_blocks import block_source
from dlcodegen_local.compiler.sequence_items import block_kind
from dlcodegen_local.compiler.sizes import Shape
from dlcodegen_local.plan.layers import LayerCall, Name

_TOKEN_KINDS = frozenset({"pretrained", "sentence", "positions"})
_WIDTH_KEYS = (
    "embed_dim",
    "embedding_dim",
    "hidden_size",
    "hidden_dim",
    "d_model",
    "output_dim",
    "units",
    "dim",
)
_INNER_KEYS = ("ff_dim", "dense_dim", "intermediate_dim", "feed_forward_dim", "latent_dim", "dff", "mlp_dim")
_MAX_WIDTH = 1024
_CAUSAL = ", use_causal_mask=True"
_ENDS_SEQUENCE = frozenset({"Flatten", "RepeatVector", "Reshape"})


@dataclass(frozen=True)
class SideStep(Step):
    """Hold a layer that reads an earlier step, `source`, instead of the one before it."""

    source: int = 0


def takes_tokens(item: Item) -> bool:
    """Say whether a planned layer reads token ids."""
    return item.name == "Embedding" or block_kind(item.name) in _TOKEN_KINDS


def token_first(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Move what stands before the first embedding behind the rest; return the items and the deviations."""
    first = next((index for index, item in enumerate(items) if takes_tokens(item)), None)
    if first is None:
        return list(items), []
    moves = [bool(item.call) and item.name not in ("Input", *TRANSPARENT) for item in items[:first]]
    if not any(moves):
        return list(items), []
    before = [item for item, moved in zip(items, moves, strict=False) if moved]
    kept = [item for item, moved in zip(items, moves, strict=False) if not moved]
    return [*kept, *items[first:], *before], ["layers reordered: those that read token ids come first"]


class SequenceFitter(Fitter):
    """Walk through the planned layers of a text model; `blocks` maps class names to their source."""

    def __init__(self, items: list[Item], chain: Chain, symbols: Symbols, head: Head | None) -> None:
        super().__init__(items, chain, symbols, head)
        self.blocks: dict[str, str] = {}
        self.tokens = len(chain.input_shape) == 1
        self.pool_source: int | None = None
        self.causal = ""
        self.images = len(chain.input_shape) == 3

    # -- order of layers -----------------------------------------------------------------------

    def _place(self, index: int, item: Item) -> None:
        kind = block_kind(item.name)
        if (
            item.call is None
            or item.name == "Input"
            or (self.head and index == self.head_index and kind != "tags")
        ):
            super()._place(index, item)
        elif kind:
            self._place_block(index, item, kind)
        elif self.tokens and item.name not in ("Embedding", *TRANSPARENT) and self._wants_sequence(item):
            self._embed("the layers after it take vectors, not token ids")
            self._place(index, item)
        elif item.name in BASE_FACTS and not self.images:
            self.leave_out(item.text, "there is no image here")
        elif self._second_pooling(item):
            self._place_second_pooling(item)
        elif item.name == "Conv2D" and self.rank == 2 and "2d" not in item.text.lower():
            super()._place(index, replace(item, call=replace(item.call, name="Conv1D")))
        else:
            self._note_pooling(item)
            super()._place(index, item)
        if any(step.code and "Dropout" not in step.code for step in self.chain.steps):
            self.tokens = False

    def _wants_sequence(self, item: Item) -> bool:
        wanted = SPECS[item.name].rank if item.name in SPECS else None
        return item.name in ("Bidirectional", "TimeDistributed") or (wanted is not None and wanted > 1)

    def _sequence_needed(self, index: int) -> bool:
        rest = self.items[index + 1 :]
        if self.head is not None and len(self.head.shape) == 2:
            return not any(
                item.name in _ENDS_SEQUENCE or "Global" in item.name for item in rest
            ) or self._next_wants(index)
        return self._next_wants(index)

    def _next_wants(self, index: int) -> bool:
        for item in self.items[index + 1 :]:
            if item.call is None or item.name in TRANSPARENT or item.name == "Input":
                continue
            if block_kind(item.name) in ("block", "place_encoding", "pooling", "decoder", "tags"):
                return True
            break
        return super()._sequence_needed(index)

    def _embed(self, reason: str) -> None:
        code = "layers.Embedding(config.vocab_size, config.embedding_dim)"
        self.adapt(code, (*self.shape, self.number("embedding_dim", 64)), reason)
        self.tokens = False

    def number(self, symbol: str, default: int) -> int:
        """Return a size as it is under the default configuration."""
        value = plain(self.symbols.get(symbol))
        return value if isinstance(value, int) else default

    # -- vectors and poolings ------------------------------------------------------------------

    def to_vector(self, reason: str) -> None:
        """Pool a sequence; anything else is flattened."""
        if self.rank == 2:
            self.adapt("layers.GlobalAveragePooling1D()", (self.shape[-1],), reason)
        else:
            super().to_vector(reason)

    def _vector_for_head(self) -> None:
        """Bring a sequence to the length of the output, too."""
        wanted = self.head.shape if self.head else ()
        if len(wanted) == 2 and self.rank == 2 and wanted[0] and self.shape[0] != wanted[0]:
            self.to_vector("the sequence has another length than the output")
        super()._vector_for_head()

    def flatten_for_dense(self, index: int, bound: Bound) -> None:
        """Keep a sequence for dense layers where a later layer needs it, else pool it."""
        if self.tokens and self.rank == 1 and self.symbols.get("sequence_length"):
            self._embed("dense layers take vectors, not token ids")
        later = (
            item for item in self.items[index + 1 :] if block_kind(item.name) in ("block", "pooling", "tags")
        )
        if next(later, None) is None:
            super().flatten_for_dense(index, bound)

    def _note_pooling(self, item: Item) -> None:
        if item.name.startswith("Global") and self.rank == 2:
            self.pool_source = len(self.chain.steps) - 1
        elif item.name != "Concatenate" and item.name not in TRANSPARENT:
            self.pool_source = None

    def _second_pooling(self, item: Item) -> bool:
        pools = item.name.startswith("Global") and "Pooling" in item.name
        return self.rank == 1 and self.pool_source is not None and (pools or item.name == "Concatenate")

    def _place_second_pooling(self, item: Item) -> None:
        """Pool the sequence that the first pooling read, and join both where the plan says so."""
        assert self.pool_source is not None
        width = self.shape[0] or 0
        if item.name == "Concatenate":
            if not isinstance(self.chain.steps[-1], SideStep):
                self.leave_out(item.text, "nothing to join")
                return
            first = len(self.chain.steps) - 2
            self.add("layers.Concatenate()", (2 * width,), merges=first)
        else:
            name = f"{item.name[:-2]}1D"
            self.chain.steps.append(SideStep(f"layers.{name}()", self.shape, source=self.pool_source))

    # -- custom layers -------------------------------------------------------------------------

    def _place_block(self, index: int, item: Item, kind: str) -> None:
        call = item.call
        assert call is not None
        if kind == "tags":
            self._place_tags(item)
        elif kind == "graph":
            self.leave_out(item.text, "there is no graph here")
        elif self.tokens and self.rank == 1:
            self._place_on_tokens(index, item, kind)
        elif kind == "sentence":
            self.leave_out(item.text, "it reads token ids, which are vectors here")
        else:
            self._place_on_sequence(index, item, kind)

    def _place_on_tokens(self, index: int, item: Item, kind: str) -> None:
        call = item.call
        assert call is not None
        if kind == "positions":
            width = self._size(call, _WIDTH_KEYS, 2, self.number("embedding_dim", 64))
            arguments = f"config.sequence_length, config.vocab_size, {width}"
            self.define(item.name, "positions")
            self.add(f"{item.name}({arguments})", (*self.shape, width))
        elif kind == "sentence":
            self.define(item.name, "sentence")
            self.add(
                f"{item.name}(config.vocab_size, config.hidden_size)", (self.number("hidden_size", 128),)
            )
            self._stands_in(item)
        elif kind == "pretrained" or not (call.args or call.kwargs):
            self._place_encoder(index, item)
        else:
            self._embed(f"{item.name} takes vectors, not token ids")
            self._place_on_sequence(index, item, kind)

    def _place_encoder(self, index: int, item: Item) -> None:
        width = self.number("hidden_size", 128)
        sequences = self._sequence_needed(index)
        sizes = "config.vocab_size, config.sequence_length, config.hidden_size, config.num_layers"
        self.define(item.name, "pretrained", causal=_CAUSAL if "GPT" in item.name.upper() else self.causal)
        ending = "" if sequences else ", return_sequences=False"
        shape: Shape = (self.shape[0], width) if sequences else (width,)
        self.add(f"{item.name}({sizes}{ending})", shape)
        self._stands_in(item)

    def _stands_in(self, item: Item) -> None:
        self.chain.deviations.append(
            f"{item.name} is a small encoder trained from scratch: nothing is downloaded"
        )

    def _place_on_sequence(self, index: int, item: Item, kind: str) -> None:
        call = item.call
        assert call is not None
        if self.rank != 2:
            if self.rank > 2 or kind == "pooling":
                self.leave_out(item.text, f"the values are of rank {self.rank} here")
                return
            self.adapt(
                f"layers.Reshape((1, {self.shape[0]}))", (1, self.shape[0]), f"{item.name} takes sequences"
            )
        width = self.shape[-1] or 64
        if kind in ("positions", "place_encoding"):
            self.define(item.name, "place_encoding")
            self.add(f"{item.name}()", self.shape)
        elif kind == "pooling" and not self._sequence_needed(index):
            units = next((value for value in (*call.args, *call.kwargs.values()) if _is_size(value)), None)
            self.define(item.name, "pooling")
            self.add(f"{item.name}({units or ''})", (width,))
        else:
            self._place_transformer(item, call, width)

    def _place_transformer(self, item: Item, call: LayerCall, width: int) -> None:
        """Place a self-attention block; its width is the sequence's, whatever the plan says."""
        width_key = next((key for key in call.kwargs if key in _WIDTH_KEYS), "embed_dim")
        inner_key = next((key for key in call.kwargs if key in _INNER_KEYS), "ff_dim")
        heads = self._size(call, ("num_heads", "heads", "n_heads", "nhead"), 1, 2)
        inner = self._size(call, _INNER_KEYS, 2, 4 * width)
        planned = self._size(call, _WIDTH_KEYS, 0, width)
        if planned != width:
            self.chain.deviations.append(
                f"{item.name}: {width_key}={width}, the width of the sequence, not {planned}"
            )
        self.define(item.name, "block", width_key=width_key, inner_key=inner_key, causal=self.causal)
        sizes = {width_key: width, "num_heads": min(heads, width), inner_key: inner}
        if call.kwargs and not call.args:
            order = [
                *[key for key in call.kwargs if key in sizes],
                *[key for key in sizes if key not in call.kwargs],
            ]
            text = ", ".join(f"{key}={sizes[key]}" for key in order)
        else:
            text = ", ".join(str(size) for size in sizes.values())
        rate = call.kwargs.get("dropout", call.kwargs.get("rate"))
        text += f", dropout={rate}" if isinstance(rate, float) and 0 <= rate < 1 else ""
        self.add(f"{item.name}({text})", self.shape)

    def _place_tags(self, item: Item) -> None:
        if self.head is None or len(self.head.shape) != 2:
            self.leave_out(item.text, "the output is not a sequence of tags")
            return
        self._vector_for_head()
        self.define(item.name, "tags")
        activation = f', activation="{self.head.activation}"' if self.head.activation else ""
        self.add(f"{item.name}({self.head.units}{activation})", (self.shape[0], self.head.shape[-1]))
        self.chain.deviations.append(f"{item.name} scores every token alone: transitions are not modelled")

    def _find_head(self) -> int | None:
        if (
            self.head
            and self.items
            and block_kind(self.items[-1].name) == "tags"
            and len(self.head.shape) == 2
        ):
            return len(self.items) - 1
        return super()._find_head()

    def define(self, name: str, kind: str, **slots: str) -> None:
        """Keep the source of a class that the model needs."""
        self.blocks.setdefault(name, block_source(kind, name, **slots))

    def _size(self, call: LayerCall, keys: Sequence[str], position: int, default: int) -> int:
        """Return a size given by keyword or position; names stand for the family's sizes."""
        value = next((call.kwargs[key] for key in keys if key in call.kwargs), None)
        if value is None and position < len(call.args):
            value = call.args[position]
        if isinstance(value, Name):
            value = plain(self.symbols.get(value.text.lower()))
        return value if isinstance(value, int) and _is_size(value) else default


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_WIDTH


def fit_sequence(
    items: Sequence[Item],
    input_shape: Shape,
    input_code: str,
    head: Head | None,
    symbols: Symbols,
    kind: str = "tokens",
) -> tuple[Chain, dict[str, str]]:
    """Return the fitted network and the classes that it needs, by name.

    `kind` says what comes in: "tokens", "causal" (tokens, later ones hidden from blocks) or "numbers".
    """
    ordered, deviations = token_first(items) if kind != "numbers" else (list(items), [])
    chain = Chain(input_shape, input_code, deviations=deviations)
    fitter = SequenceFitter(ordered, chain, symbols, head)
    fitter.causal = _CAUSAL if kind == "causal" else ""
    fitter.tokens = kind != "numbers"
    return fitter.run(), fitter.blocks
