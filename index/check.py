"""Train every bundled sample in the sandbox and report: `python -m index.check [--write] [ID ...]`.

Guarantees that a sample counts as working only if it trains, evaluates, saves and predicts on 16
synthetic items with a finite loss and a prediction of the planned shape, within the limits of the
sandbox. Does not judge how good a model gets.
"""

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import SandboxError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.sandbox import find_sandbox
from dlcodegen_local.verification.smoke import SMOKE_LIMITS, smoke_run

SAMPLES_DIR = Path(__file__).parent / "samples"
RECORD_KEYS = ("id", "title", "requirement", "framework", "licence", "source", "plan", "sha256", "smoke")
NEEDED = {"keras": ("keras", "numpy", "tensorflow"), "torch": ("numpy", "torch")}


@dataclass(frozen=True)
class SampleRun:
    """Report one run of a sample.

    `seconds` is wall time, `cpu_seconds` what the processor worked, which a busy machine does not change.
    """

    id: str
    framework: str
    ok: bool
    seconds: float
    cpu_seconds: float
    message: str
    versions: dict[str, str]
    log: str


def run_sample(script: Path, timeout_s: float) -> SampleRun:
    """Run a sample and its record's plan in the strongest sandbox of this machine.

    Raises:
        SandboxError: there is none.
    """
    record = json.loads(script.with_suffix(".json").read_text(encoding="utf-8"))
    framework = str(record["framework"])
    if missing := [name for name in NEEDED[framework] if importlib.util.find_spec(name) is None]:
        message = f"not run: {', '.join(missing)} is not installed (pip install -e '.[{framework}]')"
        return SampleRun(script.stem, framework, False, 0.0, 0.0, message, {}, "")
    cpu_start = _children_cpu_seconds()
    result = smoke_run(
        script.read_text(encoding="utf-8"),
        python=Path(sys.executable),
        sandbox=find_sandbox(),
        plan=Plan.from_dict(record["plan"]),
        limits=replace(SMOKE_LIMITS, wall_s=timeout_s),
    )
    versions = dict(result.facts.get("versions", {}))
    return SampleRun(
        id=script.stem,
        framework=framework,
        ok=result.ok is True,
        seconds=round(result.seconds, 1),
        cpu_seconds=round(_children_cpu_seconds() - cpu_start, 1),
        message=result.message,
        versions={name: versions[name] for name in ("python", *NEEDED[framework]) if name in versions},
        log=str(result.facts.get("log", "")),
    )


def run_samples(scripts: Sequence[Path], timeout_s: float, jobs: int) -> Iterator[SampleRun]:
    """Run samples side by side, `jobs` at a time, and yield them in their order.

    Every run has a process of its own, so that its processor time is its own.
    """
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as workers:
        yield from workers.map(partial(run_sample, timeout_s=timeout_s), scripts)


def updated_record(record: dict[str, Any], script: Path, run: SampleRun) -> dict[str, Any]:
    """Return the sample's record with the hash of its script and the result of this run."""
    smoke = {
        "ok": run.ok,
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "date": datetime.date.today().isoformat(),
        "versions": run.versions,
    }
    fresh = {**record, "sha256": hashlib.sha256(script.read_bytes()).hexdigest(), "smoke": smoke}
    return {key: fresh[key] for key in RECORD_KEYS}


def report_of(runs: Sequence[SampleRun]) -> dict[str, Any]:
    """Return the report of all runs as a JSON object."""
    rows = [
        {
            "id": run.id,
            "framework": run.framework,
            "ok": run.ok,
            "seconds": run.seconds,
            "cpu_seconds": run.cpu_seconds,
            "message": run.message,
            "versions": run.versions,
        }
        for run in runs
    ]
    return {"samples": len(runs), "failed": sum(not run.ok for run in runs), "runs": rows}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named samples, or all; exit code 1 where one fails, 6 where no sandbox starts."""
    parser = argparse.ArgumentParser(prog="python -m index.check", description=main.__doc__)
    parser.add_argument("ids", nargs="*", help="samples to run (default: all)")
    parser.add_argument("--write", action="store_true", help="record sha256 and result in the .json")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a sample may take")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="samples at a time")
    parser.add_argument("--report", type=Path, help="write the report to this JSON file")
    options = parser.parse_args(argv)
    known = sorted(path.stem for path in SAMPLES_DIR.glob("*.py"))
    if unknown := sorted(set(options.ids) - set(known)):
        parser.error(f"no such sample: {', '.join(unknown)}")
    try:
        find_sandbox()
    except SandboxError as exc:
        print(f"Error: {exc.message}\n{exc.hint}", file=sys.stderr)
        return exc.exit_code
    scripts = [SAMPLES_DIR / f"{identifier}.py" for identifier in options.ids or known]
    runs = []
    for script, run in zip(scripts, run_samples(scripts, options.timeout, max(options.jobs, 1)), strict=True):
        runs.append(run)
        _print_run(run, f"{len(runs)}/{len(scripts)}")
        if options.write:
            sheet = script.with_suffix(".json")
            record = updated_record(json.loads(sheet.read_text(encoding="utf-8")), script, run)
            write_file(sheet, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    report = report_of(runs)
    if options.report:
        write_file(options.report, json.dumps(report, indent=1) + "\n")
    frameworks = ", ".join(
        f"{sum(run.framework == name for run in runs)} {name}" for name in sorted({r.framework for r in runs})
    )
    print(f"{report['samples'] - report['failed']} of {report['samples']} samples passed ({frameworks})")
    return 1 if report["failed"] else 0


def _print_run(run: SampleRun, place: str) -> None:
    state = "ok" if run.ok else "FAILED"
    times = f"{run.seconds:.1f} s, {run.cpu_seconds:.1f} s of CPU"
    print(f"{place}\t{run.id}\t{state}\t{times}\t{run.message}", flush=True)
    if run.log:
        print(run.log, file=sys.stderr)


def _children_cpu_seconds() -> float:
    """Return the processor time of all child processes that have ended so far."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())
