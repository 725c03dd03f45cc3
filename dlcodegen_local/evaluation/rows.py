"""Rows of a file: one JSON object a line, hostile until checked.

Guarantees rows with ids that stand once, or one `ConfigError` that names the file and the line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dlcodegen_local.errors import ConfigError

MAX_LINE_BYTES = 16 * 2**20


class Digest(Protocol):
    """Take bytes in, as the hashes of `hashlib` do."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


@dataclass(frozen=True)
class Row:
    """Hold one object; `where` names its file and line."""

    where: str
    id: str
    fields: dict[str, Any]


def read_rows(path: Path, digest: Digest) -> Iterator[Row]:
    """Yield the rows of a file, and feed its bytes to a digest; empty lines are passed over.

    Raises:
        ConfigError: the file cannot be read, or names the line that is not as it must be.
    """
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), start=1):
        digest.update(line)
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        fields = _decoded(line, where)
        if not isinstance(fields, dict) or not isinstance(fields.get("id"), str | int):
            raise ConfigError(f"{where}: must be an object with an id", hint="one JSON object a line")
        if (item := str(fields["id"])) in seen:
            raise ConfigError(f"{where}: id {item!r} stands twice", hint="leave one of the two out")
        seen.add(item)
        yield Row(where, item, fields)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise ConfigError(
                        f"{path}, line {number}: is longer than {MAX_LINE_BYTES:,} bytes",
                        hint="cut the prediction",
                    )
                yield line
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc


def _decoded(line: bytes, where: str) -> object:
    try:
        value: object = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{where}: is not UTF-8 text", hint="write the file as UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{where}: is not JSON", hint="one JSON object a line") from exc
    return value
