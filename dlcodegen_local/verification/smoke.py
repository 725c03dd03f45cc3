"""Train, evaluate and predict with a project for a few steps, in the sandbox, on synthetic data.

A project passes when every stage ends without an error, its loss is finite, it saved something and
its prediction has the planned shape. What the run reports about itself is hostile input: it is
read with a size limit and judged here. Says nothing about how well a model learns.
"""

import json
import math
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlcodegen_local.config import OFFLINE_ENVIRONMENT
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.categories import DECODED
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import REQUIRED_FUNCTIONS
from dlcodegen_local.verification.report import Finding, SmokeResult
from dlcodegen_local.verification.sandbox import Limits, Sandbox, SandboxResult, interpreter_paths
from dlcodegen_local.verification.shapes import explain_shape, planned_shape
from dlcodegen_local.verification.smoke_driver import RESULT, WATCH

SMOKE_LIMITS = Limits()
SCRIPT_MODULE = "project"
_DRIVER = "_smoke_driver.py"
_MAX_RESULT_BYTES = 1 << 20
_MODULES = ("config", "model", "train", "evaluate", "predict")
_PROBE_TIMEOUT_S = 30
_FACTS = (
    *("stage", "train", "loss", "loss_history", "metrics"),
    *("prediction_shape", "parameters", "saved", "versions", "batch_losses", "history", "confusion"),
)
_SIGNAL_EXITS = (134, 137, 139)  # abort, kill, segmentation fault
_OUT_OF_MEMORY = re.compile(r"MemoryError|ResourceExhausted|OOM when|[Oo]ut of memory|can't allocate memory")
_ERROR_FACTS = ("file", "line", "code", "type", "message", "traceback")

CHILD_ENVIRONMENT: Mapping[str, str] = {
    **OFFLINE_ENVIRONMENT,
    "CUDA_VISIBLE_DEVICES": "",
    "KERAS_BACKEND": "tensorflow",
    "LANG": "C.UTF-8",
    "LOGNAME": "sandbox",
    "MKL_NUM_THREADS": "2",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads of torch that spin take the time of those that work
    "OPENBLAS_NUM_THREADS": "2",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTEROP_THREADS": "2",
    "TF_NUM_INTRAOP_THREADS": "2",
    "USER": "sandbox",
}


@dataclass(frozen=True)
class SmokeScale:
    """Say how little is enough."""

    samples: int = 16
    batch_size: int = 4
    epochs: int = 1

    def smallest(self) -> "SmokeScale":
        """Return the scale for what does not fit into memory: one item at a time, few of them."""
        return replace(self, samples=max(1, self.samples // 2), batch_size=1)


def smoke_run(
    source: str,
    *,
    python: Path,
    sandbox: Sandbox,
    plan: Plan | None,
    limits: Limits = SMOKE_LIMITS,
    scale: SmokeScale = SmokeScale(),
) -> SmokeResult:
    """Run a single-file source that follows the section contract, by the environment of `python`.

    Raises:
        SandboxError: the sandbox does not start.
        ConfigError: `python` is no interpreter.
    """
    functions = {name: SCRIPT_MODULE for names in REQUIRED_FUNCTIONS.values() for name in names}
    files = {f"{SCRIPT_MODULE}.py": source.encode("utf-8", "replace")}
    return _run(files, functions, python, sandbox, plan, (limits, scale))


def smoke_project(
    project: Path,
    *,
    python: Path,
    sandbox: Sandbox,
    plan: Plan | None,
    limits: Limits = SMOKE_LIMITS,
    scale: SmokeScale = SmokeScale(),
) -> SmokeResult:
    """Run a project folder (`config.py`, `train.py`, ...); only its Python files are shown to it.

    Raises:
        SandboxError: the sandbox does not start.
        ConfigError: `python` is no interpreter, or the folder holds no such project.
    """
    files = {path.name: path.read_bytes() for path in sorted(project.glob("*.py")) if path.is_file()}
    if missing := [f"{name}.py" for name in _MODULES if f"{name}.py" not in files]:
        reason = f"{project} is not a project: it lacks {', '.join(missing)}"
        raise ConfigError(reason, hint="give a folder made by `generate`")
    functions = {name: section for section in _MODULES for name in REQUIRED_FUNCTIONS[section]}
    return _run(files, functions, python, sandbox, plan, (limits, scale))


def smoke_findings(result: SmokeResult) -> tuple[Finding, ...]:
    """Return what a failed run found, placed at the line where the project failed."""
    if result.ok is not False:
        return ()
    error = result.facts.get("error", {})
    file, line = str(error.get("file") or f"{SCRIPT_MODULE}.py"), int(error.get("line") or 1)
    return (Finding(file, line, str(result.facts.get("rule", "smoke")), result.message),)


@lru_cache(maxsize=8)
def environment_paths(python: Path) -> tuple[Path, ...]:
    """Ask an interpreter which folders it needs.

    Raises:
        ConfigError: it does not answer.
    """
    question = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix]))"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", question],
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return interpreter_paths(*json.loads(answer.stdout))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        hint = "give the interpreter of an environment"
        raise ConfigError(f"{python} is not a working Python", hint=hint) from error


