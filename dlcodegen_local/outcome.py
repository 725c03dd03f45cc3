"""What the pipeline chooses between, and what it hands back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.project.definition import Project
from dlcodegen_local.verification.report import Verification


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


def merit(verification: Verification) -> tuple[bool, bool, float, int]:
    """Rank versions: without static errors, then with a smoke run passed, then by compliance and findings."""
    score = verification.compliance.score
    return (
        verification.static_ok,
        verification.smoke.ok is True,
        1.0 if score is None else score,
        -len(verification.findings),
    )
