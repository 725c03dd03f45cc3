"""Finding the code in what a model answered.

Guarantees that what is returned is a piece of the answer, or nothing. Thoughts, prose and fences
around the code are dropped; an answer that was cut is returned up to its last complete statement.
"""

import ast
import re
from dataclasses import dataclass

from dlcodegen_local.generation.syntax import parse_module

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*([\w+.-]*)[^\n]*$", re.MULTILINE)
_CODE_LINE = re.compile(r"^(?:import |from \S+ import |# %% \[|\"\"\"|# SPDX|@|def |class )")


@dataclass(frozen=True)
class Extracted:
    """Hold the code of an answer, and what had to be done to get it."""

    code: str
    notes: tuple[str, ...] = ()


def extract_code(answer: str) -> Extracted | None:
    """Return the code of an answer, or None where there is none.

    Of several fenced blocks, those that hold Python are taken: the longest one, or all of them in
    their order where the blocks after the first continue it with section markers.
    """
    text = _THOUGHTS.sub("", answer).replace("\r\n", "\n").strip("\n")
    blocks, is_closed = _fenced(text)
    notes: list[str] = []
    if blocks:
        marked = [block for block in blocks if "# %% [" in block]
        code = "\n\n".join(marked) if len(marked) > 1 else max(marked or blocks, key=len)
        if not is_closed:
            notes.append("the code block was never closed")
    else:
        code = _from_first_code_line(text)
    code = code.strip("\n")
    if not code.strip():
        return None
    if parse_module(code) is not None:
        return Extracted(code, tuple(notes)) if blocks or _holds_code(code) else None
    whole = complete_statements(code)
    if whole is None or not _holds_code(whole):
        return Extracted(code, (*notes, "the code does not parse")) if blocks else None
    dropped = code.count("\n") - whole.count("\n")
    return Extracted(whole, (*notes, f"the last {dropped} lines were incomplete and were left out"))


def complete_statements(code: str) -> str | None:
    """Return the longest start of code that parses, cut at a top-level statement; None for none.

    At most 40 cuts are tried, so that noise ends soon.
    """
    lines = code.split("\n")
    starts = [i for i, line in enumerate(lines) if line[:1] not in ("", " ", "\t", ")", "]", "}")]
    for start in list(reversed(starts))[:40]:
        head = "\n".join(lines[:start]).rstrip()
        if head and parse_module(head) is not None:
            return head
    return None


def _fenced(text: str) -> tuple[list[str], bool]:
    """Return the Python blocks of a text, and whether the last one was closed."""
    blocks: list[str] = []
    opened: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        if opened is None:
            opened = mark
            continue
        if opened.group(1).lower() in ("", "python", "py", "python3"):
            blocks.append(text[opened.end() + 1 : mark.start()])
        opened = None
    if opened is not None and opened.group(1).lower() in ("", "python", "py", "python3"):
        return [*blocks, text[opened.end() + 1 :]], False
    return blocks, True


def _from_first_code_line(text: str) -> str:
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if _CODE_LINE.match(line):
            return "\n".join(lines[index:])
    return text


def _holds_code(code: str) -> bool:
    """Tell code from a word or a sentence that happens to parse."""
    tree = parse_module(code)
    return tree is not None and any(not isinstance(node, ast.Expr) for node in tree.body)
