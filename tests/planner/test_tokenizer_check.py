"""Tokenizers that our export never writes."""

import json

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.planner.tokenizer_check import MAX_TOKENIZER_BYTES, check_tokenizer
from tests.planner.test_planner import TINY

BUNDLED = TINY.parents[3] / "models" / "planner" / "tokenizer.json"
SOUND = json.loads((TINY / "tokenizer.json").read_text())
ENDLESS = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
WORDS = SOUND["model"]["vocab"]


def changed(**changes):
    return json.dumps({**SOUND, **changes}).encode()


def with_model(**changes):
    return changed(model={**SOUND["model"], **changes})


def test_our_own_tokenizers_pass():
    check_tokenizer((TINY / "tokenizer.json").read_bytes())
    check_tokenizer(BUNDLED.read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a tokenizer"),
        (changed(more=1), "not a tokenizer"),
        (changed(normalizer={"type": "Replace", "pattern": {"Regex": "x*"}, "content": "y"}), "normalizer"),
        (changed(truncation={"max_length": 2**63}), "truncation"),
        (changed(pre_tokenizer=ENDLESS), "pre_tokenizer"),
        (
            changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [ENDLESS, SOUND["pre_tokenizer"]]}),
            "pre_tokenizer",
        ),
        (changed(decoder={"type": "WordPiece"}), "decoder"),
        (changed(post_processor={"type": "TemplateProcessing"}), "post_processor"),
        (with_model(type="Unigram"), "byte-level BPE"),
        (with_model(dropout=0.5), "settings"),
        (with_model(vocab={}), "no vocabulary"),
        (with_model(vocab={**WORDS, "more": 2**40}), "one by one"),
        (with_model(vocab={**WORDS, "more": -1}), "one by one"),
        (with_model(vocab={**WORDS, "more": 1.5}), "one by one"),
        (with_model(vocab={**WORDS, "more": 0}), "one by one"),
        (with_model(merges=[["a"]]), "no pair"),
        (with_model(merges=[["a", "no-such-token"]]), "unknown tokens"),
        (changed(added_tokens=[{"id": 256}]), "added token"),
        (changed(added_tokens=[{"id": 10**9, "content": "x"}]), "one by one"),
    ],
)
def test_what_our_export_never_writes_is_refused(content, message):
    with pytest.raises(ArtifactError, match=message):
        check_tokenizer(content)


def test_a_large_one_is_refused_before_it_is_parsed():
    with pytest.raises(ArtifactError, match="larger"):
        check_tokenizer(b" " * (MAX_TOKENIZER_BYTES + 1))
