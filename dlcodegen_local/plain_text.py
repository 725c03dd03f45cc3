"""What counts as plain text: no control characters, nothing that reverses what is shown, no half characters.

Guarantees that a text which passes can be written as UTF-8 and shown on a terminal as it stands: C0 and C1
controls, DEL, lone surrogates, bidirectional overrides and isolates, and tags (letters that only a model
reads) are found. Joiners (ZWJ, ZWNJ), as in emoji, are plain text; in code, nothing that is not seen is.
"""

import re

UNPLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")
UNSEEN = re.compile("[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2060-\u206f\u3164\ufeff\uffa0]")


def find_unplain(text: str, allowed: str = "\t\n\r\f") -> str | None:
    """Name the first character that no plain text holds, or return None where all may stay."""
    for match in UNPLAIN.finditer(text):
        char = match.group()
        if char not in allowed:
            kind = "half a character" if "\ud800" <= char <= "\udfff" else "the control character"
            return f"{kind}, U+{ord(char):04X}"
    return None


def find_unseen(code: str) -> str | None:
    """Name the first character of code that nobody sees, or return None."""
    match = UNSEEN.search(code)
    return f"the invisible character, U+{ord(match.group()):04X}" if match else None


def letters_and_digits(text: str) -> str:
    """Return the ASCII letters and digits of a text, in lower case: what spellings are compared by."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def plain(text: str) -> str:
    """Return a text with a space for every character that no plain text holds, line breaks included."""
    return UNPLAIN.sub(" ", text)
