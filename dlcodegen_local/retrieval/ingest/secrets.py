"""Secrets in code: keys, tokens, passwords and addresses that carry them.

Own patterns: detect-secrets opens a socket as soon as one of its plugins is imported (they import
requests), and flags hashes and long ids. Tests compare with it. What is found is named, never shown.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Secret:
    """Say what kind of secret stands where: `line` from 1, in its cell where there is one."""

    kind: str
    line: int
    cell: int | None


def find_secrets(text: str, cell: int | None = None) -> tuple[Secret, ...]:
    """Return the secrets in a text, one for every line and kind; lines marked as allowed are passed over."""
    found: dict[tuple[int, str], Secret] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if _ALLOWED.search(line):
            continue
        for kind, pattern in _KINDS:
            if pattern.search(line):
                found.setdefault((number, kind), Secret(kind, number, cell))
    return tuple(found[key] for key in sorted(found))


_ALLOWED = re.compile(r"pragma: ?(?:allowlist|whitelist)[ -]secret")
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AWS key", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})")),
    ("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY")),
)
