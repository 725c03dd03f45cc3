"""Prompt formats by family of model, and what keeps data from posing as a prompt marker.

Guarantees that a model's own chat template is never run: its text only helps to tell the family.
Content is neutralised, and rendered apart from the markers, so that a tokenizer need not look for
special tokens in it. An unknown template falls back to `plain`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlcodegen_local.generation.llm import Prompt


@dataclass(frozen=True)
class ChatFormat:
    """Hold a family's prompt: literal text around `{system}` and `{user}`, and what ends an answer.

    `special` is False where the literals are plain text and no token of the vocabulary.
    """

    name: str
    layout: str
    stop: tuple[str, ...]
    special: bool = True


@dataclass(frozen=True)
class Piece:
    """Hold a piece of a rendered prompt; only in a marker may special tokens be looked for."""

    text: str
    is_marker: bool


_FORMATS = (
    ChatFormat("plain", "{system}\n\n{user}\n\n<answer>\n", ("</answer>", "<answer>"), special=False),
    ChatFormat(
        "chatml",
        "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_end|>", "<|im_start|>", "<|endoftext|>"),
    ),
    ChatFormat(
        "llama3",
        "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    ),
    ChatFormat("llama2", "[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST]\n", ("</s>", "[INST]")),
    ChatFormat("mistral", "[INST] {system}\n\n{user}[/INST]\n", ("</s>", "[INST]")),
    ChatFormat(
        "deepseek",
        "{system}\n\n<｜User｜>{user}\n\n<｜Assistant｜>",
        ("<｜end▁of▁sentence｜>", "<｜User｜>"),
    ),
    ChatFormat(
        "deepseek-coder",
        "{system}\n### Instruction:\n{user}\n### Response:\n",
        ("<|EOT|>", "### Instruction:"),
    ),
    ChatFormat(
        "gemma",
        "<start_of_turn>user\n{system}\n\n{user}<end_of_turn>\n<start_of_turn>model\n",
        ("<end_of_turn>", "<start_of_turn>"),
    ),
    ChatFormat(
        "phi3",
        "<|system|>\n{system}<|end|>\n<|user|>\n{user}<|end|>\n<|assistant|>\n",
        ("<|end|>", "<|endoftext|>", "<|user|>"),
    ),
    ChatFormat(
        "alpaca",
        "{system}\n\n### Instruction:\n{user}\n\n### Response:\n",
        ("### Instruction:", "</s>"),
        special=False,
    ),
)
CHAT_FORMATS: Mapping[str, ChatFormat] = {chat_format.name: chat_format for chat_format in _FORMATS}

# Ordered: the first family of which the template holds every marker.
_TEMPLATE_MARKERS = (
    (("<|im_start|>",), "chatml"),
    (("<|start_header_id|>",), "llama3"),
    (("<start_of_turn>",), "gemma"),
    (("<｜Assistant｜>",), "deepseek"),
    (("<|assistant|>", "<|end|>"), "phi3"),
    (("### Instruction:", "<|EOT|>"), "deepseek-coder"),
    (("### Instruction:", "DeepSeek"), "deepseek-coder"),
    (("### Instruction:",), "alpaca"),
    (("[INST]", "<<SYS>>"), "llama2"),
    (("[INST]",), "mistral"),
)
_NAMES = (
    (r"deepseek.?coder.*v2|deepseek.?v[23]", "deepseek"),
    (r"deepseek.?coder", "deepseek-coder"),
    (r"code.?llama|llama.?2", "llama2"),
    (r"llama.?3", "llama3"),
    (r"qwen|smollm|yi.?coder|hermes", "chatml"),
    (r"gemma", "gemma"),
    (r"phi.?[34]", "phi3"),
    (r"mistral|mixtral|codestral", "mistral"),
    (r"alpaca|wizardcoder", "alpaca"),
)
_CHAT_MARKERS = re.compile(
    r"(?P<angle><)(?=\||｜|/?(?:s|answer|think|start_of_turn|end_of_turn|bos|eos)>|</?SYS>)"
    r"|(?P<square>\[)(?=/?INST\])"
    r"|(?P<hash>^###)(?= (?:Instruction|Response|System):)",
    re.MULTILINE,
)


def neutralise(text: str) -> str:
    """Put a blank into whatever could pass for a marker of a prompt format; nothing else changes."""
    return _CHAT_MARKERS.sub(lambda match: "# ##" if match["hash"] else f"{match.group()} ", text)


def detect_family(metadata: Mapping[str, object]) -> str:
    """Name the format of a model from its GGUF metadata.

    The markers in its template decide; without a template, the name of an instruct model does; a
    base model, or a template of no known family, is `plain`.
    """
    template = str(metadata.get("tokenizer.chat_template", ""))
    for markers, family in _TEMPLATE_MARKERS:
        if all(marker in template for marker in markers):
            return family
    name = " ".join(str(metadata.get(f"general.{key}", "")) for key in ("name", "basename", "finetune"))
    if re.search(r"instruct|chat|\bit\b|-it\b", name, re.IGNORECASE):
        for pattern, family in _NAMES:
            if re.search(pattern, name, re.IGNORECASE):
                return family
    return "plain"


def render(prompt: Prompt, family: str) -> tuple[Piece, ...]:
    """Return the pieces of a prompt in the format of a family; neighbours of one kind are joined.

    Raises:
        KeyError: there is no such family.
    """
    chat_format = CHAT_FORMATS[family]
    contents = {"{system}": prompt.system, "{user}": prompt.user}
    pieces: list[Piece] = []
    for part in re.split(r"(\{system\}|\{user\})", chat_format.layout):
        if part in contents:
            pieces.append(Piece(neutralise(contents[part]), False))
        else:
            pieces.append(Piece(part, chat_format.special))
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
