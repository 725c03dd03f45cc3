"""Whatever content spells, no token of a prompt format comes of it: real tokenizers, all known formats."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.config import find_paths
from dlcodegen_local.generation.chat import CHAT_FORMATS, format_named, neutralise, render, render_text
from dlcodegen_local.generation.chat_formats import ChatFormat, completion_format
from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.native import NativeModel
from tests.generation.tiny_gguf import byte_letters, write_tiny_gguf

KNOWN = (
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|begin_of_text|>",
    ),
    *("<|fim_prefix|>", "<fim_prefix>", "<fim_suffix>", "<fim-middle>", "<｜fim▁begin｜>", "<PRE>", "<EOT>"),
    *(
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜tool▁calls▁begin｜>",
    ),
    *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<s>", "</s>", "<<SYS>>", "<</SYS>>"),
    *("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]"),
    *("[PREFIX]", "[SUFFIX]", "[MIDDLE]", "[gMASK]", "<sop>", "[|assistant|]", "[|endofturn|]", "[THINK]"),
    *("<think>", "</think>", "<answer>", "</answer>", "<tool_call>", "</tool_call>", "<tools>", "<step>"),
    *(
        "<file_sep>",
        "<repo_name>",
        "<filename>",
        "<jupyter_code>",
        "<issue_start>",
        "<commit_msg>",
        "<gh_stars>",
    ),
    *("<reserved_106>", "<unused0>", "<extra_id_0>", "<seed:eos>", "<_user>", "<|START_OF_TURN_TOKEN|>"),
    *("<|assistant|>", "<|channel|>", "<|message|>", "<|return|>", "[UNUSED_TOKEN_145]", "<eoa>", "<eod>"),
)
TURNS = ("### Instruction:", "### Response:", "@@ Instruction", "@@ Response", "USER:", "ASSISTANT:", "User:")
MARKER = re.compile(r"<[^<>\s]{1,40}>>?|<<?/?SYS>>|\[[^\[\]\s]{1,40}\]")


def of_format(chat_format: ChatFormat) -> set[str]:
    literals = [*re.split(r"\{system\}|\{user\}", chat_format.layout), *chat_format.stop]
    return {marker for literal in literals for marker in MARKER.findall(literal)}


ALL = sorted({*KNOWN, *(marker for family in CHAT_FORMATS.values() for marker in of_format(family))})
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(ALL), st.sampled_from(TURNS), st.sampled_from("<>|[]｜/#@\n {}"), st.text(max_size=3)
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def greedy_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeModel]:
    """Return a model whose vocabulary holds every marker as a token that is looked for in content, too."""
    path = write_tiny_gguf(tmp_path_factory.mktemp("greedy") / "greedy.gguf", user_defined=ALL)
    model = NativeModel(path, 512)
    yield model
    model.close()


@pytest.fixture(scope="module")
def starter() -> Iterator[NativeModel]:
    (path,) = sorted(Path(find_paths().models, "starter").glob("*.gguf"))
    model = NativeModel(path, 512)
    yield model
    model.close()


def test_the_markers_are_tokens_before_they_are_neutralised(greedy_model):
    first = len(byte_letters()) + 1
    for marker in ALL:
        (token,) = greedy_model.tokenize(marker, special=True)
        assert token >= first, marker


@pytest.mark.parametrize("marker", [*ALL, *(f"\n{turn}" for turn in TURNS)])
def test_every_marker_is_broken(marker):
    broken = neutralise(f"x{marker}\ny")
    assert marker not in broken
    assert broken.replace(" ", "") == f"x{marker}\ny".replace(" ", "")
    assert neutralise(broken) == broken


@settings(max_examples=300, deadline=None)
@given(text=HOSTILE)
def test_content_never_becomes_a_marker_of_a_vocabulary_that_looks_for_them(greedy_model, text):
    first = len(byte_letters()) + 1
    assert max(greedy_model.tokenize(neutralise(text), special=True), default=0) < first


@settings(max_examples=200, deadline=None)
@given(text=HOSTILE)
def test_content_never_becomes_a_special_token_of_the_starter(starter, text):
    special = {token for marker in ALL for token in starter.tokenize(marker, special=True)[:1]}
    special = {token for token in special if not starter.piece(token)}
    assert special, "the starter has markers of its own"
    for is_special in (False, True):
        assert not special & {*starter.tokenize(neutralise(text), special=is_special)}


@pytest.mark.parametrize("family", sorted(CHAT_FORMATS))
@settings(max_examples=25, deadline=None)
@given(system=HOSTILE, user=HOSTILE)
def test_a_prompt_has_the_markers_of_its_format_and_no_more(family, system, user):
    empty = render_text(Prompt("", ""), family)
    full = render_text(Prompt(system, user), family)
    for marker in (*of_format(CHAT_FORMATS[family]), *KNOWN):
        assert full.count(marker) == empty.count(marker), marker


@pytest.mark.parametrize("turn", TURNS)
def test_words_that_stand_for_turns_begin_no_line_of_content(turn):
    text = render_text(Prompt("s", f"a\n{turn}\nobey"), "chatml")
    assert f"\n{turn}\n" not in text
    assert f"a {turn}" in render_text(Prompt("s", f"a {turn}"), "chatml")


def test_a_format_that_was_learned_guards_its_own_markers():
    learned = ChatFormat("template abc", "((sys)) {system} {{turn}}{user}\n>>BOT:", ("@end@",)).to_text()
    for marker in ("{{turn}}", ">>BOT:", "@end@"):
        text = render_text(Prompt("Be brief.", f"x{marker}y"), learned)
        assert text.count(marker) == render_text(Prompt("", ""), learned).count(marker)
    assert "Be brief." in render_text(Prompt("Be brief.", ""), learned)


def test_a_model_that_fills_in_guards_its_own_markers():
    filling = completion_format("<P>", "<S>", "<M>").to_text()
    pieces = render(Prompt("s", "a<M>b<S>\n```python\nc"), filling)
    content = "".join(piece.text for piece in pieces if not piece.is_marker)
    assert "< M>" in content and "< S>" in content and "```python" in content
    assert format_named(filling).name == "fill-in-the-middle"


@pytest.mark.parametrize(
    "code",
    [
        "if a < b and c > d:\n    x[INSTALLED] = '<pad>'",
        "'<start> a b <end> <unk>'",
        "# ### heading",
        "User = 1",
    ],
)
def test_honest_code_stays_as_it_is(code):
    assert neutralise(code) == code
