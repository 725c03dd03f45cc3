"""Python text to a syntax tree, with limits, and the reason in one line where there is none.

Nothing of the code is run. Code that parses but is nested deeper than a walk may go is refused too.
"""

import ast
import warnings

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.plan.damaged_code import readable_part

MAX_CODE_CHARS = 1_000_000
MAX_LINE_CHARS = 20_000
MAX_FAULTS = 3
MIN_READABLE = 0.9
_PYTHON_2 = {
    "Missing parentheses in call to 'print'": "print statement",
    "Missing parentheses in call to 'exec'": "exec statement",
    "multiple exception types must be parenthesized": "except clause",
    "leading zeros in decimal integer literals are not permitted": "octal number",
}


def parse(code: str) -> ast.Module:
    """Return the syntax tree of Python code.

    Raises:
        ConfigError: the code is too large, holds characters that no code should, or does not parse;
            the message is one line that starts with the place.
    """
    check_size(code)
    for number, line in enumerate(code.split("\n"), start=1):
        if (found := find_unplain(line)) is not None:
            raise _refused(f"line {number}: holds {found}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as exc:
        raise _refused(_explain(exc)) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise _refused("is nested too deeply to be read") from exc


def parse_most(code: str) -> tuple[ast.Module, str, tuple[str, ...]]:
    """Return the syntax tree of code, the code that it is of, and what had to be left out of it.

    An exported notebook may hold a cell that was never run: up to `MAX_FAULTS` faults are cut out, of at
    most a tenth of the lines.

    Raises:
        ConfigError: as `parse` does, where there are more faults, or the code is Python 2.
    """
    try:
        return parse(code), code, ()
    except ConfigError as error:
        readable, faults = readable_part(code)
        is_old = any(message in fault for fault in faults for message in _PYTHON_2)
        if is_old or not 0 < len(faults) <= MAX_FAULTS or _kept(code, readable) < MIN_READABLE:
            raise
        try:
            tree = parse(readable)
        except ConfigError:
            raise error from None
        return tree, readable, tuple(f"left out {fault}" for fault in faults)


def check_size(code: str) -> None:
    """Refuse code that is longer, or has a longer line, than is read.

    Raises:
        ConfigError: names the size.
    """
    if len(code) > MAX_CODE_CHARS:
        raise _refused(f"has {len(code)} characters of code, at most {MAX_CODE_CHARS} are read")
    for number, line in enumerate(code.split("\n"), start=1):
        if len(line) > MAX_LINE_CHARS:
            raise _refused(f"line {number}: has {len(line)} characters, at most {MAX_LINE_CHARS} are read")


def _kept(code: str, readable: str) -> float:
    """Return the share of the lines with something on them that stand unchanged in what can be read."""
    pairs = zip(code.split("\n"), readable.split("\n"), strict=False)
    kept = [line == other for line, other in pairs if line.strip()]
    return sum(kept) / len(kept) if kept else 0.0


def _explain(error: SyntaxError) -> str:
    for message, construct in _PYTHON_2.items():
        if error.msg.startswith(message):
            return f"Python 2 ({construct}, line {error.lineno})"
    return f"line {error.lineno}: {error.msg}"


def _refused(reason: str) -> ConfigError:
    return ConfigError(reason, hint="correct the code, or leave it out")
