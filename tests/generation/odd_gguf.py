"""GGUF files whose header is odd: with a template, with markers for filling in, without an end token."""

from pathlib import Path

import gguf
import numpy as np

TOKENS = ("a", "<pre>", "<suf>", "<mid>", "</end>")


def write_odd_gguf(path: Path, *, template: str = "", fills_in: bool = False, has_end: bool = True) -> Path:
    """Write a model of one weight; its header is sound, and no more than its header is ever read."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("odd")
    writer.add_context_length(1024)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(list(TOKENS))
    if has_end:
        writer.add_eos_token_id(TOKENS.index("</end>"))
    if fills_in:
        for role in ("pre", "suf", "mid"):
            writer.add_uint32(f"tokenizer.ggml.fim_{role}_token_id", TOKENS.index(f"<{role}>"))
    if template:
        writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", np.ones(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def without_end_token(tiny: Path, path: Path) -> Path:
    """Write the tiny model again, its end token renamed so that nothing knows it for one."""
    content = tiny.read_bytes()
    for name in (b"<|endoftext|>", b"<|im_end|>", b".eos_token_id", b".bos_token_id"):
        content = content.replace(name, name.replace(b"e", b"x", 1).replace(b"bo", b"xo"))
    path.write_bytes(content)
    return path
