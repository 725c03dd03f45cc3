"""The loss curve and the confusion matrix of a smoke run, as inline SVG and as a table.

Guarantees that what is drawn is bounded, whatever a program reported of itself.
"""

import math
from collections.abc import Mapping, Sequence

from dlcodegen_local.html_page import escaped

MAX_POINTS, MAX_CLASSES = 500, 20
_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 468, 12, 206
_COLOURS = 6


def loss_curve(batch_losses: Sequence[float]) -> str:
    """Draw the loss of every batch; "" for fewer than two."""
    values = [value for value in batch_losses if math.isfinite(value)][:MAX_POINTS]
    return (
        _curves("Loss after every batch, as the framework reports it", "batch", {"training": values})
        if len(values) > 1
        else ""
    )


def history_curves(history: Mapping[str, Sequence[float]]) -> str:
    """Draw every measure over the epochs, training and validation together; "" for a single epoch."""
    figures = []
    for name in [name for name in history if not name.startswith("val_")]:
        lines = {"training": history[name], "validation": history.get(f"val_{name}", ())}
        kept = {
            label: [value for value in values if math.isfinite(value)][:MAX_POINTS]
            for label, values in lines.items()
        }
        if len(kept["training"]) > 1:
            figures.append(_curves(f"{name}, epoch by epoch", "epoch", kept))
    return "".join(figures[:_COLOURS])


def _curves(title: str, x_title: str, lines: Mapping[str, Sequence[float]]) -> str:
    drawn = {name: values for name, values in lines.items() if values}
    every = [value for values in drawn.values() for value in values]
    low, high = min(every), max(every)
    low = min(0.0, low) if low < 0.4 * high else low
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    count = max(len(values) for values in drawn.values())
    parts = []
    for tick in ticks:
        y = _y(tick, low, high)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for number in sorted({1, (count + 1) // 2, count}):
        x = _x(number - 1, count)
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{number}</text>')
    parts.append(
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escaped(x_title)}</text>'
    )
    for place, values in enumerate(drawn.values()):
        points = [(_x(number, count), _y(value, low, high)) for number, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line c{place}" points="{path}"/>')
        if len(points) <= 40:
            parts += [f'<circle class="dot c{place}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    words = "; ".join(
        f"{name} from {values[0]:.3g} to {values[-1]:.3g}" for name, values in drawn.items()
    )  # fmt: skip
    keys = "".join(
        f'<li><span class="key c{place}"></span>{escaped(name)}</li>' for place, name in enumerate(drawn)
    )
    legend = f'<ul class="legend">{keys}</ul>' if len(drawn) > 1 else ""
    return (
        f"<figure><figcaption>{escaped(title)}: {escaped(words)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escaped(title)}: {escaped(words)}">'
        f"{''.join(parts)}</svg>{legend}</figure>"
    )


def _x(number: int, count: int) -> float:
    return _LEFT + 8 + (_RIGHT - _LEFT - 16) * number / max(1, count - 1)


def _y(value: float, low: float, high: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * (value - low) / ((high - low) or 1.0)


def _ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers around a range."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span))
    step = next(size * part for part in (0.1, 0.2, 0.5, 1, 2) if span / (size * part) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def confusion_table(confusion: Sequence[Sequence[int]]) -> str:
    """Return the matrix as a table: a row a true class, a column a predicted one; "" without one."""
    size = len(confusion)
    total = sum(map(sum, confusion))
    if not total:
        return ""
    right = sum(row[place] for place, row in enumerate(confusion))
    met = [place for place in range(size) if any(confusion[place]) or any(row[place] for row in confusion)]
    shown = met[:MAX_CLASSES]
    heads = "".join(f'<th scope="col">{place}</th>' for place in shown)
    rows = "".join(_confusion_row(place, confusion[place], shown) for place in shown)
    notes = [f"{size - len(met)} of {size} classes occur in none of them."] if len(met) < size else []
    notes += [f"{len(met) - MAX_CLASSES} more classes are not shown."] if len(met) > MAX_CLASSES else []
    return (
        '<figure class="confusion"><figcaption>Confusion on the synthetic test items, true class by row, '
        f"predicted class by column: {right} of {total} right. Framed cells are right. {' '.join(notes)}"
        "</figcaption>"
        f'<div class="scroll" tabindex="0"><table><tr><th>true ↓ predicted →</th>{heads}</tr>{rows}'
        "</table></div></figure>"
    )


def _confusion_row(place: int, counts: Sequence[int], shown: Sequence[int]) -> str:
    top = sum(counts) or 1
    cells = "".join(
        f'<td class="{_shade(counts[other], top)}{" right" if place == other else ""}">{counts[other]}</td>'
        for other in shown
    )
    return f'<tr><th scope="row">{place}</th>{cells}</tr>'


def _shade(count: int, top: int) -> str:
    return f"h{min(4, math.ceil(4 * count / top))}" if count else "h0"
