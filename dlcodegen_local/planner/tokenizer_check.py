"""What `tokenizer.json` may hold, checked before the native tokenizer parses it.

Guarantees the form that our export writes: byte-level BPE, a vocabulary numbered without holes, merges of
known tokens, and no regular expression but our own, since another could take for ever on a requirement.
"""

import json
from typing import Any

from dlcodegen_local.errors import ArtifactError

MAX_TOKENIZER_BYTES = 16_000_000
MAX_TOKENS = 300_000
_MAX_TOKEN_CHARS = 1000
_HINT = "install the planner again, or export it again: see export/README.md"

# Calls, keyword arguments and numbers with their brackets are one piece each, so that
# "Conv2D(32, (3, 3), activation='relu')" can become five tokens.
PIECES = "|".join(
    (
        r" ?[A-Za-z_][A-Za-z0-9_.]*\(+",
        r",? ?[a-z_]+=['\"]?[A-Za-z_0-9.]*['\"]?\)*",
        r",? ?\(*\d+(?:\.\d+)?\)*",
        r" ?[\p{L}_]+",
        r" ?[^\s\p{L}\p{N}_]+",
        r"\s+",
    )
)
_SPLIT = {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": False}
_KEYS = frozenset(
    {
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
        "decoder", "model",
    }
)  # fmt: skip
_BYTE_LEVEL_KEYS = frozenset({"type", "add_prefix_space", "trim_offsets", "use_regex"})
_MODEL_KEYS = frozenset(
    {
        "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
        "byte_fallback", "ignore_merges", "vocab", "merges",
    }
)  # fmt: skip


def check_tokenizer(content: bytes) -> None:
    """Refuse a tokenizer that is not of our export's form.

    Raises:
        ArtifactError: says what is wrong with it.
    """
    if len(content) > MAX_TOKENIZER_BYTES:
        raise _refused(f"larger than {MAX_TOKENIZER_BYTES} bytes")
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise _refused("not JSON") from exc
    if not isinstance(table, dict) or table.keys() - _KEYS:
        raise _refused("not a tokenizer of this version")
    for key in ("truncation", "padding", "normalizer"):
        if table.get(key) is not None:
            raise _refused(f"its {key} is not of this version")
    steps = table.get("pre_tokenizer")
    if isinstance(steps, dict) and steps.keys() == {"type", "pretokenizers"} and steps["type"] == "Sequence":
        steps = steps["pretokenizers"]
        if not isinstance(steps, list) or len(steps) != 2 or steps[0] != _SPLIT:
            raise _refused("its pre_tokenizer is not of this version")
        steps = steps[1]
    for key, step in (("pre_tokenizer", steps), ("decoder", table.get("decoder"))):
        if not _is_byte_level(step):
            raise _refused(f"its {key} is not of this version")
    if table.get("post_processor") is not None and not _is_byte_level(table["post_processor"]):
        raise _refused("its post_processor is not of this version")
    _check_vocabulary(table.get("model"), table.get("added_tokens"))


def _is_byte_level(step: object) -> bool:
    return (
        isinstance(step, dict)
        and step.get("type") == "ByteLevel"
        and not step.keys() - _BYTE_LEVEL_KEYS
        and all(isinstance(value, bool) for key, value in step.items() if key != "type")
    )


def _check_vocabulary(model: object, added: object) -> None:
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or model.keys() - _MODEL_KEYS:
        raise _refused("its model is not byte-level BPE")
    flags = [value for key, value in model.items() if key not in ("type", "vocab", "merges")]
    if any(flags):
        raise _refused("its model has settings that our export never writes")
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not 0 < len(vocabulary) <= MAX_TOKENS:
        raise _refused("it has no vocabulary")
    tokens = [_token(entry) for entry in (added if isinstance(added, list) else [])]
    ids = [*vocabulary.values(), *(number for text, number in tokens if vocabulary.get(text) != number)]
    if any(type(number) is not int for number in ids) or sorted(ids) != list(range(len(ids))):
        raise _refused("its tokens are not numbered one by one")
    if any(len(text) > _MAX_TOKEN_CHARS for text in vocabulary):
        raise _refused("a token is too long")
    if not isinstance(merges, list) or len(merges) > MAX_TOKENS:
        raise _refused("it has no merges")
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise _refused("a merge is no pair of tokens")
        if not {*pair, "".join(pair)} <= vocabulary.keys():
            raise _refused("a merge is of unknown tokens")


def _token(entry: Any) -> tuple[str, int]:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("content"), str)
        or type(entry.get("id")) is not int
    ):
        raise _refused("an added token is none")
    if not 0 < len(entry["content"]) <= _MAX_TOKEN_CHARS:
        raise _refused("an added token is empty or too long")
    return entry["content"], entry["id"]


def _refused(reason: str) -> ArtifactError:
    return ArtifactError(f"tokenizer.json: {reason}", hint=_HINT)
