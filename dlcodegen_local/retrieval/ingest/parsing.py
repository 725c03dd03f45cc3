"""Python text to a syntax tree, with limits, and the reason in one line where there is none.

Nothing of the code is run. Code that parses but is nested deeper than a walk may go is refused too.
"""

import ast
import warnings

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import find_unplain

MAX_CODE_CHARS = 1_000_000
MAX_LINE_CHARS = 20_000
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


def _explain(error: SyntaxError) -> str:
    for message, construct in _PYTHON_2.items():
        if error.msg.startswith(message):
            return f"Python 2 ({construct}, line {error.lineno})"
    return f"line {error.lineno}: {error.msg}"


def _refused(reason: str) -> ConfigError:
    return ConfigError(reason, hint="correct the code, or leave it out")
