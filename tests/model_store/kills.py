"""`python -m tests.model_store.kills --count N`: end imports at random moments, or at every call that writes.

After each: nothing is listed, or a model that passes the full check. The import that is left to end must then
go on from what the others left. With `--calls`, strace kills it at, or fails, each call in turn that changes
the disk. Prints one JSON object.
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

from dlcodegen_local.model_store.store import Store
from tests.generation.tiny_gguf import write_tiny_gguf

REPOSITORY = Path(__file__).resolve().parents[2]
# Without the command line: its filter of system calls takes strace's way to fail a call for an attack.
_PROGRAM = """
import sys
from pathlib import Path
from dlcodegen_local.errors import DlcodegenError
from dlcodegen_local.model_store.importing import Wish, import_model
from dlcodegen_local.model_store.sources import read_source
from dlcodegen_local.model_store.store import Store
model, *folders = map(Path, sys.argv[1:])
try:
    import_model(read_source(model), Wish("m"), Store(*folders))
except DlcodegenError as exc:
    print(exc.message, file=sys.stderr)
    sys.exit(exc.exit_code)
"""


def start(home: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start the command with a home of its own."""
    return _start(home, [sys.executable, "-m", "dlcodegen_local", "models", *arguments])


def _start(home: Path, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def run(home: Path, *arguments: str) -> int:
    """Return the exit code of the command."""
    with start(home, *arguments) as process:
        return process.wait()


def store_of(home: Path) -> Store:
    """Return the models of a home."""
    return Store(home / ".local/share/dlcodegen/models", REPOSITORY / "models", home / ".cache/dlcodegen")


def sound_models(home: Path) -> list[str]:
    """Return the names of the imported models that are listed.

    Raises:
        DlcodegenError: one of them is not sound.
    """
    store = store_of(home)
    manifests, errors = store.listed()
    assert not errors, errors
    found = [manifest for manifest in manifests if store.is_imported(manifest)]
    for manifest in found:
        store.verify(manifest)
    return [manifest.name for manifest in found]


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
            names = sound_models(home)
            assert "whole" in names
            found["listed" if f"m{number % 3}" in names else "not listed"] += 1
            for name in set(names) - {"whole"}:
                assert run(home, "remove", name) == 0
        assert run(home, "import", str(model), "--name", "m0") == 0
        assert "m0" in sound_models(home)
    return found


def fail_at_calls(calls: Sequence[str], fault: str, most: int = 1000) -> Counter[str]:
    """Inject a fault (as strace spells it) into each of these calls in turn, until an import meets none.

    Raises:
        AssertionError: a model is listed that is not sound, or the last import fails.
    """
    found = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        home, log, model = (
            Path(folder) / "home",
            Path(folder) / "log",
            write_tiny_gguf(Path(folder) / "m.gguf"),
        )
        store = store_of(home)
        program = [
            sys.executable,
            "-c",
            _PROGRAM,
            str(model),
            *map(str, (store.folder, store.bundled, store.cache)),
        ]
        for call in calls:
            for number in range(1, most + 1):
                injected = f"inject={call}:{fault}:when={number}"
                with _start(home, ["strace", "-qq", "-o", str(log), "-e", injected, *program]) as process:
                    code = process.wait()
                names = sound_models(home)
                was_met = "INJECTED" in log.read_text() or code == -signal.SIGKILL
                assert was_met or code == 0, (call, number, code)
                if names:
                    store.remove("m")
                if not was_met:
                    break
                found[f"{call}: exit code {code}, {'listed' if names else 'not listed'}"] += 1
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, kill, print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.model_store.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--calls", default="", help="calls of the system, with commas between them")
    parser.add_argument("--fault", default="signal=KILL", help="what strace injects, such as error=ENOSPC")
    options = parser.parse_args(argv)
    began = time.monotonic()
    if options.calls:
        found = fail_at_calls(options.calls.split(","), options.fault)
    else:
        found = kill_imports(options.count, options.megabytes * 1_000_000)
    print(json.dumps({"faults": found.total(), **found, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
