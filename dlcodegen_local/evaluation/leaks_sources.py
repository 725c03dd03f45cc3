"""Read what leaks are looked for in: evaluation items, training files, pools; hostile until checked.

A training row holds at least one of `requirement`, `plan`, `code`, `reference`, `output` and `text`; a row
without any of them is refused, so that a file in another format is never called clean. Of a folder that is no
pool, each Python, Markdown or text file is one text, and JSON lines are rows.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.config import PoolPlace
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.evaluation.code_files import read_predictions
from dlcodegen_local.evaluation.code_text import unfenced
from dlcodegen_local.evaluation.leaks import Texts
from dlcodegen_local.evaluation.rows import MAX_LINE_BYTES, Digest, read_rows
from dlcodegen_local.retrieval.pools import DATABASE, open_pool

Source = Path | PoolPlace

_CODE = ("code", "reference")
_ANSWERS = ("output", "text")  # raw answers: code with its fence, or a requirement with its plan
_TEXT_SUFFIXES = (".py", ".md", ".rst", ".txt")
_FIELDS = ("requirement", "plan", *_CODE, *_ANSWERS)


@dataclass
class SourceReader:
    """Iterate over one source; `rows` and `sha256` then say what was read, a pool by its fingerprint."""

    source: Source
    rows: int = 0
    sha256: str = ""

    @property
    def name(self) -> str:
        """Return the source as the user named it."""
        return self.source.name if isinstance(self.source, PoolPlace) else str(self.source)

    def __iter__(self) -> Iterator[Texts]:
        """Yield its rows or samples.

        Raises:
            ConfigError: a file cannot be read, or names the line that is not as it must be.
            ArtifactError: there is no such pool, or a sample of it is damaged.
        """
        self.rows = 0
        for texts in self._texts():
            self.rows += 1
            yield texts
        if not self.rows:
            raise ConfigError(f"{self.name} holds nothing to compare with", hint="name another source")

    def _texts(self) -> Iterator[Texts]:
        if isinstance(self.source, PoolPlace):
            yield from self._pool(self.source)
            return
        digest = hashlib.sha256()
        is_folder = self.source.is_dir()
        yield from self._files(self.source, digest) if is_folder else _rows(self.source, digest)
        self.sha256 = digest.hexdigest()

    def _files(self, folder: Path, digest: Digest) -> Iterator[Texts]:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.suffix in (*_TEXT_SUFFIXES, ".jsonl") and path.is_file():
                digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
            if path.suffix == ".jsonl" and path.is_file():
                yield from _rows(path, digest)
            elif path.suffix in _TEXT_SUFFIXES and path.is_file():
                text = _text(path, digest)
                yield Texts(f"{self.name}: {name}", requirement=text, code=text)

    def _pool(self, place: PoolPlace) -> Iterator[Texts]:
        folder = place.folder
        if place.name not in ("team", "bundled") and not folder.is_dir():
            raise ArtifactError(f"there is no pool {place.name}", hint="bundled, team, or a pool's folder")
        if not (folder / DATABASE).is_file() and any(folder.glob("*.py")) and not any(folder.glob("*.json")):
            digest = hashlib.sha256()
            yield from self._files(folder, digest)
            self.sha256 = digest.hexdigest()
            return
        pool = open_pool(folder, place.name)
        self.sha256 = pool.fingerprint
        for entry in pool.entries():
            yield Texts(
                f"{place.name}: {entry.id}",
                entry.requirement,
                plan_words(entry.plan.to_dict()),
                pool.sample(entry.id).source,
            )


def _rows(path: Path, digest: Digest) -> Iterator[Texts]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                digest.update(line)
                if line.strip():
                    yield _training_row(f"{path}, line {number}", line)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc


def _text(path: Path, digest: Digest) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LINE_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc
    if len(content) > MAX_LINE_BYTES:
        raise ConfigError(f"{path}: is longer than {MAX_LINE_BYTES:,} bytes", hint="cut it in parts")
    digest.update(content)
    return content.decode("utf-8", "replace")


def read_items(path: Path) -> list[Texts]:
    """Read evaluation items: rows with `id` and `requirement`, `plan` or `reference`, or a folder of ID.py.

    Raises:
        ConfigError: it cannot be read, holds no item, or names the line that is not as it must be.
    """
    if path.is_dir():
        found = read_predictions(path).predictions
        return [Texts(name, code=prediction.code) for name, prediction in found.items()]
    items = [_texts(row.where, row.id, row.fields) for row in read_rows(path, hashlib.sha256())]
    if not items:
        raise ConfigError(f"{path} holds no item", hint="JSON lines of id, requirement, plan, reference")
    return items


def plan_words(plan: object) -> str:
    """Return what a plan says, without its keys; a plan that is JSON text is read as such."""
    if isinstance(plan, str):
        try:
            plan = json.loads(plan)
        except (ValueError, RecursionError):
            return str(plan)
    said: list[str] = []
    waiting = [plan]
    while waiting:  # no recursion: the nesting is the file's
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)
        elif value is not None:
            said.append(str(value))
    return "\n".join(said)


def _training_row(where: str, line: bytes) -> Texts:
    if len(line) > MAX_LINE_BYTES:
        raise ConfigError(f"{where}: is longer than {MAX_LINE_BYTES:,} bytes", hint="one row a line")
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{where}: is not UTF-8 text", hint="write the file as UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{where}: is not JSON", hint="one JSON object a line") from exc
    if not isinstance(fields, dict):
        raise ConfigError(f"{where}: must be an object", hint="one JSON object a line")
    return _texts(where, where, fields)


def _texts(where: str, name: str, fields: dict[str, Any]) -> Texts:
    if not fields.keys() & set(_FIELDS):
        raise ConfigError(
            f"{where}: holds nothing to compare", hint=f"one or more of {', '.join(_FIELDS)} must be there"
        )
    for key in ("requirement", *_CODE, *_ANSWERS):
        if not isinstance(fields.get(key), str | None):
            raise ConfigError(f"{where}: {key} must be a text", hint="correct the row")
    code = [fields[key] for key in _CODE if fields.get(key)]
    answers = [fields[key] for key in _ANSWERS if fields.get(key)]
    return Texts(
        name,
        requirement="\n".join(filter(None, (fields.get("requirement"), *answers))),
        plan=plan_words(fields.get("plan")),
        code="\n".join((*code, *map(unfenced, answers))),
    )
