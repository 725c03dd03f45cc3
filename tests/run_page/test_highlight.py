"""Marked source: the same text, its words marked."""

import html
import re

import pytest

from dlcodegen_local.run_page.highlight import marked_lines

SOURCE = 'def f(x):\n    """Say\n    more."""\n    return x + 1.5  # sum\n'


def plain(lines):
    return html.unescape(re.sub(r"</?i[^>]*>", "", "\n".join(lines)))


@pytest.mark.parametrize(
    "source",
    [
        SOURCE,
        "",
        "x = (",
        "'''never closed",
        "  bad\n indent\n  x",
        "a\tb",
        "if x:\n\ty = '<&>'\n",
        "π = 'é'\n",
        "\\",
    ],
)
def test_text_is_the_source_itself(source):
    assert plain(marked_lines(source)) == source


def test_words_are_marked_and_every_line_stands_by_itself():
    lines = marked_lines(SOURCE)
    assert lines[0] == '<i class="k">def</i> f(x):'
    assert lines[1] == '    <i class="s">&quot;&quot;&quot;Say</i>'
    assert lines[2] == '<i class="s">    more.&quot;&quot;&quot;</i>'
    assert lines[3] == '    <i class="k">return</i> x + <i class="n">1.5</i>  <i class="c"># sum</i>'


def test_hostile_source_stays_text():
    (line,) = marked_lines("x = '</i><script>\u202e'")
    assert line == 'x = <i class="s">&#x27;&lt;/i&gt;&lt;script&gt;⟨U+202E⟩&#x27;</i>'
    assert marked_lines("\x00<b>") == ["⟨U+0000⟩&lt;b&gt;"]
