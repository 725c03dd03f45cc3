"""The frame of every page, and text of any origin in it."""

from dlcodegen_local.html_page import MAX_TEXT_CHARS, escaped, escaped_block, render_page


def test_a_long_text_is_cut_and_says_so():
    shown = escaped_block("<" * (MAX_TEXT_CHARS + 5))
    assert shown.count("&lt;") == MAX_TEXT_CHARS and "5 more characters" in shown
    assert escaped_block("abcd", max_chars=3).startswith("abc\n")


def test_line_breaks_stay_in_blocks_alone():
    assert escaped("a\nb") == "a⟨U+000A⟩b" and escaped_block("a\r\n\tb\rc") == "a\n\tb\nc"


def test_what_is_not_seen_is_shown_as_its_code_point():
    for char in "\x00\x1b\x85\u00ad\u061c\u200b\u200e\u2028\u202e\u2060\u2066\ufeff\ufffe\ud800\U000e0041":
        assert escaped(f"a{char}b") == f"a⟨U+{ord(char):04X}⟩b"


def test_text_of_any_script_is_left():
    text = "é ש 写 \U0001f468\u200d\U0001f469 \u200c \ufffd ✓"
    assert escaped(text) == text


def test_a_page_forbids_every_load_and_escapes_its_title():
    page = render_page("</title><script>", "<p>body</p>", ".own{}")
    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in page
    assert (
        "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\""
        in page
    )
    assert page.index("color-scheme: light dark") < page.index(".own{}") < page.index("<p>body</p>")
