"""The process that compares code: a request a line on stdin, an answer a line on stdout, until stdin ends.

To be started with PYTHONHASHSEED=0, on which the data flow of the `codebleu` package depends. A request
holds one task, the answer one measurement for each of its predictions, in their order. No code is run.
"""

import ast
import dataclasses
import json
import logging
import os
import queue
import sys
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np

from dlcodegen_local.evaluation.code_counts import CodeTerms, CorpusScores, count_pair, read_terms
from dlcodegen_local.evaluation.code_text import normalise
from dlcodegen_local.plan.distance import levenshtein
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.compliance import measure_compliance

MAX_EDIT_CELLS = 2e10  # of the table of edit distances; about 25 s

_BROKEN = "("  # what does not parse follows no plan


@dataclass(frozen=True)
class CodeTask:
    """Hold one task's reference, its plan where it has one, and the code of every prediction."""

    reference: str
    predictions: tuple[str, ...]
    plan: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Return the request, one line."""
        return json.dumps(dataclasses.asdict(self))


@dataclass(frozen=True)
class CodeMeasurement:
    """Hold what is measured of one prediction.

    `counts` is a row of `PairCounts`. `codebleu` and `bleu` are this pair's own, 0 to 1; `edit_distance` is
    in tokens over the longer text's, 0 to 1, None past `MAX_EDIT_CELLS`. `is_read` is False where the code
    is past a bound of `code_counts`; `lines` is 0 where it holds nothing but comments. `compliance` is None
    without a plan.
    """

    counts: tuple[float, ...]
    codebleu: float
    bleu: float
    is_exact: bool
    edit_distance: float | None
    parses: bool
    lines: int
    compliance: float | None
    is_read: bool = True

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "CodeMeasurement":
        """Read what a worker answers."""
        return cls(**{**row, "counts": tuple(row["counts"])})


def main() -> NoReturn:
    """Answer requests; the process ends with stdin, in the middle of an answer too."""
    logging.disable(logging.WARNING)  # the package's, of references without data flow: they are counted
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    while True:
        line = requests.get()
        request = json.loads(line)
        task = CodeTask(request["reference"], tuple(request["predictions"]), request["plan"])
        print(json.dumps([dataclasses.asdict(found) for found in measure_task(task)]), flush=True)


def _read_requests(requests: "queue.SimpleQueue[str]") -> None:
    """Hand requests on; where there can be no more, end the process at once: nobody waits for its answer."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def measure_task(task: CodeTask) -> list[CodeMeasurement]:
    """Compare every prediction of a task with its reference."""
    plan = None if task.plan is None else Plan.from_dict(task.plan)
    wanted = _terms(normalise(task.reference))
    return [_measured(code, wanted, plan) for code in task.predictions]


def parses(code: str) -> bool:
    """Tell whether code parses as it stands; notebook magics do not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _measured(code: str, wanted: CodeTerms, plan: Plan | None) -> CodeMeasurement:
    terms = _terms(normalise(code))
    counts = count_pair(terms, wanted).to_row()
    scores = CorpusScores(np.array(counts))
    has_code = bool(terms.words)
    return CodeMeasurement(
        counts=counts,
        codebleu=float(scores.defined_total),
        bleu=float(scores.ngram),
        is_exact=has_code and terms.words == wanted.words,
        edit_distance=_edit_distance(terms.words, wanted.words),
        parses=has_code and parses(code),
        lines=len(code.splitlines()) if has_code else 0,
        compliance=_compliance(code if has_code else _BROKEN, plan),
        is_read=terms.is_read,
    )


def _compliance(code: str, plan: Plan | None) -> float | None:
    return None if plan is None else measure_compliance(code, plan).score


@lru_cache(maxsize=4)
def _terms(text: str) -> CodeTerms:
    return read_terms(text)


def _edit_distance(words: tuple[str, ...], others: tuple[str, ...]) -> float | None:
    longer = max(len(words), len(others))
    distinct = dict.fromkeys((*words, *others))
    if words == others:
        return 0.0
    if len(words) * len(others) > MAX_EDIT_CELLS or len(distinct) > sys.maxunicode:
        return None
    signs = {word: chr(number) for number, word in enumerate(distinct)}
    ours, theirs = ("".join(signs[word] for word in text) for text in (words, others))
    return levenshtein(*sorted((ours, theirs), key=len)) / longer


if __name__ == "__main__":
    main()
