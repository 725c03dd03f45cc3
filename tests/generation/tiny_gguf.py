"""A Llama of a few thousand random weights with a byte vocabulary, as a GGUF file."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

EMBEDDING, HEADS, FEED_FORWARD, LAYERS, CONTEXT = 32, 4, 64, 2, 1024
SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def byte_letters() -> list[str]:
    """Return the printable letter that GPT-2's vocabulary has for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = [byte for byte in range(256) if byte not in letters]
    letters.update({byte: chr(256 + index) for index, byte in enumerate(others)})
    return [letters[byte] for byte in range(256)]


def write_tiny_gguf(
    path: Path,
    *,
    template: str = "",
    seed: int = 0,
    q8_0: bool = False,
    user_defined: Sequence[str] = (),
) -> Path:
    """Write the model; the same seed gives the same bytes. `q8_0` stores its matrices in blocks.

    Tokens that are `user_defined` are found in any text, whether special ones are looked for or not.
    """
    rng = np.random.default_rng(seed)
    added = [token for token in user_defined if token not in SPECIAL]
    tokens = [*byte_letters(), "in", *added, *SPECIAL]
    kinds = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.USER_DEFINED] * len(added)
    kinds += [gguf.TokenType.USER_DEFINED if user_defined else gguf.TokenType.CONTROL] * len(SPECIAL)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["i n"])
    writer.add_bos_token_id(len(tokens) - 1)
    writer.add_eos_token_id(len(tokens) - 1)
    if template:
        writer.add_chat_template(template)

    def add(name: str, *shape: int) -> None:
        weights = rng.normal(scale=0.3, size=shape).astype(np.float32)
        if "norm" in name:
            writer.add_tensor(name, np.ones(shape, np.float32))
        elif q8_0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, weights)

    add("token_embd.weight", len(tokens), EMBEDDING)
    for block in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{block}.{name}.weight", EMBEDDING, EMBEDDING)
        add(f"blk.{block}.ffn_gate.weight", FEED_FORWARD, EMBEDDING)
        add(f"blk.{block}.ffn_up.weight", FEED_FORWARD, EMBEDDING)
        add(f"blk.{block}.ffn_down.weight", EMBEDDING, FEED_FORWARD)
        add(f"blk.{block}.attn_norm.weight", EMBEDDING)
        add(f"blk.{block}.ffn_norm.weight", EMBEDDING)
    add("output_norm.weight", EMBEDDING)
    add("output.weight", len(tokens), EMBEDDING)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
