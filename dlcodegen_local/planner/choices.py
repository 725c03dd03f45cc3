"""The choices: linear classifiers beside the language model, over the words of a requirement.

A decoder of a few million weights reads long requirements well and rare words badly; words and
pairs of words weighed one by one are its complement. Both are mixed in `PlanConstraint`. Guarantees
finite log-probabilities for any text. Knows nothing of tokens: candidates come in the vocabulary's order.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.planner.beam import LogProbs, log_softmax
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS, PlanVocabulary

MAX_BUCKETS = 1 << 20
PIECE_LENGTH = 3
_WORD = re.compile(r"[^\W_]+")
_HINT = "install the planner again"

Features = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]

# The task's kind is told by single words, mistyped ones and unknown compounds, too: it is judged by
# pieces of words besides. The other fields are judged worse with them.
PIECES_FIELD = "category"
WORD_FIELDS = tuple(name for name in CLOSED_FIELDS if name != PIECES_FIELD)


@dataclass(frozen=True)
class LinearTable:
    """Hold linear classifiers: `rarity` `(buckets,)`, `weights` `(buckets, outputs)`, `bias` `(outputs,)`.

    A weight is `scales` `(outputs,)` times a whole number.
    """

    rarity: npt.NDArray[np.float32]
    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def from_bytes(cls, content: bytes, settings: object, outputs: int) -> tuple["LinearTable", bytes]:
        """Read a table from the beginning of `content`; return it with the rest.

        It is `rarity` as float16, then `weights` as int8, one row a bucket.

        Raises:
            ArtifactError: sizes or numbers do not belong together.
        """
        try:
            assert isinstance(settings, dict)
            buckets = settings["buckets"]
            assert type(buckets) is int and 0 < buckets <= MAX_BUCKETS
            end = buckets * (2 + outputs)
            assert len(content) >= end
            scales, bias = (np.array(settings[name], dtype=np.float32) for name in ("scales", "bias"))
            assert scales.shape == bias.shape == (outputs,)
            assert np.isfinite(scales).all() and np.isfinite(bias).all()
            rarity = np.frombuffer(content, dtype=np.float16, count=buckets).astype(np.float32)
            assert np.isfinite(rarity).all()
        except (AssertionError, KeyError, TypeError, ValueError, OverflowError) as exc:
            raise ArtifactError("planner.json: choices do not fit their file", hint=_HINT) from exc
        weights = np.frombuffer(content, dtype=np.int8, offset=2 * buckets, count=buckets * outputs)
        return cls(rarity, weights.reshape(buckets, outputs), scales, bias), content[end:]

    def logits(self, counts: Mapping[str, int]) -> npt.NDArray[np.float32]:
        """Return the outputs `(outputs,)` for counted features."""
        buckets, values = weighted(counts, self.rarity)
        sums: npt.NDArray[np.float32] = values @ self.weights[buckets].astype(np.float32)
        return sums * self.scales + self.bias


@dataclass(frozen=True)
class Choices:
    """Hold the classifiers: by words for most fields, by words and pieces for the category and the task.

    The outputs are the candidates of the closed fields, in their order; the last one of `by_pieces`
    is for "this is a task for deep learning". `shares` says what part of a field's log-probability
    is the classifier's, and `sharpness` what power the mixture is raised to: below 1 for numbers, of
    which the one nearest to all likely ones is taken, by a model that is surer than it is right.
    """

    by_words: LinearTable
    by_pieces: LinearTable
    shares: Mapping[str, float]
    sharpness: Mapping[str, float]
    sizes: Mapping[str, int]

    @classmethod
    def from_bytes(cls, content: bytes, settings: object, vocabulary: PlanVocabulary) -> "Choices":
        """Read the weights' file, table after table, and the part of `planner.json` that describes it.

        Raises:
            ArtifactError: sizes, names or numbers do not belong together.
        """
        sizes = {field.name: len(field.values) for field in vocabulary.fields}
        table = settings if isinstance(settings, dict) else {}
        outputs = sum(sizes[name] for name in WORD_FIELDS)
        by_words, rest = LinearTable.from_bytes(content, table.get("words"), outputs)
        by_pieces, rest = LinearTable.from_bytes(rest, table.get("pieces"), sizes[PIECES_FIELD] + 1)
        try:
            shares = {name: float(table["shares"][name]) for name in CLOSED_FIELDS}
            sharpness = {name: float(table["sharpness"][name]) for name in CLOSED_FIELDS}
            assert not rest
            assert all(0 <= share <= 1 for share in shares.values())
            assert all(0 < power <= 10 for power in sharpness.values())
        except (AssertionError, KeyError, TypeError, ValueError, OverflowError) as exc:
            raise ArtifactError("planner.json: choices do not fit their file", hint=_HINT) from exc
        return cls(by_words, by_pieces, shares, sharpness, sizes)

    def score(self, requirement: str, dataset: str) -> "ChoiceScores":
        """Return the log-probabilities of all candidates for a requirement."""
        words = word_counts(requirement, dataset)
        logits = self.by_words.logits(words)
        log_probs, start = {}, 0
        for name in WORD_FIELDS:
            log_probs[name] = log_softmax(logits[start : start + self.sizes[name]])
            start += self.sizes[name]
        *categories, task = self.by_pieces.logits(words + piece_counts(requirement, dataset))
        log_probs[PIECES_FIELD] = log_softmax(np.array(categories))
        probability = 1 / (1 + math.exp(-max(-50.0, min(50.0, float(task)))))
        return ChoiceScores(log_probs, self.shares, self.sharpness, probability)


@dataclass(frozen=True)
class ChoiceScores:
    """Hold the classifiers' answer: log-probabilities a field, and the probability that it is a task."""

    log_probs: Mapping[str, LogProbs]
    shares: Mapping[str, float]
    sharpness: Mapping[str, float]
    task_probability: float

    def mixed(self, name: str, log_probs: LogProbs) -> LogProbs:
        """Return the language model's log-probabilities of a field's candidates mixed with these."""
        share, power = self.shares[name], self.sharpness[name]
        return log_softmax(power * ((1 - share) * log_probs + share * self.log_probs[name]))


