"""Load a checked model once, in a process of its own, before it is listed.

Guarantees that a model on which the native parser crashes, hangs or gives up is refused in one line. A code
model's process is confined as that of every load (`model_worker`); a planner's, whose operators are all
known, is not. Says nothing about how well a model answers.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from dlcodegen_local.artifacts import Manifest
from dlcodegen_local.config import prepare_environment
from dlcodegen_local.errors import ArtifactError, DlcodegenError
from dlcodegen_local.generation.gguf_header import GgufHeader, read_header
from dlcodegen_local.model_worker.worker_llm import try_load

_TIMEOUT_S = 600.0
_MAX_ANSWER_BYTES = 4000
_N_CTX = 512
_HINT = "the copy was removed again; another file of this model may do"


def try_loading(manifest: Manifest) -> None:
    """Load a model and compute one step.

    Raises:
        ArtifactError: it cannot be loaded.
    """
    if manifest.kind == "planner":
        _try_planner(manifest)
        return
    path = manifest.path_of(".gguf")
    try:
        try_load(path, shortest_context(read_header(path)))
    except DlcodegenError as exc:
        raise ArtifactError(f"{manifest.name} cannot be loaded: {exc.message}", hint=_HINT) from exc


def shortest_context(header: GgufHeader) -> int:
    """Return the context length of a trial: enough for a word."""
    return min(_N_CTX, header.whole_number("context_length"))


def _try_planner(manifest: Manifest) -> None:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(manifest.folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={
                "HOME": home,
                "PATH": os.defpath,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            start_new_session=True,
        )
        try:
            code = process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired as exc:
            raise ArtifactError(f"{manifest.name} did not load in {_TIMEOUT_S:.0f} s", hint=_HINT) from exc
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        answer = output.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace")
    if code:
        reason = answer.strip() or f"the process that loaded it ended with {code}"
        raise ArtifactError(f"{manifest.name} cannot be loaded: {reason}", hint=_HINT)


def main(folder: Path) -> int:
    """Load the planner that the parent process asks for; say in a line why it cannot be."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prepare_environment()
    from dlcodegen_local.planner.planner import Planner

    try:
        Planner(folder, threads=1).plan("Classify images of birds", num_beams=1)
    except DlcodegenError as exc:
        print(exc.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
