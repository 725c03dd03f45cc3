"""Say which evaluation items leak: references and sources in, one document out, ready to be printed or kept.

The document names every source with what was read of it, and every item with where and how much.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local import __version__
from dlcodegen_local.config import PoolPlace
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.leaks import KINDS, SIGNATURE, Kind, Leak, Texts, leaky_ids
from dlcodegen_local.evaluation.leaks_sources import Source, SourceReader, read_items

_TEXTS: Mapping[Kind, str] = {"requirement": "requirement", "plan": "plan", "code": "reference code"}


@dataclass(frozen=True)
class LeakReport:
    """Hold the leaks of some items, by id in their order, and the sources that were read."""

    path: Path
    items: Sequence[str]
    checked: Mapping[Kind, int]  # items that have such a text, by its kind
    sources: Sequence[SourceReader]
    leaks: Mapping[str, Leak]

    @property
    def label(self) -> str:
        """Return the line that is to stand beside every score of these items."""
        if not self.leaks:
            rows = sum(source.rows for source in self.sources)
            return f"held out: none of {len(self.items)} items was found in {rows:,} rows and samples"
        verb = "leaks" if len(self.leaks) == 1 else "leak"
        return f"NOT HELD OUT: {len(self.leaks)} of {len(self.items)} items {verb}"

    @property
    def notes(self) -> list[str]:
        """Say what of the items could not be compared."""
        lacking = {kind: len(self.items) - self.checked[kind] for kind in KINDS}
        return [
            f"{count} items have no {_TEXTS[kind]} to look for" for kind, count in lacking.items() if count
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that `evaluate leaks` prints and writes."""
        return {
            "versions": {"dlcodegen": __version__},
            "signature": SIGNATURE,
            "references": {"path": str(self.path), "items": len(self.items), "checked": dict(self.checked)},
            "sources": [
                {"name": source.name, "rows": source.rows, "sha256": source.sha256} for source in self.sources
            ],
            "held_out": not self.leaks,
            "label": self.label,
            "leaks": [
                {
                    "id": item,
                    "found": leak.found,
                    "matches": [
                        {
                            "kind": match.kind,
                            "where": match.where,
                            "share": round(match.share, 9),
                            "exact": match.is_exact,
                        }
                        for match in leak.matches
                    ],
                }
                for item, leak in self.leaks.items()
            ],
            "notes": self.notes,
        }


def report_leaks(
    references: Path,
    sources: Sequence[Source],
    only: Sequence[str] | None = None,
    on_read: Callable[[str], None] = lambda name: None,
) -> LeakReport:
    """Look for evaluation items in sources; `only` names the items that count, all by default.

    `on_read` is told each source as it begins to be read.

    Raises:
        ConfigError: a file cannot be read or is not as it must be, or a source is given twice.
        ArtifactError: a pool is missing or damaged.
    """
    readers = [SourceReader(source) for source in sources]
    places = [_place(source) for source in sources]
    for number, reader in enumerate(readers):
        if places[number] in places[:number]:
            raise ConfigError(f"{reader.name} is given twice", hint="name each source once")
    chosen = None if only is None else set(only)
    items = [item for item in read_items(references) if chosen is None or item.where in chosen]

    def all_texts() -> Iterator[Texts]:
        for reader in readers:
            on_read(reader.name)
            yield from reader

    leaks = leaky_ids(items, all_texts())
    checked = {kind: sum(bool(getattr(item, kind).strip()) for item in items) for kind in KINDS}
    return LeakReport(references, [item.where for item in items], checked, readers, leaks)


def _place(source: Source) -> Path:
    return (source.folder if isinstance(source, PoolPlace) else source).resolve()
