"""`dlcodegen evaluate leaks`, and the option by which other commands label their scores with leaks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dlcodegen_local.cli import options
from dlcodegen_local.cli.reporting import StderrReporter
from dlcodegen_local.config import find_paths, find_pools
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.evaluation.code_comparison import CodeComparison
    from dlcodegen_local.evaluation.leaks_labels import LabelledComparison, Scored
    from dlcodegen_local.evaluation.leaks_report import LeakReport
    from dlcodegen_local.evaluation.leaks_sources import Source
    from dlcodegen_local.evaluation.plan_comparison import PlanComparison

AnyComparison = TypeVar("AnyComparison", "PlanComparison", "CodeComparison")

_SHOWN = 3  # matches of an item; --json has more

leaks_from_option = click.option(
    "--leaks-from",
    type=click.Path(),
    multiple=True,
    metavar="FILE|POOL",
    help="Label the scores with the items found in this training file or pool (bundled, team, or a folder), "
    "and score the others beside them as NAME (clean); can be given again.",
)


@click.command("leaks")
@click.option(
    "--references",
    type=click.Path(path_type=Path),
    required=True,
    help="JSON lines of id and requirement, plan or reference, or a folder of ID.py.",
)
@click.option(
    "--training",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE|FOLDER",
    help="What a planner or a code model was trained on: JSON lines of requirement, plan, code, reference, "
    "output or text, or a folder of programs and texts; can be given again.",
)
@click.option(
    "--pool",
    type=click.Path(),
    multiple=True,
    metavar="NAME|FOLDER",
    help="A pool that code is retrieved from: bundled, team, or a folder; can be given again.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the result as JSON to a file.")
@options.json_flag
def command(
    references: Path, training: tuple[Path, ...], pool: tuple[str, ...], output: Path | None, **flags: bool
) -> int:
    """List the evaluation items that stand in training data or in a pool, word for word or nearly.

    Each is named with where it stands and how much of it. A score over such items is not held out:
    `evaluate code --leaks-from` and `evaluate plans --leaks-from` label it. Exit code 1 where there are any.
    """
    from dlcodegen_local.evaluation.leaks_report import report_leaks

    sources: list[Source] = [*training, *find_pools_named(pool)]
    if not sources:
        raise ConfigError("there is nothing to look into", hint="give --training FILE or --pool NAME")
    if output is not None and output.resolve() in {path.resolve() for path in (references, *training)}:
        raise ConfigError(f"{output} is one of the files to be read", hint="name another output file")
    reporter = StderrReporter(unit="rows")
    report = report_leaks(references, sources, on_read=lambda name: reporter.stage(plain(f"reading {name}")))
    reporter.done(f"{sum(source.rows for source in report.sources):,} rows and samples in all")
    for note in report.notes:
        reporter.note(note)
    if output is not None:
        write_file(output, options.json_text(report.to_dict(), indent=2) + "\n")
    if flags["json"]:
        options.print_json(report.to_dict())
    else:
        _print_leaks(report)
    return 1 if report.leaks else 0


def find_pools_named(names: Sequence[str]) -> "list[Source]":
    """Return the pools of these names, in their order."""
    return [place for name in names for place in find_pools([name], find_paths())]


def find_sources(names: Sequence[str]) -> "list[Source]":
    """Return training files and pools by their names: a folder is a pool, and so are `bundled` and `team`."""
    return [
        source
        for name in names
        for source in (
            find_pools_named([name]) if name in ("bundled", "team") or Path(name).is_dir() else [Path(name)]
        )
    ]


def label_scores(
    comparison: AnyComparison,
    items: Sequence[str],
    references: Path,
    leaks_from: Sequence[str],
    clean_systems: "Callable[[AnyComparison, Mapping[str, object]], Sequence[Scored]]",
) -> "LabelledComparison":
    """Return a comparison of these items of the references with its leaks and its clean systems."""
    from dlcodegen_local.evaluation.leaks_labels import LabelledComparison
    from dlcodegen_local.evaluation.leaks_report import report_leaks

    report = report_leaks(references, find_sources(leaks_from), only=items)
    return LabelledComparison(comparison, report, clean_systems(comparison, report.leaks))


def _print_leaks(report: "LeakReport") -> None:
    document: dict[str, Any] = report.to_dict()
    for leak in document["leaks"]:
        for place, match in enumerate(leak["matches"][:_SHOWN]):
            how = "exact" if match["exact"] else f"{match['share']:.0%}"
            name = plain(leak["id"]) if place == 0 else " " * len(plain(leak["id"]))
            click.echo(f"{name}  {match['kind']:<11}  {how:>5}  {plain(match['where'])}")
        if (more := leak["found"] - _SHOWN) > 0:
            click.echo(f"{' ' * len(plain(leak['id']))}  and {more} more")
    click.echo(report.label)
    click.echo(f"compared: {document['signature']}")
