"""Rendering a prompt in the format of a model, and what keeps data from posing as a prompt marker.

Content is neutralised, and rendered apart from the markers, so that a tokenizer need not look for
special tokens in it. The formats themselves are in `chat_formats`.
"""

import re
from dataclasses import dataclass
from functools import cache

from dlcodegen_local.generation.chat_formats import CHAT_FORMATS, ChatFormat, detect_family, format_named
from dlcodegen_local.generation.llm import Prompt

__all__ = ["CHAT_FORMATS", "Piece", "detect_family", "format_named", "neutralise", "render", "render_text"]


@dataclass(frozen=True)
class Piece:
    """Hold a piece of a rendered prompt; only in a marker may special tokens be looked for."""

    text: str
    is_marker: bool


# What vocabularies of open models hold for turns, filling in, files, tools and thoughts, and the words that
# stand for turns in formats without such tokens. What stands for padding or a gap is left as it is.
_ANGLED = (
    r"\||｜|</?SYS>|/?(?:s|bos|eos|eod|eop|sop|eoh|eoa|answer|think|step|start_of_turn|end_of_turn"
    r"|tools?|tool_(?:call|response|result)s?|function_calls?|functions?|start_of_image|end_of_image)>"
    r"|fim[_-](?:prefix|suffix|middle|pad)>|(?:PRE|SUF|MID|EOT|EOM)>"
    r"|(?:file_sep|filename|repo_name|reponame|gh_stars|issue_\w+|jupyter_\w+|commit_\w+|empty_output)>"
    r"|(?:reserved_\w*\d+|unused_?\d+|extra_id_\d+|seed:\w+|_(?:user|bot|system|end)_?)>"
)
_SQUARE = (
    r"/?(?:INST|SYSTEM_PROMPT|THINK|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS|ARGS|CALL_ID"
    r"|PREFIX|SUFFIX|MIDDLE|BOS|EOS|EOT|IMG|gMASK|sMASK|UNUSED_TOKEN_\d+|control_\d+)\]"
    r"|\|(?:system|user|assistant|tool|endofturn)\|\]"
)
_TURN = r"System|User|Human|Input|Assistant|Response|Answer|Instruction"
_CHAT_MARKERS = re.compile(
    rf"(?P<angle><)(?={_ANGLED})|(?P<square>\[)(?={_SQUARE})"
    rf"|(?P<head>^(?:###|@@))(?= (?:{_TURN})(?::|$))"
    r"|(?P<role>^(?:GPT4 Correct )?(?:User|Assistant|USER|ASSISTANT|Human|HUMAN))(?=:)",
    re.MULTILINE,
)
_BRACKET = re.compile(r"[<>\[\]|｜#@{}]")


def neutralise(text: str) -> str:
    """Put a blank into whatever could pass for a marker of a prompt format; nothing else changes."""
    return _CHAT_MARKERS.sub(_broken, text)


def _broken(match: re.Match[str]) -> str:
    return f"{match['head'][0]} {match['head'][1:]}" if match["head"] else f"{match.group()} "


@cache
def _own_markers(chat_format: ChatFormat) -> re.Pattern[str] | None:
    """Return what finds the first letter of each marker of a format that is no known family's."""
    if chat_format.name.partition("+")[0] in CHAT_FORMATS:
        return None
    literals = (*re.split(r"\{system\}|\{user\}", chat_format.layout), *chat_format.stop)
    words = {word for literal in literals for word in literal.split() if not word.startswith("```")}
    markers = sorted(word for word in words if len(word) > 1 and (_BRACKET.search(word) or word[-1] == ":"))
    found = "|".join(f"{re.escape(word[0])}(?={re.escape(word[1:])})" for word in markers)
    return re.compile(found) if found else None


def _content(text: str, chat_format: ChatFormat) -> str:
    """Return content in which no marker of any family, nor of the format itself, is left."""
    own = _own_markers(chat_format)
    text = neutralise(text)
    return own.sub(lambda match: f"{match.group()} ", text) if own else text


def render(prompt: Prompt, family: str) -> tuple[Piece, ...]:
    """Return the pieces of a prompt in the format of a family; neighbours of one kind are joined.

    An answer that is begun already has no thought before it.

    Raises:
        KeyError: there is no such family.
    """
    chat_format = format_named(family)
    contents = {"{system}": prompt.system, "{user}": prompt.user}
    pieces: list[Piece] = []
    for part in re.split(r"(\{system\}|\{user\})", chat_format.layout):
        if part in contents:
            pieces.append(Piece(_content(contents[part], chat_format), False))
        else:
            pieces.append(Piece(part, chat_format.special))
    if prompt.assistant_prefix:
        pieces.append(Piece(chat_format.no_thought, chat_format.special))
        pieces.append(Piece(prompt.assistant_prefix, False))
    joined: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if joined and joined[-1].is_marker == piece.is_marker:
            piece = Piece(joined.pop().text + piece.text, piece.is_marker)
        joined.append(piece)
    return tuple(joined)


def render_text(prompt: Prompt, family: str) -> str:
    """Return a prompt in the format of a family as one text, as training data needs it."""
    return "".join(piece.text for piece in render(prompt, family))
