"""Text of any origin as HTML: escaped, and with nothing in it that hides or reverses what is shown.

Guarantees that what a model wrote stays text: no tag, entity, control character or bidirectional override
of it reaches the page as such.
"""

import html

from dlcodegen_local.plain_text import UNPLAIN

MAX_TEXT_CHARS = 60_000

_KEPT = "\n\t"


def escaped(text: str) -> str:
    """Return one line of text as HTML; what is no plain text stands as a visible code point."""
    return html.escape(_visible(text, kept=""))


def escaped_block(text: str) -> str:
    """Return lines of text as HTML; a text past `MAX_TEXT_CHARS` is cut, and says so."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    cut = len(text) - MAX_TEXT_CHARS
    shown = html.escape(_visible(text[:MAX_TEXT_CHARS], kept=_KEPT))
    return shown + (f"\n<i>… {cut:,} more characters are not shown</i>" if cut > 0 else "")


def _visible(text: str, kept: str) -> str:
    return UNPLAIN.sub(
        lambda found: found.group() if found.group() in kept else f"⟨U+{ord(found.group()):04X}⟩", text
    )
