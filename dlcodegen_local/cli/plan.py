"""`dlcodegen plan`: requirement to plan."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import PlannerConfig, find_paths, terminal_editor
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError


@click.command("plan")
@click.argument("requirement", required=False)
@options.dataset_text
@options.num_beams
@options.planner_folder
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the plan to a file.")
@click.option("--edit", is_flag=True, help="Open the plan in $EDITOR before it is printed.")
@options.batch_file
@options.json_flag
def command(
    requirement: str | None, beams: int, output: Path | None, batch: Path | None, **flags: Any
) -> None:
    """Turn REQUIREMENT (`-`: from stdin) into a solution plan.

    Prints the plan as JSON that `generate --plan` takes; --json adds log-probability, confidence
    and alternatives.
    """
    from dlcodegen_local.engines import load_planner

    config = PlannerConfig(flags["planner"] or find_paths().models / "planner", num_beams=beams)
    if batch is not None:
        if output is None:
            raise ConfigError("--batch needs -o FILE")
        options.refuse_beside_batch("requirement", "dataset", "edit", "json")
        if os.path.realpath(batch) == os.path.realpath(output):
            raise ConfigError(f"{output} is the batch file itself", hint="name another output file")
        _plan_batch(batch, output, config)
        return
    from dlcodegen_local.pipeline import low_confidence

    text = options.read_requirement(requirement)
    reporter = StderrReporter()
    reporter.stage("plan")
    result = load_planner(config).plan(text, options.check_dataset(flags["dataset"]), num_beams=beams)
    reporter.done(f"{result.plan.category}, {len(result.plan.layers)} layers")
    for note in (*result.notes, *low_confidence(result.confidence)):
        reporter.note(note)
    plan = _edited(result.plan.to_json()) if flags["edit"] else result.plan
    if output is not None:
        write_file(output, plan.to_json() + "\n")
    elif flags["json"]:
        options.print_json({**_row(result), "plan": plan.to_dict()})
    else:
        click.echo(plan.to_json())


def _plan_batch(batch: Path, output: Path, config: PlannerConfig) -> None:
    from dlcodegen_local.engines import load_planner

    items = list(options.read_batch(batch))
    reporter = StderrReporter()
    planner = load_planner(config)
    rows = []
    reporter.stage("plan")
    for number, item in enumerate(items, start=1):
        result = planner.plan(item.requirement, item.dataset, num_beams=config.num_beams)
        row = {"id": item.id, **_row(result)}
        rows.append({key: row[key] for key in ("id", "plan", "log_prob", "seconds", "steps")})
        left = sum(row["seconds"] for row in rows) / number * (len(items) - number)
        if number % 10 == 0 or number == len(items):
            reporter.note(f"{number} of {len(items)} plans, {left:.0f} s left")
    write_file(output, "".join(options.json_text(row) + "\n" for row in rows))


def _row(result: Any) -> dict[str, Any]:
    return {
        "plan": result.plan.to_dict(),
        "log_prob": round(result.log_prob, 4),
        "seconds": round(result.seconds, 3),
        "steps": result.steps,
        "confidence": {name: round(value, 4) for name, value in result.confidence.items()},
        "alternatives": dict(result.alternatives),
        "notes": list(result.notes),
    }


def _edited(text: str) -> Any:
    """Return the plan as the user's editor left it.

    Raises:
        ConfigError: the editor failed, or the edit is no valid plan; names field and reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_text(text + "\n", encoding="utf-8")
        editor = terminal_editor()
        try:
            answer = subprocess.run(["/bin/sh", "-c", f'{editor} "$1"', "sh", str(path)], check=False)
        except OSError as exc:
            raise ConfigError(f"the editor {editor!r} cannot be started", hint="set $EDITOR") from exc
        if answer.returncode:
            raise ConfigError(f"the editor {editor!r} failed", hint="set $EDITOR")
        return options.read_plan_file(path)
