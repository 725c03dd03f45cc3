"""Count what two pieces of code share: the terms of CodeBLEU, so that pairs can be pooled and resampled.

Guarantees the numbers of the `codebleu` package, quirks included, in a process whose PYTHONHASHSEED is 0:
the package orders the sources of a value by a set of names. Each text is read once, where the package reads
it four times and looks its subtrees up one by one.

Differs: where the package takes minutes, recurses out of its stack or does not end, code past `MAX_DEPTH` has
no subtrees and no data flow here, past `MAX_WORK` no data flow; past `MAX_LINE_CHARS` leading strings stay.
Paper: Ren et al. 2020.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from codebleu import dataflow_match
from codebleu.codebleu import PACKAGE_DIR
from codebleu.parser import DFG_python, remove_comments_and_docstrings
from codebleu.utils import get_tree_sitter_language
from numpy.typing import NDArray
from tree_sitter import Node, Parser

ORDERS = 4
MAX_DEPTH = 400
MAX_LINE_CHARS = 20_000
MAX_WORK = 1e9  # of the package's data flow, which copies a table of all names at every node; about 15 s

_SMALL = 0.1  # smoothing method 1: in place of no match
_KEYWORD, _WORD = 1.0, 0.2
_LOOPS = frozenset(("for_statement", "while_statement"))  # read twice by the package, in each other 4 times
_PACKAGE_CHANGES = re.compile(r"""^\s*(?i:[rbuf]{0,2})["']|\#""", re.MULTILINE)


@dataclass(frozen=True)
class CodeTerms:
    """Hold what is counted of one normalised text; `is_read` is False where it is past a bound."""

    words: tuple[str, ...]
    ngrams: tuple[Counter[tuple[str, ...]], ...]
    subtrees: Counter[str]
    flows: Counter[tuple[Any, ...]]
    is_read: bool


@dataclass(frozen=True)
class PairCounts:
    """Hold the counts of one pair; sums of them, field by field, are those of a corpus.

    `matches` and `totals` are by n-gram order, `weighted` by order of the weighted recall. `length` and
    `wanted_length` are in tokens.
    """

    matches: tuple[float, ...]
    totals: tuple[float, ...]
    weighted: tuple[float, ...]
    weighted_totals: tuple[float, ...]
    length: float
    wanted_length: float
    subtrees: float
    wanted_subtrees: float
    flows: float
    wanted_flows: float
    pairs: float = 1.0

    def to_row(self) -> tuple[float, ...]:
        """Return the numbers in the order in which `CorpusScores` takes them."""
        return (
            *self.matches, *self.totals, *self.weighted, *self.weighted_totals,
            self.length, self.wanted_length, self.subtrees, self.wanted_subtrees,
            self.flows, self.wanted_flows, self.pairs,
        )  # fmt: skip


