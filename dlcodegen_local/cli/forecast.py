"""What `generate --dry-run` prints: tokens, seconds and memory of each stage, before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcodegen_local.cli import options
from dlcodegen_local.config import GenerationConfig, find_paths
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain

if TYPE_CHECKING:
    from dlcodegen_local.generation.gguf_header import GgufHeader
    from dlcodegen_local.generation.llm import ModelInfo
    from dlcodegen_local.generation.rehearsal import StageForecast, StandIn
    from dlcodegen_local.generation.results import Floor
    from dlcodegen_local.generation.speeds import Speed
    from dlcodegen_local.pipeline import PipelineConfig, Request

_HEADINGS = ("stage", "reads", "known", "compares", "may write", "writes", "seconds")
_LINE = "{:<15}{:>8}{:>8}{:>10}{:>11}{:>8}{:>9}"
_LEGEND = (
    "in tokens: a stage reads its prompts, of which some is known from before, compares candidates by their "
    "likelihood, may write so much in one answer, and writes about so much in all"
)


@dataclass(frozen=True)
class ModelOutlook:
    """Hold what a model's file says before it is loaded, and what a person should know of it."""

    header: "GgufHeader"
    info: "ModelInfo"
    notes: tuple[str, ...]


def look_at(config: GenerationConfig, cache: Path) -> ModelOutlook:
    """Read the header of the model that a run would load.

    Raises:
        ArtifactError: it is no sound GGUF, or does not fit into memory.
    """
    from dlcodegen_local.generation.chat_template import find_format
    from dlcodegen_local.generation.gguf_header import read_header
    from dlcodegen_local.generation.llm import ModelInfo
    from dlcodegen_local.generation.memory import choose_context, paging_note

    header = read_header(config.model)
    n_ctx = choose_context(header, config.n_ctx)
    found = find_format(config.model, header, cache / "templates")
    notes = list(found.notes)
    if header.token_id("eos") is None:
        notes.append("its vocabulary has no end token: an answer ends by its text, or by its budget")
    if warning := paging_note(header, n_ctx):
        notes.append(warning)
    name = plain(str(header.metadata.get("general.name") or config.model.stem))
    info = ModelInfo(name, config.model, "", n_ctx, header.n_params, found.name, header.size_bytes)
    return ModelOutlook(header, info, tuple(f"the model: {note}" for note in notes))


def print_forecast(request: "Request", config: "PipelineConfig", *, as_json: bool) -> None:
    """Print what a run of a request would take."""
    table = _forecast(request, config)
    if as_json:
        options.print_json(table)
        return
    click.echo(f"model: {table['model']}, with a context of {table['n_ctx']} tokens")
    click.echo(_LINE.format(*_HEADINGS))
    for row in [*table["stages"], {"stage": "total", "answer_budget": "", **table["total"]}]:
        cells = (row[key] for key in ("stage", "in", "shared", "compared", "answer_budget", "out"))
        click.echo(_LINE.format(*cells, f"{row['seconds']:.0f}"))
    for row in table["stages"]:
        for line in (*row["cut"], *row["failed"]):
            click.echo(f"  {line}")
        if not row["failed"] and not row["in"] + row["compared"]:
            click.echo(f"  {row['stage']}: nothing is asked of the model")
    click.echo(_LEGEND)
    memory = table["memory_mib"]
    click.echo(f"memory: about {memory['needed']} MiB, {memory['free']} MiB are free")
    click.echo(f"speed: {table['speed']}")
    for note in table["notes"]:
        click.echo(f"note: {note}")


def _forecast(request: "Request", config: "PipelineConfig") -> dict[str, Any]:
    from dlcodegen_local.generation.memory import available_bytes, needed_bytes
    from dlcodegen_local.generation.speeds import expected_speed

    cache = find_paths().cache
    outlook = look_at(config.generation, cache)
    speed = expected_speed(cache / "speeds.json", config.generation.model, outlook.header.n_params)
    stages, notes = _rehearsed(request, config, outlook)
    rows = [_row(stage, speed) for stage in stages]
    total = {key: sum(row[key] for row in rows) for key in ("in", "shared", "compared", "out")}
    seconds = round(sum(row["seconds"] for row in rows), 1)
    n_ctx = outlook.info.n_ctx
    return {
        "model": outlook.info.name,
        "n_ctx": n_ctx,
        "stages": rows,
        "total": {**total, "seconds": seconds},
        "memory_mib": {"needed": needed_bytes(outlook.header, n_ctx) >> 20, "free": available_bytes() >> 20},
        "speed": speed.origin,
        "notes": [*notes, *outlook.notes],
    }


def _row(stage: "StageForecast", speed: "Speed") -> dict[str, Any]:
    return {
        "stage": stage.name,
        "in": stage.read,
        "shared": stage.shared,
        "compared": stage.scored,
        "cut": list(stage.cuts),
        "answer_budget": stage.answer_budget,
        "out": stage.written,
        "seconds": round(speed.seconds(stage.read_anew, stage.written), 1),
        "failed": [f"{stage.name} would fail: {stage.failure}"] if stage.failure else [],
    }


def _rehearsed(
    request: "Request", config: "PipelineConfig", outlook: ModelOutlook
) -> "tuple[list[StageForecast], list[str]]":
    """Rehearse the stages with the samples that the run would retrieve."""
    from dlcodegen_local import engines
    from dlcodegen_local.generation.rehearsal import rehearse
    from dlcodegen_local.generation.results import GenerationSettings
    from dlcodegen_local.run_inputs import floor_of

    index = engines.load_index(config.retrieval, options.print_note)
    hits = index.search(request.plan or request.requirement, config.retrieval.k, framework=config.framework)
    if not hits:
        raise ConfigError("no sample matches, nothing can be foretold", hint="give a plan with --plan")
    plan = request.plan or hits[0].sample.plan
    floor = floor_of(plan, config.framework)
    settings = GenerationSettings(merge=config.generation.merge, floor=floor)
    samples = [hit.sample for hit in hits]
    stages = rehearse(request.requirement, plan, samples, _stand_in(outlook, floor), settings, config.without)
    notes = ["about so much: planning, smoke runs and repairs are not in it"]
    if config.generation.effort == "best":
        notes.append("--best writes these stages once more for each further temperature")
    if request.plan is None:
        notes.append(f"no plan is made yet: that of the sample {hits[0].sample.id} stands in (--plan FILE)")
    return list(stages), notes


def _stand_in(outlook: ModelOutlook, floor: "Floor") -> "StandIn":
    from dlcodegen_local.generation.gguf_header import read_tokens
    from dlcodegen_local.generation.rehearsal import StandIn, chars_per_token

    header = outlook.header
    vocabulary = frozenset(read_tokens(outlook.info.path, header, range(header.n_vocab)))
    by_bytes = header.metadata.get("tokenizer.ggml.model") == "gpt2"
    return StandIn(outlook.info, floor, chars_per_token(vocabulary, floor.source, by_bytes=by_bytes))
