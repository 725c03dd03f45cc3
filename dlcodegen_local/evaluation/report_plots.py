"""Plots as inline SVG: no script, no font and no colour of their own, so that they follow the page's theme.

Drawn 480 units wide, so that the text stays legible on a narrow screen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.html_page import escaped

_WIDTH = 480
_LABELS, _NUMBERS = 172, 44  # left of the bars, and right of them
_ROW, _TOP = 24, 6
_LABEL_CHARS = 23
_LINE_HEIGHT = 260
_COLOURS = 6

Scores = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """Hold one system's estimate (`mean`, `low`, `high`); `group` is its class in the style sheet."""

    label: str
    group: str
    estimate: Scores


def bars(title: str, rows: Sequence[Bar], digits: int = 1) -> str:
    """Draw horizontal bars from 0 with their intervals as whiskers."""
    top = max((row.estimate["high"] for row in rows), default=0) or 1
    scale = (_WIDTH - _LABELS - _NUMBERS) / top
    parts = []
    for place, row in enumerate(rows):
        y = _TOP + place * _ROW
        middle = y + _ROW / 2
        parts.append(_text(_LABELS - 8, middle + 5, _short(row.label), "end", row.label))
        mean, low, high = (max(0.0, row.estimate[name]) for name in ("mean", "low", "high"))
        length = scale * mean
        parts.append(
            f'<rect class="bar {row.group}" x="{_LABELS}" y="{y + 4}" width="{length:.1f}" '
            f'height="{_ROW - 8}"/>'
        )
        parts.append(_whisker(_LABELS + scale * low, _LABELS + scale * high, middle))
        parts.append(_text(_LABELS + scale * high + 6, middle + 5, f"{mean:.{digits}f}", "start"))
    height = _TOP * 2 + len(rows) * _ROW
    axis = f'<line class="axis" x1="{_LABELS}" x2="{_LABELS}" y1="{_TOP}" y2="{height - _TOP}"/>'
    return _figure(title, height, axis + "".join(parts))


def lines(title: str, x_title: str, series: Mapping[str, Sequence[tuple[float, Scores]]]) -> str:
    """Draw scores over a number, a line a system, with their intervals as whiskers."""
    points = [point for line in series.values() for point in line]
    if not points:
        return ""
    left, right, bottom = 44, _WIDTH - 14, _LINE_HEIGHT - 44
    top = max(found["high"] for _, found in points) * 1.05 or 1
    last = max(x for x, _ in points) or 1
    shift = 7.0

    def place(x: float, y: float, number: int) -> tuple[float, float]:
        across = left + 14 + (right - left - 28) * x / last + shift * (number - (len(series) - 1) / 2)
        return across, bottom - (bottom - 12) * max(0.0, y) / top

    parts = [_grid(top, left, right, bottom)]
    for x in sorted({x for x, _ in points}):
        parts.append(_text(place(x, 0, 0)[0], bottom + 20, f"{x:g}", "middle"))
    parts.append(_text((left + right) / 2, _LINE_HEIGHT - 6, x_title, "middle"))
    for number, line in enumerate(series.values()):
        colour = f"c{number % _COLOURS}"
        marks = [
            (*place(x, found["mean"], number), *(place(x, found[end], number)[1] for end in ("low", "high")))
            for x, found in sorted(line, key=lambda point: point[0])
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in marks)
        parts.append(f'<polyline class="line {colour}" points="{path}"/>')
        for x, y, low, high in marks:
            parts.append(
                f'<line class="reach {colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
            )
            parts.append(f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
    legend = "".join(
        f'<li><span class="key c{number % _COLOURS}"></span>{escaped(name)}</li>'
        for number, name in enumerate(series)
    )
    return _figure(title, _LINE_HEIGHT, "".join(parts), f'<ul class="legend">{legend}</ul>')


def _grid(top: float, left: float, right: float, bottom: float) -> str:
    step = next(size for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 1e9) if top / size <= 6)
    parts = []
    for number in range(int(top / step) + 1):
        y = bottom - (bottom - 12) * number * step / top
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 6, y + 5, f"{number * step:g}", "end"))
    return "".join(parts)


def _whisker(low: float, high: float, y: float) -> str:
    ends = "".join(
        f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 4}" y2="{y + 4}"/>' for x in (low, high)
    )
    return f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>{ends}'


def _text(x: float, y: float, text: str, anchor: str, whole: str = "") -> str:
    title = f"<title>{escaped(whole)}</title>" if whole and whole != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}{title}</text>'


def _short(label: str) -> str:
    """Keep both ends of a long name: the model's and the method's."""
    if len(label) <= _LABEL_CHARS:
        return label
    half = (_LABEL_CHARS - 1) // 2
    return f"{label[:half]}…{label[-half:]}"


def _figure(title: str, height: float, body: str, after: str = "") -> str:
    return (
        f'<figure><figcaption>{escaped(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height:g}" role="img" '
        f'aria-label="{escaped(title)}">{body}</svg>{after}</figure>'
    )
