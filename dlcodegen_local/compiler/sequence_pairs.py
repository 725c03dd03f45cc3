"""Fit encoder and decoder of a plan from text to text, and join them.

The encoder's last state starts the decoder's first recurrent layer; attention, where the plan names it, looks
from the decoder at every place of the encoder. Guarantees a model with the inputs source and target, whose
output has the head's shape.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcodegen_local.compiler.arguments import Symbols
from dlcodegen_local.compiler.catalog import RECURRENT
from dlcodegen_local.compiler.chain import Chain, Head, Item, Step
from dlcodegen_local.compiler.rendering import wrapped
from dlcodegen_local.compiler.sequence_core import TextSizes, render_steps
from dlcodegen_local.compiler.sequence_fitting import SequenceFitter, takes_tokens
from dlcodegen_local.compiler.sequence_items import block_kind
from dlcodegen_local.compiler.sizes import Shape
from dlcodegen_local.plan.layers import LayerCall

_RECURRENT = re.compile(r"^layers\.(LSTM|GRU|SimpleRNN)\((?:units=)?(\d+)")
_ATTENTION = frozenset({"Attention", "AdditiveAttention", "MultiHeadAttention"})


@dataclass(frozen=True)
class Branches:
    """Hold the planned layers of the encoder and of the decoder."""

    encoder: tuple[Item, ...]
    decoder: tuple[Item, ...]


@dataclass(frozen=True)
class MemoryStep(Step):
    """Hold a layer that reads the current tensor and the encoder's output; `pair` says as a list."""

    pair: bool = False


def split_branches(items: Sequence[Item]) -> Branches | None:
    """Cut the layers where the decoder starts; None where the plan is one chain."""
    named = next(
        (
            i
            for i, item in enumerate(items)
            if "decoder" in item.text.lower() and "encoder" not in item.text.lower()
        ),
        None,
    )
    entries = [
        i
        for i, item in enumerate(items)
        if item.call and (takes_tokens(item) or block_kind(item.name) == "pretrained")
    ]
    start = named if named is not None else entries[1] if len(entries) > 1 else None
    if start is None:
        return None
    while start and items[start - 1].name == "Input" and named is None:
        start -= 1
    encoder, decoder = tuple(items[:start]), tuple(items[start:])
    if not any(item.call and item.name != "Input" for item in encoder) or not any(
        item.call for item in decoder
    ):
        return None
    return Branches(encoder, decoder)


class DecoderFitter(SequenceFitter):
    """Walk through a decoder's layers; attention reads the encoder's output, of `memory_width`."""

    memory_width = 0
    before_attention: int | None = None
    uses_memory = False

    def _place(self, index: int, item: Item) -> None:
        kind = block_kind(item.name)
        if self.tokens and not takes_tokens(item) and item.call and item.name not in ("Input", "Dropout"):
            self._embed("the decoder reads token ids")
        if attends_memory(item) and self.rank == 2 and self.memory_width:
            self._attend(item, kind)
            self.tokens = False
        elif (
            item.name in ("Concatenate", "Add")
            and self.before_attention is not None
            and index != self.head_index
        ):
            self._join_context(item)
        else:
            super()._place(index, item)

    def _attend(self, item: Item, kind: str | None) -> None:
        """Place one layer that looks at the encoder's output."""
        self.uses_memory = True
        self.before_attention = len(self.chain.steps) - 1
        if kind == "decoder" and item.call is not None:
            self._place_transformer(item, item.call, self.shape[-1] or 64)
            self.define_decoder(item.name)
            step = self.chain.steps.pop()
            self.chain.steps.append(MemoryStep(step.code, step.shape))
        elif item.name == "MultiHeadAttention":
            super()._place(-1, item)
            step = self.chain.steps.pop()
            self.chain.steps.append(MemoryStep(step.code, step.shape))
        else:
            name = (
                "AdditiveAttention"
                if "bahdanau" in item.text.lower() or item.name == "AdditiveAttention"
                else "Attention"
            )
            self.chain.steps.append(MemoryStep(f"layers.{name}()", self.shape, pair=True))

    def define_decoder(self, name: str) -> None:
        """Replace a self-attention class by one that also reads a memory."""
        source = self.blocks.pop(name)
        width = re.search(r"def __init__\(self, (\w+), num_heads, (\w+)", source)
        keys = {"width_key": width.group(1), "inner_key": width.group(2)} if width else {}
        self.define(name, "decoder", **keys)

    def _join_context(self, item: Item) -> None:
        assert self.before_attention is not None
        other = self.chain.steps[self.before_attention].shape[-1] or 0
        own = self.shape[-1] or 0
        if (item.name == "Add" and other != own) or self.rank != 2:
            self.leave_out(item.text, "nothing of the same size to join")
            return
        width = own + other if item.name == "Concatenate" else own
        self.add(f"layers.{item.name}()", (self.shape[0], width), merges=self.before_attention)
        self.before_attention = None


def fit_pair(
    branches: Branches, sizes: TextSizes, head: Head, symbols: Symbols
) -> tuple[str, dict[str, str], list[str]]:
    """Return the statements that build the model, the classes they need, and the deviations."""
    attends = any(attends_memory(item) for item in branches.decoder)
    recurrent = any(_is_recurrent(item) for item in branches.decoder)
    encoder = _fit_encoder(branches.encoder, sizes, symbols, attends or not recurrent)
    chain = encoder.chain
    planned = list(branches.decoder) if attends or recurrent else with_attention(list(branches.decoder))
    decoder = DecoderFitter(planned, Chain((head.shape[0],), "(config.target_length,)"), symbols, head)
    decoder.causal = ", use_causal_mask=True"
    decoder.memory_width = chain.shape[-1] or 64
    decoder.run()
    lines = ['source = layers.Input(shape=(config.sequence_length,), dtype="int32", name="source")']
    state = _state(chain, decoder.chain)
    lines += encoder_lines(chain, state)
    lines += ['target = layers.Input(shape=(config.target_length,), dtype="int32", name="target")']
    lines += decoder_lines(decoder.chain, chain.shape, state)
    lines += ["model = keras.Model([source, target], x)"]
    return (
        "\n".join(lines),
        {**encoder.blocks, **decoder.blocks},
        [*chain.deviations, *decoder.chain.deviations],
    )


