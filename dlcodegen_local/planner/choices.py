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

TASK_OUTPUT = "task"
MAX_BUCKETS = 1 << 20
_WORD = re.compile(r"[^\W_]+")
_HINT = "install the planner again"

Features = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Choices:
    """Hold the weights: `rarity` `(buckets,)`, `weights` `(buckets, outputs)` and `bias` `(outputs,)`.

    The outputs are the candidates of the closed fields, in their order, and one for "this is a task
    for deep learning". `shares` says what part of a field's log-probability is the classifier's.
    """

    rarity: npt.NDArray[np.float32]
    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    shares: Mapping[str, float]
    sizes: Mapping[str, int]

    @classmethod
    def from_bytes(cls, content: bytes, settings: object, vocabulary: PlanVocabulary) -> "Choices":
        """Read the weights' file and the part of `planner.json` that describes it.

        The file holds `rarity` as float16, then `weights` as int8, one row a bucket.

        Raises:
            ArtifactError: sizes, names or numbers do not belong together.
        """
        sizes = {field.name: len(field.values) for field in vocabulary.fields}
        outputs = sum(sizes.values()) + 1
        try:
            assert isinstance(settings, dict)
            buckets = settings["buckets"]
            assert type(buckets) is int and 0 < buckets <= MAX_BUCKETS
            assert len(content) == buckets * (2 + outputs)
            scales, bias = (np.array(settings[name], dtype=np.float32) for name in ("scales", "bias"))
            shares = {name: float(settings["shares"][name]) for name in CLOSED_FIELDS}
            assert scales.shape == bias.shape == (outputs,)
            assert np.isfinite(scales).all() and np.isfinite(bias).all()
            assert all(0 <= share <= 1 for share in shares.values())
        except (AssertionError, KeyError, TypeError, ValueError) as exc:
            raise ArtifactError("planner.json: choices do not fit their file", hint=_HINT) from exc
        rarity = np.frombuffer(content, dtype=np.float16, count=buckets).astype(np.float32)
        weights = np.frombuffer(content, dtype=np.int8, offset=2 * buckets).reshape(buckets, outputs)
        if not np.isfinite(rarity).all():
            raise ArtifactError("the choices' weights are not finite", hint=_HINT)
        return cls(rarity, weights, scales, bias, shares, sizes)

    def score(self, requirement: str, dataset: str) -> "ChoiceScores":
        """Return the log-probabilities of all candidates for a requirement."""
        buckets, values = features(requirement, dataset, self.rarity)
        sums = values @ self.weights[buckets].astype(np.float32)
        logits = sums * self.scales + self.bias
        log_probs, start = {}, 0
        for name, size in self.sizes.items():
            log_probs[name] = log_softmax(logits[start : start + size])
            start += size
        task = 1 / (1 + math.exp(-max(-50.0, min(50.0, float(logits[-1])))))
        return ChoiceScores(log_probs, dict(self.shares), task)


@dataclass(frozen=True)
class ChoiceScores:
    """Hold the classifiers' answer: log-probabilities a field, and the probability that it is a task."""

    log_probs: Mapping[str, LogProbs]
    shares: Mapping[str, float]
    task_probability: float

    def mixed(self, name: str, log_probs: LogProbs) -> LogProbs:
        """Return the language model's log-probabilities of a field's candidates mixed with these."""
        share = self.shares.get(name, 0.0)
        if not share:
            return log_probs
        return log_softmax((1 - share) * log_probs + share * self.log_probs[name])


def features(requirement: str, dataset: str, rarity: npt.NDArray[np.float32]) -> Features:
    """Return the buckets of a text's words and pairs of words, and their weights of length 1.

    The requirement's words count once more on their own.
    """
    found: dict[int, float] = {}
    for feature, count in feature_counts(requirement, dataset).items():
        bucket = zlib.crc32(feature.encode("utf-8", "replace")) % len(rarity)
        found[bucket] = 1 + math.log(count)
    buckets = np.array(list(found), dtype=np.int64)
    values = np.array(list(found.values()), dtype=np.float32) * rarity[buckets]
    length = float(np.linalg.norm(values))
    return buckets, values / length if length else values


def feature_counts(requirement: str, dataset: str) -> Counter[str]:
    """Return how often each word and pair of words occurs; the requirement's count again as `r:word`."""
    counts: Counter[str] = Counter()
    for text, is_requirement in ((requirement, True), (dataset, False)):
        words = _WORD.findall(text.lower())
        counts.update(words)
        counts.update(f"{first} {second}" for first, second in pairwise(words))
        if is_requirement:
            counts.update(f"r:{word}" for word in words)
    return counts
