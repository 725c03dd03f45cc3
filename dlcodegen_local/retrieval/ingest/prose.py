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
_NO_PROSE = re.compile(
    r"^\s*(?:[-*+•|>]\s|\d+[.)]\s|\||\.\.\s|<table|<td|<a\s|<img|!\[|@|\$\$|:\w+:|>>>|%|!)"
)


@dataclass(frozen=True)
class Passage:
    """Hold one heading or one paragraph of prose, on one line."""

    words: str
    is_heading: bool = False


def passages(text: str) -> Iterator[Passage]:
    """Yield the headings and the paragraphs of a text in their order."""
    text = "\n".join(plain(line).rstrip() for line in _FENCE.sub("\n", text).split("\n"))
    text = re.sub(r"<!--[\s\S]*?-->|<(script|style|table)\b[\s\S]*?</\1>", " ", text, flags=re.IGNORECASE)
    for block in re.split(r"\n(?:[ \t]*\n)+", text):
        yield from _block(block.strip("\n").split("\n"))


def clean(text: str) -> str:
    """Return text without markup and addresses, on one line."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`([^`<]*?)\s*<[^>`]*>`_*", r"\1", text)
    text = re.sub(r":[\w:-]+:`~?([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", text)
    text = re.sub(r"<(?:https?://|mailto:)?[^>]{0,300}>", " ", text)
    text = re.sub(r"\s*\(?\b(?:https?|ftp)://[^\s)>\]]*\)?|\bwww\.[^\s)]*", "", text)
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
        elif _UNDERLINE.match(line.strip()):
            continue
        elif _NO_PROSE.match(line):
            yield from _flush(kept)
            if not kept and not place:
                return
        else:
            kept.append(line)
    yield from _flush(kept)


def _heading(text: str) -> Iterator[Passage]:
    if words := clean(text).strip(" .:-#"):
        yield Passage(words, is_heading=True)


def _flush(kept: list[str]) -> Iterator[Passage]:
    is_code = bool(kept) and all(line.startswith(("    ", "\t")) for line in kept)
    words = "" if is_code else clean("\n".join(kept))
    kept.clear()
    if words:
        yield Passage(words)
