"""`dlcodegen evaluate table2|table5|fig5`: the paper's tables over code, on any local model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.cli.table_options import StepCounter, TableReporter, running
from dlcodegen_local.cli.table_printing import print_programs
from dlcodegen_local.config import (
    GenerationConfig,
    PlannerConfig,
    RetrievalConfig,
    VerificationConfig,
    find_paths,
    find_pools,
)
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.evaluation.systems import System
    from dlcodegen_local.evaluation.table_folder import TableFolder
    from dlcodegen_local.evaluation.table_run import TableRun
    from dlcodegen_local.evaluation.tasks import TaskSet
    from dlcodegen_local.pipeline import PipelineConfig

_HELP = {
    "table2": "Table II: the baselines and the whole method, beside floors that need no code model.",
    "table5": "Table V: the whole method and its six ablations.",
    "fig5": "Fig. 5: the whole method at temperatures from 0 to 2.",
}
_RUN = """

DATA is a folder with code/tasks.jsonl (and published predictions in code/published/), or a file of your own
tasks, one JSON object a line: id, requirement, dataset_attributes, and reference where there is one.

What is missing is run, and what is done is kept: a run that was killed goes on where it was. Several tables
can share one FOLDER, and one FOLDER/report.html.
"""


def _table_command(table: str) -> click.Command:
    @click.command(table, help=_HELP[table] + _RUN, short_help=_HELP[table])
    @running("those with a reference")
    @options.pool_names
    @click.option("--no-run", is_flag=True, help="Leave the smoke runs out.")
    @click.option(
        "--repeats",
        type=click.IntRange(1, 20),
        default=1,
        show_default=True,
        help="Run each system so many times, with seeds counted up; a temperature of 0 makes them alike.",
    )
    def command(data: Path, output: Path, limit: int | None, seed: int, **flags: Any) -> None:
        from dlcodegen_local.evaluation.code_tables import published_programs
        from dlcodegen_local.evaluation.systems import TABLES, repeated
        from dlcodegen_local.evaluation.table_folder import TableFolder
        from dlcodegen_local.evaluation.table_run import TableRun
        from dlcodegen_local.evaluation.tasks import read_tasks

        tasks = read_tasks(data, "reference").limited(limit)
        folder = TableFolder(output)
        config = program_config(flags, seed)
        systems = repeated(TABLES[table], flags["repeats"])
        published_programs(systems, tasks)  # what is wrong with them is said before the hours of a run
        run = TableRun(folder.programs, program_settings(config, tasks))
        run_programs(run, systems, tasks, config, folder.programs / "plans.json")
        _deliver(table, folder, run, systems, tasks, as_json=flags["json"])

    return command


def program_config(flags: dict[str, Any], seed: int) -> "PipelineConfig":
    """Return the settings of a run that writes programs: the pipeline's own but for what is given.

    Raises:
        DlcodegenError: the model is missing or damaged.
    """
    from dlcodegen_local.engines import bundled_model
    from dlcodegen_local.generation.gguf_header import read_header
    from dlcodegen_local.pipeline import PipelineConfig

    paths = find_paths()
    model = flags["model"] or bundled_model(paths.models)
    read_header(model)
    return PipelineConfig(
        planner=PlannerConfig(flags["planner"] or paths.models / "planner"),
        retrieval=RetrievalConfig(find_pools(flags["pool"], paths), paths.cache),
        generation=GenerationConfig(model=model, seed=seed),
        verification=VerificationConfig(run=not flags["no_run"]),
    )


def program_settings(config: "PipelineConfig", tasks: "TaskSet") -> dict[str, Any]:
    """Return what the rows of programs depend on."""
    from dlcodegen_local import __version__
    from dlcodegen_local.artifacts import sha256_of
    from dlcodegen_local.engines import load_index

    generation = config.generation
    return {
        "version": __version__,
        "tasks": tasks.sha256,
        "model": {"name": generation.model.stem, "sha256": sha256_of(generation.model)},
        "planner": sha256_of(config.planner.folder / "manifest.json"),
        "num_beams": config.planner.num_beams,
        "pool": load_index(config.retrieval, options.print_note).sha256,
        "k": config.retrieval.k,
        "seed": generation.seed,
        "merge": generation.merge,
        "effort": generation.effort,
        "max_repairs": generation.max_repairs,
        "framework": config.framework,
        "run": config.verification.run,
        "min_compliance": config.verification.min_compliance,
    }


def run_programs(
    run: "TableRun", systems: "list[System]", tasks: "TaskSet", config: "PipelineConfig", plans: Path
) -> None:
    """Make the programs that are missing; the engines are loaded where there are some."""
    if not run.missing(systems, tasks.tasks):
        return
    from dlcodegen_local.cli.generate import load_engines
    from dlcodegen_local.evaluation.table_maker import ProgramMaker

    engines = load_engines(config, StderrReporter(), need_planner=True)
    reporter = TableReporter()
    maker = ProgramMaker(engines, config, plans, find_paths().state, reporter)
    run.run(systems, tasks.tasks, maker, reporter.item)


def _deliver(
    table: str,
    folder: "TableFolder",
    run: "TableRun",
    systems: "list[System]",
    tasks: "TaskSet",
    *,
    as_json: bool,
) -> None:
    """Score what was run, keep it, print it."""
    from dlcodegen_local.evaluation.code_tables import score_programs

    reporter = StderrReporter(unit="tasks")
    reporter.stage("comparing code")
    references = folder.programs / "references.jsonl"
    document, items = score_programs(
        run, systems, tasks, references, run.settings["seed"], StepCounter(reporter, "compared").step
    )
    document = {"settings": run.settings, **document}
    folder.keep(table, document, items)
    reporter.done(f"{len(tasks.compared)} tasks with a reference")
    for note in (*document["cautions"], *document["notes"]):
        reporter.note(plain(note))
    if as_json:
        options.print_json({"table": table, **document})
    else:
        print_programs(document)
    options.print_note(f"{folder.results}, {folder.report}")


TABLE_COMMANDS = tuple(map(_table_command, _HELP))
