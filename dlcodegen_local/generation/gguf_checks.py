"""What the metadata of a GGUF file must say to be of one piece: vocabulary, special tokens, sizes.

Refuses what llama.cpp takes on trust, or answers by ending the process: an alignment of another type, arrays
of the vocabulary of another type or length, a token that stands twice, a number that is none. Whether the
tensors are those of the architecture is llama.cpp's own question, and it answers it with an error.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from dlcodegen_local.errors import ArtifactError

STRING_KIND = 8
_UINT32, _INT32, _FLOAT32 = 4, 5, 6
_BYTES = (0, 1)
_NO_TOKEN = 0xFFFFFFFF
_SENTENCEPIECE = "llama"
_WRITES_NOTHING = ("bert", "none", "no_vocab")
_TOKENIZER = "tokenizer.ggml."
# Arrays beside the vocabulary: their types, and whether they have an item for each token.
_ARRAYS = {
    "scores": ((_FLOAT32,), True),
    "token_type": ((_INT32, _UINT32), True),
    "merges": ((STRING_KIND,), False),
    "precompiled_charsmap": (_BYTES, False),
}
_SIZES = {"block_count": 512, "embedding_length": 1 << 20, "context_length": 1 << 30}
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_MAX_EXPERTS = 512
_MAX_NAME_CHARS = 64


@dataclass(frozen=True)
class ArrayInfo:
    """Hold the type and the length of an array of the metadata; its items are checked, not kept.

    `start` is the place of the first item in the file.
    """

    kind: int
    length: int
    start: int = 0


Refuse = Callable[[str], ArtifactError]


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number of 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def alignment_of(metadata: Mapping[str, object], kinds: Mapping[str, int], refuse: Refuse) -> int:
    """Return the alignment of the tensors in bytes; `kinds` holds the type of each key."""
    alignment = metadata.get("general.alignment", 32)
    if not is_count(alignment) or not 8 <= alignment <= 65_536 or alignment & (alignment - 1):
        raise refuse(f"alignment {alignment}")
    if kinds.get("general.alignment", _UINT32) != _UINT32:
        raise refuse(f"an alignment of type {kinds['general.alignment']}")
    return alignment


def check_metadata(metadata: Mapping[str, object], refuse: Refuse) -> None:
    """Refuse metadata that cannot be those of one whole model.

    Raises:
        ArtifactError: made by `refuse`.
    """
    split = metadata.get("split.count", 1)
    if isinstance(split, int) and split > 1:
        raise refuse(f"it is one of {split} parts; join them first")
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not 0 < len(architecture) <= _MAX_NAME_CHARS:
        raise refuse("it names no architecture")
    if (kind := metadata.get("general.type", "model")) != "model":
        raise refuse(f"it is of type {str(kind)!r}, not a model")
    template = metadata.get("tokenizer.chat_template", "")
    if not isinstance(template, str):
        raise refuse("its template is no text")
    _check_vocabulary(metadata, refuse)
    _check_sizes(metadata, architecture, refuse)


def check_tokens(tokens: Iterable[bytes], model: object, refuse: Refuse) -> None:
    """Refuse what llama.cpp ends the process over: a token that stands twice, a byte that has no token.

    `model` is the tokenizer's: SentencePiece's must have a token for each byte.
    """
    seen: set[bytes] = set()
    for index, token in enumerate(tokens):
        token = token or b"[EMPTY_%d]" % index  # as llama.cpp names it
        if token in seen:
            raise refuse(f"the token {token[:40].decode('utf-8', 'replace')!r} stands twice")
        seen.add(token)
    if model == _SENTENCEPIECE:
        for byte in range(256):
            if b"<0x%02X>" % byte not in seen and bytes([byte]) not in seen:
                raise refuse(f"its vocabulary has no token for the byte {byte}")


def _check_vocabulary(metadata: Mapping[str, object], refuse: Refuse) -> None:
    tokens = metadata.get(f"{_TOKENIZER}tokens")
    if not isinstance(tokens, ArrayInfo) or tokens.kind != STRING_KIND or not tokens.length:
        raise refuse("it holds no vocabulary")
    if (model := metadata.get(f"{_TOKENIZER}model")) in _WRITES_NOTHING:
        raise refuse(f"its tokenizer {model!r} is none of a model that writes")
    for name, (kinds, is_of_tokens) in _ARRAYS.items():
        array = metadata.get(_TOKENIZER + name)
        if array is None:
            continue
        if not isinstance(array, ArrayInfo) or array.kind not in kinds:
            raise refuse(f"{_TOKENIZER}{name} is of a wrong type")
        if is_of_tokens and array.length != tokens.length:
            raise refuse(f"{_TOKENIZER}{name} does not fit the vocabulary")
    for key, value in metadata.items():
        is_id = key.startswith(_TOKENIZER) and key.endswith("_token_id")
        if is_id and not (is_count(value) and (value < tokens.length or value == _NO_TOKEN)):
            raise refuse(f"{key} is {value}, the vocabulary has {tokens.length} tokens")


def _check_sizes(metadata: Mapping[str, object], architecture: str, refuse: Refuse) -> None:
    for key, maximum in _SIZES.items():
        value = metadata.get(f"{architecture}.{key}")
        if not is_count(value) or not 0 < value <= maximum:
            raise refuse(f"{architecture}.{key} is {value}")
    for key, value in metadata.items():
        is_bad = isinstance(value, float) and not math.isfinite(value)
        if is_bad or (key.endswith("epsilon") and not (isinstance(value, float) and value >= 0)):
            raise refuse(f"{key} is {value}")
    if (scaling := metadata.get(f"{architecture}.rope.scaling.type", "none")) not in _ROPE_SCALINGS:
        raise refuse(f"{architecture}.rope.scaling.type is {scaling!r}")
    experts = metadata.get(f"{architecture}.expert_count", 0)
    used = metadata.get(f"{architecture}.expert_used_count", 0)
    if (
        is_count(experts)
        and is_count(used)
        and (experts > _MAX_EXPERTS or not min(experts, 1) <= used <= experts)
    ):
        raise refuse(f"{used} of {experts} experts")
