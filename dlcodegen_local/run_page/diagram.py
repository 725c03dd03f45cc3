"""A network as inline SVG: boxes from top to bottom, branches side by side, repeated blocks folded.

Drawn for a narrow screen first: one column of boxes whose text stays legible at 360 pixels. Branches stand in
lanes, a join at the leftmost lane of what it joins; what cannot be a straight line runs along the right side.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from dlcodegen_local.compiler.sizes import Shape
from dlcodegen_local.html_page import escaped
from dlcodegen_local.run_page.network import Block, Fold, find_folds, read_network

MAX_BLOCKS = 120
_WIDTH = 400
_LANE, _MAX_LANES = 26, 6
_SIDE, _MAX_SIDES = 11, 6  # the lines along the right side
_GAP, _PAD, _TITLE, _LINE = 20, 7, 17, 14
_CHAR = 6.3  # of the small monospace type
_MAX_LINES = 4


@dataclass(frozen=True)
class _Row:
    """Hold a block with its place: lane, top and height, and the lines of its arguments."""

    block: Block
    lane: int
    top: float
    height: float
    lines: tuple[str, ...]

    @property
    def left(self) -> float:
        return 1 + min(self.lane, _MAX_LANES) * _LANE

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class _Link:
    source: int
    target: int
    is_inferred: bool


@dataclass(frozen=True)
class _View:
    """Hold what is shown of a network: the indices of its blocks, its links, its folds, how much is cut."""

    shown: tuple[int, ...]
    links: tuple[_Link, ...]
    folds: tuple[Fold, ...]
    n_cut: int


def draw_network(layers: Sequence[str], input_shape: Shape | None = None) -> str:
    """Return the figure of a plan's layers; "" where the plan has none.

    `input_shape` is what the first layer reads where the layers do not say it.
    """
    blocks = read_network(layers, input_shape)
    if not blocks:
        return ""
    view = _view(blocks)
    lanes = _lanes(blocks, view)
    arcs = {link: side for link in view.links if (side := _side(link, view, lanes)) is not None}
    sides = _nested(arcs)
    right = _WIDTH - 2 - (min(max(sides.values(), default=-1) + 1, _MAX_SIDES) * _SIDE + (8 if sides else 0))
    rows = _rows(blocks, view, lanes, right)
    parts = [_fold(fold, rows, right) for fold in view.folds if fold.start in rows]
    parts += [_box(rows[index], right) for index in view.shown]
    for link in view.links:
        source, target = rows[link.source], rows[link.target]
        if link in sides:
            parts.append(_arc(source, target, right, sides[link], link.is_inferred))
        else:
            parts.append(_arrow(source, target))
    if view.n_cut:
        parts.append(_cut_note(view, rows))
    height = max(row.bottom for row in rows.values()) + 4
    label = f"The network of the plan: {len(layers)} layers, from top to bottom"
    return (
        f'<figure class="network"><svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escaped(label)}">{"".join(parts)}</svg>{_caption(view)}</figure>'
    )


def _caption(view: _View) -> str:
    texts = ["Output shapes are worked out from the plan, batch left out."]
    if any(link.is_inferred for link in view.links):
        texts.append("Dashed: a connection that shapes suggest; the plan only lists layers.")
    if view.folds:
        texts.append("×N: the framed blocks stand N times in a row.")
    return f"<figcaption>{escaped(' '.join(texts))}</figcaption>"


def _view(blocks: Sequence[Block]) -> _View:
    folds = find_folds(blocks)
    stands_for = list(range(len(blocks)))
    for fold in folds:
        period = fold.end - fold.start
        for index in range(fold.end, fold.start + period * fold.times):
            stands_for[index] = fold.start + (index - fold.start) % period
    shown = [index for index, place in enumerate(stands_for) if index == place]
    n_cut = max(0, len(shown) - MAX_BLOCKS)
    if n_cut:
        half = MAX_BLOCKS // 2
        shown = shown[:half] + shown[-half:]
    visible = set(shown)
    links = [
        _Link(stands_for[source], index, source in blocks[index].inferred)
        for index in shown
        for source in (*blocks[index].reads, *blocks[index].inferred)
    ]
    kept = [link for link in dict.fromkeys(links) if link.source in visible and link.source < link.target]
    return _View(tuple(shown), tuple(kept), tuple(fold for fold in folds if fold.start in visible), n_cut)


def _lanes(blocks: Sequence[Block], view: _View) -> dict[int, int]:
    """Give every block a lane: that of what it reads, or a free one."""
    last_reader = {link.source: link.target for link in view.links if not link.is_inferred}
    lanes: dict[int, int] = {}
    taken: dict[int, int] = {}  # lane -> the block that is at its end
    for index in view.shown:
        sources = [link.source for link in view.links if link.target == index and not link.is_inferred]
        own = [lanes[source] for source in sources if taken.get(lanes[source]) == source]
        if own:
            lane = min(own)
            for other in own:
                taken.pop(other)
        else:
            busy = {lane for lane, end in taken.items() if last_reader.get(end, -1) > index}
            lane = next(number for number in range(len(blocks) + 1) if number not in busy)
        lanes[index] = lane
        taken[lane] = index
    return lanes


def _side(link: _Link, view: _View, lanes: dict[int, int]) -> tuple[int, int] | None:
    """Return the span of a link that no straight line can show; None for one that can."""
    between = [index for index in view.shown if link.source < index < link.target]
    is_straight = (
        not link.is_inferred
        and lanes[link.source] >= lanes[link.target]
        and all(lanes[index] > lanes[link.source] for index in between)
    )
    return None if is_straight else (link.source, link.target)


def _nested(arcs: dict[_Link, tuple[int, int]]) -> dict[_Link, int]:
    """Give every arc a place to the right of those that it spans."""
    places: dict[_Link, int] = {}
    for link, (start, end) in sorted(arcs.items(), key=lambda item: (item[1][1] - item[1][0], item[1])):
        near = {
            place
            for other, place in places.items()
            if arcs[other][0] < end and start < arcs[other][1]
        }  # fmt: skip
        places[link] = next(number for number in range(len(arcs) + 1) if number not in near)
    return places


def _rows(blocks: Sequence[Block], view: _View, lanes: dict[int, int], right: float) -> dict[int, _Row]:
    rows: dict[int, _Row] = {}
    top = 4.0
    starts = {fold.start for fold in view.folds}
    ends = {fold.end for fold in view.folds}
    for place, index in enumerate(view.shown):
        block = blocks[index]
        if place and not block.reads:
            top += 6
        top += (16 if index in starts else 0) + (6 if index in ends else 0)
        if view.n_cut and place == MAX_BLOCKS // 2:
            top += _TITLE + _GAP
        left = 1 + min(lanes[index], _MAX_LANES) * _LANE
        width = max(12, int((right - left - 2 * _PAD - 4) / _CHAR))
        lines = _lines(block, width)
        height = _PAD + _TITLE + _LINE * len(lines) + _PAD - 2
        rows[index] = _Row(block, lanes[index], top, height, lines)
        top += height + _GAP
    return rows


def _lines(block: Block, width: int) -> tuple[str, ...]:
    lines: list[str] = []
    for text in (block.arguments, *(f"+ {text}" for text in block.after)):
        lines += textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False)
    if len(lines) > _MAX_LINES + len(block.after):
        lines = [*lines[: _MAX_LINES + len(block.after) - 1], "…"]
    return tuple(lines)


def _box(row: _Row, right: float) -> str:
    block, width = row.block, right - row.left
    x = row.left + _PAD + 4
    title = block.kind or "As the plan says"
    if block.times > 1:
        title += f" ×{block.times}, side by side"
    whole = f"{block.kind}({block.arguments})" + "".join(f" + {text}" for text in block.after)
    parts = [
        f'<g class="block {block.family}"><title>{escaped(whole)}</title>',
        f'<rect class="body" x="{row.left}" y="{row.top}" width="{width:.1f}" height="{row.height}" rx="4"/>',
        f'<rect class="mark" x="{row.left}" y="{row.top}" width="5" height="{row.height}" rx="2"/>',
        f'<text class="kind" x="{x}" y="{row.top + _PAD + 10}">{escaped(title)}</text>',
        f'<text class="shape" x="{right - _PAD:.1f}" y="{row.top + _PAD + 10}" text-anchor="end">'
        f"{escaped(shape_text(block.shape))}</text>",
    ]
    for number, line in enumerate(row.lines, start=1):
        y = row.top + _PAD + 10 + number * _LINE
        parts.append(f'<text class="args" x="{x}" y="{y}">{escaped(line)}</text>')
    return "".join((*parts, "</g>"))


def shape_text(shape: Shape | None) -> str:
    """Return a shape as text, "" where it is unknown."""
    if shape is None:
        return ""
    return " × ".join("?" if size is None else str(size) for size in shape) or "one number"


def _arrow(source: _Row, target: _Row) -> str:
    x = source.left + _LANE / 2
    end = target.top - 1
    return (
        f'<line class="edge" x1="{x}" x2="{x}" y1="{source.bottom}" y2="{end - 5}"/>'
        f'<path class="tip" d="M{x - 4} {end - 6}h8l-4 6z"/>'
    )


def _arc(source: _Row, target: _Row, right: float, side: int, is_inferred: bool) -> str:
    x = right + 8 + min(side, _MAX_SIDES - 1) * _SIDE
    start, end = source.bottom - 8, target.top + 8
    kind = "edge inferred" if is_inferred else "edge"
    return (
        f'<path class="{kind}" d="M{right} {start}H{x - 4}Q{x} {start} {x} {start + 4}V{end - 4}'
        f'Q{x} {end} {x - 4} {end}H{right + 6}"/><path class="tip" d="M{right + 7} {end - 4}v8l-6 -4z"/>'
    )


def _fold(fold: Fold, rows: dict[int, _Row], right: float) -> str:
    inside = [row for index, row in rows.items() if fold.start <= index < fold.end]
    left = min(row.left for row in inside)
    top, bottom = inside[0].top - 18, inside[-1].bottom + 5
    return (
        f'<rect class="fold" x="{max(left - 5, 0.5)}" y="{top}" width="{right - left + 6:.1f}" '
        f'height="{bottom - top}" rx="6"/>'
        f'<text class="times" x="{right - 4:.1f}" y="{top + 13}" text-anchor="end">×{fold.times}</text>'
    )


def _cut_note(view: _View, rows: dict[int, _Row]) -> str:
    after = rows[view.shown[MAX_BLOCKS // 2]]
    text = f"… {view.n_cut} more blocks; the list has them all"
    return f'<text class="args" x="20" y="{after.top - _GAP:.0f}">{escaped(text)}</text>'
