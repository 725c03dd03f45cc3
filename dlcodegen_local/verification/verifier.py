"""The three checks of one program, in order of their cost: static, compliance, smoke run."""

from collections.abc import Sequence
from pathlib import Path

from dlcodegen_local.config import VerificationConfig
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.compliance import measure_compliance
from dlcodegen_local.verification.environment import Target
from dlcodegen_local.verification.report import Compliance, Finding, SmokeResult, Verification
from dlcodegen_local.verification.sandbox import Limits, Sandbox
from dlcodegen_local.verification.smoke import smoke_findings, smoke_project, smoke_run
from dlcodegen_local.verification.static import check_project, check_source

_LAYERS_FLOOR = 0.5
_MODEL_FIELDS = ("layers", "input", "output")


class Verifier:
    """Check programs against their plans in one environment."""

    def __init__(self, config: VerificationConfig, sandbox: Sandbox | None, cache: Path) -> None:
        """Use this sandbox for smoke runs (None leaves them out); keep look-ups of names in `cache`."""
        self._config = config
        self._sandbox = sandbox
        self._target = Target(config.python, cache_file=cache / "attributes.json")

    def inspect(self, source: str, plan: Plan | None) -> Verification:
        """Check without running the program."""
        findings = check_source(source, "project.py", self._target)
        return Verification(findings, _compliance(source, plan), SmokeResult(None, 0.0, "not run"))

    def check_folder(self, folder: Path, source: str, plan: Plan | None) -> Verification:
        """Check a project folder whose modules joined are `source`, smoke run included.

        Raises:
            SandboxError: the sandbox does not start.
        """
        findings = check_project(folder, self._target)
        inspected = Verification(findings, _compliance(source, plan), SmokeResult(None, 0.0, "not run"))
        if self._sandbox is None or not inspected.static_ok:
            return inspected
        limits = Limits(wall_s=self._config.timeout_s)
        smoke = smoke_project(
            folder, python=self._config.python, sandbox=self._sandbox, plan=plan, limits=limits
        )
        return Verification(findings, inspected.compliance, smoke)

    def prove(self, source: str, plan: Plan | None, inspected: Verification) -> Verification:
        """Add the smoke run to what `inspect` found; a program with static errors is not run.

        Raises:
            SandboxError: the sandbox does not start.
        """
        if self._sandbox is None or not inspected.static_ok:
            return inspected
        limits = Limits(wall_s=self._config.timeout_s)
        smoke = smoke_run(source, python=self._config.python, sandbox=self._sandbox, plan=plan, limits=limits)
        return Verification(inspected.findings, inspected.compliance, smoke)

    def follows_plan(self, compliance: Compliance) -> bool:
        """Tell whether code follows its plan closely enough to stand for it, its layers above all."""
        if compliance.score is None:
            return True
        layers = compliance.fields.get("layers", 1.0)
        return compliance.score >= self._config.min_compliance and layers >= _LAYERS_FLOOR

    def defects(self, source: str, verification: Verification) -> Sequence[Finding]:
        """List what a repair should mend: static errors, what the smoke run found, missed fields.

        A missed field is placed at the section in which it belongs.
        """
        found = [finding for finding in verification.findings if finding.severity == "error"]
        found += smoke_findings(verification.smoke)
        if not self.follows_plan(verification.compliance):
            fields = sorted(verification.compliance.fields.items(), key=lambda item: (item[1], item[0]))
            found += [_mismatch(source, name, score) for name, score in fields if score < 1.0][:3]
        return found


def _compliance(source: str, plan: Plan | None) -> Compliance:
    return measure_compliance(source, plan) if plan is not None else Compliance(None, {})


def _mismatch(source: str, name: str, score: float) -> Finding:
    section = "model" if name in _MODEL_FIELDS else "config"
    before = source.split(f"# %% [{section}]")[0]
    line = before.count("\n") + 2
    return Finding("project.py", line, "plan-mismatch", f"{name} does not follow the plan ({score:.2f} of 1)")
