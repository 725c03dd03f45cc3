"""A GGUF header taken apart into keys and tensors, changed, and written again with counts that fit.

Bytes that are damaged blindly are refused at the first count; a header that is sound in form and wrong in
what it says goes further in.
"""

import random
import struct
from dataclasses import dataclass

from tests.fuzz.mutations import COUNTS

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_NUMBERS = (*COUNTS, 3, 4, 5, 7, 31, 32, 33, 64, 256, 259, 260, 261, 512, 513, 1024, 1025)
_KEYS = (
    "general.alignment", "general.type", "general.architecture", "split.count", "tokenizer.ggml.scores",
    "tokenizer.ggml.merges", "tokenizer.ggml.token_type", "tokenizer.ggml.model", "tokenizer.ggml.pre",
    "tokenizer.ggml.precompiled_charsmap", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.suppress_tokens",
    "tokenizer.ggml.eot_token_id", "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.added_tokens", "tokenizer.ggml.eog_token_ids", "tokenizer.chat_template",
    "llama.expert_count", "llama.expert_used_count", "llama.vocab_size", "llama.attention.key_length",
    "llama.attention.value_length", "llama.attention.sliding_window", "llama.rope.scaling.type",
    "llama.rope.freq_base", "llama.rope.scaling.factor", "llama.pooling_type", "llama.attention.causal",
    "llama.attention.clamp_kqv", "llama.attention.layer_norm_epsilon", "llama.leading_dense_block_count",
)  # fmt: skip
_WORDS = (
    "",
    "llama",
    "gpt2",
    "spm",
    "bert",
    "t5",
    "rwkv",
    "no_vocab",
    "gemma",
    "qwen2",
    "phi3",
    "adapter",
    "\n" * 9,
)


@dataclass
class Key:
    """Hold a key with its type and the bytes of its value."""

    name: bytes
    kind: int
    value: bytes


@dataclass
class Tensor:
    """Hold what a header says of a tensor."""

    name: bytes
    shape: list[int]
    kind: int
    offset: int


@dataclass
class Header:
    """Hold a header in parts, and the bytes of the weights."""

    keys: list[Key]
    tensors: list[Tensor]
    weights: bytes

    def to_bytes(self, alignment: int = 32) -> bytes:
        """Write the file."""
        parts = [struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), len(self.keys))]
        parts += [_text(key.name) + struct.pack("<I", key.kind) + key.value for key in self.keys]
        for tensor in self.tensors:
            sizes = struct.pack(
                f"<I{len(tensor.shape)}Q", len(tensor.shape), *(n % 2**64 for n in tensor.shape)
            )
            place = struct.pack("<IQ", tensor.kind % 2**32, tensor.offset % 2**64)
            parts.append(_text(tensor.name) + sizes + place)
        head = b"".join(parts)
        return head.ljust(-(-len(head) // alignment) * alignment, b"\0") + self.weights


def as_sentencepiece(header: Header) -> None:
    """Give a model of 260 tokens another vocabulary: SentencePiece's, with scores and tokens for bytes."""
    tokens = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256)), "▁x".encode()]
    kinds = [2, 3, 3, *[6] * 256, 1]
    texts = struct.pack("<IQ", _STRING, len(tokens)) + b"".join(_text(token) for token in tokens)
    values = {
        "model": (_STRING, _text(b"llama")),
        "tokens": (_ARRAY, texts),
        "token_type": (_ARRAY, struct.pack(f"<IQ{len(kinds)}i", 5, len(kinds), *kinds)),
        "scores": (_ARRAY, struct.pack(f"<IQ{len(kinds)}f", 6, len(kinds), *[-1.0] * len(kinds))),
        "bos_token_id": (4, struct.pack("<I", 1)),
        "eos_token_id": (4, struct.pack("<I", 2)),
    }
    header.keys = [key for key in header.keys if not key.name.startswith(b"tokenizer.ggml.")]
    header.keys += [Key(b"tokenizer.ggml." + name.encode(), *value) for name, value in values.items()]


