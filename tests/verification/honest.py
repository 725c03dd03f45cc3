"""Run bundled samples with and without the sandbox: `python -m tests.verification.honest [--count 50]`.

Prints one JSON object a sample (is its outcome the same, what processor time and wall time either way took)
and one for all: ratios within this run, and what the start of the sandbox costs. Which of the two goes first
changes from sample to sample. A stopped run goes on with `--report`, which keeps what was measured.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlcodegen_local.guard import close_network
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.report import SmokeResult
from dlcodegen_local.verification.sandbox import (
    Limits,
    Sandbox,
    SandboxResult,
    find_sandbox,
    interpreter_paths,
)
from dlcodegen_local.verification.smoke import smoke_run

SAMPLES = Path(__file__).resolve().parents[2] / "index" / "samples"
LIMITS = Limits(wall_s=900, cpu_s=900)
COMPARED = ("metrics", "parameters", "prediction_shape", "saved", "stage", "train")
Value = TypeVar("Value")


class Bare:
    """Run a program as any child process runs: no wall, no launcher, no limit but time."""

    name, has_walls = "bare", False

    def run(
        self,
        argv: Sequence[str],
        *,
        workdir: Path,
        limits: Limits,
        env: Mapping[str, str],
        readable: Sequence[Path],
        returned: Sequence[str] | None = None,
    ) -> SandboxResult:
        """Run in a copy, and bring the named files back."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder, "work")
            shutil.copytree(workdir, work)
            process = subprocess.Popen(
                argv, cwd=work, env={"HOME": folder, "TMPDIR": folder, "KERAS_HOME": folder, **env},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            try:
                stdout, stderr = process.communicate(timeout=limits.wall_s)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            seconds = time.monotonic() - started
            for name in returned or ():
                if (work / name).is_file():
                    shutil.copy(work / name, workdir / name)
        return SandboxResult(process.returncode, stdout, stderr, seconds)


def processor_seconds() -> float:
    """Return what this process and all ended children took."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measured(action: Callable[[], Value]) -> tuple[Value, float, float]:
    """Return what an action gives, its processor time and its wall time."""
    processor, wall = processor_seconds(), time.monotonic()
    result = action()
    return result, processor_seconds() - processor, time.monotonic() - wall


def shape_of(value: Any) -> Any:
    """Return names and sizes without the numbers, which threads may change in their last digits."""
    if isinstance(value, dict):
        return {name: shape_of(item) for name, item in sorted(value.items())}
    return "number" if isinstance(value, float) else value


def outcome(result: SmokeResult) -> dict[str, Any]:
    """Return what must be the same with and without a sandbox."""
    return {"ok": result.ok, **{name: shape_of(result.facts.get(name)) for name in COMPARED}}


def compare(script: Path, sandbox: Sandbox, *, bare_first: bool) -> dict[str, Any]:
    """Run one sample both ways."""
    plan = Plan.from_dict(json.loads(script.with_suffix(".json").read_text(encoding="utf-8"))["plan"])
    source, row = script.read_text(encoding="utf-8"), {}
    outcomes = {}
    for box in (Bare(), sandbox) if bare_first else (sandbox, Bare()):
        result, processor, wall = measured(
            lambda box=box: smoke_run(
                source, python=Path(sys.executable), sandbox=box, plan=plan, limits=LIMITS
            )
        )
        side = "inside" if box.has_walls else "outside"
        outcomes[side] = outcome(result)
        row[side] = {"ok": result.ok, "processor_s": round(processor, 2), "wall_s": round(wall, 2)}
        row[side]["loss"] = result.facts.get("loss")
    return {"id": script.stem, "same": outcomes["inside"] == outcomes["outside"], **row}


def start_times(sandbox: Sandbox, count: int) -> dict[str, float]:
    """Return the medians of what a program that does nothing takes either way, in milliseconds."""
    argv = [sys.executable, "-I", "-S", "-c", "pass"]
    readable = interpreter_paths(sys.prefix, sys.base_prefix)
    taken: dict[str, list[tuple[float, float]]] = {"inside": [], "outside": []}
    for _ in range(count):
        for side, box in (("inside", sandbox), ("outside", Bare())):
            with tempfile.TemporaryDirectory() as folder:
                run = lambda box=box, work=Path(folder): box.run(  # noqa: E731
                    argv, workdir=work, limits=LIMITS, env={}, readable=readable, returned=()
                )
                _, processor, wall = measured(run)
            taken[side].append((processor, wall))
    medians = {
        f"{side}_{name}_ms": round(1000 * statistics.median(pair[index] for pair in pairs), 1)
        for side, pairs in taken.items()
        for index, name in enumerate(("processor", "wall"))
    }
    added = {
        f"added_{name}_ms": round(medians[f"inside_{name}_ms"] - medians[f"outside_{name}_ms"], 1)
        for name in ("processor", "wall")
    }
    return {**medians, **added}


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums over all samples and the ratios of inside to outside."""
    totals = {
        f"{side}_{name}": round(sum(row[side][name] for row in rows), 1)
        for side in ("inside", "outside")
        for name in ("processor_s", "wall_s")
    }
    return {
        "samples": len(rows),
        "same": sum(row["same"] for row in rows),
        "passed": sum(bool(row["inside"]["ok"]) for row in rows),
        **totals,
        "processor_ratio": round(totals["inside_processor_s"] / totals["outside_processor_s"], 4),
        "wall_ratio": round(totals["inside_wall_s"] / totals["outside_wall_s"], 4),
    }


def main() -> int:
    """Run what is asked; returns 1 where an outcome differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    close_network()
    sandbox = find_sandbox()
    print(json.dumps({"sandbox": sandbox.name, **start_times(sandbox, arguments.starts)}), flush=True)
    lines = (
        arguments.report.read_text().splitlines() if arguments.report and arguments.report.is_file() else []
    )
    rows = [json.loads(line) for line in lines]
    done = {row["id"] for row in rows}
    for index, script in enumerate(_cheapest_first()[: arguments.count]):
        if script.stem in done:
            continue
        rows.append(compare(script, sandbox, bare_first=index % 2 == 0))
        print(json.dumps(rows[-1]), flush=True)
        if arguments.report:
            with open(arguments.report, "a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print(json.dumps(summary(rows)))
    return 0 if all(row["same"] for row in rows) else 1


def _cheapest_first() -> list[Path]:
    def cost(script: Path) -> tuple[float, str]:
        record = json.loads(script.with_suffix(".json").read_text(encoding="utf-8"))
        return float(record["smoke"].get("cpu_seconds", record["smoke"]["seconds"])), script.stem

    return sorted(SAMPLES.glob("*.py"), key=cost)


if __name__ == "__main__":
    sys.exit(main())
