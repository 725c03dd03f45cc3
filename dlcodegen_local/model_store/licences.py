"""The licence of a model: what its owner declares, its manifest, its header, or a LICENSE file says.

Nothing is guessed: where none of them speaks, it is "not stated".
"""

from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.plain_text import plain
from dlcodegen_local.policy import NOT_STATED
from dlcodegen_local.retrieval.ingest.licence import licence_of_text

_MAX_BYTES = 200_000
_MAX_CHARS = 100
# Model hubs write identifiers in lower case.
_SPELLINGS = {
    name.casefold(): name
    for name in (
        "AGPL-3.0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC-BY-4.0", "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", "CC0-1.0", "GPL-2.0", "GPL-3.0", "LGPL-3.0", "MIT", "MPL-2.0",
        "Unlicense",
    )
}  # fmt: skip


@dataclass(frozen=True)
class FoundLicence:
    """Hold a licence, and who states it: `declared`, `manifest`, `header`, a file's name, or nobody."""

    licence: str
    stated_by: str


def find_licence(declared: str, in_manifest: str, in_header: object, files: tuple[Path, ...]) -> FoundLicence:
    """Return the licence by the first that states one."""
    if declared:
        return FoundLicence(declared, "declared")
    if in_manifest and in_manifest != NOT_STATED:
        return FoundLicence(in_manifest, "manifest")
    if isinstance(in_header, str) and in_header.strip():
        return FoundLicence(canonical(in_header), "header")
    for path in files:
        try:
            with open(path, "rb") as file:
                words = file.read(_MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        if licence := licence_of_text(words):
            return FoundLicence(licence, path.name)
    return FoundLicence(NOT_STATED, "nobody")


def canonical(licence: str) -> str:
    """Return a licence as SPDX spells it, where it is known; plain and short in any case."""
    shown = plain(licence).strip()[:_MAX_CHARS]
    return _SPELLINGS.get(shown.casefold(), shown)
