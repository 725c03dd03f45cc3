"""Bring Python code into the one form in which texts are compared.

Guarantees that any text has such a form, in linear time, the same under every Python version: a reader of
tokens of its own goes on where Python's gives up. Does not repair code: what stood in a broken line stays.
"""

import re
from collections.abc import Iterator

SIGNATURE = (
    "the longest fenced block|notebook magics, comments and lone strings dropped|tokens separated by blanks"
    "|white space and escapes in strings as _|one statement a line"
)

_FENCE = re.compile(r"^[ \t]*(```|~~~)[ \t]*([\w+.-]*)[^\n]*$", re.MULTILINE)
_OPENING, _CLOSING, _MAGIC = frozenset("([{"), frozenset(")]}"), frozenset("%!?")
_IN_STRING = re.compile(r"(?:\\.|\s)+", re.DOTALL)
_TOKEN = re.compile(
    r"""
    (?P<blank> [^\S\n]+ | \\\n )
  | (?P<comment> \#[^\n]* )
  | (?P<end> \n )
  | (?P<string> (?i:[rbuf]{0,2}) (?:
        \"{3} (?: [^\\"] | \\. | "(?!"") )*+ (?: \"{3} | \\?\Z )
      | '{3}  (?: [^\\'] | \\. | '(?!'') )*+ (?: '{3} | \\?\Z )
      | " (?: [^\\"\n] | \\. )*+ "
      | ' (?: [^\\'\n] | \\. )*+ ' ) )
  | (?P<unclosed> (?i:[rbuf]{0,2}) ["'] [^\n]* )
  | (?P<other>
        (?: \d [\d_]* \.? [\d_]* | \.\d [\d_]* ) (?: [eE] [-+]? \d [\d_]* )? \w*
      | \w+ | \*\*= | //= | >>= | <<= | \.\.\.
      | [-+*/%&|^@=<>!:]= | -> | \*\* | // | << | >> | <> | . )
    """,
    re.VERBOSE | re.DOTALL,
)


def unfenced(answer: str) -> str:
    """Return the content of the longest fenced block of an answer, or all of it where there is no fence.

    A fence that is never closed goes to the end.
    """
    marks = list(_FENCE.finditer(answer))
    if not marks:
        return answer
    ends = [*(mark.start() for mark in marks[1:]), len(answer)]
    blocks = [answer[mark.end() + 1 : end] for mark, end in zip(marks, ends, strict=True)]
    return max(blocks[::2], key=len)


def normalise(code: str) -> str:
    """Return code with its tokens separated by blanks, a statement a line, indented as it was.

    Where a bracket is never closed, lines stay as they were written.
    """
    code = code.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    statements = Statements(code, joined=True)
    lines = list(statements)
    if statements.is_open:
        lines = list(Statements(code, joined=False))
    return "\n".join(lines)


class Statements:
    """Iterate over the statements of code, each on one line; `is_open` then tells of an open bracket."""

    def __init__(self, code: str, *, joined: bool) -> None:
        """Take code; a line break within brackets ends a statement unless `joined`."""
        self._code = code
        self._joined = joined
        self.is_open = False

    def __iter__(self) -> Iterator[str]:
        place, depth = 0, 0
        while place < len(self._code):
            words: list[str] = []
            indent, strings = "", 0
            while (found := _TOKEN.match(self._code, place)) is not None:
                place, kind, text = found.end(), found.lastgroup, found.group()
                if kind == "end":
                    if depth == 0 or not self._joined:
                        break
                elif kind == "blank":
                    indent = indent if words else text.replace("\\\n", "")
                elif kind != "comment":
                    if not words and not depth and text[0] in _MAGIC:
                        place = self._end_of_line(place)
                        continue
                    depth = max(0, depth + (text in _OPENING) - (text in _CLOSING))
                    strings += kind == "string"
                    words.append(_IN_STRING.sub("_", text) if kind == "string" else text)
            if words and not (strings == len(words) == 1):
                yield indent + " ".join(words)
        self.is_open = depth > 0

    def _end_of_line(self, place: int) -> int:
        end = self._code.find("\n", place)
        return len(self._code) if end < 0 else end
