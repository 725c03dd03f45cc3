"""Headers that are sound in form: what llama.cpp would take on trust, or end the process over."""

import math
import struct

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation.gguf_checks import ArrayInfo, check_metadata, check_tokens
from dlcodegen_local.generation.gguf_header import read_header

TOKENS = 260
SOUND = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 32,
    "llama.context_length": 1024,
    "tokenizer.ggml.tokens": ArrayInfo(8, TOKENS),
}


def check(**changes):
    metadata = {**SOUND, **{key.replace("__", "."): value for key, value in changes.items()}}
    check_metadata(metadata, ArtifactError)


def test_sound_metadata_pass():
    check()
    check(tokenizer__ggml__scores=ArrayInfo(6, TOKENS), tokenizer__ggml__token_type=ArrayInfo(5, TOKENS))
    check(tokenizer__ggml__eos_token_id=TOKENS - 1, tokenizer__ggml__padding_token_id=0xFFFFFFFF)
    check(llama__rope__scaling__type="yarn", llama__expert_count=8, llama__expert_used_count=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer__ggml__tokens": ArrayInfo(5, TOKENS)}, "no vocabulary"),
        ({"tokenizer__ggml__scores": ArrayInfo(0, TOKENS)}, "scores is of a wrong type"),
        ({"tokenizer__ggml__scores": ArrayInfo(6, TOKENS - 1)}, "does not fit"),
        ({"tokenizer__ggml__scores": 1.0}, "wrong type"),
        ({"tokenizer__ggml__token_type": ArrayInfo(8, TOKENS)}, "wrong type"),
        ({"tokenizer__ggml__merges": ArrayInfo(5, 3)}, "merges is of a wrong type"),
        ({"tokenizer__ggml__precompiled_charsmap": ArrayInfo(8, 1)}, "wrong type"),
        ({"tokenizer__ggml__bos_token_id": TOKENS}, "bos_token_id is 260"),
        ({"tokenizer__ggml__bos_token_id": -1}, "bos_token_id is -1"),
        ({"tokenizer__ggml__bos_token_id": True}, "bos_token_id is True"),
        ({"tokenizer__ggml__bos_token_id": "0"}, "bos_token_id is 0"),
        ({"tokenizer__chat_template": 7}, "template"),
        ({"tokenizer__ggml__model": "bert"}, "none of a model that writes"),
        ({"general__type": "adapter"}, "'adapter'"),
        ({"general__architecture": "x" * 65}, "no architecture"),
        ({"llama__block_count": 513}, "block_count"),
        ({"llama__expert_count": 2, "llama__expert_used_count": 3}, "3 of 2 experts"),
        ({"llama__expert_count": 2}, "0 of 2 experts"),
        ({"llama__attention__layer_norm_rms_epsilon": -1.0}, "epsilon"),
        ({"llama__rope__freq_base": math.nan}, "freq_base is nan"),
        ({"llama__rope__scaling__type": "gpt2"}, "scaling"),
        ({"split__count": 3}, "one of 3 parts"),
    ],
)
def test_metadata_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ArtifactError, match=message):
        check(**changes)


def test_a_token_that_stands_twice_is_refused(tiny_gguf, tmp_path):
    path = tmp_path / "twice.gguf"
    path.write_bytes(tiny_gguf.read_bytes().replace(b"\x01\0\0\0\0\0\0\0a", b"\x01\0\0\0\0\0\0\0b", 1))
    with pytest.raises(ArtifactError, match="'b' stands twice"):
        read_header(path)


def test_a_sentencepiece_vocabulary_has_a_token_for_each_byte():
    tokens = [b"<0x%02X>" % byte for byte in range(1, 256)]
    check_tokens([*tokens, b"\0"], "llama", ArtifactError)
    check_tokens(tokens, "gpt2", ArtifactError)
    with pytest.raises(ArtifactError, match="no token for the byte 0"):
        check_tokens(tokens, "llama", ArtifactError)


@pytest.mark.parametrize("kind", [9, 15, 24, 25, 26, 27, 28])
def test_weights_of_whole_numbers_are_refused(kind, tiny_gguf, tmp_path):
    content = bytearray(tiny_gguf.read_bytes())
    at = content.rindex(b"output.weight") + len(b"output.weight") + 20
    struct.pack_into("<I", content, at, kind)
    path = tmp_path / "whole.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="none of weights"):
        read_header(path)
