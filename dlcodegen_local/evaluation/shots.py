"""Solved examples for a planner that learns from its prompt, found by BM25 on requirement and data.

Guarantees that an example with the task's own requirement is never shown: it would give the answer away.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.evaluation.rows import Row, read_rows
from dlcodegen_local.evaluation.table_run import Task
from dlcodegen_local.plain_text import letters_and_digits
from dlcodegen_local.retrieval.partition import Partition, query_terms, write_partition
from dlcodegen_local.retrieval.partition import Row as IndexRow


@dataclass(frozen=True)
class Shot:
    """Hold one requirement, what is known of its data, and its plan as it was written."""

    requirement: str
    dataset: str
    plan: dict[str, Any]

    def to_text(self) -> str:
        """Return it as an example of a prompt."""
        known = f"\nDataset: {self.dataset}" if self.dataset else ""
        return f"Requirement: {self.requirement}{known}\nPlan: {json.dumps(self.plan, ensure_ascii=False)}"


class Shots:
    """Search the rows of a plans file: `id`, `requirement`, `dataset_attributes`, `plan`.

    Raises:
        ConfigError: the file cannot be read, or names the line that is not as it must be.
    """

    def __init__(self, path: Path) -> None:
        digest = hashlib.sha256()
        self._shots = {row.id: _shot(row) for row in read_rows(path, digest)}
        if not self._shots:
            raise ConfigError(f"{path} holds no plan", hint="JSON lines of id, requirement and plan")
        self.sha256 = digest.hexdigest()
        rows = [
            IndexRow(0, item, "", " ".join(query_terms(f"{shot.requirement}\n{shot.dataset}")))
            for item, shot in self._shots.items()
        ]
        self._partition = Partition("shots", write_partition(rows, None))

    def nearest(self, task: Task, k: int) -> list[Shot]:
        """Return at most k examples, the nearest first."""
        return [shot for shot, _ in zip(self._ranked(task), range(k), strict=False)]

    def own_answers(self, task: Task) -> int:
        """Count the examples that have the task's own requirement and are left out for it."""
        wanted = letters_and_digits(task.requirement)
        return sum(letters_and_digits(shot.requirement) == wanted for shot in self._shots.values())

    def _ranked(self, task: Task) -> Iterator[Shot]:
        wanted = letters_and_digits(task.requirement)
        terms = Counter(query_terms(f"{task.requirement}\n{task.dataset}"))
        for match in self._partition.ranked(terms, unmatched=True):
            shot = self._shots[match.id]
            if letters_and_digits(shot.requirement) != wanted:
                yield shot


def _shot(row: Row) -> Shot:
    requirement, plan = row.fields.get("requirement"), row.fields.get("plan")
    dataset = row.fields.get("dataset_attributes") or ""
    if not isinstance(requirement, str) or not isinstance(plan, dict):
        raise ConfigError(f"{row.where}: must have requirement and plan", hint="a text and a JSON object")
    text = dataset if isinstance(dataset, str) else json.dumps(dataset, ensure_ascii=False)
    return Shot(requirement, text, plan)
