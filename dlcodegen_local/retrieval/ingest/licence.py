"""Licences by their own words: SPDX tags, file headers and the texts of LICENSE files.

Answers with an SPDX identifier, and with "" where the words are not those of a licence that is known.
"""

import re
from collections.abc import Sequence

_MAX_CHARS = 100_000
_ID = r"\(*[A-Za-z0-9.+-]+\)*"
_TAG = re.compile(rf"SPDX-License-Identifier:[ \t]*({_ID}(?:[ \t]+(?:AND|OR|WITH)[ \t]+{_ID})*)")
_OWN_WORDS = re.compile(
    r"copyright|licen[sc]ed (?:under|to you)|licen[sc]e\s*[:=]|permission is hereby|redistribut|"
    r"free software|free and unencumbered|under the terms of",
    re.IGNORECASE,
)

# What each licence is known by. Texts are compared in lower case, words one blank apart; the licence that
# is named first wins, since the texts of the GNU licences name one another further down.
_GNU = r"general public licen[sc]e(?:,? as published by the free software foundation[;,]?)?"
_VERSION = r"(?:,? (?:either )?\(?(?:version|v\.?) ?{0}|[ -]v?{0})"
_KNOWN: tuple[tuple[str, str], ...] = (
    ("AGPL-3.0", r"gnu affero general public licen[sc]e|\bagpl-?v?3"),
    ("LGPL-2.1", rf"gnu (?:lesser|library) {_GNU}{_VERSION.format(2)}|\blgpl-?v?2"),
    ("LGPL-3.0", r"gnu lesser general public licen[sc]e|\blgpl-?v?3"),
    ("GPL-2.0", rf"gnu {_GNU}{_VERSION.format(2)}|\bgpl-?v?2"),
    ("GPL-3.0", rf"gnu {_GNU}{_VERSION.format(3)}|\bgpl-?v?3"),
    ("MPL-2.0", r"mozilla public licen[sc]e,?(?: version| v\.?)? ?2\.0|\bmpl-?2\.0"),
    ("EPL-2.0", r"eclipse public licen[sc]e -? ?v(?:ersion)?\.? ?2\.0"),
    ("Apache-2.0", r"apache(?: software)?(?: licen[sc]e)?,? ?-?(?:version|v\.?)? ?2(?:\.0)?\b"),
    ("CC0-1.0", r"cc0[ -]1\.0|creative commons zero|creativecommons\.org/publicdomain/zero"),
    ("BSL-1.0", r"boost software licen[sc]e"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    ("ISC", r"permission to use, copy, modify, and(?:/or)? distribute this software|\bisc licen[sc]e\b"),
    (
        "BSD-3-Clause",
        r"redistribution and use in source and binary forms(?=.{0,2000}neither the name)|"
        r"bsd[ -]3[ -]clause|3[ -]clause bsd|\bnew bsd licen[sc]e",
    ),
    (
        "BSD-2-Clause",
        r"redistribution and use in source and binary forms(?!.{0,2000}neither the name)|"
        r"bsd[ -]2[ -]clause|2[ -]clause bsd|simplified bsd",
    ),
    (
        "MIT",
        r"permission is hereby granted, free of charge, to any person|\bmit licen[sc]e|"
        r"(?:licen[sc]ed under (?:the )?|licen[sc]e[\W_]{1,6}(?:the )?)mit\b",
    ),
)
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _KNOWN)
_COMMONS = re.compile(
    r"creativecommons\.org/licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)|"
    r"\bcc[ -](by(?:-nc)?(?:-sa|-nd)?)[ -](\d\.\d)|"
    r"\battribution((?:-noncommercial)?(?:-sharealike|-noderiv\w*)?) (\d\.\d)"
)
_COMMONS_PARTS = (
    ("-noncommercial", "-nc"),
    ("-sharealike", "-sa"),
    ("-noderivatives", "-nd"),
    ("-noderivs", "-nd"),
)
_LATER_CHARS = 300


def licence_of_text(text: str) -> str:
    """Return the licence that a text is or names: an SPDX identifier or expression, "" for none."""
    text = text[:_MAX_CHARS]
    if tag := _TAG.search(text):
        return " ".join(tag[1].split())
    words = " ".join(re.sub(r"(?m)^[ \t]*(?:#+|//|\*|>)", " ", text).lower().split())
    found = [(match.start(), name) for name, pattern in _COMPILED if (match := pattern.search(words))]
    if match := _COMMONS.search(words):
        found.append((match.start(), _commons(match)))
    if not found:
        return ""
    start, name = min(found, key=lambda place: place[0])
    if "GPL" in name:
        name += "-or-later" if "later version" in words[start : start + _LATER_CHARS] else "-only"
    return name


def licence_of_file(code: str, prose: Sequence[str]) -> str:
    """Return the licence that a file claims for itself, "" for none.

    `prose` is its Markdown or docstrings. A licence that is only spoken of, as of a data set, is none.
    """
    if tag := _TAG.search("\n".join([code, *prose])):
        return " ".join(tag[1].split())
    head = "\n".join(line for line in code[:5000].split("\n") if line.lstrip().startswith("#"))
    assigned = re.search(r"(?m)^__licen[sc]e__\s*=.*", code)
    claims = [head, assigned[0] if assigned else "", *(text for text in prose if len(text) < 5000)]
    for text in claims:
        if _OWN_WORDS.search(text) and (found := licence_of_text(text)):
            return found
    return ""


def _commons(match: re.Match[str]) -> str:
    parts = match[1] or match[3] or "by" + (match[5] or "")
    for word, short in _COMMONS_PARTS:
        parts = parts.replace(word, short)
    return f"CC-{parts.upper()}-{match[2] or match[4] or match[6]}"
