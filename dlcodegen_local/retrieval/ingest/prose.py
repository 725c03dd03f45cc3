"""Prose of Markdown, reStructuredText and comments, cut into headings and paragraphs of plain English.

Guarantees plain text without markup, addresses, lists, tables and code. What it cannot make out it drops.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dlcodegen_local.plain_text import plain

_FENCE = re.compile(r"^[ \t]*(```|~~~)[\s\S]*?(?:^[ \t]*\1|\Z)", re.MULTILINE)
_UNDERLINE = re.compile(r"[=\-~^*#\"+]{3,}\s*$")
_FIELD = re.compile(r"^[ \t]*:?\**([A-Za-z][A-Za-z ]{2,30}?)\**:\**[ \t]+(?=\S)(.*)$")
_TITLE_FIELDS = ("title", "name")
_TEXT_FIELDS = ("description", "abstract", "summary", "goal", "objective", "task", "purpose", "aim")
_DROPPED_FIELDS = (
    "author",
    "authors",
    "contributor",
    "contributors",
    "date",
    "date created",
    "last modified",
    "last update",
    "last updated",
    "updated",
    "created",
    "accelerator",
    "converted to keras",
    "reference",
    "references",
    "source",
    "version",
    "email",
    "credits",
    "translator",
    "note",
)
_NO_PROSE = re.compile(r"^\s*(?:[-*+•|>]\s|\d+[.)]\s|\||\.\.\s|@|\$\$|:\w+:|>>>|%|!(?!\[))")
_PICTURE = re.compile(r"^\s*(?:<\w[^>]{0,500}>|!\[[^\]]{0,300}\]\([^)]{0,500}\))\s*$")
_MAX_CHARS = 20_000
_MAX_PARAGRAPH_CHARS = 3_000


@dataclass(frozen=True)
class Passage:
    """Hold one heading or one paragraph of prose, on one line."""

    words: str
    is_heading: bool = False


def passages(text: str) -> Iterator[Passage]:
    """Yield the headings and the paragraphs of a text's beginning in their order."""
    text = "\n".join(plain(line).rstrip() for line in _FENCE.sub("\n", text[:_MAX_CHARS]).split("\n"))
    text = re.sub(r"<!--[\s\S]*?-->|<(script|style|table)\b[\s\S]*?</\1>", " ", text, flags=re.IGNORECASE)
    for block in re.split(r"\n(?:[ \t]*\n)+", text):
        yield from _block(block.strip("\n").split("\n"))


def clean(text: str) -> str:
    """Return text without markup and addresses, on one line."""
    text = re.sub(r"!\[[^\]]{0,300}\]\([^)]{0,500}\)", " ", text)
    text = re.sub(r"\[([^\]]{0,300})\]\([^)]{0,500}\)", r"\1", text)
    text = re.sub(r"`([^`<]{0,200}?)\s{0,20}<[^>`]{0,300}>`_*", r"\1", text)
    text = re.sub(r":[\w:-]{1,40}:`~?([^`<]{0,200}?)\s{0,20}(?:<[^`]{0,300}>)?`", r"\1", text)
    text = re.sub(r"<(?:https?://|mailto:)?[^>]{0,300}>", " ", text)
    text = re.sub(
        r"\s*\((?:see:? |at |from )?(?:https?|ftp)://[^\s)]*\)|\b(?:(?:https?|ftp)://|www\.)[^\s)>\]]*",
        "",
        text,
    )
    text = re.sub(r"[`*$\\]+|(?<!\w)_+|_+(?!\w)|\|[\w-]+\|_?", "", text)
    return re.sub(r"\s+([.,;:!?])", r"\1", " ".join(text.split()))


def _block(lines: list[str]) -> Iterator[Passage]:
    kept: list[str] = []
    for place, line in enumerate(lines):
        following = lines[place + 1] if place + 1 < len(lines) else ""
        field = _FIELD.match(line)
        key = field[1].lower() if field else ""
        if match := re.match(r"\s*#{1,6}\s+(.*?)#*$", line):
            yield from _flush(kept)
            yield from _heading(match[1])
        elif line.strip() and len(following.strip()) >= 3 and _UNDERLINE.match(following.strip()):
            yield from _flush(kept)
            yield from _heading(line)
        elif field and key in _TITLE_FIELDS:
            yield from _heading(field[2])
        elif field and key in _TEXT_FIELDS:
            yield from _flush(kept)
            kept.append(field[2])
        elif key in _DROPPED_FIELDS or key.startswith("converted to"):
            yield from _flush(kept)
        elif _UNDERLINE.match(line.strip()) or _PICTURE.match(line):
            continue
        elif _NO_PROSE.match(line):
            yield from _flush(kept)
            if not place:
                return
        else:
            kept.append(line)
    yield from _flush(kept)


def _heading(text: str) -> Iterator[Passage]:
    if words := clean(text[:_MAX_PARAGRAPH_CHARS]).strip(" .:-#"):
        yield Passage(words, is_heading=True)


def _flush(kept: list[str]) -> Iterator[Passage]:
    is_code = bool(kept) and all(line.startswith(("    ", "\t")) for line in kept)
    words = "" if is_code else clean("\n".join(kept)[:_MAX_PARAGRAPH_CHARS])
    kept.clear()
    if words:
        yield Passage(words)
