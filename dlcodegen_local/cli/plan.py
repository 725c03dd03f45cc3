"""`dlcodegen plan`: requirement to plan."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.editing import edited_plan
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import PlannerConfig, find_paths
from dlcodegen_local.durable import check_new_file, write_file
from dlcodegen_local.errors import ConfigError


@click.command("plan")
@click.argument("requirement", required=False)
@options.dataset_text
@options.num_beams
@options.planner_folder
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the plan to a new file.")
@click.option("--force", is_flag=True, help="Replace the file of -o where it exists.")
@click.option("--edit", is_flag=True, help="Open the plan in $EDITOR before it is printed.")
@options.batch_file
@options.json_flag
def command(
    requirement: str | None, beams: int, output: Path | None, batch: Path | None, **flags: Any
) -> None:
    """Turn REQUIREMENT (`-`: from stdin) into a solution plan.

    Prints the plan as JSON that `generate --plan` takes; --json adds log-probability, confidence and
    alternatives of each field, model steps and seconds. A file that exists is left alone without
    --force; an edit that is no valid plan is kept.
    """
    from dlcodegen_local.engines import load_planner

    config = PlannerConfig(flags["planner"] or find_paths().models / "planner", num_beams=beams)
    if batch is not None:
        if output is None:
            raise ConfigError("--batch needs -o FILE")
        options.refuse_beside_batch("requirement", "dataset", "edit", "json")
        if os.path.realpath(batch) == os.path.realpath(output):
            raise ConfigError(f"{output} is the batch file itself", hint="name another output file")
    if output is not None and not flags["force"]:
        check_new_file(output)
    if batch is not None and output is not None:
        _plan_batch(batch, output, config)
        return
    from dlcodegen_local.pipeline import low_confidence

    text = options.read_requirement(requirement)
    reporter = StderrReporter()
    reporter.stage("plan")
    dataset = options.check_dataset(flags["dataset"])
    planner = load_planner(config)
    result = planner.plan(text, dataset, num_beams=beams)
    loaded = round(planner.load_seconds, 3)
    reporter.done(
        f"{result.plan.category}, {len(result.plan.layers)} layers; planner loaded in {loaded:.1f} s, "
        f"{result.steps} model steps in {result.seconds:.1f} s"
    )
    for note in (*result.notes, *low_confidence(result.confidence)):
        reporter.note(note)
    with edited_plan(result.plan, reporter) if flags["edit"] else nullcontext(result.plan) as plan:
        if output is not None:
            write_file(output, plan.to_json() + "\n")
        elif flags["json"]:
            options.print_json({**_row(result), "plan": plan.to_dict(), "load_seconds": loaded})
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
