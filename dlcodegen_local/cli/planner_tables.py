"""`dlcodegen evaluate table4|fig4`: planners, ours and the code model, beside published ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.cli.table_options import TableReporter, running
from dlcodegen_local.cli.table_printing import print_comparison, print_costs
from dlcodegen_local.config import GenerationConfig, PlannerConfig, find_paths
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.evaluation.planner_systems import PlannerSystem
    from dlcodegen_local.evaluation.shots import Shots
    from dlcodegen_local.evaluation.table_run import TableRun
    from dlcodegen_local.evaluation.tasks import TaskSet

_MEASURES = (
    "layer_similarity", "valid_json", "category", "dataset_input_bleu", "dataset_output_bleu", "loss",
    "optimizer", "metric", "plan_bleu", "learning_rate", "batch_size", "epochs", "mld", "learning_rate_mae",
    "batch_size_mae", "epochs_mae",
)  # fmt: skip
_HELP = {
    "table4": "Table IV: planners, ours with and without beams, and the code model after examples.",
    "fig4": "Fig. 4: the planners of Table IV as a figure.",
}
_RUN = """

DATA is a folder with plans/test.jsonl (and published predictions in plans/published/), or a file of your own
tasks, one JSON object a line: id, requirement, dataset_attributes, plan.

What is missing is run, and what is done is kept: a run that was killed goes on where it was. Several tables
can share one FOLDER, and one FOLDER/report.html.
"""


def _table_command(table: str) -> click.Command:
    @click.command(table, help=_HELP[table] + _RUN, short_help=_HELP[table])
    @running("those with a plan")
    @click.option(
        "--shots-from",
        type=click.Path(path_type=Path),
        help="Plans to take examples from: id, requirement, dataset_attributes, plan. Without it neither the "
        "code model nor the nearest plan takes part.",
    )
    def command(data: Path, output: Path, limit: int | None, seed: int, **flags: Any) -> None:
        from dlcodegen_local.evaluation.plan_tables import published_plans, score_planners
        from dlcodegen_local.evaluation.shots import Shots
        from dlcodegen_local.evaluation.table_folder import TableFolder
        from dlcodegen_local.evaluation.table_run import TableRun
        from dlcodegen_local.evaluation.tasks import read_tasks

        tasks = read_tasks(data, "plan").limited(limit)
        folder = TableFolder(output)
        published_plans(tasks)  # what is wrong with them is said before the run
        shots = Shots(flags["shots_from"]) if flags["shots_from"] else None
        planner = PlannerConfig(flags["planner"] or find_paths().models / "planner")
        systems, model, notes = _taking_part(shots, flags["model"], tasks)
        run = TableRun(folder.planners, _settings(planner, model, shots, tasks, seed))
        _run_planners(
            run, systems, tasks, planner, GenerationConfig(model, seed=seed) if model else None, shots
        )
        reporter = StderrReporter()
        reporter.stage("comparing plans")
        document, items = score_planners(run, systems, tasks, folder.planners / "references.jsonl", seed)
        document = {"settings": run.settings, **document, "notes": [*document["notes"], *notes]}
        folder.keep(table, document, items)
        reporter.done(f"{len(tasks.compared)} tasks with a plan")
        for note in (*document["cautions"], *document["notes"]):
            reporter.note(plain(note))
        if flags["json"]:
            options.print_json({"table": table, **document})
        else:
            print_costs(document)
            if document["comparison"]:
                print_comparison(document, _MEASURES)
        options.print_note(f"{folder.results}, {folder.report}")

    return command


def _taking_part(
    shots: "Shots | None", model: Path | None, tasks: "TaskSet"
) -> "tuple[list[PlannerSystem], Path | None, list[str]]":
    """Return the systems that can run, the code model where one of them needs it, and who is left out."""
    from dlcodegen_local.engines import bundled_model
    from dlcodegen_local.evaluation.planner_systems import PLANNERS
    from dlcodegen_local.generation.gguf_header import read_header
    from dlcodegen_local.generation.results import GenerationSettings

    systems = list(PLANNERS)
    if shots is None:
        notes = ["no examples are given (--shots-from): the code model and the nearest plan are left out"]
        return [system for system in systems if system.kind == "planner"], None, notes
    notes = []
    if own := sum(shots.own_answers(task) > 0 for task in tasks.tasks):
        notes.append(f"{own} tasks stand among the examples too: their own plans were not shown to them")
    model = model or bundled_model(find_paths().models)
    n_params = read_header(model).n_params
    if n_params < GenerationSettings.small_model_params:
        notes.append(
            f"the code model {model.stem} has {n_params / 1e6:,.0f} million weights, too few to plan after "
            "examples: it is left out; name a larger one with --model"
        )
        return [system for system in systems if system.kind != "few-shot"], None, notes
    return systems, model, notes


def _settings(
    planner: PlannerConfig, model: Path | None, shots: "Shots | None", tasks: "TaskSet", seed: int
) -> dict[str, Any]:
    """Return what the rows of plans depend on."""
    from dlcodegen_local import __version__
    from dlcodegen_local.artifacts import sha256_of

    return {
        "version": __version__,
        "tasks": tasks.sha256,
        "planner": sha256_of(planner.folder / "manifest.json"),
        "model": {"name": model.stem, "sha256": sha256_of(model)} if model else None,
        "examples": shots.sha256 if shots else None,
        "seed": seed,
    }


def _run_planners(
    run: "TableRun",
    systems: "list[PlannerSystem]",
    tasks: "TaskSet",
    planner: PlannerConfig,
    generation: GenerationConfig | None,
    shots: "Shots | None",
) -> None:
    """Make the plans that are missing; the engines that some of them need are loaded."""
    missing = {system.kind for system, _ in run.missing(systems, tasks.tasks)}
    if not missing:
        return
    from dlcodegen_local.engines import load_code_model, load_planner
    from dlcodegen_local.evaluation.planner_maker import PlanMaker
    from dlcodegen_local.generation.results import GenerationSettings

    reporter = TableReporter()
    maker = PlanMaker(
        planner=load_planner(planner) if "planner" in missing else None,
        llm=load_code_model(generation, options.print_note) if generation and "few-shot" in missing else None,
        shots=shots,
        settings=GenerationSettings(
            seed=generation.seed if generation else 0,
            on_progress=lambda stage, progress: reporter.progress(
                progress.kind,
                progress.tokens,
                progress.total,
                progress.tokens_per_second,
                progress.seconds_left,
            ),
        ),
    )
    run.run(systems, tasks.tasks, maker, reporter.item)


PLANNER_COMMANDS = tuple(map(_table_command, _HELP))
