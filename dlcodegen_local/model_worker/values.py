"""The values of `generation.llm` as JSON, and back.

Guarantees that what comes back from the model's process has the types and ranges that the pipeline
relies on, or is a ValueError: the process may be in the hands of a hostile file.
"""

import dataclasses
import math
from typing import Any

from dlcodegen_local.generation.extraction import is_pointless
from dlcodegen_local.generation.llm import Completion, ModelInfo, Progress, Prompt, Sampling
from dlcodegen_local.generation.syntax import is_broken_start

# What the stages ask of every line is answered in the model's process, where a text that is too much
# for the parser costs no more than the answer; only another `is_hopeless` is asked over the pipe.
JUDGES = {judge.__name__: judge for judge in (is_broken_start, is_pointless)}
_LARGEST = 1 << 53
_FINISH_REASONS = ("stop", "length", "repetition", "broken")
_PROGRESS_KINDS = ("reading", "writing")


def prompt_values(prompt: Prompt) -> list[str]:
    """Return a prompt as JSON; `Prompt(*values)` makes it again."""
    return [prompt.system, prompt.user, prompt.assistant_prefix]


def sampling_values(sampling: Sampling) -> dict[str, Any]:
    """Return all of a sampling but its `is_hopeless`, which is asked on this side."""
    names = (field.name for field in dataclasses.fields(sampling) if field.name != "is_hopeless")
    return {name: getattr(sampling, name) for name in names}


def judge_name(sampling: Sampling) -> str | None:
    """Return who says that a text is hopeless: nobody, one of `JUDGES`, or "caller"."""
    judge = sampling.is_hopeless
    if judge is None:
        return None
    return next((name for name, known in JUDGES.items() if known is judge), "caller")


def info_values(info: ModelInfo) -> dict[str, Any]:
    """Return what the child has to know of the model."""
    return {"name": info.name, "sha256": info.sha256, "n_ctx": info.n_ctx, "chat_format": info.chat_format}


def progress_values(progress: Progress) -> list[Any]:
    """Return a progress as JSON."""
    return list(dataclasses.astuple(progress))


def to_progress(values: Any) -> Progress:
    """Check a progress."""
    kind, tokens, total, speed, left, text = _list(values, 6)
    if kind not in _PROGRESS_KINDS:
        raise ValueError("no kind of progress")
    return Progress(kind, _count(tokens), _count(total), _amount(speed), _amount(left), to_text(text))


def to_completion(values: Any) -> Completion:
    """Check a completion."""
    names = [field.name for field in dataclasses.fields(Completion)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise ValueError("no completion")
    if values["finish_reason"] not in _FINISH_REASONS:
        raise ValueError("no reason to finish")
    checked: dict[str, Any] = {
        name: _amount(values[name]) if name.endswith("_seconds") else _count(values[name])
        for name in names
        if name not in ("text", "finish_reason")
    }
    return Completion(text=to_text(values["text"]), finish_reason=values["finish_reason"], **checked)


def to_scores(values: Any, count: int) -> tuple[float, ...]:
    """Check mean log-probabilities of `count` candidates; -inf is one."""
    scores = _list(values, count)
    if not all(isinstance(score, float) and not math.isnan(score) and score < math.inf for score in scores):
        raise ValueError("no scores")
    return tuple(scores)


def to_count(values: Any) -> int:
    """Check a number of tokens."""
    return _count(values)


def to_text(value: Any) -> str:
    """Check a text, half characters refused."""
    if not isinstance(value, str):
        raise ValueError("no text")
    value.encode()  # UnicodeEncodeError is a ValueError
    return value


def _list(values: Any, length: int) -> list[Any]:
    if not isinstance(values, list) or len(values) != length:
        raise ValueError("no list of the right length")
    return values


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise ValueError("no count")
    return value


def _amount(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < _LARGEST:
        raise ValueError("no amount")
    return float(value)
