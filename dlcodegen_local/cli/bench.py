"""`dlcodegen models bench`: two code models on the same tasks."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.cli.table_options import StepCounter, TableReporter
from dlcodegen_local.cli.table_printing import print_programs
from dlcodegen_local.cli.tables import program_config, program_settings
from dlcodegen_local.config import find_paths
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.evaluation.bench import MakeProgram
    from dlcodegen_local.evaluation.systems import System
    from dlcodegen_local.evaluation.table_folder import TableFolder
    from dlcodegen_local.evaluation.table_run import TableRun
    from dlcodegen_local.evaluation.tasks import TaskSet
    from dlcodegen_local.pipeline import PipelineConfig


@click.command("bench")
@click.argument("models", nargs=2, type=options.ModelPath("code-model"), metavar="MODEL MODEL")
@click.option(
    "--tasks",
    type=click.Path(path_type=Path),
    help="Your own tasks: JSON lines of id, requirement, dataset_attributes, and reference where there is "
    "one.  [default: five that come with the tool]",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The results' folder.  [default: in the cache]"
)
@options.planner_folder
@options.pool_names
@click.option("--limit", type=click.IntRange(min=1), help="Take so many tasks, those with a reference first.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 100), default=0, show_default=True, help="Of the models."
)
@click.option("--no-run", is_flag=True, help="Leave the smoke runs out.")
@options.json_flag
def command(models: tuple[Path, Path], tasks: Path | None, output: Path | None, **flags: Any) -> None:
    """Compare two GGUF files on the same tasks, and recommend one for this machine.

    Both write every task's program by the whole method, from the same plans. What is done is kept: a run that
    was killed goes on where it was. A report is in the results' folder.
    """
    from dlcodegen_local.evaluation.bench import TASKS, model_system
    from dlcodegen_local.evaluation.table_folder import TableFolder
    from dlcodegen_local.evaluation.table_run import TableRun
    from dlcodegen_local.evaluation.tasks import read_tasks

    found = read_tasks(tasks or TASKS, "reference").limited(flags["limit"])
    configs = {
        model_system(model, sha256_of(model)): program_config({**flags, "model": model}, flags["seed"])
        for model in models
    }
    if len(configs) < 2:
        raise ConfigError(f"{models[0]} and {models[1]} are the same model", hint="name two models")
    config = next(iter(configs.values()))
    settings = {key: value for key, value in program_settings(config, found).items() if key != "model"}
    folder = TableFolder(output or _cached(str(settings)))
    run = TableRun(folder.bench, settings)
    _run_models(run, configs, found, folder.bench / "plans.json")
    document = _score(run, list(configs), found, folder)
    if flags["json"]:
        options.print_json({"table": "bench", **document})
    else:
        print_programs(document)
        click.echo(plain(document["notes"][0]))
    options.print_note(f"{folder.results}, {folder.report}")


def _run_models(
    run: "TableRun", configs: "Mapping[System, PipelineConfig]", tasks: "TaskSet", plans: Path
) -> None:
    """Make the programs that are missing."""
    from dlcodegen_local.evaluation.bench import ModelSwitch

    if run.missing(list(configs), tasks.tasks):
        reporter = TableReporter()
        switch = ModelSwitch(lambda system: _loaded(configs[system], plans, reporter))
        run.run(list(configs), tasks.tasks, switch, reporter.item)


def _score(
    run: "TableRun", systems: "Sequence[System]", tasks: "TaskSet", folder: "TableFolder"
) -> dict[str, Any]:
    """Score what was run, choose, and keep it; the recommendation is the first note."""
    from dlcodegen_local.evaluation.bench import recommend
    from dlcodegen_local.evaluation.code_tables import score_programs

    reporter = StderrReporter(unit="tasks")
    reporter.stage("comparing code")
    seed = run.settings["seed"]
    counter = StepCounter(reporter, "compared")
    references = folder.bench / "references.jsonl"
    document, items = score_programs(run, systems, tasks, references, seed, counter.step)
    rows = {system.name: list(run.rows(system, tasks.tasks).values()) for system in systems}
    advice = recommend(rows, document["summary"], seed)
    note = f"Recommended for this machine: {advice.name or 'neither'}; {advice.reason}"
    document = {
        "settings": run.settings,
        **document,
        "recommendation": advice.to_dict(),
        "notes": [note, *document["notes"]],
    }
    folder.keep("bench", document, items)
    reporter.done(f"{len(tasks.tasks)} tasks")
    return document


def _cached(settings: str) -> Path:
    """Return the folder of results with these settings."""
    return find_paths().cache / "bench" / hashlib.sha256(settings.encode()).hexdigest()[:16]


def _loaded(config: "PipelineConfig", plans: Path, reporter: TableReporter) -> "MakeProgram":
    from dlcodegen_local.cli.generate import load_engines
    from dlcodegen_local.evaluation.table_maker import ProgramMaker

    engines = load_engines(config, StderrReporter(), need_planner=True)
    return ProgramMaker(engines, config, plans, find_paths().state, reporter)
