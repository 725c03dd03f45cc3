"""Load a checked model once, in a process of its own, before it is listed.

Guarantees that a model on which the native parser crashes, hangs or gives up is refused in one line. Says
nothing about how well it answers.
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

_TIMEOUT_S = 600.0
_MAX_ANSWER_BYTES = 4000
_N_CTX = 64
_HINT = "the copy was removed again; another file of this model may do"


def try_loading(manifest: Manifest) -> None:
    """Load a model and compute one step.

    Raises:
        ArtifactError: it cannot be loaded.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, manifest.kind, str(_place(manifest))],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={
                "HOME": home,
                "PATH": os.defpath,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "GGML_NO_BACKTRACE": "1",  # it would start a debugger
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


def _place(manifest: Manifest) -> Path:
    return manifest.folder if manifest.kind == "planner" else manifest.path_of(".gguf")


def main(kind: str, place: Path) -> int:
    """Load what the parent process asks for; say in a line why it cannot be."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prepare_environment()
    try:
        if kind == "planner":
            from dlcodegen_local.planner.planner import Planner

            Planner(place, threads=1).plan("Classify images of birds", num_beams=1)
        else:
            from dlcodegen_local.generation.native import NativeModel

            model = NativeModel(place, _N_CTX)
            model.decode([0], 0)
            model.logits(-1)
    except DlcodegenError as exc:
        print(exc.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
