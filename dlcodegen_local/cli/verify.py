"""`dlcodegen verify`: check a project."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcodegen_local.cli import options
from dlcodegen_local.config import VerificationConfig, find_paths
from dlcodegen_local.errors import SandboxError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.project.reading import DeliveredProject, read_project

if TYPE_CHECKING:
    from dlcodegen_local.verification.report import Verification


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--smoke", is_flag=True, help="Also train it for a few steps in the sandbox.")
@options.unsafe_run
@click.option("--plan", type=click.Path(path_type=Path), help="A plan file.  [default: the project's]")
@click.option("--python", type=click.Path(path_type=Path), help="The interpreter of the smoke run.")
@options.json_flag
def command(folder: Path, smoke: bool, plan: Path | None, python: Path | None, **flags: bool) -> int:
    """Check the project in FOLDER (or a single script); exit code 1 where it has findings.

    Exit code 6 where --smoke finds no sandbox that works: the other checks are made all the same.
    """
    delivered = read_project(folder)
    given = options.read_plan_file(plan) if plan else delivered.plan
    config = VerificationConfig(run=smoke, unsafe_run=flags["unsafe_run"])
    config = config if python is None else replace(config, python=python)
    verification = _verify(delivered, given, config)
    if flags["json"]:
        options.print_json(verification.to_dict())
    else:
        for finding in verification.findings:
            place = f"{finding.file}:{finding.line}"
            click.echo(f"{place}: {finding.severity}: {finding.rule}: {finding.message}")
        score = verification.compliance.score
        click.echo(f"static: {'passed' if verification.static_ok else 'failed'}")
        click.echo(f"compliance: {'no plan' if score is None else f'{score:.2f}'}")
        for name, value in verification.compliance.fields.items():
            click.echo(f"  {name}: {value:.2f}")
        state = {True: "passed", False: "failed", None: "not run"}[verification.smoke.ok]
        click.echo(f"smoke: {state} {verification.smoke.message}".rstrip())
    if not verification.ok:
        return 1
    return SandboxError.exit_code if smoke and verification.smoke.ok is None else 0


def _verify(delivered: DeliveredProject, plan: Plan | None, config: VerificationConfig) -> "Verification":
    from dlcodegen_local.engines import try_smoke_sandbox
    from dlcodegen_local.verification.verifier import Verifier

    sandbox = try_smoke_sandbox(config, options.print_note)
    verifier = Verifier(config, sandbox, find_paths().cache)
    if delivered.layout == "project":
        verification = verifier.check_folder(delivered.folder, delivered.source, plan)
    else:
        inspected = verifier.inspect(delivered.source, plan)
        verification = verifier.prove(delivered.source, plan, inspected)
    mismatches = verifier.mismatches(delivered.source, verification)
    if delivered.layout == "project":
        mismatches = [replace(finding, file="plan.json", line=1) for finding in mismatches]
    return replace(verification, findings=(*verification.findings, *mismatches))
