"""What a file is for, in words: a title and a requirement, from its prose, or else from its plan.

Deterministic, and plain text: no markup, no addresses, one line each.
"""

import re
from collections.abc import Sequence

from dlcodegen_local.plain_text import plain
from dlcodegen_local.plan.schema import Plan

MAX_TITLE_CHARS = 100
MAX_REQUIREMENT_CHARS = 400
_MIN_WORDS = 7
_TASK_WORDS = re.compile(
    r"\b(?:classif|predict|detect|segment|generat|translat|summari[sz]|forecast|recogni|recommend|"
    r"regress|caption|train|build|implement|model|network|learn|autoencod|transformer|cluster|embed)\w*",
    re.IGNORECASE,
)
_LEGAL = re.compile(r"copyright|licen[sc]e|all rights reserved|author|warrant|permission is", re.IGNORECASE)


def clean(text: str) -> str:
    """Return prose without markup and addresses, on one line."""
    text = re.sub(r"<[^>]{0,300}>", " ", plain_lines(text))
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`([^`<]*?)\s*<[^>`]*>`_*", r"\1", text)
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text)
    text = re.sub(r"\(?\b(?:https?|ftp)://[^\s)>\]]*\)?|\bwww\.[^\s)]*", " ", text)
    text = re.sub(r"[`*$]|(?<!\w)_+|_+(?!\w)", "", text)
    return " ".join(text.split())


def plain_lines(text: str) -> str:
    """Return a text with blanks for the characters that no plain text holds; line breaks stay."""
    return "\n".join(plain(line) for line in text.split("\n"))


def title_of(prose: Sequence[str], name: str) -> str:
    """Return the title that the first text with one has, else one from the file's name."""
    for text in prose:
        if found := _heading(text):
            return _cut(found, MAX_TITLE_CHARS)
    stem = re.sub(r"\.(?:py|ipynb)$", "", name.replace("\\", "/").rpartition("/")[2])
    words = " ".join(re.sub(r"[^\w]+|_", " ", plain(stem)).split())
    return _cut(words[:1].upper() + words[1:] or "Untitled", MAX_TITLE_CHARS)


def requirement_of(prose: Sequence[str], plan: Plan, title: str, framework: str) -> str:
    """Return what the code is for: its first prose that speaks of a task, else a sentence from its plan."""
    for text in prose:
        for paragraph in re.split(r"\n[ \t]*\n", text):
            words = clean("\n".join(line for line in paragraph.split("\n") if not _is_heading(line)))
            if len(words.split()) >= _MIN_WORDS and _TASK_WORDS.search(words) and not _LEGAL.search(words):
                return _sentences(words)
    return _from_plan(plan, title, framework)


def _heading(text: str) -> str:
    lines = [line.strip() for line in text.split("\n")]
    for number, line in enumerate(lines):
        if match := re.match(r"#{1,6}\s+(.*)", line):
            line = match[1]
        elif number + 1 < len(lines) and re.fullmatch(r"[=\-~^*]{3,}", lines[number + 1]):
            pass
        elif number == 0 or not any(lines[:number]):
            if not line or len(line) > MAX_TITLE_CHARS:
                continue
        else:
            continue
        words = clean(re.sub(r"^title:\s*", "", line, flags=re.IGNORECASE)).rstrip(".:")
        if words and not _LEGAL.search(words):
            return words
    return ""


def _is_heading(line: str) -> bool:
    return bool(
        re.match(
            r"\s*#{1,6}\s|\s*(?:title|author|date|last|description)[\w ]*:|\s*[=\-~^*|]{3,}\s*$", line, re.I
        )
    )


def _sentences(words: str) -> str:
    found = re.split(r"(?<=[.!?])\s+(?=[A-Z])", words)
    text = found[0]
    for sentence in found[1:2]:
        if len(text) + len(sentence) < MAX_REQUIREMENT_CHARS:
            text += " " + sentence
    return _cut(text, MAX_REQUIREMENT_CHARS)


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3].rsplit(" ", 1)[0] + "..."


def _from_plan(plan: Plan, title: str, framework: str) -> str:
    network = {"keras": "Keras", "torch": "PyTorch"}[framework]
    sentence = f"{plan.category} with a {network} network: {title}."
    if plan.dataset_input:
        sentence += f" Input: {plan.dataset_input}; output: {plan.dataset_output or 'open'}."
    return _cut(clean(sentence), MAX_REQUIREMENT_CHARS)
