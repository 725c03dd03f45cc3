"""Tokens a second with drafts from the prompt against token by token, the same answers written.

`python -m tests.benchmarks.lookup --json`: three prompts with forced answers. `merge` joins two drafts,
`repair` changes a line, `foreign` writes another program than the prompt shows. Both ways take turns on
one loaded model, and the median round of each counts. `--model` takes any GGUF; `--random FILE` makes
and takes one of 1.3 billion random weights; `--processor` counts processor time, for a machine with
other work.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import TypeVar

from dlcodegen_local.config import prepare_environment
from dlcodegen_local.generation.llm import Progress, Prompt, Sampling
from dlcodegen_local.generation.pace import ModelCache
from dlcodegen_local.generation.prompts import code_rag_prompt, merge_prompt, repair_prompt
from tests.benchmarks.forced import MODELS, ForcedLLM, ForcedWorker
from tests.benchmarks.random_gguf import random_gguf
from tests.generation.foreign import TORCH
from tests.generation.scripts import BATCHES, PLAN, TABLE, section

REQUIREMENT = "Sort rows of measurements into classes."


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lookup", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    add_model_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, help="of every program, at most")
    options = parser.parse_args(argv)
    if not options.json:
        print("| answer | tokens/s | token by token | ratio |\n| --- | --- | --- | --- |")
    with load(options) as llm:
        for name, ours, peer in measured(llm, options):
            print(line(f"lookup, {name}", ours, peer, ours / peer, "tokens/s", options.json), flush=True)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add what names the model and bounds the work."""
    parser.add_argument("--model", type=Path, default=MODELS / "starter" / "starter.gguf")
    parser.add_argument("--random", type=Path, help="a model of random weights, made where it lacks")
    parser.add_argument("--tokens", type=int, default=1 << 20, help="of an answer, at most")
    parser.add_argument("--processor", action="store_true", help="count processor time, not the clock's")
    parser.add_argument("--cache", type=Path, default=Path("build/benchmarks"), help="keeps the calibration")


Model = TypeVar("Model", ForcedLLM, ForcedWorker)


def load(options: argparse.Namespace, kind: type[Model] = ForcedLLM) -> Model:
    """Load the model that the options name."""
    prepare_environment()
    path = random_gguf(options.random) if options.random else options.model
    llm = kind(path, cache=ModelCache(options.cache), n_ctx=3072)
    llm.limit = options.tokens
    return llm


def measured(llm: ForcedLLM, options: argparse.Namespace) -> Iterator[tuple[str, float, float]]:
    """Yield name, our tokens a second, and those of plain writing."""
    for name, prompt, answer in cases(options.lines):
        llm.answers = lambda _, answer=answer: answer
        rates: dict[bool, list[float]] = {True: [], False: []}
        for index in range(2 * options.rounds):
            is_plain = index % 2 == 0
            with llm.token_by_token() if is_plain else nullcontext():
                rates[is_plain].append(_rate(llm, prompt, options.processor))
        yield name, median(rates[False]), median(rates[True])


def _rate(llm: ForcedLLM, prompt: Prompt, by_processor: bool) -> float:
    """Return how many tokens a second an answer is written at, its prompt read before."""
    clock = time.process_time if by_processor else time.perf_counter
    start = 0.0

    def begin_after_reading(progress: Progress) -> None:
        nonlocal start
        start = clock() if progress.kind == "reading" else start

    completion = llm.complete(prompt, sampling=Sampling(), on_progress=begin_after_reading)
    return completion.completion_tokens / (clock() - start)


def cases(lines: int | None = None) -> Iterator[tuple[str, Prompt, str]]:
    """Yield name, prompt and answer; `lines` cuts every program."""
    merged = TABLE.replace(section(TABLE, "data"), section(BATCHES, "data")).replace("adam", "rmsprop")
    faulty = TABLE.replace("config.epochs", "config.epoch").replace("data_dir", "data_folder", 1)
    table, batches, merged, faulty, foreign = (
        "\n".join(text.split("\n")[:lines]) for text in (TABLE, BATCHES, merged, faulty, TORCH)
    )
    yield "merge", merge_prompt(REQUIREMENT, PLAN, table, batches), merged
    yield "repair", repair_prompt(PLAN, faulty, "attribute: Config has no epoch"), table
    yield "foreign", code_rag_prompt(REQUIREMENT, PLAN, table), foreign


def line(name: str, ours: float, peer: float, ratio: float, unit: str, as_json: bool) -> str:
    """Return one result as an object or a row of the table."""
    if not as_json:
        return f"| {name} | {ours:.2f} | {peer:.2f} | {ratio:.2f} |"
    row = {
        "name": name,
        "ours": round(ours, 3),
        "peer": round(peer, 3),
        "ratio": round(ratio, 2),
        "unit": unit,
    }
    return json.dumps(row)


if __name__ == "__main__":
    main()
