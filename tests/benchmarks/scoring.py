"""Scoring of generated code, against calling codebleu pair by pair.

`python -m tests.benchmarks.scoring --json`: 100 pairs of programs of 300 lines, no two the same, normalised
for both sides alike. Ours includes starting its processes, edit distances and parsing. Prints one object a
line with `name`, `ours`, `peer`, `ratio` (above 1: ours is better) and `unit`; a second line holds CodeBLEU
by both, which must be the same.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np

from dlcodegen_local.evaluation.code_counts import CorpusScores
from dlcodegen_local.evaluation.code_text import normalise
from dlcodegen_local.evaluation.code_worker import CodeTask
from dlcodegen_local.evaluation.code_workers import measure_tasks

_NAMES = ("batch", "image", "label", "model", "layer", "width", "rate", "score", "mask", "step", "loss", "x")
_LINES = (
    "{a} = {b} + {number}",
    "{a}, {b} = {c}.split({number}, axis={small})",
    "{a} = keras.layers.Dense({number}, activation='relu')({b})",
    "if {a} > {number}:\n    {b} = {c}[{small}]\nelse:\n    {b} = {a}",
    "for {a} in range({number}):\n    {b} += {c} * {a}\n    print('{a}', {b})",
    "def {a}_{b}({c}, {b}={number}):\n    return [{c} * item for item in {b} if item != {small}]",
    "with open('{a}.csv') as {b}:\n    {c} = {b}.read()",
    "class {a}{number}(keras.Model):\n    def call(self, {b}):\n        return self.{c}({b}, {small})",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scoring", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    programs = [program(options.lines, seed) for seed in range(2 * options.pairs)]
    pairs = list(zip(programs[::2], programs[1::2], strict=True))
    if options.peer:
        print(json.dumps(scored_by_codebleu(pairs)))
        return
    if not options.json:
        print("| | ours | peer | ratio | unit |\n| --- | --- | --- | --- | --- |")
    for row in measured(pairs, ["--pairs", str(options.pairs), "--lines", str(options.lines)]):
        print(json.dumps(row) if options.json else f"| {' | '.join(map(str, row.values()))} |", flush=True)


def measured(pairs: Sequence[tuple[str, str]], sizes: Sequence[str]) -> Iterator[dict[str, object]]:
    """Yield the times, then the scores; the peer runs in a process of its own, with the same hash seed."""
    started = time.perf_counter()
    answers = measure_tasks([CodeTask(reference, (code,)) for code, reference in pairs])
    ours_s = time.perf_counter() - started
    counts = [found.counts for (found,) in answers if found is not None]
    ours = float(np.mean(CorpusScores(np.array(counts)).total))
    peer = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.scoring", "--peer", *sizes],
        env={"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    peer_s, theirs = json.loads(peer.stdout)
    name = f"scoring, {len(pairs)} pairs"
    yield _row(name, round(ours_s, 2), round(peer_s, 2), peer_s / ours_s, "s")
    yield _row(f"{name}, mean CodeBLEU", round(ours, 12), round(theirs, 12), ours / theirs, "0 to 1")


def scored_by_codebleu(pairs: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Return the seconds that the package takes, and its mean score."""
    from codebleu import calc_codebleu

    started = time.perf_counter()
    scores = [
        calc_codebleu([normalise(reference)], [normalise(code)], "python")["codebleu"]
        for code, reference in pairs
    ]
    return time.perf_counter() - started, sum(scores) / len(scores)


def program(lines: int, seed: int) -> str:
    """Return a program of at least so many lines, the same for the same seed."""
    rng = random.Random(seed)
    text = ["import keras"]
    while sum(statement.count("\n") + 1 for statement in text) < lines:
        a, b, c = rng.sample(_NAMES, 3)
        text.append(
            rng.choice(_LINES).format(a=a, b=b, c=c, number=rng.randrange(1000), small=rng.randrange(4))
        )
    return "\n".join(text) + "\n"


def _row(name: str, ours: float, peer: float, ratio: float, unit: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "peer": peer, "ratio": round(ratio, 2), "unit": unit}


if __name__ == "__main__":
    main()