def take_apart(content: bytes, weights_at: int) -> Header:
    """Read the header of a sound file."""
    _, _, n_tensors, n_keys = struct.unpack_from("<4sIQQ", content)
    at = 24
    keys, tensors = [], []
    for _ in range(n_keys):
        name, at = _string(content, at)
        (kind,) = struct.unpack_from("<I", content, at)
        end = _end_of_value(content, at + 4, kind)
        keys.append(Key(name, kind, content[at + 4 : end]))
        at = end
    for _ in range(n_tensors):
        name, at = _string(content, at)
        (dimensions,) = struct.unpack_from("<I", content, at)
        *shape, kind, offset = struct.unpack_from(f"<{dimensions}QIQ", content, at + 4)
        tensors.append(Tensor(name, shape, kind, offset))
        at += 4 + 8 * dimensions + 12
    return Header(keys, tensors, content[weights_at:])


def change(header: Header, rng: random.Random) -> None:
    """Change one thing that a header says."""
    kind = rng.randrange(10)
    key = rng.choice(header.keys)
    if kind <= 2:
        key.kind, key.value = _any_value(rng)
    elif kind <= 4 and key.kind in _SCALARS:
        key.value = _number(key.kind, rng)
    elif kind == 5:
        header.keys.append(Key(rng.choice(_KEYS).encode(), *_any_value(rng)))
    elif kind == 6:
        header.keys.remove(key)
    elif kind == 7 and key.kind == _ARRAY:
        key.value = _changed_array(key.value, rng)
    else:
        _change_tensor(header, rng)


def _change_tensor(header: Header, rng: random.Random) -> None:
    tensor, other = rng.choice(header.tensors), rng.choice(header.tensors)
    kind = rng.randrange(6)
    if kind == 0:
        tensor.shape[rng.randrange(len(tensor.shape))] = rng.choice(_NUMBERS)
    elif kind == 1:
        tensor.kind = rng.choice((*range(42), 255))
    elif kind == 2:
        tensor.offset = rng.choice((*COUNTS, other.offset, tensor.offset + 32))
    elif kind == 3:
        tensor.shape = tensor.shape[::-1] if rng.random() < 0.5 else [*tensor.shape, 1]
    elif kind == 4:
        header.tensors.remove(tensor)
    else:
        tensor.name = rng.choice((other.name, b"", b"x" * 200, tensor.name.replace(b"0", b"7")))


def _any_value(rng: random.Random) -> tuple[int, bytes]:
    kind = rng.choice((*_SCALARS, _STRING, _STRING, _ARRAY, _ARRAY))
    if kind == _STRING:
        return kind, _text(rng.choice(_WORDS).encode())
    if kind != _ARRAY:
        return kind, _number(kind, rng)
    inner, length = rng.choice((*_SCALARS, _STRING)), rng.choice((0, 1, 2, 3, 260, 261, 512, 513))
    items = (_text(b"w%d" % i) if inner == _STRING else _number(inner, rng) for i in range(length))
    return kind, struct.pack("<IQ", inner, length) + b"".join(items)


def _changed_array(value: bytes, rng: random.Random) -> bytes:
    inner, length = struct.unpack_from("<IQ", value)
    if rng.random() < 0.5 or inner == _STRING:
        return struct.pack("<IQ", rng.choice((*_SCALARS, _STRING, inner)), length) + value[12:]
    items = bytearray(value[12:])
    place = rng.randrange(max(length, 1)) * (len(items) // max(length, 1))
    number = _number(inner, rng)
    items[place : place + len(number)] = number
    return value[:12] + bytes(items)


def _number(kind: int, rng: random.Random) -> bytes:
    letter = _SCALARS[kind]
    if letter in "fd":
        return struct.pack("<" + letter, rng.choice((0.0, -1.0, 1e-9, 1e30, float("nan"), float("inf"))))
    size = struct.calcsize("<" + letter)
    return (rng.choice(_NUMBERS) % 256**size).to_bytes(size, "little")


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _string(content: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from("<Q", content, at)
    return content[at + 8 : at + 8 + size], at + 8 + size


def _end_of_value(content: bytes, at: int, kind: int) -> int:
    if kind == _STRING:
        return _string(content, at)[1]
    if kind != _ARRAY:
        return at + struct.calcsize("<" + _SCALARS[kind])
    inner, length = struct.unpack_from("<IQ", content, at)
    at += 12
    for _ in range(length):
        at = _end_of_value(content, at, inner)
    return at
