"""Read a study's key and the sheets that came back from spreadsheets and forms; hostile until checked.

Guarantees scores from 0 to 10 of codes that the key names, each sheet by another rater, or one `ConfigError`
that names the file and the line. Commas, semicolons and tabs between cells are read alike, and so are decimal
points and commas: spreadsheets write what their country writes.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.human_criteria import HIGHEST, LOWEST
from dlcodegen_local.evaluation.human_sheets import KEY_FILE, SCORE_COLUMNS
from dlcodegen_local.evaluation.human_study import FORMAT, study_name

MAX_BYTES = 256 * 2**20
_NUMBER = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{0,9})?", re.ASCII)
_NEEDED = ("study", "rater", "id", *SCORE_COLUMNS)


@dataclass(frozen=True)
class Key:
    """Hold who wrote what: `codes` are (item, system) by the id of a code, `missing` items by system."""

    study: str
    codes: Mapping[str, tuple[str, str]]
    missing: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class RatedSheet:
    """Hold one rater's scores by the id of a code and criterion; what was left empty is not there."""

    path: Path
    rater: str
    sha256: str
    scores: Mapping[str, Mapping[str, float]]
    remarks: Mapping[str, str]


def read_key(folder: Path) -> Key:
    """Read the key of an exported study.

    Raises:
        ConfigError: the folder holds none, or it is not as it was written.
    """
    path = folder / KEY_FILE
    try:
        key = json.loads(_read(path).decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not JSON", hint="restore the key, or export again") from exc
    try:
        if key["format"] != FORMAT:
            raise KeyError("format")
        codes = {str(name): (str(code["item"]), str(code["system"])) for name, code in key["codes"].items()}
        missing = {str(name): list(map(str, row["missing"])) for name, row in key["systems"].items()}
        study = study_name(key)
    except (AttributeError, KeyError, TypeError, RecursionError) as exc:
        raise ConfigError(f"{path} is no key of a study", hint="restore the key, or export again") from exc
    if not codes or {system for _, system in codes.values()} - missing.keys():
        raise ConfigError(f"{path} is no key of a study", hint="restore the key, or export again")
    return Key(study, codes, missing)


def read_sheets(paths: Sequence[Path], key: Key) -> list[RatedSheet]:
    """Read the sheets of one study, each by another rater.

    Raises:
        ConfigError: a sheet cannot be read, is given twice, belongs to another study or holds no score, or
            names the line that is not as it must be.
    """
    sheets: list[RatedSheet] = []
    for path in paths:
        sheet = _read_sheet(path, key)
        for earlier in sheets:
            if sheet.sha256 == earlier.sha256:
                raise ConfigError(f"{path} and {earlier.path} are the same sheet", hint="give each once")
            if sheet.rater.casefold() == earlier.rater.casefold():
                raise ConfigError(
                    f"{path} and {earlier.path} are both of rater {sheet.rater!r}",
                    hint="give one of them, or correct the column rater",
                )
        sheets.append(sheet)
    return sheets


def _read_sheet(path: Path, key: Key) -> RatedSheet:
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not UTF-8 text", hint="save it as CSV UTF-8") from exc
    scores: dict[str, Mapping[str, float]] = {}
    remarks: dict[str, str] = {}
    raters: set[str] = set()
    for where, row in _rows(path, text):
        code = _unquoted(row["id"])
        if row["study"].strip() != key.study:
            raise ConfigError(
                f"{where}: belongs to another study than the key",
                hint="give the sheets and the key of one export; neither may be changed",
            )
        if code not in key.codes:
            raise ConfigError(f"{where}: unknown id {code!r}", hint="leave the ids as they were exported")
        if code in scores:
            raise ConfigError(f"{where}: id {code!r} stands twice", hint="leave one of the two out")
        found = {name: _score(f"{where}, {name}", row[name]) for name in SCORE_COLUMNS}
        scores[code] = {name: score for name, score in found.items() if score is not None}
        if row.get("remark", "").strip():
            remarks[code] = row["remark"].strip()
        raters.add(_unquoted(row["rater"]))
    if len(raters) != 1 or "" in raters:
        raise ConfigError(f"{path}: must name one rater in all its rows", hint="fill the column rater")
    if not any(scores.values()):
        raise ConfigError(f"{path}: holds no score", hint="leave out the sheets of those who did not rate")
    return RatedSheet(path, raters.pop(), hashlib.sha256(content).hexdigest(), scores, remarks)


def _rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the rows of a sheet by its columns, with the line where each ends."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(MAX_BYTES)  # the module's own bound is shorter than a long program
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not any(map(str.strip, cells)):
                continue
            if not columns:
                columns = [name.strip().lower() for name in cells]
                _check_columns(path, columns)
            elif len(cells) < len(columns):
                raise ConfigError(f"{where}: has too few cells", hint="save the whole sheet as CSV")
            else:
                yield where, dict(zip(columns, cells, strict=False))
    except csv.Error as exc:
        raise ConfigError(f"{path}, line {reader.line_num}: {exc}", hint="save the sheet as CSV") from exc
    if not columns:
        raise ConfigError(f"{path} is empty", hint="give a sheet that was filled in")


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for name in _NEEDED:
        if columns.count(name) != 1:
            fault = "stands twice" if name in columns else "is missing"
            raise ConfigError(
                f"{path}: column {name} {fault}", hint="leave the columns as they were exported"
            )


def _score(where: str, text: str) -> float | None:
    text = text.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or not LOWEST <= (score := float(text.replace(",", "."))) <= HIGHEST:
        raise ConfigError(
            f"{where}: {text[:40]!r} is no number from {LOWEST} to {HIGHEST}",
            hint="correct it, or leave the cell empty",
        )
    return score


def _unquoted(text: str) -> str:
    """Return a cell without the apostrophe that keeps it from being a formula."""
    return text.strip().removeprefix("'")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: is longer than {MAX_BYTES:,} bytes", hint="leave the codes out")
    return content


def to_rows(sheet: RatedSheet) -> dict[str, Any]:
    """Return what a report says of a sheet."""
    return {
        "path": str(sheet.path),
        "rater": sheet.rater,
        "sha256": sheet.sha256,
        "scores": sum(map(len, sheet.scores.values())),
        "remarks": len(sheet.remarks),
    }
