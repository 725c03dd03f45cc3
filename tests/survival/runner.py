"""A warm process that runs the command line in forked children: a run without the second of its imports.

`python -m tests.survival.runner` reads JSON lines from stdin: `{"arguments", "environment", "folder"}` forks
a child that waits, and answers `{"pid"}`; any line then lets it go, and the answer is `{"status"}`, as of
`os.waitpid`. What the child prints goes to `stdout` and `stderr` in the folder.
"""

import importlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from dlcodegen_local.config import prepare_environment

_HEAVY = (
    "llama_cpp",
    "numpy",
    "tantivy",
    "dlcodegen_local.delivery",
    "dlcodegen_local.engines",
    "dlcodegen_local.cli.generate",
    "dlcodegen_local.cli.runs",
    "dlcodegen_local.generation.llama_cpp_llm",
    "dlcodegen_local.retrieval.index",
    "dlcodegen_local.retrieval.pools",
    "dlcodegen_local.verification.verifier",
)


def main() -> None:
    """Answer until stdin ends."""
    prepare_environment()
    for name in _HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os.close(reading)
            _run(order)
        os.close(reading)
        _answer({"pid": pid})
        sys.stdin.readline()
        os.write(writing, b"x")
        os.close(writing)
        _answer({"status": os.waitpid(pid, 0)[1]})


def _run(order: dict[str, object]) -> None:
    folder = Path(str(order["folder"]))
    for name, number in (("stdout", 1), ("stderr", 2)):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    tempfile.tempdir = None
    os.chdir(folder)
    sys.argv = ["dlcodegen", *order["arguments"]]  # type: ignore[misc]
    code = 70
    try:
        importlib.import_module("dlcodegen_local.cli").main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = code or 71
        os._exit(code)


def _answer(value: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
