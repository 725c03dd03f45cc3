"""Start the starter as a model that can copy, by writing induction heads into its first two layers.

Most of what the pipeline asks of a small model is copying: the sample's line, unless the plan says
otherwise. That circuit takes many tokens to appear by itself. Here it is there before the first step, and
training refines it. In layer 0 two heads look exactly one and two tokens back, two more take a blurred look
at the tokens around four and around five back, and each writes what it saw beside the token. In layer 1
two heads look for the place before which stood what stands here and before, and write the token that
followed there. Everything else starts at random.
Paper: the circuit is that of "In-context Learning and Induction Heads" (2022).

Layout of the residual stream: five codes (the token, one back, two back, around four, around five), free
space, and a constant.
"""

import math

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from export.starter_model import Block, ModelSettings, StarterModel

# How strongly each of the fastest rotary pairs votes for a distance. The exact look needs the fastest pairs;
# without them the look is blurred.
_EXACT = (26.0, 22.0, 12.0, 6.0, 3.0, 2.0, 1.0)
_BLURRED = (0.0, 6.0, 6.0, 4.0, 2.0, 1.0)
_LOOKS = ((1.0, _EXACT), (2.0, _EXACT), (4.0, _BLURRED), (5.0, _BLURRED))
# Slot of the query, slot of the key, strength: what stands here must have stood one back there.
_MATCHES = ((0, 1, 1.9), (1, 2, 1.9), (3, 4, 3.0))
_FAST_PAIRS = 9
_CONSTANT = 0.5
_COPY_GAIN = 1.5
# Size of the residual stream. Steps of training have an absolute size: in a small stream they drown what
# the heads write into it. The output norm takes it back, so that scores keep their size.
_STREAM = 6.0


@torch.no_grad()
def start_copying(model: StarterModel) -> None:
    """Overwrite the embedding and six heads; draws from torch's global generator.

    Raises:
        ValueError: the heads are too narrow or too few, or there is only one layer.
    """
    settings = model.settings
    size = _code_size(settings)
    slots = len(_LOOKS) + 1
    if settings.num_layers < 2 or settings.num_heads < 4 or settings.hidden_size < slots * size + 1:
        raise ValueError("a copying start needs two layers, four heads and room for five codes")
    embedding = model.token_embd.weight
    embedding.mul_(0.5)
    embedding[:, :size] = torch.randn(settings.vocab_size, size) / math.sqrt(size)
    embedding[:, size : slots * size] = 0.0
    embedding[:, -1] = _CONSTANT
    embedding.mul_(_STREAM)
    model.output_norm.weight.fill_(1 / _STREAM)
    first, second = model.blk[0], model.blk[1]
    assert isinstance(first, Block) and isinstance(second, Block)
    for head, (distance, votes) in enumerate(_LOOKS):
        _look_back(first, settings, head, distance, votes)
    for head in (0, 1):
        _look_for_repeat(second, settings, head)


def _code_size(settings: ModelSettings) -> int:
    return settings.head_dim * 3 // 4


def _scale(settings: ModelSettings, codes: int) -> float:
    """Return the root mean square of the stream, at size 1, when so many codes are written."""
    return math.sqrt((codes + _CONSTANT**2) / settings.hidden_size)


def _clear(block: Block, rows: slice) -> None:
    for projection in (block.attn_q, block.attn_k, block.attn_v):
        projection.weight[rows] = 0.0
    block.attn_output.weight[:, rows] = 0.0


def _look_back(
    block: Block, settings: ModelSettings, head: int, distance: float, votes: tuple[float, ...]
) -> None:
    """Make a head attend `distance` tokens back and write the code seen there into slot `head` + 1."""
    width, size = settings.head_dim, _code_size(settings)
    start = head * width
    _clear(block, slice(start, start + width))
    scale = _scale(settings, 1)
    exponents = torch.arange(0, width, 2, dtype=torch.float32) / width
    frequencies: Tensor = settings.rope_theta**-exponents
    for pair, vote in enumerate(votes):
        strength = math.sqrt(vote * math.sqrt(width)) * scale / _CONSTANT
        angle = distance * float(frequencies[pair])
        block.attn_q.weight[start + 2 * pair, -1] = strength
        block.attn_k.weight[start + 2 * pair, -1] = strength * math.cos(angle)
        block.attn_k.weight[start + 2 * pair + 1, -1] = strength * math.sin(angle)
    for i in range(size):
        block.attn_v.weight[start + i, i] = 1.0
        block.attn_output.weight[(head + 1) * size + i, start + i] = scale * _STREAM


def _look_for_repeat(block: Block, settings: ModelSettings, head: int) -> None:
    """Make a head attend to what followed the same tokens before, and write it as the answer.

    Only the slow rotary pairs are used: they hardly turn within the context.
    """
    width, size = settings.head_dim, _code_size(settings)
    start = head * width
    _clear(block, slice(start, start + width))
    slow = slice(start + 2 * _FAST_PAIRS, start + width)
    count = width - 2 * _FAST_PAIRS
    for query_slot, key_slot, gain in _MATCHES:
        directions = torch.linalg.qr(torch.randn(size, size))[0][:count] * gain
        rows = slice(slow.start, slow.start + len(directions))
        block.attn_q.weight[rows, query_slot * size : (query_slot + 1) * size] = directions
        block.attn_k.weight[rows, key_slot * size : (key_slot + 1) * size] = directions
    scale = _scale(settings, len(_LOOKS) + 1)
    for i in range(size):
        block.attn_v.weight[start + i, i] = 1.0
        block.attn_output.weight[i, start + i] = _COPY_GAIN * scale * _STREAM
