"""The planner on strangers' sentences: short, mistyped, German, PyTorch, several tasks, facts, no task.

    python -m tests.benchmarks.strangers [--planner FOLDER] [--json] [--wrong]

Category counts right where it is one of those a reader accepts; a fact where the plan says what the
requirement states. Requests that are no deep learning have no right plan: of them only the confidence
counts. The sentences are our own, share few nouns with what the planner was trained on, and are few: a
difference of one or two sentences in a kind is chance.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from dlcodegen_local.config import PlannerConfig, find_paths
from dlcodegen_local.pipeline import low_confidence
from dlcodegen_local.plan.schema import Plan

SENTENCES = Path(__file__).with_name("strangers.jsonl")
NO_TASK = "no-dl"
_TEXT_FACTS: dict[str, Callable[[Plan], str]] = {
    "input_has": lambda plan: plan.dataset_input,
    "output_has": lambda plan: plan.dataset_output,
    "layers_have": lambda plan: " ".join(plan.layers),
}


@dataclass(frozen=True)
class Sentence:
    """Hold one requirement, the categories a reader accepts (none: no task), and the facts it states."""

    id: str
    kind: str
    language: str
    requirement: str
    dataset: str = ""
    categories: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Hold what the planner made of a sentence; `category_right` is None where there is no task."""

    sentence: Sentence
    plan: Plan
    confidence: float
    unsure: bool

    @property
    def category_right(self) -> bool | None:
        """Return whether the category is acceptable."""
        return self.plan.category in self.sentence.categories if self.sentence.categories else None

    def wrong_facts(self) -> list[str]:
        """Return the names of the stated facts that the plan does not have."""
        return [name for name, value in self.sentence.facts.items() if not has_fact(self.plan, name, value)]


def read_sentences(path: Path = SENTENCES) -> list[Sentence]:
    """Return the sentences of the file, in its order."""
    sentences = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        dataset, categories = row.pop("dataset", ""), row.pop("category")
        sentences.append(
            Sentence(
                **row,
                dataset=dataset if isinstance(dataset, str) else json.dumps(dataset, ensure_ascii=False),
                categories=(categories,) if isinstance(categories, str) else tuple(categories or ()),
            )
        )
    return sentences


def has_fact(plan: Plan, name: str, value: Any) -> bool:
    """Return whether a plan states a fact: "..._has" looks for a part of a text, others are equal."""
    if name in _TEXT_FACTS:
        return str(value).lower() in _TEXT_FACTS[name](plan).lower()
    return bool(getattr(plan, name) == value)


def table_rows(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return one row a kind, then all tasks together; shares are None where there is nothing to count."""
    kinds = list(dict.fromkeys(answer.sentence.kind for answer in answers))
    rows = [_row(kind, [answer for answer in answers if answer.sentence.kind == kind]) for kind in kinds]
    return [*rows, _row("all tasks", [answer for answer in answers if answer.sentence.kind != NO_TASK])]


def _row(kind: str, answers: Sequence[Answer]) -> dict[str, Any]:
    facts = sum(len(answer.sentence.facts) for answer in answers)
    wrong = sum(len(answer.wrong_facts()) for answer in answers)
    return {
        "kind": kind,
        "sentences": len(answers),
        "category": _share(a.category_right for a in answers if a.category_right is not None),
        "facts": round(1 - wrong / facts, 3) if facts else None,
        "confidence": _share(answer.confidence for answer in answers),
        "unsure": _share(answer.unsure for answer in answers),
    }


def _share(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return round(fmean(numbers), 3) if numbers else None


def answers_of(planner: Any, sentences: Iterable[Sentence]) -> list[Answer]:
    """Plan every sentence as `generate` does: three beams, layers as calls."""
    answers = []
    for sentence in sentences:
        result = planner.plan(sentence.requirement, sentence.dataset, layer_style="calls")
        unsure = bool(low_confidence(result.confidence))
        answers.append(Answer(sentence, result.plan, result.confidence["category"], unsure))
    return answers


def main() -> None:
    """Print the table, or one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--planner", type=Path, default=find_paths().models / "planner")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--wrong", action="store_true", help="print every sentence that is answered wrongly")
    args = parser.parse_args()
    from dlcodegen_local.engines import load_planner

    answers = answers_of(load_planner(PlannerConfig(args.planner)), read_sentences())
    if args.wrong:
        for answer in answers:
            _print_wrong(answer)
    for row in table_rows(answers):
        print(json.dumps(row) if args.json else "  ".join(f"{key} {value}" for key, value in row.items()))


def _print_wrong(answer: Answer) -> None:
    sentence, plan = answer.sentence, answer.plan
    if answer.category_right is False or (answer.category_right is None and not answer.unsure):
        print(f"{sentence.id}: {plan.category} ({answer.confidence:.2f}): {sentence.requirement}")
    for name in answer.wrong_facts():
        said = _TEXT_FACTS[name](plan) if name in _TEXT_FACTS else getattr(plan, name)
        print(f"{sentence.id}: {name} is not {sentence.facts[name]!r} but {said!r}")


if __name__ == "__main__":
    main()
