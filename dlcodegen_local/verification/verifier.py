"""The three checks of one program, in order of their cost: static, compliance, smoke run."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dlcodegen_local.config import VerificationConfig
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.project.layouts import MODULES, split_modules
from dlcodegen_local.sections import Sections
from dlcodegen_local.verification.compliance import measure_compliance
from dlcodegen_local.verification.environment import Target
from dlcodegen_local.verification.report import Compliance, Finding, SmokeResult, Verification
from dlcodegen_local.verification.sandbox import Limits, Sandbox
from dlcodegen_local.verification.smoke import smoke_findings, smoke_project
from dlcodegen_local.verification.static import check_project, check_source

_LAYERS_FLOOR = 0.5
_MODEL_FIELDS = ("layers", "input", "output")
_NOT_RUN = SmokeResult(None, 0.0, "")


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
        if all(finding.severity != "error" for finding in findings):
            findings += self._module_findings(source)
        return Verification(findings, _compliance(source, plan), _NOT_RUN)

    def _module_findings(self, source: str) -> tuple[Finding, ...]:
        """Check the modules that the project writer would cut the program into."""
        with tempfile.TemporaryDirectory(prefix="dlcodegen-modules-") as folder:
            try:
                write_modules(source, Path(folder))
            except (SyntaxError, ValueError, IndexError, RecursionError) as exc:
                return (Finding("project.py", 1, "sections", f"cannot be cut into modules: {exc}"),)
            found = check_project(Path(folder), self._target)
        return tuple(finding for finding in found if finding.severity == "error")

    def check_folder(self, folder: Path, source: str, plan: Plan | None) -> Verification:
        """Check a project folder whose modules joined are `source`, smoke run included.

        Raises:
            SandboxError: the sandbox does not start.
        """
        findings = check_project(folder, self._target)
        inspected = Verification(findings, _compliance(source, plan), _NOT_RUN)
        if self._sandbox is None or not inspected.static_ok:
            return inspected
        return Verification(findings, inspected.compliance, self._smoke(folder, plan))

    def prove(self, source: str, plan: Plan | None, inspected: Verification) -> Verification:
        """Add the smoke run to what `inspect` found; a program with static errors is not run.

        Raises:
            SandboxError: the sandbox does not start.
        """
        if self._sandbox is None or not inspected.static_ok:
            return inspected
        with tempfile.TemporaryDirectory(prefix="dlcodegen-modules-") as folder:
            write_modules(source, Path(folder))
            smoke = self._smoke(Path(folder), plan)
        return Verification(inspected.findings, inspected.compliance, smoke)

    def _smoke(self, folder: Path, plan: Plan | None) -> SmokeResult:
        assert self._sandbox is not None
        limits = Limits(wall_s=self._config.timeout_s)
        return smoke_project(
            folder, python=self._config.python, sandbox=self._sandbox, plan=plan, limits=limits
        )

    def objection(self, verification: Verification) -> str | None:
        """Say in one line why a program does not stand for its plan; None where it does."""
        for finding in verification.findings:
            if finding.severity == "error":
                return f"{finding.file}:{finding.line}: {finding.rule}: {finding.message}"
        compliance = verification.compliance
        if not self._is_near(compliance):
            low = sorted((score, name) for name, score in compliance.fields.items() if score < 1.0)
            named = ", ".join(f"{name} {score:.2f}" for score, name in low[:3])
            return f"compliance {compliance.score:.2f} with the plan: {named}"
        if verification.smoke.ok is False:
            return f"smoke run: {verification.smoke.message}"
        if not self.follows_plan(compliance):
            fields = ", ".join(compliance.contradicted)
            return f"its {fields} contradicts the plan, and no smoke run proves it"
        return None

    def follows_plan(self, compliance: Compliance) -> bool:
        """Tell whether code follows its plan closely enough to stand for it, its layers above all.

        Where no smoke run can prove that it trains, it may not contradict the plan either.
        """
        is_provable = self._sandbox is not None
        return self._is_near(compliance) and (is_provable or not compliance.contradicted)

    def _is_near(self, compliance: Compliance) -> bool:
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
        found = [_in_script(source, finding) for finding in found]
        if not self.follows_plan(verification.compliance):
            found += self.mismatches(source, verification)[:3]
        return found

    def mismatches(self, source: str, verification: Verification) -> list[Finding]:
        """List the fields in which code differs from its plan, the farthest first.

        They are errors where the code as a whole is far from its plan, else warnings.
        """
        severity = "warning" if self._is_near(verification.compliance) else "error"
        fields = sorted(verification.compliance.fields.items(), key=lambda item: (item[1], item[0]))
        return [_mismatch(source, name, score, severity) for name, score in fields if score < 1.0]


def _compliance(source: str, plan: Plan | None) -> Compliance:
    return measure_compliance(source, plan) if plan is not None else Compliance(None, {})


def write_modules(source: str, folder: Path) -> None:
    """Cut a program into the modules of a project folder.

    Raises:
        SyntaxError, ValueError: it cannot be cut, or is no text that can be written.
    """
    for name, text in split_modules(Sections.parse(source)).items():
        (folder / f"{name}.py").write_bytes(text.encode())


def _in_script(source: str, finding: Finding) -> Finding:
    """Place a finding in a module at the line of the script that the module was cut from."""
    name = finding.file.removesuffix(".py")
    if name not in MODULES:
        return finding
    lines = source.split("\n")
    start = next((i for i, line in enumerate(lines) if line.rstrip() == f"# %% [{name}]"), 0)
    module = split_modules(Sections.parse(source))[name].split("\n")
    text = module[finding.line - 1] if 0 < finding.line <= len(module) else ""
    place = next((i for i in range(start, len(lines)) if text.strip() and lines[i] == text), start)
    return replace(finding, file="project.py", line=place + 1)


def _mismatch(source: str, name: str, score: float, severity: str) -> Finding:
    section = "model" if name in _MODEL_FIELDS else "config"
    before = source.split(f"# %% [{section}]")[0]
    line = before.count("\n") + 2
    message = f"{name} does not follow the plan ({score:.2f} of 1)"
    return Finding("project.py", line, "plan-mismatch", message, severity)
