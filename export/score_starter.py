"""Measure a code model on the starter's tasks, made from plans and rows that training did not see.

Works on any GGUF: reads only what the model writes at temperature 0. Reports, for each kind of task and
section, the share of answers that parse, that agree with the plan, and that equal the computed answer, and
the speed.
"""

import argparse
import ast
import itertools
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.generation.drafting import section_body
from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Sampling
from dlcodegen_local.generation.plan_values import expected_defaults, mismatches
from dlcodegen_local.generation.prompts import SECTION_STOP
from export.starter_tasks import Material, TaskExample, TaskMaker, read_rows, read_samples, split_rows

HELD_OUT_ROWS = 100


@dataclass(frozen=True)
class Outcome:
    """Hold what one answer was worth; `follows_plan` is None where the plan says nothing of the section."""

    parses: bool
    equal: bool
    likeness: float
    follows_plan: bool | None


def judge(example: TaskExample, answer: str) -> Outcome:
    """Compare an answer with the computed one and with the plan."""
    import difflib

    body = section_body(answer)
    try:
        ast.parse(body)
        parses = bool(body)
    except (SyntaxError, ValueError):
        parses = False
    expected, _ = expected_defaults(example.plan, example.answer) if example.section == "config" else ({}, ())
    follows = None
    if example.section == "config" and example.kind != "template":
        follows = parses and mismatches("config", body, example.plan, expected) == 0
    if example.section == "model" and example.kind != "template":
        wanted = mismatches("model", example.answer, example.plan, {})
        follows = parses and mismatches("model", body, example.plan, {}) <= wanted
    likeness = difflib.SequenceMatcher(None, body.split(), example.answer.split(), autojunk=False).ratio()
    return Outcome(parses, body == example.answer.strip(), likeness, follows)


def summarise(outcomes: list[Outcome]) -> dict[str, float | int | None]:
    """Return the shares over outcomes, in percent, and how many there are."""
    planned = [outcome.follows_plan for outcome in outcomes if outcome.follows_plan is not None]
    count = len(outcomes)
    return {
        "answers": count,
        "parse": round(100 * sum(o.parses for o in outcomes) / count, 1),
        "equal": round(100 * sum(o.equal for o in outcomes) / count, 1),
        "likeness": round(100 * sum(o.likeness for o in outcomes) / count, 1),
        "follow_plan": round(100 * sum(planned) / len(planned), 1) if planned else None,
    }


def main(argv: list[str] | None = None) -> int:
    """Write a model's scores as JSON to stdout."""
    parser = argparse.ArgumentParser(prog="python -m export.score_starter", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--plans", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60, help="answers to measure")
    parser.add_argument("--max-tokens", type=int, default=900, help="longest computed answer to ask for")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="print so many wrong answers to stderr")
    args = parser.parse_args(argv)
    rows = split_rows(read_rows(args.plans), HELD_OUT_ROWS)[1]
    examples = TaskMaker(Material(read_samples(args.samples), rows), args.seed).examples()
    groups: dict[str, list[Outcome]] = defaultdict(list)
    read_seconds = write_seconds = 0.0
    read_tokens = written_tokens = shown = 0
    with LlamaCppLLM(args.model) as llm:
        fitting = (e for e in examples if llm.count_tokens(e.answer) <= args.max_tokens)
        for example in itertools.islice(fitting, args.count):
            limit = llm.count_tokens(example.answer) * 3 // 2 + 64
            sampling = Sampling(max_tokens=limit, stop=SECTION_STOP)
            completion = llm.complete(example.prompt, sampling=sampling)
            outcome = judge(example, completion.text)
            for group in ("all", f"{example.kind}", f"[{example.section}]"):
                groups[group].append(outcome)
            read_seconds += completion.prompt_seconds
            write_seconds += completion.completion_seconds
            read_tokens += completion.prompt_tokens - completion.cached_tokens
            written_tokens += completion.completion_tokens
            if not outcome.equal and shown < args.show:
                shown += 1
                head = f"== {example.kind} [{example.section}] {outcome}"
                print(f"{head}\n{completion.text}\n-- expected\n{example.answer}", file=sys.stderr)
    result = {
        "groups": {name: summarise(outcomes) for name, outcomes in sorted(groups.items())},
        "read_tokens_per_second": round(read_tokens / read_seconds, 1),
        "write_tokens_per_second": round(written_tokens / write_seconds, 1),
    }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
