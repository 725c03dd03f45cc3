"""Finding the code in what a model answered.

Guarantees that what is returned is a piece of the answer, or nothing. Thoughts, prose and fences
around the code are dropped; an answer that was cut is returned up to its last complete statement.
"""

import ast
import re
from dataclasses import dataclass

from dlcodegen_local.generation.syntax import parse_module
from dlcodegen_local.sections import SECTION_NAMES

_THOUGHT_NAMES = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_THOUGHTS = re.compile(
    rf"<({_THOUGHT_NAMES})>.*?(?:</\1>|\Z)|\[THINK\].*?(?:\[/THINK\]|\Z)"
    r"|<\|START_THINKING\|>.*?(?:<\|END_THINKING\|>|\Z)"
    r"|<\|channel\|>(?:analysis|commentary)\b.*?(?:<\|channel\|>final(?:<\|message\|>)?|\Z)",
    re.DOTALL,
)
# The prompt of some models opens the thought, the answer only closes it.
_THOUGHT_END = re.compile(rf"</{_THOUGHT_NAMES}>|\[/THINK\]|<\|END_THINKING\|>")
_FENCE = re.compile(r"^[ \t]*(```|~~~)[ \t]*([\w+.-]*)[^\n]*$", re.MULTILINE)
_FILE_NAME = re.compile(r"(\w+)\.py\b")
_IMPORT_LINE = re.compile(r"(?:import|from) \w")
_PYTHON_TAGS = frozenset(("", "python", "py", "python3", "py3", "ipython", "ipython3"))
_MAX_IMPORT_LINES = 120
_MAX_PROSE_CHARS = 6000
_MAX_CUTS = 40
_MAX_CUT_CHARS = 4_000_000
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
    text = without_thoughts(answer).replace("\r\n", "\n").strip("\n")
    found, is_closed = _fenced(text)
    blocks = [block for _, block in found]
    notes: list[str] = []
    if blocks:
        marked = [block for block in blocks if "# %% [" in block]
        code = "\n\n".join(marked) if len(marked) > 1 else max(marked or blocks, key=len)
        if not marked and (joined := _joined_files(found)):
            code = joined
            notes.append("the answer was in several files, joined as sections")
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


def without_thoughts(answer: str) -> str:
    """Return what an answer says after its thoughts; nothing where it ends inside of one."""
    visible = _THOUGHTS.sub("", answer)
    ends = list(_THOUGHT_END.finditer(visible))
    return visible[ends[-1].end() :] if ends else visible


def has_begun(answer: str) -> bool:
    """Tell whether an answer, thoughts aside, has come to its code."""
    text = without_thoughts(answer)
    return _FENCE.search(text) is not None or any(_CODE_LINE.match(line) for line in text.split("\n"))


def is_pointless(answer: str) -> bool:
    """Tell whether nothing will come of an answer: imports without end, or prose that comes to no code."""
    lines = answer.rstrip("\n").rsplit("\n", _MAX_IMPORT_LINES)[-_MAX_IMPORT_LINES:]
    if len(lines) == _MAX_IMPORT_LINES and all(_IMPORT_LINE.match(line) for line in lines):
        return True
    return len(without_thoughts(answer)) > _MAX_PROSE_CHARS and not has_begun(answer)


def complete_statements(code: str) -> str | None:
    """Return the longest start of code that parses, cut at a top-level statement; None for none.

    A bounded number of cuts is tried, fewer in a long text, so that noise ends soon; the first is where the
    parser gives up.
    """
    lines = code.split("\n")
    end = _error_line(code)
    starts = [i for i, line in enumerate(lines[:end]) if line[:1] not in ("", " ", "\t", ")", "]", "}")]
    cuts = min(_MAX_CUTS, max(2, _MAX_CUT_CHARS // max(len(code), 1)))
    for start in list(reversed(starts))[:cuts]:
        head = "\n".join(lines[:start]).rstrip()
        if head and parse_module(head) is not None:
            return head
    return None


def _error_line(code: str) -> int | None:
    """Return the number of the line at which code no longer parses; None where the parser does not say."""
    try:
        ast.parse(code)
    except SyntaxError as exc:
        return exc.lineno
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def _fenced(text: str) -> tuple[list[tuple[str, str]], bool]:
    """Return the Python blocks of a text, each with the line before it, and whether the last was closed."""
    blocks: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        if opened is None:
            opened = mark
        elif not mark.group(2) or mark.group(1) == opened.group(1):
            if opened.group(2).lower() in _PYTHON_TAGS:
                blocks.append((_line_before(text, opened), text[opened.end() + 1 : mark.start()]))
            opened = None
    if opened is not None and opened.group(2).lower() in _PYTHON_TAGS:
        return [*blocks, (_line_before(text, opened), text[opened.end() + 1 :])], False
    return blocks, True


def _line_before(text: str, fence: re.Match[str]) -> str:
    """Return the last line of prose before a fence, with the fence's own line."""
    before = text[: fence.start()].rstrip()
    return f"{before[before.rfind(chr(10)) + 1 :]} {fence.group()}"


def _joined_files(found: list[tuple[str, str]]) -> str | None:
    """Return blocks that are headed by the files of a project as sections; None where they are not."""
    files: dict[str, str] = {}
    for heading, block in found:
        first_line = block.lstrip("\n").split("\n", 1)[0]
        names = _FILE_NAME.findall(f"{heading} {first_line if first_line.startswith('#') else ''}")
        if names and names[-1] in SECTION_NAMES:
            files[names[-1]] = block.strip("\n")
    if len(files) < 2:
        return None
    own_import = re.compile(rf"^from (?:{'|'.join(files)}) import (?:\([^)]*\)|.*)\n?", re.MULTILINE)
    ordered = [name for name in SECTION_NAMES if name in files]
    return "\n\n\n".join(f"# %% [{name}]\n{own_import.sub('', files[name]).strip()}" for name in ordered)


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
