"""`python -m tests.model_store.kills --count N`: end an import with SIGKILL at random moments, N times.

After each: nothing is listed, or a model that passes the full check. The import that is left to end must then
go on from what the others left. Prints one JSON object.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.generation.tiny_gguf import write_tiny_gguf

REPOSITORY = Path(__file__).resolve().parents[2]


def start(home: Path, *arguments: str, stdout: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    """Start the command with a home of its own."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, "-m", "dlcodegen_local", "models", *arguments],
        env=environment,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def run(home: Path, *arguments: str) -> int:
    """Return the exit code of the command."""
    with start(home, *arguments) as process:
        return process.wait()


def imported(home: Path) -> list[str]:
    """Return the names of the imported models that are listed."""
    with start(home, "list", "--json", stdout=subprocess.PIPE) as process:
        answer = process.communicate()[0]
    return [row["name"] for row in json.loads(answer) if row["origin"] == "imported"]


def kill_imports(count: int, size_bytes: int, seed: int = 0) -> Counter[str]:
    """Kill so many imports of a model of that size; return what was found after each.

    Raises:
        AssertionError: a model is listed that is not sound, or the last import fails.
    """
    rng, found = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        home, model = Path(folder) / "home", write_tiny_gguf(Path(folder) / "m.gguf")
        with model.open("ab") as file:  # what follows the last tensor is nobody's, and is copied all the same
            file.write(random.Random(1).randbytes(size_bytes))
        began = time.monotonic()
        assert run(home, "import", str(model), "--name", "whole") == 0
        whole_s = time.monotonic() - began
        for number in range(count):
            process = start(home, "import", str(model), "--name", f"m{number % 3}")
            time.sleep(rng.uniform(0.1, whole_s))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            names = imported(home)
            assert "whole" in names
            found[f"{'listed' if f'm{number % 3}' in names else 'not listed'}"] += 1
            assert run(home, "verify", *names) == 0, names
            for name in set(names) - {"whole"}:
                assert run(home, "remove", name) == 0
        assert run(home, "import", str(model), "--name", "m0") == 0
        assert run(home, "verify", "m0") == 0
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, kill, print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.model_store.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args(argv)
    began = time.monotonic()
    found = kill_imports(options.count, options.megabytes * 1_000_000)
    print(json.dumps({"kills": options.count, **found, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