class CorpusScores:
    """Hold CodeBLEU and its parts, 0 to 1, from summed rows `(..., columns)`; undefined is NaN."""

    def __init__(self, sums: NDArray[np.float64]) -> None:
        """Take sums of `PairCounts.to_row`."""
        matches, totals, weighted, weighted_totals = (
            sums[..., ORDERS * place : ORDERS * (place + 1)] for place in range(4)
        )
        length, wanted, trees, wanted_trees, flows, wanted_flows, pairs = np.moveaxis(
            sums[..., 4 * ORDERS :], -1, 0
        )
        self.ngram = _bleu(matches, totals, length, wanted)
        # the package takes each reference and its weights for two references of one token each
        self.weighted_ngram = _bleu(weighted, weighted_totals, length, 2 * pairs)
        self.syntax = trees / np.maximum(1, wanted_trees)
        with np.errstate(invalid="ignore"):
            self.dataflow = np.where(wanted_flows > 0, flows / np.maximum(1, wanted_flows), np.nan)
        self._is_empty = length == 0

    @property
    def total(self) -> NDArray[np.float64]:
        """Return CodeBLEU as the package has it: data flow counts as 1 where none matches; 0 without code."""
        dataflow = np.where(np.nan_to_num(self.dataflow) == 0, 1.0, self.dataflow)
        return np.where(self._is_empty, 0.0, self._mean(dataflow))

    @property
    def defined_total(self) -> NDArray[np.float64]:
        """Return the mean of the parts that are defined; data flow is 0 where none matches."""
        three = (self.ngram + self.weighted_ngram + self.syntax) / 3
        return np.where(np.isnan(self.dataflow), three, self._mean(self.dataflow))

    def _mean(self, dataflow: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = (self.ngram + self.weighted_ngram + self.syntax + dataflow) / 4
        return mean


def read_terms(text: str) -> CodeTerms:
    """Count the n-grams, subtrees and data flows of normalised code."""
    text = text.strip()
    words = tuple(text.split())
    ngrams = tuple(
        Counter(zip(*(words[start:] for start in range(order)), strict=False))
        for order in range(1, ORDERS + 1)
    )
    cleaned = _cleaned(text)
    root = _parser().parse(cleaned.encode()).root_node
    nodes, readings = _inner_nodes(root)
    names = sum(word.isidentifier() for (word,) in ngrams[0])
    is_read = bool(nodes) and names * readings <= MAX_WORK
    flows = dataflow_match.get_data_flow(cleaned, (_parser(), DFG_python)) if is_read else []
    return CodeTerms(
        words,
        ngrams,
        Counter(map(str, nodes)),
        Counter(
            (name, relation, tuple(sources))
            for name, relation, sources in dataflow_match.normalize_dataflow(flows)
        ),
        is_read,
    )


def count_pair(terms: CodeTerms, wanted: CodeTerms) -> PairCounts:
    """Compare a prediction's terms with those of its reference."""
    shared = [ours & theirs for ours, theirs in zip(terms.ngrams, wanted.ngrams, strict=True)]
    sizes = [float(found.total()) for found in shared]
    wanted_sizes = [float(max(1, theirs.total())) for theirs in wanted.ngrams]
    return PairCounts(
        matches=tuple(sizes),
        totals=tuple(float(max(1, ours.total())) for ours in terms.ngrams),
        weighted=(_weight(shared[0]), *sizes[1:]),
        weighted_totals=(max(1.0, _weight(wanted.ngrams[0])), *wanted_sizes[1:]),
        length=len(terms.words),
        wanted_length=len(wanted.words),
        subtrees=sum(count for tree, count in wanted.subtrees.items() if tree in terms.subtrees),
        wanted_subtrees=wanted.subtrees.total(),
        flows=(terms.flows & wanted.flows).total(),
        wanted_flows=wanted.flows.total(),
    )


def _cleaned(text: str) -> str:
    """Return a text as the package compares it: without the strings that its statements begin with."""
    # Python's reader of tokens takes quadratic time on a line of quotes
    is_short = max(map(len, text.splitlines()), default=0) <= MAX_LINE_CHARS
    if not is_short or not _PACKAGE_CHANGES.search(text):
        return text
    try:
        return str(remove_comments_and_docstrings(text, "python"))
    except Exception:  # whatever that reader makes of broken code; the package goes on, too
        return text


def _weight(unigrams: Counter[tuple[str, ...]]) -> float:
    keywords = _keywords()
    return math.fsum(count * (_KEYWORD if word in keywords else _WORD) for (word,), count in unigrams.items())


def _bleu(
    matches: NDArray[np.float64],
    totals: NDArray[np.float64],
    length: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return BLEU-4 of counts `(..., ORDERS)` with smoothing method 1."""
    logs = np.log(np.where(matches > 0, matches, _SMALL) / totals).mean(axis=-1)
    brevity = np.minimum(0.0, 1 - wanted / np.maximum(1, length))
    return np.where(matches[..., 0] > 0, np.exp(logs + brevity), 0.0)


def _inner_nodes(root: Node) -> tuple[Sequence[Node], int]:
    """Return the nodes that have children, none past `MAX_DEPTH`, and how many nodes data flow visits."""
    nodes: list[Node] = []
    waiting = [(root, 1, 1)]
    visited = 0
    while waiting:
        node, depth, readings = waiting.pop()
        if depth > MAX_DEPTH:
            return [], 0
        nodes.append(node)
        children = node.children
        readings *= 1 + (node.type in _LOOPS)
        visited += readings * len(children)
        waiting += [(child, depth + 1, readings) for child in children if child.child_count]
    return nodes, visited


@lru_cache(maxsize=1)
def _parser() -> Parser:
    parser = Parser()
    parser.language = get_tree_sitter_language("python")
    return parser


@lru_cache(maxsize=1)
def _keywords() -> frozenset[str]:
    lines = (PACKAGE_DIR / "keywords" / "python.txt").read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines)
