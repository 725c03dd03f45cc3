"""Which licence a team's file stands under, and which licences a pool refuses.

A file's own words come first, then the nearest LICENSE file upward within the root, then what the team
declares for the root. Nothing is guessed: "" is unknown.
"""

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.ingest.licence import licence_of_text
from dlcodegen_local.retrieval.walking import read_whole

UNKNOWN = "unknown"
_LICENCE_FILE = re.compile(r"(?:un)?licen[sc]e|copying", re.IGNORECASE)
_MAX_BYTES = 1_000_000
_PATTERN = re.compile(r"[A-Za-z0-9.+*?\[\]-]+")
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")


class FolderLicences:
    """Find the licence of folders; every folder is looked at once."""

    def __init__(self) -> None:
        self._own: dict[str, str | None] = {}

    def nearest(self, folder: str, root: str) -> str:
        """Return the licence of the nearest LICENSE file from `folder` up to `root`, "" for unknown."""
        while True:
            if folder not in self._own:
                self._own[folder] = _licence_in(folder)
            own = self._own[folder]
            if own is not None or folder == root or os.path.dirname(folder) == folder:
                return own or ""
            if len(folder) < len(root):
                return ""
            folder = os.path.dirname(folder)


def check_declared(licence: str) -> str:
    """Return a licence as it may be declared.

    Raises:
        ConfigError: it is no SPDX identifier or expression.
    """
    if not _EXPRESSION.fullmatch(licence):
        raise ConfigError(
            f"{licence!r} is no SPDX identifier", hint="such as Apache-2.0, MIT or LicenseRef-Ours"
        )
    return licence


def check_denial(pattern: str) -> str:
    """Return a pattern of refused licences.

    Raises:
        ConfigError: it can match no SPDX identifier.
    """
    if not _PATTERN.fullmatch(pattern):
        raise ConfigError(
            f"{pattern!r} can match no licence", hint=f"give an SPDX identifier, GPL-*, or {UNKNOWN}"
        )
    return pattern


def denied_by(licence: str, patterns: Iterable[str]) -> str | None:
    """Return the first pattern that refuses a licence; of an `OR` every choice must be refused."""
    for pattern in patterns:
        choices = (licence or UNKNOWN).split(" OR ")
        if all(_is_named(choice, pattern) for choice in choices):
            return pattern
    return None


def _is_named(expression: str, pattern: str) -> bool:
    parts = re.split(r" AND | WITH ", expression)
    return any(fnmatchcase(part.casefold(), pattern.casefold()) for part in parts)


def _licence_in(folder: str) -> str | None:
    try:
        names = sorted(name for name in os.listdir(folder) if _LICENCE_FILE.match(name))
    except OSError:
        return None
    for name in names:
        if os.path.splitext(name)[1].lower() in (".py", ".ipynb"):
            continue
        try:
            text = read_whole(os.path.join(folder, name), _MAX_BYTES).decode("utf-8", "replace")
        except ConfigError:
            continue
        return licence_of_text(text)
    return None
