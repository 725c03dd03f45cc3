"""What a file is for, in words: a title and a requirement, from its prose, or else from its plan.

Deterministic: the same file gives the same words. Reads English; of other languages it takes titles only.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlcodegen_local.plain_text import plain
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.ingest.prose import Passage, clean, passages
from dlcodegen_local.retrieval.ingest.wording import sentence_from_plan

MAX_TITLE_CHARS = 100
MAX_REQUIREMENT_CHARS = 400
_MAX_PASSAGES = 60
_MIN_WORDS, _MIN_SENTENCE_WORDS = 5, 4

# What a task is called, and what only belongs to one.
_TASK = re.compile(
    r"\b(?:classif(?:y|ies|ying|ication|ier)|predict\w*|detect\w*|segment\w*|generat(?:es?|ing|ion|ive)\b|"
    r"translat\w*|summari[sz]\w*|forecast\w*|recogni[sz]\w*|recognition|recommend\w*|regression|caption\w*|"
    r"autoencod\w*|denois\w*|reconstruct\w*|super-resolution|style transfer|anomal\w*|embedding\w*|"
    r"reinforcement|estimat\w*|seq2seq|sequence-to-sequence|language model\w*|GANs?\b|colori[sz]\w*)",
    re.IGNORECASE,
)
_WORK = re.compile(
    r"\b(?:train\w*|build\w*|implement\w*|models?|networks?|learn\w*|transformers?|LSTM|CNN|RNN|"
    r"demonstrat\w*|fine-?tun\w*|layers?)\b",
    re.IGNORECASE,
)
# Sentences that are about the file, its running or its rights, not about the task.
_OFF = re.compile(
    r"copyright|licen[sc]e|all rights reserved|warrant|permission is|pip install|prerequisite|colab|github|"
    r"arxiv|this notebook (?:has been|was) |companion notebook|\bapi docs?\b|recommended|deprecated|"
    r"directly in the browser|et al\.?$|:$|"
    r"^(?:authors?|thanks|credits?|references?|usage|note|import|install|click|see|first|next|then|finally|if|"
    r"or|because|after that|the (?:reader|following|dataset)|in comparison|you|here|also|however|therefore|"
    r"and|but|so|to (?:run|do|show\w*)|run|let(?:'s| us)|make sure|download|"
    r"for (?:more|details|example|instance)|this (?:file|cell|section)|we need|now|again)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(r"\b(?:the|a|an|of|to|and|in|is|for|with|on|this|we|using|from|by)\b", re.IGNORECASE)
_POOR_TITLE = re.compile(
    r"copyright|licen[sc]e|\w\.py$|^(?:imports?|setup|set up|introduction|overview|(?:table of )?contents|"
    r"load(?:ing)? (?:the )?(?:data|librar|package|module)\w*|import(?:ing)? .*|install.*|librar(?:y|ies)|"
    r"requirements|getting started|authors?|usage|notebook|dependencies|description|about|data|dataset|"
    r"background|step \d.*|prepare.*|preliminar.*|abstract|objective|goal|model|training|read .*|config\w*|"
    r"constants?|note)$",
    re.IGNORECASE,
)
# Names of files and folders that say nothing of what is in them.
_PLAIN_STEM = re.compile(
    r"(?:(?:copy|copie|kopie) of .*|untitled\s*\d*|notebooks?\d*|main\d*|train\w*|run\w*|models?|scripts?|"
    r"apps?|tests?|codes?|demo|examples?|final|new|temp|kernel\w*|net(?:work)?s?|index|init|trainer|src|source|"
    r"lib|core|utils|tmp|home|work|[\d\W_]*|v?\d+\w{0,3})$",
    re.IGNORECASE,
)
_MAX_FOLDERS = 2


@dataclass(frozen=True)
class Description:
    """Hold a title and a requirement, one line of plain text each."""

    title: str
    requirement: str


def describe(summary: str, prose: Sequence[str], name: str, plan: Plan) -> Description:
    """Return the title and the requirement of a file.

    `summary` is the docstring that opens a script, `prose` the rest of its texts; `name` is a file name or
    path.
    """
    opening = _first(passages(summary))
    rest = _first(passage for text in prose for passage in passages(text))
    subject = _subject(name)
    title = _title(opening, rest)
    requirement = _requirement([*opening, *rest])
    if not requirement:
        requirement = sentence_from_plan(plan, title or subject)
    if not title:
        title = subject or f"{plan.category} model"
    return Description(_cut(title, MAX_TITLE_CHARS), _cut(requirement, MAX_REQUIREMENT_CHARS))


def _first(found: Iterator[Passage]) -> list[Passage]:
    return [passage for passage, _ in zip(found, range(_MAX_PASSAGES), strict=False)]


def _title(opening: Sequence[Passage], rest: Sequence[Passage]) -> str:
    headings = [passage.words for passage in [*opening, *rest] if passage.is_heading]
    if opening and not opening[0].is_heading:
        first = _sentences(opening[0].words)[0].rstrip(".:")
        headings[:0] = [first] if len(first) <= MAX_TITLE_CHARS else []
    good = [
        words for words in headings[:6] if not _POOR_TITLE.search(words) and re.search(r"[^\W\d_]{3}", words)
    ]
    return _without_number(good[0]) if good else ""


def _without_number(words: str) -> str:
    bare = re.sub(r"^(?:\d+(?:\.\d+)*[.):]?|[IVX]+\.|chapter \d+[^\w]*)\s+", "", words, flags=re.IGNORECASE)
    return re.sub(r"^[a-z](?=[a-z]*\b(?!\.))", lambda match: match[0].upper(), bare) or words


def _subject(name: str) -> str:
    """Return the words of a file's name, or of its folder's where its own say nothing; "" for none."""
    parts = re.sub(r"\.(?:py|ipynb)$", "", name, flags=re.IGNORECASE).replace("\\", "/").split("/")
    for part in reversed(parts[-1 - _MAX_FOLDERS :]):
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain(part))
        words = " ".join(re.sub(r"[\W_]+", " ", spaced).split())
        words = re.sub(r"^\d+[a-z]? ", "", words)
        if words and not _PLAIN_STEM.match(words):
            return words[:1].upper() + words[1:]
    return ""


def _requirement(found: Sequence[Passage]) -> str:
    """Return the sentences of the first paragraph that names a task, else of one that speaks of a model."""
    paragraphs = [passage.words for passage in found if not passage.is_heading]
    for pattern, most in ((_TASK, 8), (_WORK, 8), (_TASK, _MAX_PASSAGES)):
        for words in paragraphs[:most]:
            if text := _telling(words, pattern):
                return text
    return ""


def _telling(words: str, pattern: re.Pattern[str]) -> str:
    """Return the one or two sentences of a paragraph, from the first that a pattern is found in; else ""."""
    if len(words.split()) < _MIN_WORDS or len(_ENGLISH.findall(words)) * 12 < len(words.split()):
        return ""
    sentences = [text for text in _sentences(words) if _is_sentence(text)]
    for place, text in enumerate(sentences):
        if pattern.search(text) and len(text) <= MAX_REQUIREMENT_CHARS:
            following = sentences[place + 1] if place + 1 < len(sentences) else ""
            fits = following and len(text) + len(following) < MAX_REQUIREMENT_CHARS
            return f"{text} {following}" if fits else text
    return ""


def _is_sentence(text: str) -> bool:
    is_code = re.search(r"[{}=]|\w\(|->|\w_\w+_\w", text)
    return len(text.split()) >= _MIN_SENTENCE_WORDS and not _OFF.search(text) and not is_code


def _sentences(words: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", words)


def _cut(text: str, size: int) -> str:
    text = clean(plain(text))
    return text if len(text) <= size else text[: size - 3].rsplit(" ", 1)[0].rstrip(",;:") + "..."