def _run(
    files: Mapping[str, bytes],
    functions: Mapping[str, str],
    python: Path,
    sandbox: Sandbox,
    plan: Plan | None,
    bounds: tuple[Limits, SmokeScale],
) -> SmokeResult:
    """Run once, and once more with single items where memory ended the first run."""
    limits, scale = bounds

    def attempt(scale: SmokeScale) -> tuple[SmokeResult, bool]:
        ended, facts = _run_driver(files, _request(files, functions, scale), python, sandbox, limits)
        return _judge(ended, facts, plan), _is_out_of_memory(ended, facts)

    result, out_of_memory = attempt(scale)
    if not out_of_memory or scale.batch_size == 1:
        return result
    again, _ = attempt(scale.smallest())
    note = f"out of memory with batches of {scale.batch_size}, tried again with batches of 1"
    return replace(again, seconds=result.seconds + again.seconds, message=f"{again.message} ({note})")


def _request(files: Mapping[str, bytes], functions: Mapping[str, str], scale: SmokeScale) -> dict[str, Any]:
    return {
        "files": sorted(files),
        "functions": dict(functions),
        "config_module": functions["parse_config"],
        "settings": {
            "synthetic": True,
            "synthetic_samples": scale.samples,
            "epochs": scale.epochs,
            "batch_size": scale.batch_size,
            "data_dir": "data",
            "output_dir": "outputs",
        },
    }


def _run_driver(
    files: Mapping[str, bytes], request: dict[str, Any], python: Path, sandbox: Sandbox, limits: Limits
) -> tuple[SandboxResult, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="dlcodegen-smoke-") as folder:
        work = Path(folder)
        for name, content in files.items():
            (work / name).write_bytes(content)
        (work / _DRIVER).write_bytes(Path(__file__).with_name("smoke_driver.py").read_bytes())
        (work / f"{WATCH}.py").write_bytes(Path(__file__).with_name("smoke_watch.py").read_bytes())
        (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
        result = sandbox.run(
            [str(python.absolute()), _DRIVER],
            workdir=work,
            limits=limits,
            env=CHILD_ENVIRONMENT,
            readable=environment_paths(python),
            returned=(RESULT,),
        )
        facts = _read_facts(work / RESULT)
    facts["sandbox"] = sandbox.name
    return result, facts


def _is_out_of_memory(result: SandboxResult, facts: dict[str, Any]) -> bool:
    """Tell an end for want of memory: at the limit, by a signal, or as an error of its own."""
    if result.stopped_by:
        return result.stopped_by == "memory"
    error = facts.get("error")
    if isinstance(error, dict):
        text = f"{error.get('type')} {error.get('message')}"
        return _OUT_OF_MEMORY.search(text) is not None
    return facts.get("ok") is not True and result.exit_code in _SIGNAL_EXITS


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_RESULT_BYTES:
            return {}
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _judge(result: SandboxResult, facts: dict[str, Any], plan: Plan | None) -> SmokeResult:
    """Turn what the run reports into a verdict; a report of another form than ours is a failure."""
    kept = {name: facts[name] for name in (*_FACTS, "sandbox") if name in facts}
    stage = str(facts.get("stage", "import"))[:20]
    failure = _failure(result, facts, kept, stage)
    note = ""
    if not failure:
        fits, note = _prediction_fits(facts, plan)
        if not fits:
            kept["rule"], failure = "prediction-shape", note
    if failure:
        kept.setdefault("rule", "smoke")
        return SmokeResult(False, result.seconds, failure, result.exit_code, kept)
    message = f"trained, evaluated and predicted; loss {facts['loss']:.4g}" + (f"; {note}" if note else "")
    return SmokeResult(True, result.seconds, message, result.exit_code, kept)


def _failure(result: SandboxResult, facts: dict[str, Any], kept: dict[str, Any], stage: str) -> str:
    if result.stopped_by:
        kept["rule"], kept["log"] = "smoke-limit", _tail(result)
        return f"{stage}: stopped at the limit on {result.stopped_by}"
    error = facts.get("error")
    if isinstance(error, dict):
        kept["error"] = {name: error.get(name) for name in _ERROR_FACTS}
        message = str(error.get("message"))
        kept["rule"] = "non-finite-loss" if "loss is not finite" in message else "smoke"
        kept["log"] = _tail(result)
        last = message.strip().splitlines()[-1] if message.strip() else "no message"
        place = f" ({error.get('file')}:{error.get('line')})" if error.get("file") else ""
        return f"{stage}: {error.get('type')}: {last[:400]}{place}"
    if result.exit_code != 0 or facts.get("ok") is not True:
        kept["log"] = _tail(result)
        return f"{stage}: ended with exit code {result.exit_code} and no result"
    loss = facts.get("loss")
    if not isinstance(loss, int | float) or not math.isfinite(loss):
        kept["rule"] = "non-finite-loss"
        return "train: the loss is not finite"
    return ""


def _prediction_fits(facts: dict[str, Any], plan: Plan | None) -> tuple[bool, str]:
    shape = facts.get("prediction_shape")
    if not isinstance(shape, list) or not shape or not all(isinstance(size, int) for size in shape):
        return False, "predict: no shape was reported"
    planned = planned_shape(plan.dataset_output) if plan is not None else None
    if planned is None:
        return True, ""
    fits, note = explain_shape(planned, tuple(shape[1:]), str(facts.get("prediction_kind", "f"))[:1])
    if not fits and plan is not None and plan.category in DECODED:
        return True, f"{note} (this task decodes what the network puts out)"
    return fits, note


def _tail(result: SandboxResult) -> str:
    return "\n".join((result.stdout[-2000:] + "\n" + result.stderr[-2000:]).strip().splitlines()[-20:])
