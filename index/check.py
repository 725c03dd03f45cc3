"""Run bundled samples on synthetic data and record what happened: `python -m index.check [--write] [ID ...]`.

Guarantees that a sample counts as working only if its script exits 0 within the time limit and the
loss that `train` printed is finite. Does not judge the model's quality: 16 items, one epoch. The
samples are our own code and run without a sandbox.
"""

import argparse
import ast
import datetime
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES_DIR = Path(__file__).parent / "samples"
SMOKE_OPTIONS = ("--synthetic", "--epochs", "1", "--synthetic-samples", "16", "--batch-size", "4")
RECORD_KEYS = ("id", "title", "requirement", "framework", "licence", "source", "plan", "sha256", "smoke")


@dataclass(frozen=True)
class SmokeRun:
    """Report one run of a sample. `exit_code` is None after a time-out; `output` is its last text.

    `seconds` is wall time, `cpu_seconds` what the processor worked, which a busy machine does not change.
    """

    ok: bool
    seconds: float
    cpu_seconds: float
    exit_code: int | None
    output: str


def run_sample(script: Path, timeout_s: float) -> SmokeRun:
    """Run a sample's script on 16 synthetic items in a temporary folder, with an environment of its own."""
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        argv = [sys.executable, str(script.resolve()), *SMOKE_OPTIONS]
        argv += ["--data-dir", f"{folder}/data", "--output-dir", f"{folder}/outputs"]
        environment = {"PATH": os.defpath, "HOME": folder, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= {"KERAS_BACKEND": "tensorflow", "TF_NUM_INTRAOP_THREADS": "2"}
        start, cpu_start = time.perf_counter(), children_cpu_seconds()
        with subprocess.Popen(
            argv,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as child:
            try:
                output, _ = child.communicate(timeout=timeout_s)
                exit_code: int | None = child.returncode
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                output, _ = child.communicate()
                exit_code = None
        seconds = time.perf_counter() - start
        cpu_seconds = children_cpu_seconds() - cpu_start
    ok = exit_code == 0 and has_finite_loss(output)
    return SmokeRun(ok, seconds, cpu_seconds, exit_code, output[-4000:])


def children_cpu_seconds() -> float:
    """Return the processor time of all child processes that have ended so far."""
    times = os.times()
    return times.children_user + times.children_system


def has_finite_loss(output: str) -> bool:
    """Tell whether the third line from the end, which is what `train` returned, holds a finite loss."""
    lines = output.strip().splitlines()
    if len(lines) < 3:
        return False
    try:
        measures = ast.literal_eval(lines[-3])
    except (ValueError, SyntaxError):  # also what a `nan` in the dictionary ends in
        return False
    return isinstance(measures, dict) and math.isfinite(measures.get("loss", math.nan))


def installed_versions() -> dict[str, str]:
    """Return the versions that a record names: Python, Keras, TensorFlow."""
    distributions = importlib.metadata.packages_distributions()
    versions = {"python": platform.python_version()}
    for package in ("keras", "tensorflow"):
        versions[package] = importlib.metadata.version(sorted(distributions[package])[0])
    return versions


def updated_record(record: dict[str, Any], script: Path, run: SmokeRun) -> dict[str, Any]:
    """Return the sample's record with the hash of its script and the result of this run."""
    smoke = {
        "ok": run.ok,
        "seconds": round(run.seconds, 1),
        "cpu_seconds": round(run.cpu_seconds, 1),
        "date": datetime.date.today().isoformat(),
        "versions": installed_versions(),
    }
    fresh = {**record, "sha256": hashlib.sha256(script.read_bytes()).hexdigest(), "smoke": smoke}
    return {key: fresh[key] for key in RECORD_KEYS}


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by temporary file, fsync and rename."""
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named samples, or all; exit code 1 where one fails."""
    parser = argparse.ArgumentParser(prog="python -m index.check", description=main.__doc__)
    parser.add_argument("ids", nargs="*", help="samples to run (default: all)")
    parser.add_argument("--write", action="store_true", help="record sha256 and result in the .json")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a sample may take")
    options = parser.parse_args(argv)
    known = sorted(path.stem for path in SAMPLES_DIR.glob("*.py"))
    if unknown := sorted(set(options.ids) - set(known)):
        parser.error(f"no such sample: {', '.join(unknown)}")
    failed = 0
    for identifier in options.ids or known:
        script = SAMPLES_DIR / f"{identifier}.py"
        run = run_sample(script, options.timeout)
        state = "ok" if run.ok else "FAILED"
        print(f"{identifier}\t{state}\t{run.seconds:.1f} s\t{run.cpu_seconds:.1f} s of CPU", flush=True)
        if not run.ok:
            failed += 1
            print(run.output, file=sys.stderr)
        if options.write:
            sheet = script.with_suffix(".json")
            record = updated_record(json.loads(sheet.read_text(encoding="utf-8")), script, run)
            write_atomically(sheet, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