def weighted(counts: Mapping[str, int], rarity: npt.NDArray[np.float32]) -> Features:
    """Return the buckets of counted features and their weights, of length 1 together."""
    found: dict[int, float] = {}
    for feature, count in counts.items():
        found[bucket_of(feature, len(rarity))] = 1 + math.log(count)
    buckets = np.array(list(found), dtype=np.int64)
    values = np.array(list(found.values()), dtype=np.float32) * rarity[buckets]
    length = float(np.linalg.norm(values))
    return buckets, values / length if length else values


def bucket_of(feature: str, buckets: int) -> int:
    """Return the bucket that a feature falls into."""
    return zlib.crc32(feature.encode("utf-8", "replace")) % buckets


def word_counts(requirement: str, dataset: str) -> Counter[str]:
    """Return how often each word and pair of words occurs; the requirement's count again as `r:word`."""
    counts: Counter[str] = Counter()
    for text, is_requirement in ((requirement, True), (dataset, False)):
        words = _WORD.findall(text.lower())
        counts.update(words)
        counts.update(f"{first} {second}" for first, second in pairwise(words))
        if is_requirement:
            counts.update(f"r:{word}" for word in words)
    return counts


def piece_counts(requirement: str, dataset: str) -> Counter[str]:
    """Return how often each run of `PIECE_LENGTH` characters of a word occurs, its borders marked."""
    counts: Counter[str] = Counter()
    for word in _WORD.findall(f"{requirement} {dataset}".lower()):
        marked = f"^{word}$"
        places = range(len(marked) - PIECE_LENGTH + 1)
        counts.update(f"c:{marked[place : place + PIECE_LENGTH]}" for place in places)
    return counts
