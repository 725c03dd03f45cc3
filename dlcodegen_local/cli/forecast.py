"""What `generate --dry-run` prints: tokens, seconds and memory of each stage, before anything is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.config import GenerationConfig, find_paths
from dlcodegen_local.errors import ConfigError

if TYPE_CHECKING:
    from dlcodegen_local.generation.gguf_header import GgufHeader
    from dlcodegen_local.generation.rehearsal import StageForecast
    from dlcodegen_local.generation.speeds import Speed
    from dlcodegen_local.pipeline import PipelineConfig, Request

_COLUMNS = (
    ("stage", 13),
    ("in", 8),
    ("shared", 8),
    ("compared", 9),
    ("answer", 7),
    ("out", 7),
    ("seconds", 9),
)


def model_notes(config: GenerationConfig, cache: Path) -> tuple[str, ...]:
    """Return what a person should know of a model before it is loaded.

    Raises:
        ArtifactError: it is no sound GGUF, or does not fit into memory.
    """
    from dlcodegen_local.generation.chat_template import find_format
    from dlcodegen_local.generation.gguf_header import read_header
    from dlcodegen_local.generation.memory import choose_context, paging_note

    header = read_header(config.model)
    notes = list(find_format(config.model, header, cache / "templates").notes)
    if header.token_id("eos") is None:
        notes.append("its vocabulary has no end token: an answer ends by its text, or by its budget")
    if warning := paging_note(header, choose_context(header, config.n_ctx)):
        notes.append(warning)
    return tuple(notes)


def print_forecast(request: "Request", config: "PipelineConfig", *, as_json: bool) -> None:
    """Print what a run of a request would take."""
    table = _forecast(request, config)
    if as_json:
        options.print_json(table)
        return
    click.echo("".join(f"{name:>{width}}" if width < 13 else f"{name:<{width}}" for name, width in _COLUMNS))
    for row in [*table["stages"], {"stage": "total", **table["total"]}]:
        cells = (row["stage"], row["in"], row["shared"], row["compared"], row.get("answer_budget", ""))
        seconds = row["seconds"]
        click.echo(
            f"{cells[0]:<13}{cells[1]:>8}{cells[2]:>8}{cells[3]:>9}{cells[4]:>7}{row['out']:>7}"
            f"{'?' if seconds is None else f'{seconds:.0f}':>9}"
        )
    for line in (line for row in table["stages"] for line in (*row["cut"], *row["failed"])):
        click.echo(f"  {line}")
    memory = table["memory_mib"]
    click.echo(
        f"memory: about {memory['needed']} MiB with a context of {table['n_ctx']} tokens, "
        f"{memory['free']} MiB are free"
    )
    click.echo(f"speed: {table['speed']}")
    for note in table["notes"]:
        click.echo(f"note: {note}")


def _forecast(request: "Request", config: "PipelineConfig") -> dict[str, Any]:
    from dlcodegen_local.generation.gguf_header import read_header
    from dlcodegen_local.generation.memory import available_bytes, choose_context, needed_bytes
    from dlcodegen_local.generation.speeds import expected_speed

    paths, model = find_paths(), config.generation.model
    header = read_header(model)
    n_ctx = choose_context(header, config.generation.n_ctx)
    speed = expected_speed(paths.cache / "speeds.json", model)
    stages, notes = _rehearsed(request, config, header, n_ctx)
    rows = [_row(stage, speed) for stage in stages]
    total = {key: sum(row[key] for row in rows) for key in ("in", "shared", "compared", "out")}
    seconds = None if speed is None else round(sum(row["seconds"] for row in rows), 1)
    return {
        "model": str(header.metadata.get("general.name") or model.stem),
        "n_ctx": n_ctx,
        "stages": rows,
        "total": {**total, "seconds": seconds},
        "memory_mib": {"needed": needed_bytes(header, n_ctx) >> 20, "free": available_bytes() >> 20},
        "speed": speed.origin
        if speed
        else "no model ran on this machine yet: the first real run measures it",
        "notes": [*notes, *model_notes(config.generation, paths.cache)],
    }


def _row(stage: "StageForecast", speed: "Speed | None") -> dict[str, Any]:
    return {
        "stage": stage.name,
        "in": stage.read,
        "shared": stage.shared,
        "compared": stage.scored,
        "cut": list(stage.cuts),
        "answer_budget": stage.answer_budget,
        "out": stage.written,
        "seconds": None if speed is None else round(speed.seconds(stage.read_anew, stage.written), 1),
        "failed": [f"{stage.name} would fail: {stage.failure}"] if stage.failure else [],
    }


def _rehearsed(
    request: "Request", config: "PipelineConfig", header: "GgufHeader", n_ctx: int
) -> "tuple[tuple[StageForecast, ...], list[str]]":
    """Rehearse the stages with the samples that the run would retrieve."""
    from dlcodegen_local import engines
    from dlcodegen_local.generation.chat_template import find_format
    from dlcodegen_local.generation.llm import ModelInfo
    from dlcodegen_local.generation.rehearsal import CHARS_PER_TOKEN, StandIn, rehearse
    from dlcodegen_local.generation.results import GenerationSettings
    from dlcodegen_local.run_inputs import floor_of

    model = config.generation.model
    index = engines.load_index(config.retrieval, options.print_note)
    hits = index.search(request.plan or request.requirement, config.retrieval.k, framework=config.framework)
    if not hits:
        raise ConfigError("no sample matches, nothing can be foretold", hint="give a plan with --plan")
    plan = request.plan or hits[0].sample.plan
    floor = floor_of(plan, config.framework)
    chat_format = find_format(model, header, find_paths().cache / "templates").name
    info = ModelInfo(model.stem, model, "", n_ctx, header.n_params, chat_format, header.size_bytes)
    settings = GenerationSettings(merge=config.generation.merge, floor=floor)
    samples = [hit.sample for hit in hits]
    stages = rehearse(request.requirement, plan, samples, StandIn(info, floor), settings, config.without)
    notes = [f"about: a token is taken to be {CHARS_PER_TOKEN} characters; repairs are not in it"]
    if request.plan is None:
        notes.append(f"no plan is made yet: that of the sample {hits[0].sample.id} stands in (--plan FILE)")
    return stages, notes
