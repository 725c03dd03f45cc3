"""What the stages of the method cost beside the model's own work, and what they save by sharing.

`python -m tests.benchmarks.stages --json` runs draft, template, second draft, merge and repair with forced
answers, whole scripts, on one loaded model. `wall` holds a stage's seconds against those that llama.cpp
reports for its own work: `ratio` is theirs by ours, 0.95 or more is wanted. `all stages` holds them
against the same stages with nothing kept between them and token by token: 1.67 or more is wanted. Options as
in `tests.benchmarks.lookup`. What a real model writes may repeat less than these answers do.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dlcodegen_local.generation.llm import Prompt
from dlcodegen_local.generation.repair import repair
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.generation.stages import code_rag_draft, comparative_merge, template, template_rag_draft
from tests.benchmarks.forced import ForcedLLM
from tests.benchmarks.lookup import REQUIREMENT, add_model_options, line, load
from tests.generation.scripts import BATCHES, PLAN, TABLE, PooledSample, section

SETTINGS = GenerationSettings(drafting="whole", merge="free")
SAMPLES = (PooledSample("table", TABLE), PooledSample("batches", BATCHES))
SECOND = BATCHES.replace("adam", "rmsprop")
MERGED = TABLE.replace(section(TABLE, "data"), section(BATCHES, "data"))
REPAIRED = MERGED.replace("shuffle", "shuffled")


@dataclass(frozen=True)
class Fault:
    """Hold a finding to repair."""

    line: int = 40
    rule: str = "name"
    message: str = "undefined name 'shuffled'"


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stages", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    add_model_options(parser)
    options = parser.parse_args(argv)
    if not options.json:
        print("| stage | ours, s | peer, s | ratio |\n| --- | --- | --- | --- |")
    with load(options) as llm:
        llm.answers = answer_to
        shared = 0.0
        for name, wall, native in run(llm):
            shared += wall
            print(line(f"stages, {name}, wall", wall, native, native / wall, "s", options.json), flush=True)
        with llm.token_by_token():
            apart = sum(wall for _, wall, _ in run(llm, llm.forget))
        print(line("stages, all stages", shared, apart, apart / shared, "s", options.json))


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


def run(llm: ForcedLLM, before: Callable[[], None] = lambda: None) -> Iterator[tuple[str, float, float]]:
    """Yield name, seconds by the clock and seconds of llama.cpp for every stage; nothing is kept at first."""
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
        native, start = llm.native_seconds(), time.monotonic()
        drafts.append(stage())
        yield name, time.monotonic() - start, llm.native_seconds() - native


if __name__ == "__main__":
    main()
