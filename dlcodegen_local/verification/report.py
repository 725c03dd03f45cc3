"""What verification found: values that serialise to the batch format of results."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Name one defect. `severity` is "error" (the project fails) or "warning"; lines count from 1."""

    file: str
    line: int
    rule: str
    message: str
    severity: str = "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the finding."""
        return {
            "file": self.file,
            "line": self.line,
            "rule": self.rule,
            "message": self.message,
            "severity": self.severity,
        }


@dataclass(frozen=True)
class Compliance:
    """Say how far code follows its plan.

    `fields` maps a field of the plan to its score in [0, 1]; a field that the plan leaves open is
    not in it. `score` is their mean, None where the plan leaves everything open. `contradicted` names
    the fields for which the code has something of another kind, not just another spelling or nothing.
    """

    score: float | None
    fields: dict[str, float]
    contradicted: tuple[str, ...] = ()


@dataclass(frozen=True)
class SmokeResult:
    """Report one smoke run. `ok` is None where nothing was run; `seconds` is wall time.

    `exit_code` is None after a time-out. `facts` holds what the run measured itself: `loss`,
    `metrics`, `prediction_shape`, `parameters`, `versions`.
    """

    ok: bool | None
    seconds: float
    message: str
    exit_code: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """Join the three checks of one project."""

    findings: tuple[Finding, ...]
    compliance: Compliance
    smoke: SmokeResult

    @property
    def static_ok(self) -> bool:
        """True where no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def ok(self) -> bool:
        """True where the project passed: no static error, and the smoke run did not fail."""
        return self.static_ok and self.smoke.ok is not False

    def to_dict(self) -> dict[str, Any]:
        """Return the `verification` object of the batch format."""
        return {
            "static": {"ok": self.static_ok, "findings": [f.to_dict() for f in self.findings]},
            "compliance": {"score": self.compliance.score, "fields": self.compliance.fields},
            "smoke": {
                "ok": self.smoke.ok,
                "seconds": round(self.smoke.seconds, 3),
                "message": self.smoke.message,
            },
        }
