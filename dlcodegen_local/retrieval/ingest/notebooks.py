"""Notebooks: the cells of an `.ipynb` of format 3 or 4, with what cannot be read named and left out.

Cells are counted from 1 over all of a notebook's cells, Markdown included. Outputs and attachments are
never looked at.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain
from dlcodegen_local.retrieval.ingest.decoding import strip_unseen
from dlcodegen_local.retrieval.ingest.licence import licence_of_text
from dlcodegen_local.retrieval.ingest.magics import strip_magics
from dlcodegen_local.retrieval.ingest.parsing import MAX_CODE_CHARS, check_size, parse

MAX_CELLS = 2_000
_MAX_MARKDOWN_CHARS = 8_000
_MAX_PROSE_CHARS = 400_000
_HINT = "open it in Jupyter and save it again, or leave it out"


@dataclass(frozen=True)
class Cell:
    """Hold one cell that can be read: Python that parses, or Markdown."""

    number: int
    kind: str
    source: str


@dataclass(frozen=True)
class Notebook:
    """Hold a notebook's readable cells in order, notes on those left out, and how many magics were.

    `licence` is the one that its metadata names, "" for none.
    """

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    magics: int
    licence: str


class _Room:
    """Count down what is still read of a notebook, so that reading ends in time."""

    def __init__(self) -> None:
        self.code_chars = MAX_CODE_CHARS
        self.prose_chars = _MAX_PROSE_CHARS

    def take_code(self, source: str) -> None:
        self.code_chars -= len(source)
        if self.code_chars < 0:
            raise ConfigError(
                f"the cells before it have {MAX_CODE_CHARS} characters of code, all that are read"
            )

    def take_prose(self, source: str) -> str:
        """Return the beginning of a text that is still read, "" where there is no room."""
        taken = source[: min(_MAX_MARKDOWN_CHARS, self.prose_chars)]
        self.prose_chars -= len(taken)
        return taken


def read_notebook(text: str) -> Notebook:
    """Return the cells of a notebook.

    Raises:
        ConfigError: it is no notebook, is one of another language, or all of its code is broken.
    """
    table = _read_json(text)
    language = _language(table)
    if language not in ("", "python", "ipython", "python2", "python3"):
        raise ConfigError(f"is a notebook of {language} code", hint=_HINT)
    cells: list[Cell] = []
    notes: list[str] = []
    magics = 0
    raw = _raw_cells(table)
    room = _Room()
    for number, cell in enumerate(raw[:MAX_CELLS], start=1):
        try:
            read, left_out = _read_cell(number, cell, room)
        except ConfigError as exc:
            notes.append(f"cell {number} left out: {exc.message}")
            continue
        magics += left_out
        cells += [read] if read is not None else []
    if len(raw) > MAX_CELLS:
        notes.append(f"{len(raw) - MAX_CELLS} cells after the first {MAX_CELLS} left out")
    if notes and not any(cell.kind == "code" for cell in cells):
        raise ConfigError(f"has no code cell that can be read: {notes[0]}", hint=_HINT)
    return Notebook(tuple(cells), tuple(notes), magics, _licence(table))


def _read_json(text: str) -> Mapping[str, Any]:
    try:
        table = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ConfigError(f"is not JSON: line {exc.lineno}: {exc.msg}", hint=_HINT) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        reason = (
            "is nested too deeply" if isinstance(exc, RecursionError) else "holds a number of too many digits"
        )
        raise ConfigError(f"is not a notebook: its JSON {reason}", hint=_HINT) from exc
    if not isinstance(table, dict):
        raise ConfigError("is not a notebook: its JSON is no object", hint=_HINT)
    return table


def _raw_cells(table: Mapping[str, Any]) -> list[object]:
    cells = table.get("cells")
    if isinstance(cells, list):
        return cells
    sheets = table.get("worksheets")
    if isinstance(sheets, list):
        found = [sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and "cells" in sheet]
        return [cell for cells in found if isinstance(cells, list) for cell in cells]
    raise ConfigError("is not a notebook: it has no cells", hint=_HINT)


def _language(table: Mapping[str, Any]) -> str:
    metadata = table.get("metadata")
    for key, name in (("kernelspec", "language"), ("language_info", "name")):
        part = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(part, dict) and isinstance(part.get(name), str):
            return plain(part[name][:40]).lower()
    return ""


def _licence(table: Mapping[str, Any]) -> str:
    metadata = table.get("metadata")
    for key in ("license", "licence"):
        claim = metadata.get(key) if isinstance(metadata, dict) else None
        for text in claim.values() if isinstance(claim, dict) else (claim,):
            if isinstance(text, str) and (found := licence_of_text(f"License: {text}")):
                return found
    return ""


def _read_cell(number: int, cell: object, room: _Room) -> tuple[Cell | None, int]:
    """Return a cell, None where it is empty or of no use, and how many magics it had.

    Raises:
        ConfigError: it cannot be read; the message says why.
    """
    if not isinstance(cell, dict):
        raise ConfigError("it is not an object")
    kind = cell.get("cell_type")
    if kind in ("raw", "html"):
        return None, 0
    if kind not in ("code", "markdown", "heading"):
        raise ConfigError("it is neither code nor text")
    source = _source(cell)
    if kind != "code":
        words = strip_unseen(room.take_prose("# " + source if kind == "heading" else source))[0]
        return (Cell(number, "markdown", words) if words.strip() else None), 0
    language = cell.get("language", "python")
    if language != "python":
        raise ConfigError(f"it is {plain(str(language)[:40])}")
    check_size(source)
    room.take_code(source)
    bare = strip_magics(strip_unseen(source.replace("\r\n", "\n").replace("\r", "\n"))[0])
    if bare.language:
        raise ConfigError(bare.language)
    parse(bare.source)
    return (Cell(number, "code", bare.source) if bare.source.strip() else None), bare.left_out


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", cell.get("input"))
    if isinstance(source, str):
        return source
    if isinstance(source, Sequence) and all(isinstance(line, str) for line in source):
        return "".join(source)
    raise ConfigError("its source is not text")
