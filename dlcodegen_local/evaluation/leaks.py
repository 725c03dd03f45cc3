"""Find evaluation items in what a system was trained on or retrieves from: exact and near copies.

Guarantees that equal texts are found whatever their case, spacing, punctuation and comments, and that a near
copy is reported with how much of the item it holds. Does not find a paraphrase in other words, nor an item
that is spread over several rows of which none holds half. LEAKS.md says how the thresholds were chosen.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dlcodegen_local.evaluation.code_text import normalise

Kind = Literal["requirement", "plan", "code"]
KINDS: tuple[Kind, ...] = ("requirement", "plan", "code")

RUN: Mapping[Kind, int] = {"requirement": 5, "plan": 8, "code": 10}  # words, words, tokens
NEAR = 0.5  # of the item's runs
NEAR_WORDS = 0.8  # of a requirement's words by their rarity
MAX_MATCHES = 20

SIGNATURE = (
    f"runs of {RUN['requirement']} words, {RUN['plan']} words of a plan's values, {RUN['code']} tokens of "
    f"normalised code|near: {NEAR:.0%} of the item's distinct runs in one source, and of a requirement "
    f"{NEAR_WORDS:.0%} of its words by rarity|exact: all words or tokens equal"
)

# A script without blanks has no words to count: each of its characters is one.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class Texts:
    """Hold what an item or a source says, as far as it says it; `where` is an id, or a file with its line."""

    where: str
    requirement: str = ""
    plan: str = ""
    code: str = ""


@dataclass(frozen=True)
class Match:
    """Say that a source holds an item's text: `share`, 0 to 1, of its runs; 1 where all of it is equal."""

    kind: Kind
    where: str
    share: float
    is_exact: bool


@dataclass(frozen=True)
class Leak:
    """Hold where an item was found: `found` times, of which the `MAX_MATCHES` surest are named in order."""

    matches: tuple[Match, ...]
    found: int


def leaky_ids(references: Iterable[Texts], sources: Iterable[Texts]) -> dict[str, Leak]:
    """Return the items that some source holds, by their ids, in the references' order.

    One pass over the sources, of which only what concerns an item is kept.
    """
    items = list(references)
    searches = [_Search(kind, [getattr(item, kind) for item in items]) for kind in KINDS]
    for source in sources:
        for search in searches:
            search.look_into(source.where, getattr(source, search.kind))
    matches: list[list[Match]] = [[] for _ in items]
    for search in searches:
        for place, match in search.matches():
            matches[place].append(match)
    return {
        item.where: Leak(tuple(sorted(found, key=_surest)[:MAX_MATCHES]), len(found))
        for item, found in zip(items, matches, strict=True)
        if found
    }


def _surest(match: Match) -> tuple[bool, float, int, str]:
    return (not match.is_exact, -match.share, KINDS.index(match.kind), match.where)


def words(text: str) -> list[str]:
    """Return the words of a text in one spelling: compatible forms and case folded, no punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _tokens(code: str) -> list[str]:
    return normalise(code).split()


_SPLIT: Mapping[Kind, Callable[[str], list[str]]] = {"requirement": words, "plan": words, "code": _tokens}


@dataclass(frozen=True)
class _Candidate:
    """Hold a match that may still fail for its common words; `shared` are the item's words in the source."""

    place: int
    match: Match
    shared: frozenset[str]


@dataclass
class _Search:
    """Look for one kind of text of all items in source after source."""

    kind: Kind
    texts: Sequence[str]
    _runs: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    _sizes: list[int] = field(default_factory=list)
    _whole: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    _words: list[frozenset[str]] = field(default_factory=list)
    _rarity: "_Rarity" = field(default_factory=lambda: _Rarity())
    _candidates: list[_Candidate] = field(default_factory=list)

    def __post_init__(self) -> None:
        for place, text in enumerate(self.texts):
            tokens = _SPLIT[self.kind](text)
            runs = set(_runs(tokens, RUN[self.kind]))
            for run in runs:
                self._runs.setdefault(run, []).append(place)
            if tokens:
                self._whole.setdefault(tuple(tokens), []).append(place)
                self._rarity.add(tokens)
            self._sizes.append(len(runs))
            self._words.append(frozenset(tokens))

    def look_into(self, where: str, text: str) -> None:
        """Remember which items a source holds."""
        if not self._whole:
            return
        tokens = _SPLIT[self.kind](text)
        if not tokens:
            return
        self._rarity.add(tokens)
        exact = set(self._whole.get(tuple(tokens), ()))
        counts = Counter(
            place
            for run in {run for run in _runs(tokens, RUN[self.kind]) if run in self._runs}
            for place in self._runs[run]
        )
        shares = {place: count / self._sizes[place] for place, count in counts.items()}
        near = {place: share for place, share in shares.items() if share >= NEAR}
        present = frozenset(tokens) if near or exact else frozenset()
        for place in sorted(exact | near.keys()):
            share = 1.0 if place in exact else near[place]
            match = Match(self.kind, where, share, place in exact)
            self._candidates.append(_Candidate(place, match, self._words[place] & present))

    def matches(self) -> Iterable[tuple[int, Match]]:
        """Yield every match with the place of its item, once all sources were looked into."""
        for candidate in self._candidates:
            if (
                candidate.match.is_exact
                or self.kind != "requirement"
                or self._rarity.share(candidate.shared, self._words[candidate.place]) >= NEAR_WORDS
            ):
                yield candidate.place, candidate.match


class _Rarity:
    """Weigh words by the number of texts that hold them: what every requirement says tells nothing."""

    def __init__(self) -> None:
        self._texts = 0
        self._counts: Counter[str] = Counter()

    def add(self, tokens: Iterable[str]) -> None:
        """Count one text."""
        self._texts += 1
        self._counts.update(set(tokens))

    def share(self, part: frozenset[str], whole: frozenset[str]) -> float:
        """Return the weight of a part of some words over that of all of them."""
        weights = {word: math.log(1 + self._texts / self._counts[word]) for word in sorted(whole)}
        return math.fsum(weights[word] for word in sorted(part)) / math.fsum(weights.values())


def _runs(tokens: Sequence[str], length: int) -> Iterable[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(length)), strict=False)
