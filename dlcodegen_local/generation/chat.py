"""Rendering a prompt in the format of a model, and what keeps data from posing as a prompt marker.

Content is neutralised, and rendered apart from the markers, so that a tokenizer need not look for
special tokens in it. The formats themselves are in `chat_formats`.
"""

import re
from dataclasses import dataclass

from dlcodegen_local.generation.chat_formats import CHAT_FORMATS, detect_family, format_named
from dlcodegen_local.generation.llm import Prompt

__all__ = ["CHAT_FORMATS", "Piece", "detect_family", "format_named", "neutralise", "render", "render_text"]


@dataclass(frozen=True)
class Piece:
    """Hold a piece of a rendered prompt; only in a marker may special tokens be looked for."""

    text: str
    is_marker: bool


_CHAT_MARKERS = re.compile(
    r"(?P<angle><)(?=\||｜|/?(?:s|answer|think|step|start_of_turn|end_of_turn|bos|eos)>|</?SYS>"
    r"|fim_(?:prefix|suffix|middle)>)"
    r"|(?P<square>\[)(?=/?(?:INST|SYSTEM_PROMPT|THINK|gMASK)\]|\|(?:system|user|assistant|endofturn)\|\])"
    r"|(?P<hash>^###)(?= (?:Instruction|Response|System)(?::|$))",
    re.MULTILINE,
)


def neutralise(text: str) -> str:
    """Put a blank into whatever could pass for a marker of a prompt format; nothing else changes."""
    return _CHAT_MARKERS.sub(lambda match: "# ##" if match["hash"] else f"{match.group()} ", text)


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
            pieces.append(Piece(neutralise(contents[part]), False))
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
