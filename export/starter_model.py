"""The starter network: a Llama-architecture decoder as a plain torch module.

RMSNorm, rotary positions, SwiGLU, no biases, embeddings shared with the output. The rotary pairs are
neighbours (2i, 2i + 1), the layout that llama.cpp uses for this architecture: `to_gguf` permutes nothing.
Differs from transformers' Llama: that one pairs i with i + head_dim / 2, and its weights need a permutation.
Does not cover a key/value cache: generation here is for checks only.
"""

from dataclasses import dataclass

import torch  # noqa: TID253
import torch.nn.functional as functional  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253


@dataclass(frozen=True)
class ModelSettings:
    """Size of the network."""

    vocab_size: int = 8192
    num_layers: int = 4
    hidden_size: int = 256
    num_heads: int = 4
    intermediate_size: int = 704
    context_length: int = 3072
    rope_theta: float = 1e12
    norm_epsilon: float = 1e-5

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads


def rotary_table(settings: ModelSettings, length: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, each `(length, head_dim / 2)`."""
    exponents = torch.arange(0, settings.head_dim, 2, dtype=torch.float32) / settings.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), settings.rope_theta**-exponents)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs of the last axis of `(batch, heads, length, head_dim)`."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Block(nn.Module):
    """One decoder layer: attention and feed-forward network, each with a norm before and a sum after."""

    def __init__(self, settings: ModelSettings) -> None:
        """Create the weights of a layer."""
        super().__init__()
        width, inner = settings.hidden_size, settings.intermediate_size
        self.heads = settings.num_heads
        self.attn_norm = nn.RMSNorm(width, eps=settings.norm_epsilon)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, width, bias=False)
        self.attn_v = nn.Linear(width, width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width, eps=settings.norm_epsilon)
        self.ffn_gate = nn.Linear(width, inner, bias=False)
        self.ffn_up = nn.Linear(width, inner, bias=False)
        self.ffn_down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the layer's output, `(batch, length, hidden_size)` like `x`."""
        batch, length, width = x.shape
        normed = self.attn_norm(x)
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (
            projection(normed).view(shape).transpose(1, 2)
            for projection in (self.attn_q, self.attn_k, self.attn_v)
        )
        attended = functional.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True
        )
        x = x + self.attn_output(attended.transpose(1, 2).reshape(batch, length, width))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed))


class StarterModel(nn.Module):
    """The decoder; parameter names are those of GGUF where the two agree."""

    def __init__(self, settings: ModelSettings) -> None:
        """Create the weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings = settings
        self.token_embd = nn.Embedding(settings.vocab_size, settings.hidden_size)
        self.blk = nn.ModuleList(Block(settings) for _ in range(settings.num_layers))
        self.output_norm = nn.RMSNorm(settings.hidden_size, eps=settings.norm_epsilon)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_stream = name.endswith(("attn_output.weight", "ffn_down.weight"))
                scale = (2 * settings.num_layers) ** -0.5 if into_stream else 1.0
                nn.init.normal_(parameter, std=0.02 * scale)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return the last hidden states `(batch, length, hidden_size)` of token ids `(batch, length)`."""
        cos, sin = rotary_table(self.settings, input_ids.shape[1])
        x = self.token_embd(input_ids)
        for block in self.blk:
            x = block(x, cos, sin)
        return self.output_norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return scores over the vocabulary; the output weights are the embedding's."""
        return functional.linear(hidden, self.token_embd.weight)


@torch.no_grad()
def greedy(model: StarterModel, input_ids: list[int], max_new_tokens: int, stop_id: int) -> list[int]:
    """Continue a prompt with the likeliest tokens; reads everything again for each, for checks only."""
    written: list[int] = []
    while len(written) < max_new_tokens and len(input_ids) + len(written) < model.settings.context_length:
        hidden = model(torch.tensor([input_ids + written]))
        token_id = int(model.logits(hidden[0, -1]).argmax())
        if token_id == stop_id:
            break
        written.append(token_id)
    return written
