"""A code model of few words: half a million random weights, and a liking for the end of its answer.

What it writes means nothing and depends on all that it has read: a stage takes a tenth of a second, and a
cache that is out of step would show.
"""

from pathlib import Path

import gguf
import numpy as np

from tests.benchmarks.random_gguf import STARTER

_WIDTH, _HEADS, _FEED_FORWARD, _CONTEXT = 32, 4, 32, 1024
_SPREAD, _LIKING = 0.3, 0.25


def write_brief_gguf(path: Path) -> Path:
    """Write the model with the vocabulary of the bundled starter; the same bytes every time."""
    rng = np.random.default_rng(0)
    fields = gguf.GGUFReader(STARTER).fields
    tokens = list(fields["tokenizer.ggml.tokens"].contents())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("brief")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(list(fields["tokenizer.ggml.token_type"].contents()))
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(int(fields["tokenizer.ggml.bos_token_id"].contents()))
    end = int(fields["tokenizer.ggml.eos_token_id"].contents())
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(scale=_SPREAD, size=shape).astype(np.float32)

    embeddings, output = weights(len(tokens), _WIDTH), weights(len(tokens), _WIDTH)
    embeddings[:, 0] = 20.0  # every state has this in common
    output[:, 0] = 0.0
    output[end, 0] = _LIKING
    writer.add_tensor("token_embd.weight", embeddings)
    for name in ("attn_q", "attn_k", "attn_v"):
        writer.add_tensor(f"blk.0.{name}.weight", weights(_WIDTH, _WIDTH))
    for name, size in (("attn_output", _WIDTH), ("ffn_down", _FEED_FORWARD)):
        matrix = weights(_WIDTH, size)
        matrix[0] = 0.0  # what all states have in common stays
        writer.add_tensor(f"blk.0.{name}.weight", matrix)
    writer.add_tensor("blk.0.ffn_gate.weight", weights(_FEED_FORWARD, _WIDTH))
    writer.add_tensor("blk.0.ffn_up.weight", weights(_FEED_FORWARD, _WIDTH))
    for name in ("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"):
        writer.add_tensor(name, np.ones(_WIDTH, np.float32))
    writer.add_tensor("output.weight", output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
