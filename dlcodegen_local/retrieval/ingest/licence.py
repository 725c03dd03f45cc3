"""Licences by their own words: SPDX tags, file headers and the texts of LICENSE files.

Answers with an SPDX identifier, and with "" where the words are not those of a licence that is known.
"""

import re

_TAG = re.compile(
    r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+-]+(?:[ \t]+(?:AND|OR|WITH)[ \t]+[A-Za-z0-9.+-]+)*)"
)
_MAX_CHARS = 100_000

# Ordered: the first licence whose pattern is found. Texts are compared in lower case, words one blank apart.
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("AGPL-3.0", r"gnu affero general public license"),
    (
        "LGPL-2.1",
        r"gnu (?:lesser|library) general public license,?(?: as published by the free software foundation[;,])? (?:either )?version 2",
    ),
    ("LGPL-3.0", r"gnu lesser general public license"),
    (
        "GPL-2.0",
        r"gnu general public license,?(?: as published by the free software foundation[;,])? (?:either )?\(?v(?:ersion )?2|\bgplv2\b|\bgpl-2",
    ),
    ("GPL-3.0", r"gnu general public license|\bgplv3\b|\bgpl-3"),
    ("MPL-2.0", r"mozilla public license,?(?: version| v\.?)? ?2\.0"),
    ("EPL-2.0", r"eclipse public license -? ?v(?:ersion)? ?2\.0"),
    (
        "Apache-2.0",
        r"apache license,? version 2\.0|apache license version 2\.0|apache 2\.0 licen[sc]e|apache-2\.0|licensed under (?:the )?apache",
    ),
    ("CC0-1.0", r"cc0 1\.0|creative commons zero|creativecommons\.org/publicdomain/zero"),
    (
        "CC-BY-NC-SA-4.0",
        r"creativecommons\.org/licenses/by-nc-sa/4\.0|attribution-noncommercial-sharealike 4\.0",
    ),
    (
        "CC-BY-NC-ND-4.0",
        r"creativecommons\.org/licenses/by-nc-nd/4\.0|attribution-noncommercial-noderiv\w* 4\.0",
    ),
    ("CC-BY-NC-4.0", r"creativecommons\.org/licenses/by-nc/4\.0|attribution-noncommercial 4\.0"),
    ("CC-BY-SA-4.0", r"creativecommons\.org/licenses/by-sa/4\.0|attribution-sharealike 4\.0"),
    ("CC-BY-4.0", r"creativecommons\.org/licenses/by/4\.0|creative commons attribution 4\.0|cc by 4\.0"),
    ("BSL-1.0", r"boost software license"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    (
        "ISC",
        r"permission to use, copy, modify, and/?(?:or)? distribute this software for any purpose|\bisc licen[sc]e\b",
    ),
    (
        "BSD-3-Clause",
        r"redistribution and use in source and binary forms.{0,1500}neither the name|bsd[- ]3[- ]clause|3[- ]clause bsd|new bsd licen[sc]e|bsd-style licen[sc]e",
    ),
    (
        "BSD-2-Clause",
        r"redistribution and use in source and binary forms|bsd[- ]2[- ]clause|2[- ]clause bsd|simplified bsd",
    ),
    (
        "MIT",
        r"permission is hereby granted, free of charge, to any person|\bmit licen[sc]e|licen[sc]ed under (?:the )?mit\b|licen[sc]e: mit\b",
    ),
)
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _PATTERNS)


def licence_of_text(text: str) -> str:
    """Return the licence that a text is, or names as its own: an SPDX identifier or expression, "" for none."""
    if tag := _TAG.search(text[:_MAX_CHARS]):
        return " ".join(tag[1].split())
    words = " ".join(re.sub(r"(?m)^[ \t]*(?:#+|//|\*|>)", " ", text[:_MAX_CHARS]).lower().split())
    for name, pattern in _COMPILED:
        if pattern.search(words):
            return name
    return ""
