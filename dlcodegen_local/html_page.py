"""One page of HTML that needs nothing else: its frame, its style, and text of any origin in it.

Guarantees that a page loads nothing (its own policy forbids it, scripts included), and that what a person, a
model or a file wrote stays text: no tag, entity, control character or bidirectional override of it reaches
the page as such.
"""

import html
import re
from functools import cache
from importlib import resources

from dlcodegen_local.plain_text import UNPLAIN

MAX_TEXT_CHARS = 60_000

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_KEPT = "\n\t"
# Beside what no plain text holds: what is not seen on a page, or turns what follows. Joiners stay.
_UNSEEN = re.compile(
    UNPLAIN.pattern[:-1] + "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)


def render_page(title: str, body: str, style: str = "") -> str:
    """Return the whole page; `title` is plain text, `body` HTML, `style` comes after what all pages share."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{escaped(title)}</title><style>{_shared_style()}{style}</style></head><body>"
        f"<main>{body}</main></body></html>\n"
    )


def escaped(text: str) -> str:
    """Return one line of text as HTML; what is no plain text stands as a visible code point."""
    return html.escape(_visible(text, kept=""))


def escaped_block(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return lines of text as HTML; a text past `max_chars` is cut, and says so."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    cut = len(text) - max_chars
    shown = html.escape(_visible(text[:max_chars], kept=_KEPT))
    return shown + (f"\n<i>… {cut:,} more characters are not shown</i>" if cut > 0 else "")


def _visible(text: str, kept: str) -> str:
    return _UNSEEN.sub(
        lambda found: found.group() if found.group() in kept else f"⟨U+{ord(found.group()):04X}⟩", text
    )


@cache
def _shared_style() -> str:
    return (resources.files("dlcodegen_local") / "html_page.css").read_text(encoding="utf-8")
