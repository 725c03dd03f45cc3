"""What the pipeline asks of a code model: the protocol and the values that go in and out.

Guarantees nothing about any model; `llama_cpp_llm` is the adapter to a GGUF. A fake for tests is a
class that implements `CodeLLM`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "repetition", "broken"]
ProgressKind = Literal["reading", "writing"]


@dataclass(frozen=True)
class ModelInfo:
    """Describe a loaded model. `n_params` is None where the file does not say.

    `pace` holds what the speed of this machine decided and an answer may depend on, as JSON: threads,
    tokens read at once, and the calibration of drafts.
    """

    name: str
    path: Path
    sha256: str
    n_ctx: int
    n_params: int | None
    chat_format: str
    size_bytes: int
    pace: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """Hold one request. The answer of the model continues `assistant_prefix`."""

    system: str
    user: str
    assistant_prefix: str = ""


@dataclass(frozen=True)
class Sampling:
    """Say how to write. Temperature 0 takes the likeliest token; `min_p` is in [0, 1).

    Writing ends before the first text of `stop`, or after `max_tokens`, or as soon as `is_hopeless`,
    which is asked after every line, says so of the text.
    """

    max_tokens: int = 1024
    temperature: float = 0.0
    min_p: float = 0.05
    seed: int = 0
    stop: tuple[str, ...] = ()
    is_hopeless: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class Progress:
    """Report how far a call is; `total` is an upper bound while writing."""

    kind: ProgressKind
    tokens: int
    total: int
    tokens_per_second: float
    seconds_left: float
    text: str = ""


@dataclass(frozen=True)
class Completion:
    """Hold an answer, without `assistant_prefix`, and what it cost.

    `prompt_tokens` counts the whole prompt, `cached_tokens` the part of it that was not read again,
    `drafted_tokens` what was tried ahead of the answer, `accepted_tokens` what of it came true.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    prompt_seconds: float = 0.0
    completion_seconds: float = 0.0
    cached_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


class CodeLLM(Protocol):
    """A code model that completes prompts and says how likely given answers are."""

    @property
    def info(self) -> ModelInfo:
        """Describe the model."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, without any marker of the prompt format."""
        ...

    def complete(
        self, prompt: Prompt, *, sampling: Sampling, on_progress: Callable[[Progress], None] | None = None
    ) -> Completion:
        """Answer a prompt.

        Raises:
            GenerationError: prompt and answer do not fit into the context.
        """
        ...

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> tuple[float, ...]:
        """Return the mean log-probability per token of each candidate as the answer.

        An empty candidate scores -inf.

        Raises:
            GenerationError: the prompt and a candidate do not fit into the context.
        """
        ...
