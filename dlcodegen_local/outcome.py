"""What the pipeline chooses between, what it hands back, and whom it tells."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.project.definition import Project
from dlcodegen_local.retrieval.index import Hit
from dlcodegen_local.sections import Sections
from dlcodegen_local.verification.report import Verification


class Reporter(Protocol):
    """Show a person what runs and how far it is."""

    def stage(self, name: str) -> None:
        """Begin a stage."""

    def progress(self, kind: str, done: int, total: int, rate: float, seconds_left: float) -> None:
        """Show `done` of `total` tokens at `rate` a second."""

    def written(self, text: str) -> None:
        """Show what the model has just written."""

    def done(self, text: str) -> None:
        """End the stage with what came of it."""

    def note(self, text: str) -> None:
        """Show a message that a person should not miss."""

    def detail(self, text: str) -> None:
        """Show a message for those who want to know everything."""


@dataclass(frozen=True)
class Candidate:
    """Hold one version of the program.

    `provenance` says what wrote each section, `bases` after which sample it was written.
    """

    origin: str
    source: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Hold the chosen program with its verification; `seconds` is wall time, `tokens` read and written."""

    plan: Plan
    method: str
    chosen: Candidate
    verification: Verification
    licences: Mapping[str, str]
    pools: Mapping[str, str]
    seconds: float
    tokens: int

    @property
    def source(self) -> str:
        """The single-file source."""
        return self.chosen.source

    @property
    def origin(self) -> str:
        """Which stage the source comes from."""
        return self.chosen.origin

    def to_row(self) -> dict[str, Any]:
        """Return the row of a batch's results, without the item's id."""
        return {
            "method": self.method,
            "code": self.source,
            "origin": self.origin,
            "plan": self.plan.to_dict(),
            "verification": self.verification.to_dict(),
            "seconds": round(self.seconds, 2),
            "tokens": self.tokens,
        }

    def project(self, requirement: str, record: Mapping[str, Any]) -> Project:
        """Return what the project writer needs."""
        return Project(
            requirement=requirement,
            plan=self.plan,
            source=self.chosen.source,
            origin=self.chosen.origin,
            provenance=self.chosen.provenance,
            licences=self.licences,
            pools=self.pools,
            facts=self.verification.smoke.facts,
            verification=self.verification.to_dict(),
            record=record,
        )


def is_compiled(source: str, provenance: Mapping[str, str]) -> bool:
    """Tell whether the plan compiler wrote more lines of a program than the code model and the samples.

    A section of both counts as the compiler's; one that was computed, as the imports are, counts for nobody.
    """
    try:
        bodies = Sections.parse(source).bodies
    except ValueError:
        return False
    compiled = own = 0
    for name, by in provenance.items():
        count = sum(bool(line.strip()) for line in bodies.get(name, "").split("\n"))
        compiled += count * by.startswith("compiler")
        own += count * (not by.startswith(("compiler", "computed")))
    return compiled > own


def merit(verification: Verification) -> tuple[bool, bool, float, int]:
    """Rank versions: without static errors, then with a smoke run passed, then by compliance and findings."""
    score = verification.compliance.score
    return (
        verification.static_ok,
        verification.smoke.ok is True,
        1.0 if score is None else score,
        -len(verification.findings),
    )


def with_unique_ids(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits whose samples have the ids that prompts and projects know them by.

    Where two pools have a sample of one id, the later one's ends in `-2`.
    """
    taken: set[str] = set()
    renamed = []
    for hit in hits:
        sample_id, number = hit.sample.id, 1
        while sample_id in taken:
            number += 1
            sample_id = f"{hit.sample.id}-{number}"
        taken.add(sample_id)
        renamed.append(dataclasses.replace(hit, sample=dataclasses.replace(hit.sample, id=sample_id)))
    return renamed
