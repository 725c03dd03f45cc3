"""Kill installations at many moments: `python -m tests.bundle.kills --count 100`.

A bundle is installed over an older installation again and again, and its whole process group gets a SIGKILL
at a moment drawn between start and end. After each kill the command must run and be the old or the new one,
and the same installation started again must end with the new one. Prints one JSON object; exit code 1 where
anything failed. What survives a lost page cache (a power cut) is not tried.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from dlcodegen_local.bundle.installation import MARKER, install_bundle
from tests.bundle.making import make_bundle

HERE = "{}.{}".format(*sys.version_info[:2])
OLD, NEW = "def main():\n    print('old')\n", "def main():\n    print('new')\n"


def main() -> int:
    """Kill as often as told and print the counts."""
    parser = argparse.ArgumentParser(description="Kill installations at many moments.")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bundle-kills-") as name:
        tally = kill_often(Path(name), options.count, random.Random(options.seed))
    print(json.dumps(dict(sorted(tally.items()))))
    return 1 if tally["failed"] else 0


def kill_often(work: Path, count: int, rng: random.Random) -> Counter[str]:
    """Return how many kills found the step named, and how many were not survived."""
    make_bundle(work / "a", work / "old", python=HERE, launched=OLD)
    make_bundle(work / "b", work / "new", python=HERE, launched=NEW)
    prefix = work / "prefix"
    old = install_bundle(work / "old", prefix, notify=lambda line: None).folder
    start = time.monotonic()
    assert not kill_once(work / "new", work / "measured", None)
    usual = time.monotonic() - start
    tally: Counter[str] = Counter(kills=0, failed=0)
    for _ in range(count):
        tally["kills"] += kill_once(work / "new", prefix, rng.uniform(0, 1.1 * usual))
        tally[step_of(prefix)] += 1
        survived = launched(prefix) in ("old", "new")
        kill_once(work / "new", prefix, None)
        tally["failed"] += not (survived and launched(prefix) == "new" and not (prefix / "staging").exists())
        go_back(prefix, old)
    return tally


def kill_once(bundle: Path, prefix: Path, after_s: float | None) -> bool:
    """Install in a process group of its own; tell whether it was killed before its end."""
    process = subprocess.Popen(
        [sys.executable, str(bundle / "install.py"), "--prefix", str(prefix)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(after_s) != 0
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() != 0


def launched(prefix: Path) -> str:
    """Return what the installed command prints."""
    command = [str(prefix / "bin" / "dlcodegen")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def go_back(prefix: Path, old: Path) -> None:
    """Put the old version in use, as if the new one had never been."""
    (prefix / "current").unlink()
    (prefix / "current").symlink_to(f"versions/{old.name}")
    for folder in (prefix / "versions").iterdir():
        if folder != old:
            shutil.rmtree(folder)


def step_of(prefix: Path) -> str:
    """Name the step at which an installation stands."""
    versions = [folder for folder in (prefix / "versions").iterdir() if not (folder / MARKER).is_file()]
    if versions:
        return "while installing"
    if (prefix / "staging").exists():
        return "while copying or cleaning"
    return "before or after"


if __name__ == "__main__":
    sys.exit(main())
