"""The drafts and the merge side by side, section by section, and what was delivered.

Where neighbours have the same code, one cell stands for them. Guarantees a bound on what is drawn of a long
text, and says where it cuts.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from dlcodegen_local.generation.segments import cut_source
from dlcodegen_local.html_page import escaped
from dlcodegen_local.run_page.definition import Round, RunPage, Version
from dlcodegen_local.run_page.highlight import marked_lines
from dlcodegen_local.run_page.origins import Origins, written_after
from dlcodegen_local.sections import SECTION_NAMES

MAX_CELL_CHARS = 24_000
_MAX_COMPARED_LINES = 600
_MAX_CUT_CHARS = 200_000
_HEADER = "header"
_WHOLE = "program"
_TITLES = {
    "code-rag": "Draft 1 (code-rag)",
    "template-rag": "Draft 2 (template-rag)",
    "merge": "Merge",
    "repair": "Repaired",
    "compiler": "Plan compiler",
    "direct": "Draft (direct)",
}

_DELIVERED = {
    "merge": "the merge of the drafts",
    "repair": "repaired by the model",
    "code-rag": "draft 1, after a sample",
    "template-rag": "draft 2, after a template",
    "compiler": "written by the plan compiler; no draft passed",
}


@dataclass(frozen=True)
class _Column:
    version: Version
    title: str
    bodies: Mapping[str, str]


def code_part(page: RunPage) -> str:
    """Return the section of the drafts, the merges and the delivered program."""
    origins = Origins(hit.id for hit in page.hits)
    rounds = [_round(found, number, page, origins) for number, found in enumerate(page.rounds)]
    delivered = _delivered(page, origins)
    if not rounds and not delivered:
        return "<p>No code was written.</p>"
    about = (
        "<p>Every segment has the colour of its origin, and says it. Where columns have the same code, one "
        "cell stands for them; ▌ marks lines that no column before it has.</p>"
    )
    return f"{about}{origins.legend()}{''.join(rounds)}{delivered}"


def version_title(name: str) -> str:
    """Return what a version is called on the page."""
    stem, _, number = name.rpartition(" ")
    if stem in _TITLES and number.isdigit():
        return f"{_TITLES[stem]}, round {number}"
    return _TITLES.get(name, name)


def sections_of(source: str) -> dict[str, str]:
    """Return the header and sections of a source; one that cannot be cut is one section."""
    cut = cut_source(source) if len(source) <= _MAX_CUT_CHARS else None
    if cut is None:
        return {_WHOLE: source} if source.strip() else {}
    header = {_HEADER: cut.header} if cut.header.strip() else {}
    return {**header, **{name: cut.bodies[name] for name in SECTION_NAMES if cut.bodies.get(name)}}


def _round(found: Round, number: int, page: RunPage, origins: Origins) -> str:
    versions = [*found.drafts, *([found.merge] if found.merge else [])]
    columns = [
        _Column(version, version_title(version.name), sections_of(version.source)) for version in versions
    ]
    order = (_HEADER, *SECTION_NAMES, _WHOLE)
    names = [name for name in order if any(name in column.bodies for column in columns)]
    ids = tuple(hit.id for hit in page.hits)
    rows = "".join(_row(name, columns, origins, ids) for name in names)
    errors = "".join(
        f'<p class="caution"><b>{escaped(column.title)}</b>, no program: {escaped(column.version.error)}</p>'
        for column in columns
        if column.version.error
    )
    heads = "".join(
        f'<div class="head">{escaped(column.title)}<small>{_lines_of(column)}</small></div>'
        for column in columns
    )
    css = f"versions n{min(len(columns), 4)}"
    body = f'{errors}<div class="{css}"><div class="row heads">{heads}</div>{rows}</div>'
    body += "".join(_notes(column) for column in columns)
    if not number:
        return body
    return f"<details><summary>Round {number + 1}, at another temperature</summary>{body}</details>"


def _lines_of(column: _Column) -> str:
    source = column.version.source
    return f"{source.count(chr(10))} lines" if source else "no program"


def _row(name: str, columns: Sequence[_Column], origins: Origins, ids: tuple[str, ...]) -> str:
    cells, place = [], 0
    for body, group in groupby(columns, key=lambda column: column.bodies.get(name, "")):
        same = list(group)
        before = [column.bodies.get(name, "") for column in columns[:place]]
        cells.append(_cell(name, body, same, before, (origins, ids)))
        place += len(same)
    is_open = " open" if len(cells) > 1 or name in ("config", "model") else ""
    word = _agreement(name, columns)
    return (
        f'<details class="segment"{is_open}><summary><b>{escaped(name)}</b> <small>{escaped(word)}</small>'
        f'</summary><div class="row">{"".join(cells)}</div></details>'
    )


def _agreement(name: str, columns: Sequence[_Column]) -> str:
    """Say in a few words what the merge, the last column, took."""
    bodies = [column.bodies.get(name, "") for column in columns]
    if len(columns) < 2:
        return ""
    if len(set(bodies)) == 1:
        return "all the same"
    if columns[-1].version.name.split(" ")[0] != "merge":
        return "drafts differ"
    from_drafts = [
        column.title for column, body in zip(columns[:-1], bodies, strict=False) if body == bodies[-1]
    ]
    return f"merge takes {' and '.join(from_drafts)}" if from_drafts else "merge differs from every draft"


def _cell(
    name: str,
    body: str,
    same: Sequence[_Column],
    before: Sequence[str],
    known: tuple[Origins, tuple[str, ...]],
) -> str:
    origins, ids = known
    titles = []
    colour = ""
    for column in same:
        version = column.version
        chip = ""
        if body and name != _HEADER:
            origin = origins.of(version.provenance, name)
            colour = colour or origin.css
            after = written_after(version.bases, name, ids) if "o-model" in origin.css else ""
            chip = origin.chip() + (f" <small>{escaped(after)}</small>" if after else "")
        titles.append(f'<li><span class="of">{escaped(column.title)}</span> {chip}</li>')
    code = _code(body, before) if body else "<p>Nothing here.</p>"
    return f'<div class="cell span{len(same)} {colour}"><ul class="who">{"".join(titles)}</ul>{code}</div>'


def _code(body: str, before: Sequence[str]) -> str:
    shown, cut = body[:MAX_CELL_CHARS], len(body) - MAX_CELL_CHARS
    new = frozenset.intersection(*(_new_lines(text, shown) for text in before)) if before else frozenset()
    lines = [
        f'<span class="l{" new" if number in new else ""}">{line or " "}</span>'
        for number, line in enumerate(marked_lines(shown))
    ]
    return f'<pre class="code" tabindex="0">{"".join(lines)}</pre>{_cut_note(cut)}'


def _cut_note(cut: int) -> str:
    return f'<p class="caution">{cut:,} more characters are not shown.</p>' if cut > 0 else ""


def _new_lines(before: str, body: str) -> frozenset[int]:
    """Return the numbers of the lines that a text has not; none where comparing would take long."""
    old, new = before[:MAX_CELL_CHARS].split("\n"), body.split("\n")
    if max(len(old), len(new)) > _MAX_COMPARED_LINES:
        return frozenset()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    kept = {block.b + step for block in matcher.get_matching_blocks() for step in range(block.size)}
    return frozenset(range(len(new))) - kept


def _notes(column: _Column) -> str:
    if not column.version.notes:
        return ""
    items = "".join(f"<li>{escaped(note)}</li>" for note in column.version.notes)
    return (
        f"<details><summary>Notes on {escaped(column.title)}: {len(column.version.notes)}</summary>"
        f'<ul class="notes">{items}</ul></details>'
    )


def _delivered(page: RunPage, origins: Origins) -> str:
    version = page.delivered
    if version is None or not version.source:
        return ""
    marked = _finding_lines(page)
    shown, cut = version.source[: 2 * MAX_CELL_CHARS], len(version.source) - 2 * MAX_CELL_CHARS
    owners = _owners(shown)
    blocks = []
    numbered = enumerate(zip(marked_lines(shown), owners, strict=True), start=1)
    for name, group in groupby(numbered, key=lambda item: item[1][1]):
        lines = list(group)
        origin = origins.of(version.provenance, name) if name != _HEADER else None
        spans = "".join(
            f'<span class="{_line_class(number, marked)}>{line or " "}</span>' for number, (line, _) in lines
        )
        chip = f"{escaped(name)} {origin.chip()}" if origin else escaped(name)
        blocks.append(
            f'<div class="part {origin.css if origin else ""}"><p class="who">{chip}</p>'
            f'<pre class="code numbered" tabindex="0" style="counter-reset: n {lines[0][0] - 1}">{spans}'
            "</pre></div>"
        )
    title = delivered_words(page)
    return (
        f'<details class="delivered" id="delivered"><summary><b>The delivered program</b> '
        f"<small>{escaped(title)}, {version.source.count(chr(10))} lines</small></summary>"
        f"{''.join(blocks)}{_cut_note(cut)}</details>"
    )


def delivered_words(page: RunPage) -> str:
    """Say in a few words which version was delivered."""
    version = page.delivered
    if version is None:
        return "nothing"
    known = {draft.source for found in page.rounds for draft in found.drafts if draft.name == version.name}
    if version.name == "code-rag" and version.source not in known:
        return "a sample brought to the plan; the model wrote none of it"
    return _DELIVERED.get(version.name, version.name)


def _line_class(number: int, marked: frozenset[int]) -> str:
    return f'l found" id="line-{number}"' if number in marked else 'l"'


def _finding_lines(page: RunPage) -> frozenset[int]:
    check = page.verification
    places = [finding.place.rpartition(":")[2] for finding in check.findings] if check else []
    return frozenset(int(place) for place in places if place.isascii() and place.isdigit())


def _owners(source: str) -> list[str]:
    """Return the section of every line of a source."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    owner = _HEADER if any(_section_mark(line) for line in lines) else _WHOLE
    owners = []
    for line in lines:
        owner = _section_mark(line) or owner
        owners.append(owner)
    return owners


def _section_mark(line: str) -> str:
    name = line.strip().removeprefix("# %% [").removesuffix("]")
    return name if line.startswith("# %% [") and name in SECTION_NAMES else ""
