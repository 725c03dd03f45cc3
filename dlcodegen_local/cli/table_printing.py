"""Tables of results for a terminal: a system a row, as the paper has them."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 10_000  # of output that is no terminal: nothing wraps
_CODE = (
    "codebleu",
    "ngram",
    "weighted_ngram",
    "syntax",
    "dataflow",
    "codebleu_defined",
    "compliance",
    "smoke_rate",
)
_RATES = ("parse_rate", "compliance", "smoke_rate")
_TITLES = {"parse_rate": "parse rate", "compliance": "plan compliance", "smoke_rate": "smoke run"}


def print_programs(document: Mapping[str, Any]) -> None:
    """Print a table over code: all tasks first, then the comparison with references."""
    console = _console()
    rows = [
        [
            found["name"],
            str(found["items"]),
            str(found["failed"]),
            *(_cell(found[name], 1) for name in _RATES),
            *(_number(found[name]) for name in ("seconds", "tokens", "peak_memory_mib")),
            ", ".join(f"{origin} {count}" for origin, count in found["origins"].items()),
        ]
        for found in document["summary"]
    ]
    heads = ["all tasks", "items", "failed", *map(_TITLES.get, _RATES), "s", "tokens", "peak MiB", "origin"]
    _print(console, heads, rows)
    if document["comparison"]:
        print_comparison(document, _CODE)
    for found in document["repeats"]:
        scores = {name: _cell(score, 1) for name, score in found["scores"].items() if score}
        listed = "; ".join(f"{name} {cell}" for name, cell in scores.items())
        console.print(plain(f"{found['name']}, {found['runs']} seeds: {listed}"))


def print_costs(document: Mapping[str, Any]) -> None:
    """Print what the plans of all tasks took."""
    keys = ("seconds", "tokens", "peak_memory_mib")
    rows = [
        [found["name"], str(found["items"]), str(found["failed"]), *(_number(found[key]) for key in keys)]
        for found in document["summary"]
    ]
    _print(_console(), ["all tasks", "items", "failed", "s", "tokens", "peak MiB"], rows)


def print_comparison(document: Mapping[str, Any], measures: Sequence[str]) -> None:
    """Print the scores against references, with the difference of the first measure to the first system."""
    console = _console()
    comparison = document["comparison"]
    first, *_ = comparison["systems"]
    main = measures[0]
    titles = [comparison["measures"][name]["title"] for name in measures]
    rows = [
        [
            system["name"],
            *(_cell(system["scores"][name], _digits(comparison, name)) for name in measures),
            _cell(system["difference_to_first"].get(main), _digits(comparison, main), sign="+"),
            _p((document["p_values"] or {}).get(system["name"], {}).get(main)),
        ]
        for system in comparison["systems"]
        if system["name"] not in document["further"]
    ]
    heads = [f"{comparison['references']['items']} references", *titles]
    _print(console, [*heads, f"{titles[0]} minus {first['name']}", "p"], rows)
    console.print(f"[low, high]: {comparison['interval']}")
    console.print(f"p: {document['p_value']}")


def _console() -> "Console":
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)


def _print(console: "Console", heads: Sequence[str | None], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(plain(head or ""), justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(plain, row))
    console.print(table)


def _digits(comparison: Mapping[str, Any], measure: str) -> int:
    digits = comparison["measures"][measure].get("digits", 1)
    assert isinstance(digits, int)
    return digits


def _cell(found: Mapping[str, float] | None, digits: int, sign: str = "") -> str:
    if not found:
        return "-"
    mean, low, high = (
        f"{round(found[name], digits) + 0.0:{sign}.{digits}f}" for name in ("mean", "low", "high")
    )
    return f"{mean} [{low}, {high}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value >= 0.001 else "<0.001"
