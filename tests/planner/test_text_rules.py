import pytest

from dlcodegen_local.planner.text_rules import (
    MAX_DEPTH,
    TextRules,
    nesting_after,
    next_of_cycles,
    repeating_tokens,
)


@pytest.mark.parametrize(
    ("text", "quotes", "expected"),
    [
        ("Dense(10)", True, ""),
        ("Conv2D(32, (3, 3", True, "(("),
        ("Dense(1, activation='rel", True, "('"),
        ("Dense(1, name='a)b')", True, ""),
        ("the model's head (small)", False, ""),
        ("the model's head (small)", True, "'"),
        ("a)", True, None),
        ("(a]", True, None),
        ("(" * (MAX_DEPTH + 1), False, None),
        ("[{(", False, "[{("),
    ],
)
def test_nesting_after_a_text(text, quotes, expected):
    assert nesting_after("", text, quotes) == expected


def test_masks_forbid_what_would_break_the_brackets_or_cannot_be_printed():
    rules = TextRules(["a", ")", "(", "\n", "\u202e", "�", "", "x" * 49, "1", " b", "'"])
    assert rules.balanced_mask("", True).tolist() == [True, False, True] + [False] * 5 + [True, True, True]
    assert rules.balanced_mask("(", True)[1]
    assert rules.balanced_mask("('", True)[1]
    assert rules.starts_name.tolist() == [True] + [False] * 10
    assert rules.closing_token("(") == 1
    assert rules.closing_token("('") == 10
    with pytest.raises(ValueError, match="may not follow"):
        rules.after("", 1, True)


def test_repeating_tokens():
    assert repeating_tokens([1, 2, 3, 1, 2], 3) == [3]
    assert repeating_tokens([1, 2, 3], 3) == []
    assert repeating_tokens([1], 3) == []
    assert repeating_tokens([4, 4, 4], 2) == [4, 4]


def test_next_of_cycles():
    assert list(next_of_cycles("aaa")) == ["a"]
    assert list(next_of_cycles("xababab")) == ["a"]
    assert list(next_of_cycles("abab")) == []
