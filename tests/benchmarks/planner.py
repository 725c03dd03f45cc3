"""Speed of the planner's engine at GPT-2-large size against Optimum, CTranslate2 and transformers.

`python -m tests.benchmarks.planner --model-dir CACHE` builds what is missing there (random weights, the
same for all; 10 minutes and 15 GB the first time) and measures every engine in a process of its
own, one after the other: 150 tokens in, 100 out, 3 beams, no constraint. `--json` prints one object
a line with `name`, `ours`, `peer`, `ratio` (above 1: ours is better) and `unit`. A peer that is
not installed is left out, and the run says so.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.planner.model import WEIGHTS_FILE
from tests.benchmarks import planner_models
from tests.benchmarks.planner_models import Size

MEMORY_ALLOWED_MIB = 300.0


@dataclass(frozen=True)
class Engine:
    """Hold what is measured: its precision, the packages it needs, and how its model is made."""

    name: str
    precision: str
    packages: tuple[str, ...]
    build: Callable[[Path, Size], Path]


ENGINES = (
    Engine("ours", "int8", ("onnx", "torch", "transformers"), planner_models.our_int8),
    Engine("Optimum", "int8", ("optimum", "onnx", "torch"), planner_models.optimum_int8),
    Engine("CTranslate2", "int8", ("ctranslate2", "torch"), planner_models.ctranslate2_int8),
    Engine("CTranslate2 by default", "int8", ("ctranslate2", "torch"), planner_models.ctranslate2_int8),
    Engine("transformers", "fp32", ("transformers", "torch"), planner_models.checkpoint),
)


@dataclass(frozen=True)
class Row:
    """Hold one engine's figures; `file_mib` is the size of its model on disk."""

    engine: Engine
    file_mib: float
    seconds: float
    steps: int
    load_seconds: float
    peak_mib: float


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, build, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.planner", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    parser.add_argument("--model-dir", type=Path, help="keeps the models; a temporary folder without it")
    parser.add_argument("--engines", help="names with commas; all without it, ours always")
    parser.add_argument(
        "--rounds", type=int, default=1, help="of all engines; the fastest run of each counts"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every engine")
    for name, value in Size.__dataclass_fields__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value.default)
    options = parser.parse_args(argv)
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", ORT_DISABLE_TELEMETRY="1")
    size = Size(**{name: getattr(options, name) for name in Size.__dataclass_fields__})
    wanted = None if options.engines is None else {"ours", *options.engines.split(",")}
    with tempfile.TemporaryDirectory() as scratch:
        folders = build(options.model_dir or Path(scratch), size, wanted)
        rows = measure(folders, options.rounds, ["--threads", str(options.threads)])
    for line in as_json(rows) if options.json else as_table(rows):
        print(line)


def build(cache: Path, size: Size, wanted: set[str] | None) -> dict[Engine, Path]:
    """Return the folder of each engine's model, ours first; what is not installed is left out."""
    cache.mkdir(parents=True, exist_ok=True)
    folders = {}
    for engine in ENGINES:
        if wanted is not None and engine.name not in wanted:
            continue
        if missing := [name for name in engine.packages if importlib.util.find_spec(name) is None]:
            print(f"{engine.name} is left out: {', '.join(missing)} not installed", file=sys.stderr)
            continue
        print(f"{engine.name}: building what is missing", file=sys.stderr, flush=True)
        folders[engine] = engine.build(cache, size)
    return folders


def measure(folders: dict[Engine, Path], rounds: int, extra: list[str]) -> list[Row]:
    """Measure the engines in turn, `rounds` times; return the fastest run of each, ours first."""
    rows: dict[Engine, Row] = {}
    for number in range(1, rounds + 1):
        for engine, folder in folders.items():
            print(f"round {number} of {rounds}: {engine.name}", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "tests.benchmarks.planner_engines", engine.name, str(folder)]
            done = subprocess.run([*command, *extra], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{engine.name} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
                continue
            figures: dict[str, Any] = json.loads(done.stdout)
            row = Row(engine, _model_mib(folder), **figures)
            if engine not in rows or row.seconds < rows[engine].seconds:
                rows[engine] = row
    measured = [rows[engine] for engine in folders if engine in rows]
    if not measured or measured[0].engine.name != "ours":
        raise SystemExit("ours could not be measured")
    return measured


def as_json(rows: Sequence[Row]) -> list[str]:
    """Return one object a line: speed against each peer, memory against what is allowed."""
    ours = rows[0]
    lines = [
        {
            "name": f"planner, {row.engine.name} {row.engine.precision}",
            "ours": round(ours.seconds, 3),
            "peer": round(row.seconds, 3),
            "ratio": round(row.seconds / ours.seconds, 2),
            "unit": "s",
        }
        for row in rows[1:]
    ]
    over = ours.peak_mib - ours.file_mib
    lines.append(
        {
            "name": "planner, peak memory beyond the model file, against what is allowed",
            "ours": round(over, 1),
            "peer": MEMORY_ALLOWED_MIB,
            "ratio": round(MEMORY_ALLOWED_MIB / over, 2),
            "unit": "MiB",
        }
    )
    return [json.dumps(line) for line in lines]


def as_table(rows: Sequence[Row]) -> list[str]:
    """Return a Markdown table."""
    ours = rows[0]
    lines = [
        "| engine | weights | seconds | steps | ours is faster by | file, MiB | peak memory, MiB | load, s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        ratio = "" if row is ours else f"{row.seconds / ours.seconds:.2f}"
        lines.append(
            f"| {row.engine.name} | {row.engine.precision} | {row.seconds:.2f} | {row.steps} | {ratio} "
            f"| {row.file_mib:.0f} | {row.peak_mib:.0f} | {row.load_seconds:.1f} |"
        )
    return lines


def _model_mib(folder: Path) -> float:
    names = ("model.onnx", WEIGHTS_FILE, "model.bin", "model.safetensors")
    return sum((folder / name).stat().st_size for name in names if (folder / name).exists()) / 2**20


if __name__ == "__main__":
    main()
