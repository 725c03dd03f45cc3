"""`dlcodegen search`: samples for a plan or a text."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.config import RetrievalConfig, find_paths, find_pools
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.retrieval.index import Hit


@click.command("search")
@click.argument("text", required=False)
@click.option("--plan", type=click.Path(path_type=Path), help="Search by a plan file.")
@click.option("-k", "k", type=click.IntRange(1, 100), default=5, show_default=True, help="How many samples.")
@click.option("--category", help="Search this task category.  [default: the plan's, or all]")
@click.option(
    "--framework", type=click.Choice(("keras", "torch")), help="Samples of this framework come first."
)
@click.option(
    "--why", is_flag=True, help="Show the partition searched, and each sample's terms with their scores."
)
@options.pool_names
@options.json_flag
def command(text: str | None, plan: Path | None, k: int, why: bool, **flags: Any) -> None:
    """Find samples for TEXT (`-`: from stdin) or for a plan."""
    from dlcodegen_local.engines import load_index

    if (text is None) == (plan is None):
        raise ConfigError("give a text or --plan FILE, and not both")
    query = options.read_plan_file(plan) if plan else options.read_requirement(text)
    partition = options.read_category(flags["category"])
    paths = find_paths()
    index = load_index(RetrievalConfig(find_pools(flags["pool"], paths), paths.cache, k), options.print_note)
    hits = index.search(query, k, partition, framework=flags["framework"], why=why)
    if flags["json"]:
        options.print_json([_row(hit, why) for hit in hits])
        return
    if not hits:
        click.echo("no sample matches", err=True)
    for rank, hit in enumerate(hits, start=1):
        _print_hit(rank, hit, why)


def _print_hit(rank: int, hit: "Hit", why: bool) -> None:
    sample = hit.sample
    why_here = f"  ({hit.topped_up})" if hit.topped_up else ""
    click.echo(f"{rank:2}. {sample.id}  {hit.score:.2f}  [{sample.plan.category}]{why_here}")
    licence = sample.licence or "no licence named"
    click.echo(plain(f"    {sample.title}"))
    click.echo(plain(f"    {sample.framework}, {licence}, pool {sample.pool}"))
    if why:
        terms = "  ".join(f"{term} {score:.2f}" for term, score in hit.terms[:12])
        click.echo(f"    searched in {hit.partition}: {terms or 'no term in common'}")


def _row(hit: "Hit", why: bool) -> dict[str, Any]:
    sample = hit.sample
    row: dict[str, Any] = {
        "id": sample.id,
        "title": sample.title,
        "category": sample.plan.category,
        "framework": sample.framework,
        "licence": sample.licence,
        "pool": sample.pool,
        "partition": hit.partition,
        "score": hit.score,
        "topped_up": hit.topped_up,
    }
    if why:
        row["terms"] = [{"term": term, "score": score} for term, score in hit.terms]
    return row
