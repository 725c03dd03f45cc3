"""Licences of what a bundle carries: read from wheels, models and samples, and laid out as files.

Guarantees that every component has a line in `licences/INDEX.tsv`, also where its licence is not stated. What
a wheel states is taken as it stands; nobody here judges whether it is true.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.bundle.wheels import Wheel, open_wheel, read_member

UNKNOWN = "not stated"
_CLASSIFIER = "License :: OSI Approved :: "
_SPDX_OF_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Zero-Clause BSD (0BSD)": "0BSD",
}
_SPDX_OF_FIELD = {"apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "mit license": "MIT"}
_FILE = re.compile(r"(licen[cs]e|copying|notice|authors|third.?party)", re.IGNORECASE)
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+( (WITH|AND|OR) [A-Za-z0-9.+-]+)*")
_MAX_FIELD = 60


@dataclass(frozen=True)
class Licence:
    """Hold a licence: `text` as an SPDX expression where `is_spdx`, else in the author's words."""

    text: str
    is_spdx: bool

    def to_cyclonedx(self) -> list[dict[str, Any]]:
        """Return the `licenses` of a component."""
        return [{"expression": self.text}] if self.is_spdx else [{"license": {"name": self.text}}]


def spdx(text: str) -> Licence:
    """Return a licence that somebody stated as an SPDX expression; unknown where it cannot be one."""
    known = text.strip()
    is_spdx = bool(_EXPRESSION.fullmatch(known.replace("(", "").replace(")", "")))
    return Licence(known, True) if is_spdx else Licence(known or UNKNOWN, False)


def licence_of(wheel: Wheel) -> Licence:
    """Return what a wheel's METADATA states: the expression, else the classifier, else the field."""
    metadata = wheel.metadata
    if expression := metadata.get("License-Expression"):
        return spdx(str(expression))
    named = [str(line).removeprefix(_CLASSIFIER) for line in metadata.get_all("Classifier", [])]
    known = sorted({_SPDX_OF_CLASSIFIER[name] for name in named if name in _SPDX_OF_CLASSIFIER})
    if known:
        return Licence(" AND ".join(known), True)
    first = str(metadata.get("License") or "").strip().partition("\n")[0].strip()
    if identifier := _SPDX_OF_FIELD.get(first.lower()):
        return Licence(identifier, True)
    if first and " " not in first:
        return spdx(first)
    return Licence(first[:_MAX_FIELD] or UNKNOWN, False)


def licence_files(wheel: Wheel) -> Iterator[tuple[str, bytes]]:
    """Yield the licence texts in a wheel's metadata and package by a plain file name."""
    with open_wheel(wheel.path) as archive:
        taken = set()
        for member in sorted(archive.namelist()):
            base = member.rpartition("/")[2]
            in_metadata = member.startswith(wheel.info_folder) and (
                _FILE.match(base) or "/licenses/" in member
            )
            if not base or not (in_metadata or _is_notice(member)):
                continue
            name = re.sub(r"[^A-Za-z0-9._-]", "_", member.removeprefix(wheel.info_folder).replace("/", "-"))
            name = name.removeprefix("licenses-").strip("._") or "LICENSE"
            if name.casefold() not in taken:
                taken.add(name.casefold())
                yield name[-100:].lstrip("._-"), read_member(archive, member)


def index_lines(rows: Sequence[tuple[str, str, Licence, str]]) -> bytes:
    """Return `INDEX.tsv`: component, version, licence, where its text is."""
    lines = ["component\tversion\tlicence\ttext"]
    lines += [f"{name}\t{version}\t{licence.text}\t{where}" for name, version, licence, where in rows]
    return ("\n".join(lines) + "\n").encode()


def _is_notice(member: str) -> bool:
    return member.count("/") <= 1 and member.rpartition("/")[2].replace("_", "").upper().startswith(
        "THIRDPARTYNOTICES"
    )
