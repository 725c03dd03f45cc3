"""Finding the code in what a model answered.

Guarantees that what is returned is a piece of the answer, or nothing. Thoughts and prose around the code
are dropped; an answer that was cut is returned up to its last complete statement.
"""

import ast
import re
from dataclasses import dataclass

from dlcodegen_local.generation.blocks import FENCE, choose_program, find_blocks, parses, undecorated
from dlcodegen_local.generation.syntax import parse_module

_THOUGHT_NAMES = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_THOUGHTS = re.compile(
    rf"<({_THOUGHT_NAMES})>.*?(?:</\1>|\Z)|\[THINK\].*?(?:\[/THINK\]|\Z)"
    r"|<\|START_THINKING\|>.*?(?:<\|END_THINKING\|>|\Z)"
    r"|<\|channel\|>(?:analysis|commentary)\b.*?(?:<\|channel\|>final(?:<\|message\|>)?|\Z)",
    re.DOTALL,
)
_THOUGHT_START = re.compile(rf"<{_THOUGHT_NAMES}>|\[THINK\]|<\|START_THINKING\|>")
# The prompt of some models opens the thought, the answer only closes it.
_THOUGHT_END = re.compile(rf"</{_THOUGHT_NAMES}>|\[/THINK\]|<\|END_THINKING\|>")
_IMPORT_LINE = re.compile(r"(?:import|from) \w")
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

    Of several fenced blocks, `choose_program` takes those that are the program. An answer that ends inside
    of a thought is searched there, for whole blocks.
    """
    text = without_thoughts(answer).replace("\r\n", "\n").strip("\n")
    blocks = find_blocks(text)
    notes: tuple[str, ...] = ()
    if not text.strip():
        thought = _THOUGHT_START.sub("", answer).replace("\r\n", "\n")
        blocks = [block for block in find_blocks(thought) if block.is_closed and _holds_code(block.code)]
        notes = ("the code stood in a thought without end",) if blocks else ()
    if blocks:
        code, how = choose_program(blocks)
        notes += how
    else:
        bare = undecorated(text)
        code = bare if parses(bare) else _from_first_code_line(bare)
    code = code.strip("\n")
    if not code.strip():
        return None
    if parses(code):
        return Extracted(code, notes) if blocks or _holds_code(code) else None
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
    return FENCE.search(text) is not None or any(_CODE_LINE.match(line) for line in text.split("\n"))


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
        if head and parses(head):
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
