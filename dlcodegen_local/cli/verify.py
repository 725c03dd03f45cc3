"""`dlcodegen verify`: check a project."""

from pathlib import Path

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import VerificationConfig


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--smoke", is_flag=True, help="Also train it for a few steps in the sandbox.")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), help="A plan file.  [default: the project's]")
@click.option("--python", type=click.Path(path_type=Path), help="The interpreter of the smoke run.")
@options.as_json
def command(folder: Path, smoke: bool, plan_file: Path | None, python: Path | None, as_json: bool) -> int:
    """Check the project in FOLDER (or a single script); exit code 1 where it has findings."""
    from dlcodegen_local.checking import check_project

    plan = options.read_plan_file(plan_file) if plan_file else None
    config = VerificationConfig(run=smoke)
    if python is not None:
        config = VerificationConfig(run=smoke, python=python)
    reporter = StderrReporter()
    verification = check_project(folder, plan, config, reporter)
    if as_json:
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
    return 0 if verification.ok else 1
