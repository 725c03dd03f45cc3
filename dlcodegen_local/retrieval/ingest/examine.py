"""One file of a team's code, examined: what it is, whether it may be taken, and the sample that it makes.

A pure function of bytes: nothing is run, opened or fetched. Guarantees an answer for any content, and a
reason in one line for all that is not taken.
"""

import ast
import re
from dataclasses import dataclass
from typing import Literal

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain
from dlcodegen_local.plan.extraction import plan_from_code
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.ingest.decoding import decode
from dlcodegen_local.retrieval.ingest.description import plain_lines, requirement_of, title_of
from dlcodegen_local.retrieval.ingest.licence import licence_of_text
from dlcodegen_local.retrieval.ingest.magics import strip_magics
from dlcodegen_local.retrieval.ingest.notebooks import Cell, read_notebook
from dlcodegen_local.retrieval.ingest.parsing import parse
from dlcodegen_local.retrieval.ingest.relevance import judge
from dlcodegen_local.retrieval.ingest.secrets import Secret, find_secrets
from dlcodegen_local.retrieval.ingest.similarity import sign

MAX_FILE_BYTES = 20_000_000
_MAX_NOTES = 20
_MAX_LINE = 200

Status = Literal["taken", "no-deep-learning", "quarantined", "unreadable"]


@dataclass(frozen=True)
class Examined:
    """Hold what one file is. Only a `taken` one has code, a plan and all that describes it.

    `reason` is "" for a taken file and else says in one line why it is not; `notes` name what was left
    out, a line each. `licence` is the one that the file itself names, "" for none. `signature` is for
    `similarity`. A quarantined file keeps its `secrets`' kinds and places, never their texts.
    """

    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()
    code: str = ""
    title: str = ""
    requirement: str = ""
    plan: Plan | None = None
    framework: str = ""
    licence: str = ""
    secrets: tuple[Secret, ...] = ()
    signature: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Source:
    """Hold a file's code, its prose in order, its texts by cell, and notes on how it was read."""

    code: str
    prose: tuple[str, ...]
    texts: tuple[tuple[int | None, str], ...]
    notes: tuple[str, ...]


def examine(content: bytes, name: str) -> Examined:
    """Examine a file; its name decides between notebook and script, and titles what has no title."""
    if len(content) > MAX_FILE_BYTES:
        return Examined("unreadable", f"has {len(content)} bytes, at most {MAX_FILE_BYTES} are read")
    notes: tuple[str, ...] = ()
    try:
        text, notes = decode(content)
        source = _read_cells(text) if name.lower().endswith(".ipynb") else _read_script(text)
        notes = _bounded(notes + source.notes)
        tree = parse(source.code)
        plan = plan_from_code(source.code)
    except ConfigError as exc:
        return Examined("unreadable", _line(exc.message), notes)
    relevance = judge(tree, len(plan.layers))
    if relevance.reason:
        return Examined("no-deep-learning", relevance.reason, notes)
    secrets = tuple(secret for cell, text in source.texts for secret in find_secrets(text, cell))
    if secrets:
        return Examined("quarantined", _name_secrets(secrets), notes, secrets=secrets)
    title = title_of(source.prose, name)
    return Examined(
        "taken",
        notes=notes,
        code=source.code,
        title=title,
        requirement=requirement_of(source.prose, plan, title, relevance.framework),
        plan=plan,
        framework=relevance.framework,
        licence=licence_of_text("\n".join([source.code[:5000], *source.prose])),
        signature=sign(source.code),
    )


def _read_script(text: str) -> _Source:
    notes: tuple[str, ...] = ()
    try:
        tree = parse(text)
    except ConfigError:
        bare = strip_magics(text)
        tree, text = parse(bare.source), bare.source
        notes = (f"{bare.left_out} magics left out",)
    docstrings = (ast.get_docstring(tree) or "", *_docstrings(tree))
    comments = re.findall(r"(?:^#(?!!).*\n)+", text[:5000], re.MULTILINE)
    prose = [text for text in docstrings if text]
    prose += [re.sub(r"(?m)^#+ ?", "", comment) for comment in comments]
    return _Source(text, tuple(prose), ((None, text),), notes)


def _docstrings(tree: ast.Module) -> tuple[str, ...]:
    return tuple(
        ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def _read_cells(text: str) -> _Source:
    notebook = read_notebook(text)
    blocks: list[str] = []
    above: list[str] = []
    for cell in notebook.cells:
        if cell.kind == "markdown":
            above.append(_as_comment(cell))
        else:
            blocks.append("\n".join(["# %%", *above, cell.source.strip("\n")]))
            above = []
    prose = tuple(plain_lines(cell.source) for cell in notebook.cells if cell.kind == "markdown")
    texts = tuple((cell.number, cell.source) for cell in notebook.cells)
    return _Source("\n\n".join(blocks) + "\n", prose, texts, notebook.notes)


def _as_comment(cell: Cell) -> str:
    """Return a Markdown cell as comment lines: its headings, and the beginning of its first paragraph."""
    lines = [line.strip() for line in plain_lines(cell.source).split("\n")]
    headings = [line for line in lines if line.startswith("#")]
    prose = [line for line in lines if line and not line.startswith(("#", "|", "<", "!", "```"))]
    return "\n".join("# " + line[:_MAX_LINE] for line in [*headings[:3], *prose[:3]])


def _name_secrets(secrets: tuple[Secret, ...]) -> str:
    first = secrets[0]
    where = f"cell {first.cell}, line {first.line}" if first.cell is not None else f"line {first.line}"
    more = f" and {len(secrets) - 1} more" if len(secrets) > 1 else ""
    return f"holds a secret: {first.kind} in {where}{more}"


def _bounded(notes: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(_line(note) for note in notes[:_MAX_NOTES])
    return kept + ((f"{len(notes) - _MAX_NOTES} more notes",) if len(notes) > _MAX_NOTES else ())


def _line(text: str) -> str:
    words = " ".join(plain(text).split())
    return words if len(words) <= _MAX_LINE else words[: _MAX_LINE - 3] + "..."
