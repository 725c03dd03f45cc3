"""`dlcodegen generate`: requirement to project."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.forecast import look_at, print_forecast
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import (
    GenerationConfig,
    PlannerConfig,
    RetrievalConfig,
    VerificationConfig,
    find_paths,
    find_pools,
)
from dlcodegen_local.durable import check_new_folder
from dlcodegen_local.errors import ConfigError, SandboxError

if TYPE_CHECKING:
    from dlcodegen_local.outcome import Outcome
    from dlcodegen_local.pipeline import Engines, PipelineConfig
    from dlcodegen_local.run_order import Order
    from dlcodegen_local.verification.report import SmokeResult

_STAGES = ("comparison", "code-rag", "template-rag")


@click.command("generate")
@click.argument("requirement", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The new project's folder.  [required]")
@options.dataset_text
@click.option("--plan", type=click.Path(path_type=Path), help="Follow this plan file.")
@click.option(
    "--method",
    type=click.Choice(["dlcodegen", "direct", "ps", "ccot", "cedar", "code-rag", "template-rag"]),
    default="dlcodegen",
    show_default=True,
    help="The paper's baselines: how the model is asked. code-rag, template-rag: that draft alone.",
)
@click.option(
    "--without",
    default="",
    metavar="STAGES",
    help=f"Leave stages out, as in the paper's ablations: {','.join(_STAGES)}. Without both drafts, "
    "those of cedar and ccot are merged.",
)
@click.option(
    "--layout",
    type=click.Choice(["project", "script", "notebook"]),
    default="project",
    show_default=True,
    help="A folder of modules, one script, or a notebook.",
)
@click.option(
    "--framework",
    type=click.Choice(["keras"]),
    default="keras",
    show_default=True,
    help="The library the project is written for.",
)
@options.code_model_file
@click.option(
    "--merge",
    type=click.Choice(["auto", "free", "segments"]),
    default="auto",
    show_default=True,
    help="The model writes the merged code, or chooses segment by segment.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    default=0.0,
    show_default=True,
    help="How freely the model writes; 0: the likeliest token, always.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="The seed of what is drawn at a temperature over 0.",
)
@click.option(
    "-k", "k", type=click.IntRange(2, 20), default=2, show_default=True, help="Samples to retrieve."
)
@click.option("--repairs", type=click.IntRange(0, 10), default=2, show_default=True, help="Bound on repairs.")
@click.option(
    "--min-compliance",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="The share of the plan that a draft must follow.",
)
@click.option("--fast", is_flag=True, help="One try: the likeliest answers only, nothing is written twice.")
@click.option(
    "--best",
    is_flag=True,
    help="Try several temperatures and samples; the verifier picks. Takes thrice the time.",
)
@click.option("--no-run", is_flag=True, help="Leave the smoke run out (the project is then unproven).")
@options.unsafe_run
@click.option("--python", type=click.Path(path_type=Path), help="The interpreter of the smoke run.")
@click.option(
    "--threads", type=click.IntRange(1, 256), help="Threads of the models.  [default: chosen by the engine]"
)
@options.num_beams
@options.planner_folder
@options.pool_names
@options.batch_file
@click.option(
    "--no-record",
    is_flag=True,
    help="Keep nothing of the run once its project is written; until then it can resume.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what each stage would read and write, and how long it would take; no model is loaded.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every choice and every rejected answer, too.")
@options.json_flag
def command(requirement: str | None, output: Path | None, batch: Path | None, **flags: Any) -> int:
    """Turn REQUIREMENT (`-`: from stdin) into a project in the new folder OUTPUT.

    With --plan, the plan alone will do.
    With --batch, each requirement of the file becomes a folder in OUTPUT, and OUTPUT/results.jsonl says
    what came of it. Exit code 1 where a project failed its checks: it is then written as failed.
    A run that was interrupted goes on where it stopped when the same command is given again, a batch into
    the same OUTPUT.
    """
    from dlcodegen_local.pipeline import Request
    from dlcodegen_local.run_order import Order

    without = _left_out(flags["without"], flags["method"])
    if output is None and not flags["dry_run"]:
        raise click.UsageError("Missing option '-o' / '--output'.")
    plan = None
    if batch is not None:
        options.refuse_beside_batch("requirement", "dataset", "plan", "json")
        if flags["dry_run"]:
            raise ConfigError("--dry-run looks ahead at one requirement", hint="leave --batch out")
        items = list(options.read_batch(batch))
        requests = {item.id: Request(item.requirement, item.dataset) for item in items}
    else:
        plan = options.read_plan_to_follow(flags["plan"]) if flags["plan"] else None
        if requirement is None and plan is not None:
            requirement = f"A project for {plan.category.lower()}, as planned"
        text = options.read_requirement(requirement)
        requests = {"": Request(text, options.check_dataset(flags["dataset"]), plan)}
    config = _pipeline_config(flags, without)
    reporter = StderrReporter(verbose=flags["verbose"])
    if output is None or flags["dry_run"]:
        print_forecast(requests[""], config, as_json=flags["json"])
        return 0
    orders = {
        item_id: Order(request, config, output / item_id, flags["layout"], not flags["no_record"])
        for item_id, request in requests.items()
    }
    if batch is not None:
        return _generate_batch(orders, output, reporter)
    check_new_folder(output)
    engines = load_engines(config, reporter, need_planner=plan is None)
    return carry_out(orders[""], engines, reporter, as_json=flags["json"])


def carry_out(order: "Order", engines: "Engines", reporter: StderrReporter, *, as_json: bool) -> int:
    """Make the project of one order, print what came of it; returns the exit code."""
    from dlcodegen_local.delivery import deliver

    outcome = deliver(order, engines, find_paths(), reporter)
    print_outcome(outcome, order.output, as_json)
    return _exit_code(outcome, order.config)


def _exit_code(outcome: "Outcome", config: "PipelineConfig") -> int:
    if not outcome.verification.ok:
        return 1
    is_unproved = config.verification.run and outcome.verification.smoke.ok is None
    return SandboxError.exit_code if is_unproved else 0


def _generate_batch(orders: "dict[str, Order]", output: Path, reporter: StderrReporter) -> int:
    from dlcodegen_local.delivery import check_batch_output, deliver_batch

    check_batch_output(output, orders)
    config = next(iter(orders.values())).config
    engines = load_engines(config, reporter, need_planner=True)
    return deliver_batch(orders, output, engines, find_paths(), reporter)


def _effort(*, fast: bool, best: bool) -> Literal["fast", "normal", "best"]:
    if fast and best:
        raise ConfigError("--fast and --best exclude each other", hint="leave one out")
    return "fast" if fast else "best" if best else "normal"


def _left_out(stages: str, method: str) -> frozenset[str]:
    from dlcodegen_local.methods import ABLATIONS

    without = frozenset(filter(None, stages.split(",")))
    if without and method != "dlcodegen":
        raise ConfigError(f"--without goes with --method dlcodegen, not {method}", hint="leave one out")
    if unknown := sorted(without - set(_STAGES)):
        raise ConfigError(f"--without: unknown stage: {', '.join(unknown)}", hint=f"of {', '.join(_STAGES)}")
    if without == set(_STAGES):
        raise ConfigError("--without: at least one of the stages must stay")
    return ABLATIONS.get(method, without)


def _pipeline_config(flags: dict[str, Any], without: frozenset[str]) -> "PipelineConfig":
    from dlcodegen_local.engines import bundled_model
    from dlcodegen_local.pipeline import PipelineConfig

    paths = find_paths()
    verification = {name: flags[name] for name in ("min_compliance", "unsafe_run")}
    verification["run"] = not flags["no_run"]
    if flags["python"]:
        verification["python"] = flags["python"]
    return PipelineConfig(
        planner=PlannerConfig(flags["planner"] or paths.models / "planner", flags["beams"], flags["threads"]),
        retrieval=RetrievalConfig(find_pools(flags["pool"], paths), paths.cache, flags["k"]),
        generation=GenerationConfig(
            model=flags["model"] or bundled_model(paths.models),
            merge=flags["merge"],
            temperature=flags["temperature"],
            seed=flags["seed"],
            threads=flags["threads"],
            max_repairs=flags["repairs"],
            effort=_effort(fast=flags["fast"], best=flags["best"]),
        ),
        verification=VerificationConfig(**verification),
        without=without,
        framework=flags["framework"],
        method=flags["method"],
    )


def load_engines(config: "PipelineConfig", reporter: StderrReporter, *, need_planner: bool) -> "Engines":
    """Load what a run needs, and say so on the way.

    Raises:
        ArtifactError: a model, index or pool is missing or damaged.
    """
    from dlcodegen_local import engines
    from dlcodegen_local.pipeline import Engines
    from dlcodegen_local.verification.verifier import Verifier

    for note in look_at(config.generation, find_paths().cache).notes:
        reporter.note(note)
    reporter.stage("load")
    sandbox = engines.try_smoke_sandbox(config.verification, reporter.note)
    loaded = Engines(
        planner=engines.load_planner(config.planner) if need_planner else None,
        index=engines.load_index(config.retrieval, reporter.note),
        llm=engines.load_code_model(config.generation, reporter.note),
        verifier=Verifier(config.verification, sandbox, find_paths().cache),
    )
    reporter.done(f"{loaded.llm.info.name}, {len(loaded.index)} samples")
    return loaded


def print_outcome(outcome: "Outcome", output: Path, as_json: bool) -> None:
    """Print where a project lies and how it fared."""
    if as_json:
        options.print_json({"folder": str(output), **outcome.to_row()})
        return
    verification = outcome.verification
    score = verification.compliance.score
    click.echo(click.format_filename(output))
    click.echo(f"  task        {outcome.plan.category}")
    click.echo(f"  origin      {outcome.origin}")
    click.echo(f"  static      {'passed' if verification.static_ok else 'FAILED'}")
    click.echo(f"  compliance  {'no plan field to compare' if score is None else f'{score:.2f}'}")
    click.echo(f"  smoke run   {_smoke_text(verification.smoke)}")
    if not verification.ok:
        click.echo("  This project FAILED its checks; its README says which.")


def _smoke_text(smoke: "SmokeResult") -> str:
    if smoke.ok is None:
        return "not run"
    state = "passed" if smoke.ok else "FAILED"
    return f"{state} ({smoke.seconds:.1f} s) {smoke.message}".rstrip()
