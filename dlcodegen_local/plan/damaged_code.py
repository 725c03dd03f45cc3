"""Leave the parts out of code that do not parse, so that the rest can be read.

Nothing is guessed: a line is cut where the parser stops at it, or left out with the statement that it
belongs to. Lines keep their numbers.
"""

import ast
import warnings

MAX_REPAIRS = 40
MAX_SOURCE_CHARS = 2_000_000


def readable_part(source: str) -> tuple[str, tuple[str, ...]]:
    """Return the part of code that parses, and a note on each thing that was left out, with its line.

    Code past `MAX_SOURCE_CHARS` or with more than `MAX_REPAIRS` faults comes back as it is from there on.
    """
    notes: list[str] = []
    if len(source) > MAX_SOURCE_CHARS:
        return source, ()
    for _ in range(MAX_REPAIRS):
        fault = _first_fault(source)
        if fault is None:
            break
        if fault.lineno is None:
            return source, tuple(notes)
        lines = source.split("\n")
        place = min(max(fault.lineno, 1), len(lines)) - 1
        notes.append(f"line {place + 1}: {fault.msg}")
        source = _shortened(lines, place, fault) or _without_statement(lines, place, fault)
    return source, tuple(notes)


def _first_fault(source: str) -> SyntaxError | None:
    """Return where code stops to parse; None where it parses, a fault without a line where it never will."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as fault:
        return fault
    except (ValueError, RecursionError, MemoryError):
        return SyntaxError("too complex")
    return None


def _shortened(lines: list[str], place: int, fault: SyntaxError) -> str | None:
    """Return the code with the end of the faulty line cut off, None where that mends nothing."""
    column = (fault.offset or 1) - 1
    kept = lines[place][:column].rstrip()
    following = next((line for line in lines[place + 1 :] if line.strip()), "")
    if not kept.strip() or _depth(following) > _depth(lines[place]):
        return None
    shorter = "\n".join([*lines[:place], kept, *lines[place + 1 :]])
    left = _first_fault(shorter)
    return shorter if left is None or (left.lineno or 0) > place + 1 else None


def _without_statement(lines: list[str], place: int, fault: SyntaxError) -> str:
    """Return the code with the statement around a line blank: from its first line to the next as deep."""
    depth = _depth(lines[place])
    start = place
    while start > 0 and (not lines[start].strip() or _depth(lines[start]) > depth):
        start -= 1
    end = place + 1
    while end < len(lines) and (not lines[end].strip() or _depth(lines[end]) > depth):
        end += 1
    first = "" if isinstance(fault, IndentationError) else " " * depth + "pass"
    blank = [first, *[""] * (end - start - 1)]
    return "\n".join([*lines[:start], *blank, *lines[end:]])


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
