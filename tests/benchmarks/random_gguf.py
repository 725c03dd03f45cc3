"""A code model of 1.3 billion random weights in Q4_K_M, for speed alone: what it writes means nothing.

`python -m tests.benchmarks.random_gguf FILE` takes the vocabulary from the bundled starter, filled up with
unused tokens, and repeats one random block, so that a file of 0.8 GB is made in a minute or two.
"""

import argparse
import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STARTER = Path(__file__).parents[2] / "models" / "starter" / "starter.gguf"
_Q4_K_M = 15


@dataclass(frozen=True)
class Shape:
    """Say how large the model is; the default is that of DeepSeek-Coder 1.3B."""

    blocks: int = 24
    width: int = 2048
    feed_forward: int = 5504
    heads: int = 16
    vocabulary: int = 32_256
    context: int = 16_384


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.random_gguf", description=__doc__)
    parser.add_argument("file", type=Path)
    print(random_gguf(parser.parse_args(argv).file))


def random_gguf(path: Path, shape: Shape | None = None, kind: int = _Q4_K_M) -> Path:
    """Write the model where it is not there yet; a file is complete or absent."""
    import llama_cpp

    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".f16.part")
    whole = path.with_suffix(".part")
    _write_f16(half, shape or Shape())
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = kind, os.cpu_count() or 1
    llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))
    failed = llama_cpp.llama_model_quantize(str(half).encode(), str(whole).encode(), ctypes.byref(params))
    half.unlink()
    if failed:
        raise OSError(f"llama.cpp could not quantise {half}")
    os.replace(whole, path)
    return path


def _write_f16(path: Path, shape: Shape) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random, {shape.blocks} blocks of {shape.width}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.blocks)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    _copy_vocabulary(writer, shape.vocabulary)
    rng = np.random.default_rng(0)

    def weights(*size: int) -> Any:
        return (rng.standard_normal(size, np.float32) * np.float32(0.02)).astype(np.float16)

    width, inner = shape.width, shape.feed_forward
    block = {name: weights(width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    block |= {"ffn_gate": weights(inner, width), "ffn_up": weights(inner, width)}
    block |= {"ffn_down": weights(width, inner)}
    ones = np.ones(width, np.float32)
    writer.add_tensor("token_embd.weight", weights(shape.vocabulary, width))
    for index in range(shape.blocks):
        for name, values in block.items():
            writer.add_tensor(f"blk.{index}.{name}.weight", values)
        writer.add_tensor(f"blk.{index}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{index}.ffn_norm.weight", ones)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", weights(shape.vocabulary, width))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_vocabulary(writer: Any, size: int) -> None:
    import gguf

    fields = gguf.GGUFReader(STARTER).fields
    tokens = list(fields["tokenizer.ggml.tokens"].contents())
    kinds = list(fields["tokenizer.ggml.token_type"].contents())
    unused = max(size - len(tokens), 0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *(f"<unused{index}>" for index in range(unused))])
    writer.add_token_types([*kinds, *[int(gguf.TokenType.UNUSED)] * unused])
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(int(fields["tokenizer.ggml.bos_token_id"].contents()))
    writer.add_eos_token_id(int(fields["tokenizer.ggml.eos_token_id"].contents()))
    writer.add_add_bos_token(False)


def _say_nothing(*_: Any) -> None:
    """Drop a line of llama.cpp's log."""


def _callback() -> Any:
    import llama_cpp

    return llama_cpp.llama_log_callback(_say_nothing)


_quiet = _callback()


if __name__ == "__main__":
    main()
