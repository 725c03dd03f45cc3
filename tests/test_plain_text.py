import pytest

from dlcodegen_local.plain_text import find_unplain, plain


@pytest.mark.parametrize(
    "char",
    ["\x00", "\x1b", "\x7f", "\x85", "\x9f", "\u202a", "\u202e", "\u2066", "\u2069", "\ud800", "\udfff"],
)
def test_what_is_not_plain_is_named_and_made_a_space(char):
    assert f"U+{ord(char):04X}" in find_unplain(f"a{char}b")
    assert plain(f"a{char}b") == "a b"


@pytest.mark.parametrize(
    "text", ["", "a\tb\r\n\f", "é ש 写 \U0001f468\u200d\U0001f469 \u200c \u2029", "\u2065\u206a"]
)
def test_what_is_plain_is_left(text):
    assert find_unplain(text) is None


def test_what_may_stay_is_the_caller_s_choice():
    assert find_unplain("a\rb", allowed="\n") == "the control character, U+000D"


def test_letters_that_only_a_model_reads_are_no_plain_text():
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    assert find_unplain(f"Classify birds{hidden}") == "the control character, U+E006F"
