"""The folder of evaluation results: what was run, what came of it, one page that shows all of it.

    programs/   rows of systems that write programs      planners/   rows of systems that write plans
    bench/      rows of two models                       items/      what the page shows of each task
    results.json, report.html

Guarantees that a table which is scored again replaces itself alone: several tables share one folder and one
page, and a system that stands in two tables is run once.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.report import render_report
from dlcodegen_local.evaluation.table_items import Item

_FORMAT = 1


class TableFolder:
    """Hold the places in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that may be new.

        Raises:
            ConfigError: it is no folder, or its results are not as this version writes them.
        """
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder", hint="name a folder for the results")
        self.programs = folder / "programs"
        self.planners = folder / "planners"
        self.bench = folder / "bench"
        self.results = folder / "results.json"
        self.report = folder / "report.html"
        self._items = folder / "items"
        self._check()

    def keep(self, table: str, document: dict[str, Any], items: Sequence[Item]) -> None:
        """Put a scored table into the results, and make the page anew."""
        tables = {**self._read(), table: document}  # as another table may have left them by now
        write_file(self._place(table), _text([item.to_dict() for item in items]))
        write_file(self.results, _text({"format": _FORMAT, "tables": tables}))
        shown = {name: self._items_of(name) for name in tables}
        write_file(self.report, render_report(tables, shown).encode("utf-8", "replace"))

    def _check(self) -> None:
        """Refuse results that cannot be shown now, not after the hours of a run."""
        try:
            render_report(self._read(), {})
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ConfigError(f"{self.results} is damaged", hint="remove it, or name another folder") from exc

    def _read(self) -> dict[str, Any]:
        if not self.results.exists():
            return {}
        found = _decoded(self.results)
        tables = found.get("tables") if isinstance(found, dict) and found.get("format") == _FORMAT else None
        if not isinstance(tables, dict):
            raise ConfigError(f"{self.results} is not as this version writes it", hint="name another folder")
        return tables

    def _items_of(self, table: str) -> list[Item]:
        place = self._place(table)
        if not place.exists():
            return []
        try:
            return [Item.from_dict(row) for row in _decoded(place)]
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ConfigError(f"{place} is damaged", hint="remove it") from exc

    def _place(self, table: str) -> Path:
        return self._items / f"{table}.json"


def _decoded(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}", hint="check the folder") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not JSON", hint="remove it, or name another folder") from exc


def _text(value: object) -> bytes:
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")
