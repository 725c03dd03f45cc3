"""Bytes to text: UTF-8, UTF-16 with a byte order mark, PEP 263 cookies, Latin-1.

Guarantees text with `\\n` as its only line break and without characters that nobody sees. Binary
content is refused, not guessed at.
"""

import codecs
import re

from dlcodegen_local.errors import ConfigError

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_WIDE = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UNSEEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]")
_HINT = "save it as UTF-8, or leave it out"


def decode(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file and notes on what was not plain UTF-8.

    Raises:
        ConfigError: it is binary, or is not in the encoding that it names.
    """
    text, encoding = _decode(content)
    notes = [f"read as {encoding}"] if encoding else []
    if "\0" in text:
        raise ConfigError(
            f"holds a NUL byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}", hint=_HINT
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text, unseen = strip_unseen(text)
    if unseen:
        notes.append(f"{unseen} invisible characters left out")
    return text, tuple(notes)


def strip_unseen(text: str) -> tuple[str, int]:
    """Return a text without zero-width characters that mean nothing, and how many there were.

    Joiners stay: emoji and some scripts need them. Overrides of direction stay for the check that
    refuses them.
    """
    return _UNSEEN.subn("", text)


def _decode(content: bytes) -> tuple[str, str]:
    """Return the text and the name of its encoding, "" for UTF-8."""
    try:
        if content.startswith(codecs.BOM_UTF8):
            return content[3:].decode("utf-8"), ""
        for mark, encoding in _WIDE:
            if content.startswith(mark):
                return content[2:].decode(encoding), "UTF-16"
        named = _cookie(content)
        if named not in (None, "utf-8"):
            return content.decode(str(named)), str(named)
    except (UnicodeDecodeError, LookupError) as exc:
        raise ConfigError(f"is not in its encoding: {exc}", hint=_HINT) from exc
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError:
        if b"\0" in content:
            raise ConfigError("is binary: it holds NUL bytes and is not UTF-8", hint=_HINT) from None
        return _decode_western(content)


def _decode_western(content: bytes) -> tuple[str, str]:
    """Return the text of 8-bit content: Windows-1252 where it uses that page's own characters."""
    if re.search(rb"[\x80-\x9f]", content):
        try:
            return content.decode("cp1252"), "Windows-1252"
        except UnicodeDecodeError as exc:
            raise ConfigError("is binary: it is neither UTF-8 nor Latin-1", hint=_HINT) from exc
    return content.decode("latin-1"), "Latin-1"


def _cookie(content: bytes) -> str | None:
    """Return the text encoding that one of the first two lines names, None without one.

    Raises:
        LookupError: Python knows no text encoding of that name.
    """
    for line in content[:1000].split(b"\n")[:2]:
        if match := _COOKIE.match(line):
            info = codecs.lookup(match[1].decode("ascii", "replace"))
            if not getattr(info, "_is_text_encoding", True):
                raise LookupError(f"{info.name} is no text encoding")
            return info.name
    return None
