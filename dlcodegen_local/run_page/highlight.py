"""Python source as HTML with its words marked, cut into lines that stand by themselves.

Guarantees that the text is the source's own, escaped; code that cannot be cut into tokens comes unmarked.
"""

import io
import keyword
import token
import tokenize

from dlcodegen_local.html_page import escaped_block

_MARKED_CHARS = 60_000  # past that, marking takes longer than it helps


def marked_lines(source: str) -> list[str]:
    """Return the lines of a source as HTML, without their line breaks."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    spans = _spans(source) if len(source) <= _MARKED_CHARS else {}
    return [
        _marked(line, spans.get(number, ())) for number, line in enumerate(source.split("\n"), start=1)
    ]  # fmt: skip


def _marked(line: str, spans: "list[tuple[int, int, str]] | tuple[()]") -> str:
    parts, place = [], 0
    for start, end, kind in spans:
        if start < place:
            continue
        parts += [escaped_block(line[place:start]), f'<i class="{kind}">{escaped_block(line[start:end])}</i>']
        place = end
    return "".join((*parts, escaped_block(line[place:])))


def _spans(source: str) -> dict[int, list[tuple[int, int, str]]]:
    """Return the marked stretches of every line: (start, end, class); those of many lines line by line."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    lines = source.split("\n")
    try:
        for found in tokenize.generate_tokens(io.StringIO(source).readline):
            kind = _kind(found)
            if not kind:
                continue
            (row, start), (last, end) = found.start, found.end
            for number in range(row, last + 1):
                stop = end if number == last else len(lines[number - 1])
                spans.setdefault(number, []).append((start if number == row else 0, stop, kind))
    except (tokenize.TokenError, SyntaxError, IndexError, ValueError):
        pass  # the rest stays unmarked
    return spans


def _kind(found: tokenize.TokenInfo) -> str:
    if found.type == token.STRING:
        return "s"
    if found.type == token.COMMENT:
        return "c"
    if found.type == token.NUMBER:
        return "n"
    is_word = found.type == token.NAME and keyword.iskeyword(found.string)
    return "k" if is_word else ""
