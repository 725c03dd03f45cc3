"""Score tables of a report: a system a row, in groups: run here, published, floors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlcodegen_local.html_page import escaped

GROUPS = {
    "ours": "Run here",
    "published": "Published predictions, by the same scorer",
    "floors": "Floors: what needs no model. They are no rivals, they show what is easy",
}
# A summary's key, its title, and its digits; None where it is an estimate with an interval.
_COSTS: tuple[tuple[str, str, int | None], ...] = (
    ("parse_rate", "Parse rate", None),
    ("compliance", "Compliance with its plan", None),
    ("smoke_rate", "Smoke run", None),
    ("seconds", "Seconds", 2),
    ("tokens", "Tokens", 0),
    ("peak_memory_mib", "Peak MiB", 0),
)
_NO_VALUE = '<td class="none">–</td>'

Document = Mapping[str, Any]


def grouped(
    document: Document, systems: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every system with its group, in the groups' order; repeats with other seeds are left out."""
    groups: dict[str, list[Mapping[str, Any]]] = {group: [] for group in GROUPS}
    for system in systems:
        name = system["name"]
        if name in document["further"]:
            continue
        group = (
            "floors" if name in document["floors"] else "ours" if name in document["ours"] else "published"
        )
        groups[group].append(system)
    for group, found in groups.items():
        for system in found:
            yield group, system


def score_table(document: Document, measures: Sequence[str]) -> str:
    """Return the scores against references with their intervals; the best of each column is bold."""
    comparison = document["comparison"]
    about = comparison["measures"]
    systems = list(grouped(document, comparison["systems"]))
    best = {
        name: _best([system for group, system in systems if group != "floors"], name, about)
        for name in measures
    }
    rows = [
        (
            group,
            system["name"],
            "".join(
                _cell(
                    system["scores"][name],
                    _digits(about, name),
                    is_best=group != "floors" and _mean(system, name) == best[name],
                )
                for name in measures
            ),
        )
        for group, system in systems
    ]
    return _table([about[name]["title"] + _arrow(about[name]["better"]) for name in measures], rows)


def difference_table(document: Document, measures: Sequence[str]) -> str:
    """Return the paired differences to the first system, with intervals and p values."""
    comparison = document["comparison"]
    about = comparison["measures"]
    first, *_ = comparison["systems"]
    rows = []
    for group, system in grouped(document, comparison["systems"]):
        if system["name"] == first["name"]:
            continue
        p_values = document["p_values"].get(system["name"], {})
        cells = "".join(
            _cell(
                system["difference_to_first"].get(name), _digits(about, name), sign="+", p=p_values.get(name)
            )
            for name in measures
        )
        rows.append((group, system["name"], cells))
    if not rows:
        return ""
    head = f"<p>Each system minus <b>{escaped(first['name'])}</b>, item by item.</p>"
    return head + _table([about[name]["title"] for name in measures], rows)


def summary_table(document: Document) -> str:
    """Return what came of all tasks, with references or without, and what it cost."""
    columns = [column for column in _COSTS if any(found.get(column[0]) for found in document["summary"])]
    rows = []
    for group, found in grouped(document, document["summary"]):
        origins = ", ".join(f"{origin} {count}" for origin, count in found.get("origins", {}).items())
        cells = [
            f"<td>{found['items']}</td><td>{found['failed'] or 'none'}</td>",
            *(
                _cell(found[key], 1) if digits is None else _plain(found[key], digits)
                for key, _, digits in columns
            ),
            f'<td class="words">{escaped(origins)}</td>' if "origins" in found else "",
        ]
        rows.append((group, found["name"], "".join(cells)))
    has_origins = any(found.get("origins") for found in document["summary"])
    heads = ["Tasks", "Failed", *(title for _, title, _ in columns), *(["Origin"] if has_origins else [])]
    return _table(heads, rows)


def repeats_table(document: Document) -> str:
    """Return the means over seeds, or nothing where every system ran once."""
    if not document["repeats"]:
        return ""
    measures = list(document["repeats"][0]["scores"])
    rows = [
        ("ours", f"{found['name']}, {found['runs']} seeds",
         "".join(_cell(found["scores"][name], 1) for name in measures))
        for found in document["repeats"]
    ]  # fmt: skip
    about = document["comparison"]["measures"]
    return "<h3>Over seeds</h3>" + _table([about[name]["title"] for name in measures], rows)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, str, str]]) -> str:
    """Return a table that scrolls by itself where it is wider than the page."""
    parts = [f"<tr><th>System</th>{''.join(f'<th>{escaped(head)}</th>' for head in heads)}</tr>"]
    shown = ""
    for group, name, cells in rows:
        if group != shown:
            head = f'<span class="stay">{escaped(GROUPS[group])}</span>'
            parts.append(f'<tr class="group"><th colspan="{len(heads) + 1}">{head}</th></tr>')
            shown = group
        parts.append(f'<tr class="{group}"><th scope="row">{escaped(name)}</th>{cells}</tr>')
    return f'<div class="scroll" tabindex="0"><table>{"".join(parts)}</table></div>'


def _cell(
    found: Mapping[str, float] | None,
    digits: int,
    *,
    sign: str = "",
    p: float | None = None,
    is_best: bool = False,
) -> str:
    if not found:
        return _NO_VALUE
    mean, low, high = (
        f"{round(found[name], digits) + 0.0:{sign}.{digits}f}" for name in ("mean", "low", "high")
    )
    shown_p = "" if p is None else f"<small>p {'&lt; 0.001' if p < 0.001 else f'= {p:.3f}'}</small>"
    mark = "b" if is_best else "span"
    return f"<td><{mark}>{mean}</{mark}><small>[{low}, {high}]</small>{shown_p}</td>"


def _plain(value: float | None, digits: int) -> str:
    return _NO_VALUE if value is None else f"<td>{value:,.{digits}f}</td>"


def _mean(system: Mapping[str, Any], measure: str) -> float | None:
    found = system["scores"][measure]
    return found["mean"] if found else None


def _best(
    systems: Sequence[Mapping[str, Any]], measure: str, about: Mapping[str, Mapping[str, str]]
) -> float | None:
    means = [mean for system in systems if (mean := _mean(system, measure)) is not None]
    if len(means) < 2 or about[measure]["better"] == "neither":
        return None
    return max(means) if about[measure]["better"] == "higher" else min(means)


def _arrow(better: str) -> str:
    return {"higher": "\u00a0↑", "lower": "\u00a0↓"}.get(better, "")


def _digits(about: Mapping[str, Mapping[str, Any]], measure: str) -> int:
    digits = about[measure].get("digits", 1)
    assert isinstance(digits, int)
    return digits
