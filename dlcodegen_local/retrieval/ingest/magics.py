"""Notebook magic: lines that IPython understands and Python does not, left out so that the rest parses.

Guarantees that what comes back has the lines of what went in, so that an error's line number is the
cell's. A magic never begins inside a bracket or a string: `%` there is Python's own.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.ingest.parsing import parse

_CELL_MAGIC = re.compile(r"^(?:[ \t]*(?:#[^\n]*)?\n)*%%(\w+)([^\n]*)")
# Cell magics whose body is no Python, or not of this notebook. The body of any other stays where it parses.
_FOREIGN = frozenset(
    [
        *(
            "bash",
            "sh",
            "script",
            "cmd",
            "system",
            "sx",
            "perl",
            "ruby",
            "R",
            "julia",
            "octave",
            "cython",
            "cpp",
        ),
        *(
            "html",
            "HTML",
            "svg",
            "SVG",
            "javascript",
            "js",
            "latex",
            "markdown",
            "sql",
            "bigquery",
            "configure",
        ),
        *("writefile", "file", "python2", "pypy", "css", "rust", "mermaid"),
    ]
)
_LINE_MAGIC = re.compile(
    r"^[ \t]*(?:[%!?]|(?:pip3?|conda|cd|apt|apt-get|wget|curl|git)[ \t]+[\w./~]+(?=\s|$))"
)
_STATEMENT_MAGIC = re.compile(r"^([ \t]*)%time[ \t]+(?=[^\s-])")
_HELP = re.compile(r"^[ \t]*[\w.*\[\]'\"()]+\?{1,2}[ \t]*(?:#.*)?$")
_ASSIGNED = re.compile(r"^([ \t]*\w[\w.,\[\] \t]*=[ \t]*)([!%])(?![=])(?:time[ \t]+(?=[^\s-]))?")
_SHELL_CALL = re.compile(r"^[ \t]*(?:\w[\w., \t]*=[ \t]*)?get_ipython\(\)[ \t]*\.")
_PIECE = re.compile(r"\"\"\"|'''|[\"']|#[^\n]*|[\[({]|[\])}]|\\\n|\\.|\n")


@dataclass(frozen=True)
class Plain:
    """Hold a cell without its magics: `left_out` counts them, `language` is "" for Python."""

    source: str
    left_out: int = 0
    language: str = ""


def strip_magics(source: str) -> Plain:
    """Return a cell's source without magics, or the cell magic that says that it is not Python."""
    left_out = 0
    if match := _CELL_MAGIC.match(source):
        name, arguments = match[1], match[2]
        writes_module = name in ("writefile", "file") and arguments.strip().endswith(".py")
        if name in _FOREIGN and not writes_module:
            return Plain("", language=f"%%{name}")
        head = match[0].count("\n") + 1
        source = "\n" * head + "\n".join(source.split("\n")[head:])
        left_out = 1
    if "get_ipython" not in source and _parses(source):
        return Plain(source, left_out)
    lines = []
    for line in _logical_lines(_dedent(source.replace("\u00a0", " "))):
        kept = _without_magic(line)
        left_out += kept != line
        lines.append(kept)
    return Plain("".join(lines), left_out)


def _dedent(source: str) -> str:
    """Return a cell without the indentation of its first line, as IPython runs it."""
    first = re.match(r"\n*([ \t]+)\S", source)
    return re.sub(rf"(?m)^{first[1]}", "", source) if first else source


def _parses(source: str) -> bool:
    try:
        parse(source)
    except ConfigError:
        return False
    return True


def _without_magic(line: str) -> str:
    """Return a logical line as Python, with as many line breaks as before."""
    breaks = line.count("\n")
    body = line.rstrip("\n")
    if _STATEMENT_MAGIC.match(body):
        return _STATEMENT_MAGIC.sub(r"\1", line)
    if match := _ASSIGNED.match(body):
        if match[0].endswith(match[2]):
            return match[1] + ("[]" if match[2] == "!" else "None") + "\n" * breaks
        return match[1] + line[match.end() :]
    if _SHELL_CALL.match(body):
        return _inner_cell(body) + "\n" * breaks
    if _LINE_MAGIC.match(line) or _HELP.match(body):
        indent = body[: len(body) - len(body.lstrip())]
        return (indent + "pass" if indent else "") + "\n" * breaks
    return line


def _inner_cell(call: str) -> str:
    """Return what stands for a call of IPython: the Python of a `%%time` cell, a value, or nothing."""
    indent = call[: len(call) - len(call.lstrip())]
    try:
        statement = ast.parse(call.strip()).body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return call
    if isinstance(statement, ast.Assign):
        return call[: call.index("=") + 1] + " []"
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(attr="run_cell_magic"),
                args=[ast.Constant(value=str(name)), _, ast.Constant(value=str(body))],
            )
        ) if name not in _FOREIGN:
            return "\n".join(indent + line for line in body.rstrip("\n").split("\n"))
    return indent + "pass" if indent else ""


def _logical_lines(source: str) -> Iterator[str]:
    """Cut source at the line breaks that end a statement; a magic ends where no backslash carries it on."""
    start = 0
    while start < len(source):
        end = _line_end(source, start) if _is_magic(source, start) else _statement_end(source, start)
        yield source[start:end]
        start = end


def _is_magic(source: str, start: int) -> bool:
    stop = source.find("\n", start)
    line = source[start : len(source) if stop < 0 else stop + 1]
    return bool(_LINE_MAGIC.match(line) or _HELP.match(line.rstrip("\n")) or _ASSIGNED.match(line)) and not (
        _STATEMENT_MAGIC.match(line)
    )


def _line_end(source: str, start: int) -> int:
    while True:
        stop = source.find("\n", start)
        if stop < 0:
            return len(source)
        if source[stop - 1] != "\\":
            return stop + 1
        start = stop + 1


def _statement_end(source: str, start: int) -> int:
    depth, position = 0, start
    while match := _PIECE.search(source, position):
        piece, position = match[0], match.end()
        if piece == "\n":
            if depth == 0:
                return position
        elif piece in "([{":
            depth += 1
        elif piece in ")]}":
            depth = max(depth - 1, 0)
        elif piece[0] in "\"'":
            position = _string_end(source, position, piece)
    return len(source)


def _string_end(source: str, position: int, quote: str) -> int:
    """Return where a string ends that is open at `position`; a short one ends with its line."""
    pattern = re.compile(rf"\\[\s\S]|{quote}" + ("" if len(quote) == 3 else r"|\n"))
    while match := pattern.search(source, position):
        position = match.end()
        if match[0] == "\n":
            return match.start()
        if match[0] == quote:
            return position
    return len(source)
