"""Code models of random weights in Q4_K_M, for speed alone: what they write means nothing.

`python -m tests.benchmarks.random_gguf FILE --shape 1.3b` (or `7b`) takes the vocabulary from the bundled
starter, filled up with unused tokens, and repeats one random block, so that a file is made in a minute.
Nothing but the file itself is written: 0.8 GB, or 4 GB.
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
_BLOCK = 256


@dataclass(frozen=True)
class Shape:
    """Say how large the model is; the default is that of DeepSeek-Coder 1.3B."""

    blocks: int = 24
    width: int = 2048
    feed_forward: int = 5504
    heads: int = 16
    vocabulary: int = 32_256
    context: int = 16_384


SHAPES = {"1.3b": Shape(), "7b": Shape(32, 4096, 11_008, 32)}


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.random_gguf", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="1.3b")
    options = parser.parse_args(argv)
    print(random_gguf(options.file, SHAPES[options.shape]))


def random_gguf(path: Path, shape: Shape | None = None) -> Path:
    """Write the model where it is not there yet; a file is complete or absent."""
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    _write(part, shape or Shape())
    os.replace(part, path)
    return path


def _write(path: Path, shape: Shape) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random, {shape.blocks} blocks of {shape.width}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.blocks)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    _copy_vocabulary(writer, shape.vocabulary)
    _add_weights(writer, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_weights(writer: Any, shape: Shape) -> None:
    """Add the matrices in the types that llama.cpp's Q4_K_M gives them: half of two kinds get more bits."""
    rng = np.random.default_rng(0)
    width, inner, blocks = shape.width, shape.feed_forward, shape.blocks

    def weights(*size: int) -> Any:
        return rng.standard_normal(size, np.float32) * np.float32(0.02)

    sizes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (width, width))
    sizes |= {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
    matrices = {name: weights(*size) for name, size in sizes.items()}
    few = {name: _quantized(matrix, fine=False) for name, matrix in matrices.items()}
    fine = few | {name: _quantized(matrices[name], fine=True) for name in ("attn_v", "ffn_down")}
    ones = np.ones(width, np.float32)
    _add(writer, "token_embd.weight", _quantized(weights(shape.vocabulary, width), fine=False))
    for index in range(blocks):
        has_more = index < blocks // 8 or index >= 7 * blocks // 8 or (index - blocks // 8) % 3 == 2
        for name, matrix in (fine if has_more else few).items():
            _add(writer, f"blk.{index}.{name}.weight", matrix)
        writer.add_tensor(f"blk.{index}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{index}.ffn_norm.weight", ones)
    writer.add_tensor("output_norm.weight", ones)
    _add(writer, "output.weight", _quantized(weights(shape.vocabulary, width), fine=True))


def _add(writer: Any, name: str, matrix: tuple[Any, Any]) -> None:
    kind, rows = matrix
    writer.add_tensor(name, rows, raw_dtype=kind)


def _quantized(matrix: Any, *, fine: bool) -> tuple[Any, Any]:
    """Return type and bytes of a matrix; rows that are no multiple of 256 get blocks of 32."""
    import gguf
    from llama_cpp import _ggml

    kinds = gguf.GGMLQuantizationType
    is_even = matrix.shape[1] % _BLOCK == 0
    kind = (kinds.Q6_K if fine else kinds.Q4_K) if is_even else (kinds.Q8_0 if fine else kinds.Q5_0)
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    rows = np.empty((matrix.shape[0], matrix.shape[1] // weights * size), np.uint8)
    quantize = _ggml.libggml.ggml_quantize_chunk
    quantize.argtypes = (ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p)
    quantize(int(kind), matrix.ctypes.data, rows.ctypes.data, 0, *matrix.shape, None)
    return kind, rows


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


if __name__ == "__main__":
    main()
