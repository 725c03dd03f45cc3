"""The fenced blocks of an answer, and which of them are the program.

Guarantees that a block's text is a piece of the answer; numbers, prompts and diff marks are taken off its
lines only where every line has them and the text does not parse with them.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlcodegen_local.generation.syntax import parse_module
from dlcodegen_local.sections import REQUIRED_FUNCTIONS, SECTION_NAMES

FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([\w+.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON_TAGS = frozenset(
    ("", "python", "py", "python3", "py3", "ipython", "ipython3", "pycon", "diff", "patch")
)
_MAX_INDENT = 3
_MAX_HEADING_CHARS = 400
_FILE_NAME = re.compile(r"(\w+)\.py\b")
_MARKER = re.compile(r"^# %% \[(\w+)\]", re.MULTILINE)
_FUNCTION = re.compile(r"^def (\w+)", re.MULTILINE)
_DEFINITION = re.compile(r"^(?:import \w|from [\w.]+ import|def \w|class \w|@\w)", re.MULTILINE)
_CONTRACT = frozenset(name for names in REQUIRED_FUNCTIONS.values() for name in names)
_NUMBER = re.compile(r"[ \t]*(\d{1,5})(?:[ \t]*[|:.)][ \t]?|[ \t]|$)")
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")
_DIFF_HEAD = re.compile(r"diff |index |--- |\+\+\+ |@@|\\ No newline")
_MAGIC = re.compile(r"^[%!].*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Hold a fenced block, with the last line before it and the fence's own as its `heading`."""

    code: str
    tag: str
    heading: str
    is_closed: bool = True


def find_blocks(text: str) -> list[Block]:
    """Return the blocks of Python in a text; where none is marked so, those that are Python.

    A fence with a tag inside of a block opens the next one: the model forgot to close.
    """
    blocks: list[Block] = []
    opened: re.Match[str] | None = None
    for mark in FENCE.finditer(text):
        if opened is None:
            opened = mark
        elif mark[2].startswith(opened[2]) and len(mark[1]) <= len(opened[1]) + _MAX_INDENT:
            blocks.append(_block(text, opened, mark.start()))
            opened = mark if mark[3] else None
    if opened is not None and text[opened.end() :].strip():
        blocks.append(_block(text, opened, None))
    python = [block for block in blocks if block.tag in _PYTHON_TAGS]
    return python or [block for block in blocks if _DEFINITION.search(block.code) and parses(block.code)]


def parses(code: str) -> bool:
    """Tell whether a text is Python that compiles."""
    return parse_module(code) is not None


def _block(text: str, opened: re.Match[str], end: int | None) -> Block:
    before = text[max(opened.start() - _MAX_HEADING_CHARS, 0) : opened.start()].rstrip()
    heading = f"{before[before.rfind(chr(10)) + 1 :]} {opened.group()}"
    return Block(undecorated(text[opened.end() + 1 : end]), opened[3].lower(), heading, end is not None)


def choose_program(blocks: Sequence[Block]) -> tuple[str, tuple[str, ...]]:
    """Return the program that blocks hold, and how it was put together.

    Blocks that continue each other are joined: by section markers, as files under their names, or where
    each defines other functions of the contract. Else it is the block that defines most, the last of equals.
    """
    notes = () if blocks[-1].is_closed else ("the code block was never closed",)
    marked = [block.code for block in blocks if _MARKER.search(block.code)]
    if len(marked) > 1 and _are_disjoint(_MARKER.findall(code) for code in marked):
        return "\n\n\n".join(code.strip("\n") for code in marked), notes
    if not marked:
        if code := _joined_files(blocks):
            return code, ("the answer was in several files, joined as sections", *notes)
        if code := _joined_parts([block.code for block in blocks]):
            return code, ("the answer was in several parts, joined", *notes)
    place = max(range(len(blocks)), key=lambda i: _rank(blocks[i].code, i))
    return blocks[place].code, notes


def _rank(code: str, place: int) -> tuple[int, int, int, int]:
    functions = len(_CONTRACT & set(_FUNCTION.findall(code)))
    definitions = len(_DEFINITION.findall(code))
    return functions, definitions, place if definitions else 0, len(code)


def _are_disjoint(groups: Iterable[Sequence[str]]) -> bool:
    names = [name for group in groups for name in set(group)]
    return len(names) == len(set(names))


def _joined_files(blocks: Sequence[Block]) -> str | None:
    """Return blocks that are headed by the files of a project as sections; None where they are not."""
    files: dict[str, str] = {}
    for block in blocks:
        first_line = block.code.lstrip("\n").split("\n", 1)[0]
        names = _FILE_NAME.findall(f"{block.heading} {first_line if first_line.startswith('#') else ''}")
        if names and names[-1] in SECTION_NAMES:
            files[names[-1]] = block.code.strip("\n")
    if len(files) < 2:
        return None
    own_import = re.compile(rf"^from (?:{'|'.join(files)}) import (?:\([^)]*\)|.*)\n?", re.MULTILINE)
    ordered = [name for name in SECTION_NAMES if name in files]
    return "\n\n\n".join(f"# %% [{name}]\n{own_import.sub('', files[name]).strip()}" for name in ordered)


def _joined_parts(codes: Sequence[str]) -> str | None:
    """Return blocks in their order where more than one has a part of the contract; None where not."""
    parts = [code.strip("\n") for code in codes if _DEFINITION.search(code)]
    owners = [code for code in parts if _CONTRACT & set(_FUNCTION.findall(code))]
    if len(owners) < 2 or not _are_disjoint(_FUNCTION.findall(code) for code in parts):
        return None
    joined = "\n\n\n".join(parts)
    return joined if parses(joined) else None


def undecorated(text: str) -> str:
    """Return code without line numbers, prompts, diff marks, shell lines or a common indent.

    What parses is left as it is, and so is what has none of them. Cut code, which parses in no form, loses
    what every line of it has.
    """
    code = text.strip("\n")
    if parses(code):
        return code
    plain = textwrap.dedent(code.replace("\u00a0", " "))
    lines = [line for line in plain.split("\n") if line.strip()]
    bare: list[str] = []
    if lines and _are_numbered(lines):
        bare += [_without_numbers(plain), _with_blank_numbers(plain)]
    if lines and _PROMPT.match(lines[0]):
        bare.append("\n".join(line[4:] for line in plain.split("\n") if _PROMPT.match(line)))
    if lines and _is_diff(lines):
        kept = [line[1:] for line in plain.split("\n") if line[:1] in "+ " and not _DIFF_HEAD.match(line)]
        bare.append("\n".join(kept))
    bare = [textwrap.dedent(candidate) for candidate in bare]
    candidates = (plain, *bare, _MAGIC.sub("", plain))
    return next((candidate for candidate in candidates if parses(candidate)), bare[0] if bare else plain)


def _are_numbered(lines: Sequence[str]) -> bool:
    numbers = [int(match[1]) if (match := _NUMBER.match(line)) else -1 for line in lines]
    return len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _without_numbers(text: str) -> str:
    return "\n".join(_NUMBER.sub("", line, count=1) for line in text.split("\n"))


def _with_blank_numbers(text: str) -> str:
    """Return text whose numbers are blanks: they stand in a column of one width."""
    return re.sub(r"^[ \t]*\d+", lambda match: " " * len(match[0]), text, flags=re.MULTILINE)


def _is_diff(lines: Sequence[str]) -> bool:
    marked = [line for line in lines if not _DIFF_HEAD.match(line)]
    added = sum(line.startswith("+") for line in marked)
    return added * 2 >= len(marked) > 0 and all(line[0] in "+- " for line in marked)
