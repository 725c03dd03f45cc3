"""What the stages of the method cost beside the model's own work, and what they save by sharing.

`python -m tests.benchmarks.stages --json` runs draft, template, second draft, merge and repair with forced
answers, whole scripts, through the model's own process as the commands do. `wall` holds a stage's seconds
against those that llama.cpp reports for its own work: `ratio` is theirs by ours, 0.95 or more is wanted.
`in process` holds all stages against the same in this process, the median of `--rounds` that take turns:
0.98 or more is wanted. `all stages` holds them against the same stages with nothing kept between them
and token by token: 1.67 or more is wanted. Options as in `tests.benchmarks.lookup`. What a real
model writes may repeat less than these answers do.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.repair import repair
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.generation.stages import code_rag_draft, comparative_merge, template, template_rag_draft
from tests.benchmarks.forced import ForcedLLM, ForcedWorker
from tests.benchmarks.lookup import REQUIREMENT, add_model_options, line, load
from tests.generation.scripts import BATCHES, PLAN, TABLE, PooledSample, section

# Progress is asked for, as by the commands: with it, every token comes through the pipe.
SETTINGS = GenerationSettings(drafting="whole", merge="free", on_progress=lambda stage, progress: None)
SAMPLES = (PooledSample("table", TABLE), PooledSample("batches", BATCHES))
SECOND = BATCHES.replace("adam", "rmsprop")
MERGED = TABLE.replace(section(TABLE, "data"), section(BATCHES, "data"))
REPAIRED = MERGED.replace("shuffle", "shuffled")

AnyForced = ForcedLLM | ForcedWorker


@dataclass(frozen=True)
class Fault:
    """Hold a finding to repair."""

    line: int = 40
    rule: str = "name"
    message: str = "undefined name 'shuffled'"


@dataclass(frozen=True)
class Stage:
    """Hold what a stage took: by the clock, as llama.cpp reports it, and of the processors."""

    name: str
    wall_s: float
    native_s: float
    processor_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stages", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    add_model_options(parser)
    parser.add_argument("--rounds", type=int, default=3, help="of turns with a model in this process")
    options = parser.parse_args(argv)
    if not options.json:
        print("| stage | ours, s | peer, s | ratio |\n| --- | --- | --- | --- |")
    with load(options, ForcedWorker) as llm, load(options) as peer:
        llm.answers = peer.answers = answer_to
        turns = [[_seconds(model, options.processor) for model in (llm, peer)] for _ in range(options.rounds)]
        ours, theirs = (median(times) for times in zip(*turns, strict=True))
        _show("in process", ours, theirs, options.json)
        shared = apart = 0.0
        with peer.token_by_token():
            for found, alone in zip(run(llm), run(peer, peer.forget), strict=True):
                _show(f"{found.name}, wall", found.wall_s, found.native_s, options.json)
                shared += found.processor_s if options.processor else found.wall_s
                apart += alone.processor_s if options.processor else alone.wall_s
        _show("all stages", shared, apart, options.json)


def _seconds(llm: AnyForced, by_processor: bool) -> float:
    return sum(stage.processor_s if by_processor else stage.wall_s for stage in run(llm))


def _show(name: str, ours: float, peer: float, as_json: bool) -> None:
    print(line(f"stages, {name}", ours, peer, peer / ours, "s", as_json), flush=True)


def answer_to(prompt: Prompt) -> str:
    """Return the answer that is forced, by what a prompt asks for."""
    answers = {
        "<code_2>": MERGED,
        "<finding>": REPAIRED,
        "<second_sample>": TABLE.replace("32", "{{batch_size}}"),
        "<template>": SECOND,
    }
    found = next((text for tag, text in answers.items() if tag in prompt.user), TABLE.replace("adam", "sgd"))
    return f"```python\n{found}```"


def run(llm: AnyForced, before: Callable[[], None] = lambda: None) -> Iterator[Stage]:
    """Yield what every stage took; nothing is kept at first."""
    drafts: list[StageResult] = []
    stages: dict[str, Callable[[], StageResult]] = {
        "code_rag_draft": lambda: code_rag_draft(REQUIREMENT, PLAN, SAMPLES, llm, SETTINGS),
        "template": lambda: template(REQUIREMENT, PLAN, SAMPLES, llm, SETTINGS),
        "template_rag_draft": lambda: template_rag_draft(
            REQUIREMENT, PLAN, drafts[1], SAMPLES, llm, SETTINGS
        ),
        "merge": lambda: comparative_merge(REQUIREMENT, PLAN, drafts[0], drafts[2], llm, SETTINGS),
        "repair": lambda: repair(drafts[3].source or "", PLAN, Fault(), llm, SETTINGS),
    }
    llm.forget()
    for name, stage in stages.items():
        before()
        native, worked, start = llm.native_seconds(), llm.processor_seconds(), time.perf_counter()
        drafts.append(stage())
        yield Stage(
            name,
            time.perf_counter() - start,
            llm.native_seconds() - native,
            llm.processor_seconds() - worked,
        )


if __name__ == "__main__":
    main()