def attends_memory(item: Item) -> bool:
    """Say whether a decoder's layer looks at the encoder's output."""
    return item.name in _ATTENTION or block_kind(item.name) in ("decoder", "pooling")


def _is_recurrent(item: Item) -> bool:
    return item.name in RECURRENT or item.name == "Bidirectional"


def with_attention(items: list[Item]) -> list[Item]:
    """Let a decoder without memory look at the encoder after its first layer."""
    entry = next((index for index, item in enumerate(items) if takes_tokens(item)), 0)
    attention = Item("added: attention on the encoder", LayerCall("MultiHeadAttention"))
    return [*items[: entry + 1], attention, *items[entry + 1 :]]


def _fit_encoder(items: Sequence[Item], sizes: TextSizes, symbols: Symbols, sequence: bool) -> SequenceFitter:
    """Fit the encoder; where the decoder attends to it, it ends in a sequence."""
    kept = list(items)
    if sequence:
        kept = [
            item for item in kept if not ("Global" in item.name or item.name in ("Flatten", "RepeatVector"))
        ]
    chain = Chain((sizes.sequence_length,), "(config.sequence_length,)")
    head = Head((sizes.sequence_length, 1), "1", None) if sequence else None
    fitter = SequenceFitter(kept, chain, symbols, head)
    fitter.head_index = None
    fitter.head = head
    for index, item in enumerate(kept):
        fitter._place(index, item)
    if fitter.tokens:
        fitter._embed("the encoder reads token ids")
    return fitter


def _state(encoder: Chain, decoder: Chain) -> list[str]:
    """Return the names of the encoder's states if they fit the decoder's first recurrent layer, else none."""
    first = next((match for step in decoder.steps if (match := _RECURRENT.match(step.code))), None)
    last = _last_recurrent(encoder)
    match = _RECURRENT.match(encoder.steps[last].code) if last is not None else None
    if first is None or match is None or first.groups() != match.groups():
        return []
    return ["state_h", "state_c"] if match.group(1) == "LSTM" else ["state"]


def _last_recurrent(chain: Chain) -> int | None:
    for index in range(len(chain.steps) - 1, -1, -1):
        if _RECURRENT.match(chain.steps[index].code):
            return index
    return None


def encoder_lines(chain: Chain, state: list[str]) -> list[str]:
    """Return the encoder's lines; its output is `encoded`."""
    steps = list(chain.steps)
    last = _last_recurrent(chain)
    lines = render_steps(steps, "source")
    if state and last is not None:
        code = steps[last].code
        called = f"{code[:-1]}, return_state=True)"
        lines = [
            line.replace(f"x = {code}", f"x, {', '.join(state)} = {called}")
            if line.startswith(f"x = {code}(")
            else line
            for line in lines
        ]
    return [*lines, "encoded = x"]


def decoder_lines(chain: Chain, memory_shape: Shape, state: list[str], source: str = "target") -> list[str]:
    """Return the decoder's lines; `encoded` is its memory, the last tensor is `x`."""
    memory = len(memory_shape) == 2
    lines: list[str] = []
    current, started = source, False
    joined = {step.merges for step in chain.steps if step.merges is not None and step.merges >= 0}
    for index, step in enumerate(chain.steps):
        lines += [f"# {step.comment}"] if step.comment else []
        match = _RECURRENT.match(step.code) or re.match(
            r"layers\.Bidirectional\(layers\.(LSTM|GRU)\((?:units=)?(\d+)", step.code
        )
        feed = current
        if isinstance(step, MemoryStep):
            if step.pair and memory_shape[-1] != step.shape[-1]:
                lines.append(f"memory = layers.Dense({step.shape[-1]})(encoded)")
            name = "memory" if step.pair and memory_shape[-1] != step.shape[-1] else "encoded"
            feed = f"[{current}, {name}]" if step.pair else f"{current}, {name}"
        elif step.merges is not None and step.merges >= 0:
            feed = f"[decoded, {current}]"
        elif step.merges is not None:
            feed = f"{current}, {current}" if step.merges == -1 else f"[{current}, {current}]"
        elif match and not started:
            started = True
            bidirectional = step.code.startswith("layers.Bi")
            extra, given = _initial_state(match.group(1), match.group(2), state, memory, bidirectional)
            lines += extra
            feed = f"{current}, initial_state={given}"
        if step.code:
            lines.append(wrapped(f"x = {step.code}({feed})", 0))
            current = "x"
        if index in joined:
            lines.append(f"decoded = {current}")
    return lines


def _initial_state(
    kind: str, units: str, state: list[str], memory: bool, both: bool
) -> tuple[list[str], str]:
    """Return lines that make the first state of the decoder, and the expression that passes it."""
    count = (2 if kind == "LSTM" else 1) * (2 if both else 1)
    if state and not both:
        return [], f"[{', '.join(state)}]" if len(state) > 1 else state[0]
    summary = "layers.GlobalAveragePooling1D()(encoded)" if memory else "encoded"
    line = f'state = layers.Dense({units}, activation="tanh")({summary})'
    return [line], f"[{', '.join(['state'] * count)}]" if count > 1 else "state"
