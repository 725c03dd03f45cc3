"""Prove a bundle: made here, checked, installed and used where there is no network, no home, no pip cache.

    python -m tests.bundle.proof WHEELS [--with none] [--archive]

Prints one JSON object a step: what it did, its seconds, sizes in MB. The steps after the first run in a
network namespace of their own (its loopback is down, too), from a copy of the bundle in a new folder, with an
empty HOME, an environment of PATH and HOME alone, and the interpreter that made the virtual environment.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENT = "Build a model to classify images as violence or non-violence using deep learning"
NAMESPACE = ("unshare", "--map-root-user", "--net")


def main() -> None:
    """Run all steps; the first that fails ends the proof with its exit code."""
    parser = argparse.ArgumentParser(description="Make, check, install and use a bundle without a network.")
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--with", dest="extra", default="keras", choices=["keras", "torch", "none"])
    parser.add_argument("--archive", action="store_true", help="as .tar in parts of 100 MB, not as a folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bundle-proof-") as name:
        work = Path(name)
        output = work / "made" / ("bundle.tar" if options.archive else "bundle")
        output.parent.mkdir()
        command = ["-m", "dlcodegen_local", "bundle", "create", "--wheels", str(options.wheels.resolve())]
        command += ["-o", str(output), "--with", options.extra]
        command += ["--split", "100M"] if options.archive else []
        timed("create", [sys.executable, *command], cwd=ROOT)
        stick = work / "stick"
        shutil.copytree(output.parent if options.archive else output, stick)
        report("the bundle", size_mb=size_mb(stick))
        prove_use(work, stick, options.extra != "none")


def prove_use(work: Path, stick: Path, can_train: bool) -> None:
    """Check, install and use the bundle on `stick`."""
    home, prefix = work / "home", work / "home" / "dlcodegen"  # where a user without --prefix has it
    home.mkdir()
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}
    python = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    bundle = [str(stick / "bundle.tar.001")] if (stick / "bundle.tar.001").exists() else []
    command = [python, str(stick / "verify.py"), *bundle]
    timed("verify.py", [*NAMESPACE, *command], work, environment)
    command = [python, str(stick / "install.py"), *bundle]
    timed("install.py", [*NAMESPACE, *command], work, environment)
    report("the installation", size_mb=size_mb(prefix))
    shutil.rmtree(stick)
    launcher = str(prefix / "bin" / "dlcodegen")
    timed("doctor", [*NAMESPACE, launcher, "doctor"], work, environment)
    timed("plan", [*NAMESPACE, launcher, "plan", REQUIREMENT], work, environment)
    if can_train:
        timed("generate", [*NAMESPACE, launcher, "generate", REQUIREMENT, "-o", "x"], work, environment)
        verification = json.loads((work / "x/.dlcodegen/verification.json").read_text(encoding="utf-8"))
        report("the project", smoke=verification["smoke"])
    report("home afterwards", files=sorted({path.relative_to(home).parts[0] for path in home.rglob("*")}))


def timed(step: str, command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> None:
    """Run a step; its output is shown where it fails."""
    start = time.monotonic()
    answer = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    report(step, exit_code=answer.returncode, seconds=round(time.monotonic() - start, 1))
    if answer.returncode:
        sys.exit(f"{answer.stdout}\n{answer.stderr}")


def report(step: str, **facts: object) -> None:
    """Print one step."""
    print(json.dumps({"step": step, **facts}), flush=True)


def size_mb(folder: Path) -> float:
    """Return what a folder's files hold, links not followed."""
    files = (Path(base) / name for base, _, names in os.walk(folder) for name in names)
    return round(sum(path.lstat().st_size for path in files) / 1e6, 1)


if __name__ == "__main__":
    main()
