"""Run one project for a few steps and write down what happened. Runs inside the sandbox.

Uses the standard library and numpy; imports nothing of ours but `smoke_watch`, which lies beside it.
`request.json` says where the functions are; `result.json` is written anew at every stage, so that a
killed run says how far it came. Nothing in it is trusted by the reader.
"""

import contextlib
import dataclasses
import importlib
import json
import math
import os
import platform
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

RESULT = "result.json"
WATCH = "_smoke_watch"
_MAX_TEXT_CHARS = 2000
_MAX_ENTRIES = 64


class CheckFailed(Exception):
    """Say that a function of the project returned something it may not return."""


def main() -> int:
    """Run the stages in order. Returns 0, or 1 where one of them failed."""
    request = json.loads(Path("request.json").read_text(encoding="utf-8"))
    socket.has_ipv6 = False  # else urllib3, which keras imports, opens a socket when it loads
    facts: dict[str, Any] = {"ok": False, "stage": "import"}
    _write(facts)
    try:
        _run(request, facts)
        facts["ok"] = True
    except (Exception, SystemExit) as error:
        facts["error"] = _describe(error, tuple(request["files"]))
    _write(facts)
    return 0 if facts["ok"] else 1


def _run(request: dict[str, Any], facts: dict[str, Any]) -> None:
    functions = {}
    for name, module in request["functions"].items():
        functions[name] = getattr(importlib.import_module(module), name)
    config_class = getattr(importlib.import_module(request["config_module"]), "Config", None)
    config = functions["parse_config"](_arguments(config_class, request["settings"]))
    facts["versions"] = _versions()
    watching = importlib.import_module(WATCH)
    watch = watching.Watch(sys.modules)
    _enter("train", facts)
    try:
        measures = functions["train"](config)
    finally:
        facts.update(watch.facts())
    _check_train(measures, facts)
    _check_saved(config, facts)
    _enter("evaluate", facts)
    facts["metrics"] = _numbers(functions["evaluate"](config), "evaluate")
    if not facts["metrics"]:
        raise CheckFailed("evaluate returned no number")
    _enter("predict", facts)
    prediction = functions["predict"](config)
    _check_prediction(prediction, facts)
    _enter("model", facts)
    facts["parameters"] = _count_parameters(functions["build_model"](config))
    with contextlib.suppress(Exception, SystemExit):  # a look that fails fails nothing
        load_data = functions.get("load_data") or importlib.import_module("data").load_data
        confusion = watching.count_confusion(prediction, load_data(config), facts["metrics"])
        facts.update({"confusion": confusion} if confusion else {})
    facts["versions"] = _versions()  # again: what was imported late counts as well
    facts["stage"] = "done"


def _enter(stage: str, facts: dict[str, Any]) -> None:
    facts["stage"] = stage
    _write(facts)


def _arguments(config_class: Any, settings: dict[str, Any]) -> list[str]:
    """Return the command line of the settings that the project knows."""
    known = {field.name for field in dataclasses.fields(config_class)} if config_class else set(settings)
    arguments = []
    for name, setting in settings.items():
        if name in known:
            option = "--" + name.replace("_", "-")
            arguments += [option] if setting is True else [option, str(setting)]
    return arguments


def _check_train(measures: Any, facts: dict[str, Any]) -> None:
    if isinstance(measures, dict) and isinstance(measures.get("loss_history"), list | tuple):
        facts["loss_history"] = [float(loss) for loss in measures["loss_history"][:1000]]
        measures = {name: value for name, value in measures.items() if name != "loss_history"}
    facts["train"] = _numbers(measures, "train")
    if "loss" not in facts["train"]:
        raise CheckFailed("train returned no loss")
    facts["loss"] = facts["train"]["loss"]
    if not math.isfinite(facts["loss"]):
        raise CheckFailed(f"the loss is not finite: {facts['loss']}")


def _check_saved(config: Any, facts: dict[str, Any]) -> None:
    output = Path(getattr(config, "output_dir", "outputs"))
    facts["saved"] = sorted(path.name for path in output.rglob("*") if path.is_file())[:_MAX_ENTRIES]
    if not facts["saved"]:
        raise CheckFailed("train saved no file in output_dir")


def _numbers(measures: Any, function: str) -> dict[str, float]:
    if not isinstance(measures, dict):
        raise CheckFailed(f"{function} returned {type(measures).__name__}, not a dict")
    numbers = {}
    for name, value in list(measures.items())[:_MAX_ENTRIES]:
        try:
            numbers[str(name)[:100]] = float(value)
        except (TypeError, ValueError):
            continue
    if function == "evaluate" and (bad := [name for name, n in numbers.items() if not math.isfinite(n)]):
        raise CheckFailed(f"evaluate returned numbers that are not finite: {', '.join(bad)}")
    return numbers


def _check_prediction(prediction: Any, facts: dict[str, Any]) -> None:
    import numpy as np

    array = np.asarray(prediction)
    facts["prediction_shape"] = list(array.shape)
    facts["prediction_kind"] = array.dtype.kind
    if array.ndim == 0 or array.shape[0] == 0:
        raise CheckFailed(f"predict returned nothing: shape {array.shape}")
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise CheckFailed("predict returned numbers that are not finite")


def _count_parameters(model: Any) -> int | None:
    """Return the number of weights of a model, or of all models in a tuple or dict; None if unknown."""
    parts = list(model.values()) if isinstance(model, dict) else model
    if isinstance(parts, list | tuple):
        counts = [_count_parameters(part) for part in parts]
        return sum(count for count in counts if count is not None) if any(counts) else None
    try:
        if hasattr(model, "count_params"):
            return int(model.count_params())
        if callable(getattr(model, "parameters", None)):
            return sum(int(weight.numel()) for weight in model.parameters())
    except (ValueError, AttributeError, TypeError):  # a model that was never called has no weights yet
        return None
    return None


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("keras", "numpy", "tensorflow", "torch"):
        if (module := sys.modules.get(name)) is not None:
            versions[name] = str(getattr(module, "__version__", ""))[:40]
    return versions


def _describe(error: BaseException, files: tuple[str, ...]) -> dict[str, Any]:
    place = {"file": "", "line": 0, "code": ""}
    if isinstance(error, SyntaxError) and error.filename:
        name = os.path.basename(error.filename)
        place = {"file": name, "line": error.lineno or 0, "code": error.text or ""}
    for frame in traceback.extract_tb(error.__traceback__):
        if os.path.basename(frame.filename) in files:
            place = {"file": os.path.basename(frame.filename), "line": frame.lineno, "code": frame.line or ""}
    text = str(error).replace(os.getcwd(), ".")
    return {
        **place,
        "type": type(error).__name__,
        "message": text[:_MAX_TEXT_CHARS],
        "traceback": "".join(traceback.format_exception(error)).replace(os.getcwd(), ".")[-_MAX_TEXT_CHARS:],
    }


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; numbers that are not finite become texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _write(facts: dict[str, Any]) -> None:
    temporary = Path(RESULT + ".new")
    temporary.write_text(json.dumps(_plain(facts)), encoding="utf-8")
    temporary.replace(RESULT)


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of the framework must not keep a finished run alive
