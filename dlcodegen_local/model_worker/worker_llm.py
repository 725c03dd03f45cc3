"""A code model in a process of its own, behind the interface of every code model.

Guarantees that whatever a model file makes the native code do is one error: an `ArtifactError` while it
is loaded, a `GenerationError` afterwards, which costs the stage; the process is then started again for
the next call. An exception of a caller's own callback, an interrupt for one, ends the process at once.
The answers are those of `LlamaCppLLM` in this process, bit for bit.
"""

import dataclasses
import os
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from dlcodegen_local.config import model_environment
from dlcodegen_local.errors import (
    ArtifactError,
    ConfigError,
    DlcodegenError,
    GenerationError,
    ModelEndedError,
)
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.generation.llama_cpp_llm import describe_model
from dlcodegen_local.generation.llm import CodeLLM, Completion, ModelInfo, Progress, Prompt, Sampling
from dlcodegen_local.generation.memory import available_bytes, choose_context
from dlcodegen_local.generation.pace import NEW_MODEL, ModelCache, Pace, keep_pace, kept_pace
from dlcodegen_local.model_worker import values
from dlcodegen_local.model_worker.channel import Channel, ChannelEnded
from dlcodegen_local.model_worker.confinement import missing_walls
from dlcodegen_local.plain_text import plain

CHILD = (sys.executable, "-P", "-m", "dlcodegen_local.model_worker.child")
_COUNTED_TEXTS = 64
_MOST_ENDS_IN_A_ROW = 20
_SPARE_BYTES = 1 << 30
_MAX_REASON_CHARS = 300
_ERRORS = {kind.__name__: kind for kind in (ArtifactError, ConfigError, GenerationError)}

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Patience:
    """Bound waiting, in seconds: for the process itself, for loading, and between two signs of life.

    Loading takes `loading_s`, and the time to read the file at `bytes_per_s`; measuring a model that is
    new here takes `silence_s` at most.
    """

    start_s: float = 120.0
    loading_s: float = 60.0
    bytes_per_s: float = 10e6
    silence_s: float = 600.0


class WorkerLLM(CodeLLM):
    """Run a GGUF model in a confined process; see `confinement` for what that may do.

    With a `cache` the model is measured once a machine, as by `LlamaCppLLM`; what is measured is kept on
    this side. `gaps` says which walls this machine cannot give. `command` starts the process.

    Raises:
        ArtifactError: the file is no sound GGUF, cannot be loaded, or does not fit into memory.
        ConfigError: `n_ctx` is more than the model was trained for.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        n_ctx: int | None = None,
        n_threads: int | None = None,
        cache: ModelCache | None = None,
        patience: Patience | None = None,
        command: Sequence[str] = CHILD,
    ) -> None:
        file = Path(path)
        header = read_header(file)
        context = choose_context(header, n_ctx)
        self._patience = patience or Patience()
        self._command = command
        self._n_threads = n_threads
        self._ends_in_a_row = 0
        self._slot = _Slot(file)
        weakref.finalize(self, self._slot.close)
        self._pace: Pace | None = None
        self.gaps: tuple[str, ...] = ()
        self._counts: dict[str, int] = {}
        try:
            self._slot.channel = self._started()  # it imports its libraries while the file is hashed
            self._info = describe_model(file, header, context, cache)
            kept = kept_pace(self._info.sha256, n_threads, cache) if cache else None
            self._pace = self._loaded(self._slot.channel, kept, cache if kept is None else None)
        except ChannelEnded as exc:
            self._slot.close()
            raise ArtifactError(
                f"the model file made llama.cpp stop while it was loaded: {file} ({exc})",
                hint="the file is damaged, or not what it says: get it again, from a source you trust",
            ) from exc
        except BaseException:
            self._slot.close()
            raise
        if cache and kept is None:
            keep_pace(self._pace, self._info.sha256, n_threads, cache)
        self._info = dataclasses.replace(self._info, pace=self._pace.to_dict())

    @property
    def info(self) -> ModelInfo:
        """Describe the model."""
        return self._info

    def close(self) -> None:
        """End the process; nothing may be asked afterwards."""
        self._slot.close()

    def __enter__(self) -> "WorkerLLM":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, special tokens read as plain text.

        Raises:
            GenerationError: the process ended over it.
        """
        # Budgets count the same materials again and again.
        if text not in self._counts:
            count = self._ask({"do": "count", "text": text}, values.to_count)
            if len(self._counts) >= _COUNTED_TEXTS:
                del self._counts[next(iter(self._counts))]
            self._counts[text] = count
        return self._counts[text]

    def complete(
        self, prompt: Prompt, *, sampling: Sampling, on_progress: Callable[[Progress], None] | None = None
    ) -> Completion:
        """Answer a prompt; see `CodeLLM.complete`.

        Raises:
            GenerationError: as there, or the process ended over it.
        """
        request = {
            "do": "complete",
            "prompt": values.prompt_values(prompt),
            "sampling": values.sampling_values(sampling),
            "shown": on_progress is not None,
            "judge": values.judge_name(sampling),
        }
        return self._ask(request, values.to_completion, on_progress, sampling.is_hopeless)

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> tuple[float, ...]:
        """Return the mean log-probability per token of each candidate; see `CodeLLM.score`.

        Raises:
            GenerationError: as there, or the process ended over it.
        """
        request = {"do": "score", "prompt": values.prompt_values(prompt), "candidates": list(candidates)}
        return self._ask(request, lambda answer: values.to_scores(answer, len(candidates)))

    def _ask(
        self,
        request: dict[str, Any],
        read: Callable[[Any], T],
        on_progress: Callable[[Progress], None] | None = None,
        is_hopeless: Callable[[str], bool] | None = None,
    ) -> T:
        """Send a request, pass on what comes before its answer, and return the answer as `read` has it.

        A process that ends is asked once more: the answer is the same, whoever killed it.
        """
        for is_last in (False, True):
            try:
                channel = self._running()
                answer = self._conversation(channel, request, on_progress, is_hopeless)
                value = _checked(channel, read, answer)
            except ChannelEnded as exc:
                self._slot.end()
                self._ends_in_a_row += 1
                if is_last:
                    raise ModelEndedError(
                        f"the model's process ended ({exc})",
                        hint="the model file may be damaged: try another",
                    ) from exc
            except DlcodegenError:
                raise
            except BaseException:
                self._slot.end()  # it would go on with what nobody waits for
                raise
            else:
                break
        if request["do"] != "count":
            self._ends_in_a_row = 0
        return value

    def _conversation(
        self,
        channel: Channel,
        request: dict[str, Any],
        on_progress: Callable[[Progress], None] | None = None,
        is_hopeless: Callable[[str], bool] | None = None,
    ) -> Any:
        silence_s = self._patience.silence_s
        channel.send(request, silence_s)
        written = ""
        while True:
            message = channel.receive(silence_s)
            if "progress" in message and on_progress:
                on_progress(_checked(channel, values.to_progress, message["progress"]))
            elif "line" in message and is_hopeless:
                written += _checked(channel, values.to_text, message["line"])
                channel.send({"hopeless": is_hopeless(written)}, silence_s)
            elif "beat" not in message:
                return _outcome(channel, message)

    def _running(self) -> Channel:
        """Return the process, started again where it has ended.

        Raises:
            GenerationError: it ended too often, or cannot load the file any more.
        """
        if self._slot.channel is not None:
            return self._slot.channel
        if self._ends_in_a_row >= _MOST_ENDS_IN_A_ROW:
            raise GenerationError(
                f"the model's process ended {self._ends_in_a_row} times in a row and is left alone",
                hint="use another model",
            )
        try:
            self._slot.check_unchanged()
            channel = self._slot.channel = self._started()
            self._loaded(channel, self._pace, None)
        except ArtifactError as exc:
            self._slot.end()
            self._ends_in_a_row += 1
            raise ModelEndedError(exc.message, exc.hint) from exc
        return channel

    def _started(self) -> Channel:
        packages = [*map(os.path.abspath, filter(None, sys.path)), str(Path(__file__).resolve().parents[2])]
        environment = {**model_environment(), "PYTHONPATH": os.pathsep.join(dict.fromkeys(packages))}
        memory_bytes = available_bytes() + _SPARE_BYTES
        return Channel(self._command, environment, self._slot.descriptor, memory_bytes)

    def _loaded(self, channel: Channel, pace: Pace | None, cache: ModelCache | None) -> Pace:
        """Have the process load the model, and with a `cache` measure it; returns the pace it runs at."""
        self._await_start(channel)
        if cache is not None:
            cache.notify(NEW_MODEL)
        info = self._info
        request = {
            "do": "load",
            "path": str(info.path),
            "info": {**values.info_values(info), "n_params": info.n_params},
            "n_threads": self._n_threads,
            "pace": pace.to_dict() if pace else None,
            "measured": cache is not None,
        }
        patience = self._patience
        timeout_s = patience.loading_s + info.size_bytes / patience.bytes_per_s
        deadline = time.monotonic() + timeout_s + (patience.silence_s if cache else 0.0)
        channel.send(request, timeout_s)
        while "beat" in (message := channel.receive(max(deadline - time.monotonic(), 0.0))):
            continue
        return _checked(channel, Pace.from_dict, _outcome(channel, message))

    def _await_start(self, channel: Channel) -> None:
        """Wait until the process has closed its walls, and note those that it could not."""
        try:
            message = channel.receive(self._patience.start_s)
        except ChannelEnded as exc:
            raise ArtifactError(
                f"the process for the model does not start ({exc})", hint="see: dlcodegen doctor"
            ) from exc
        if "missing" in message:
            raise ImportError(str(message["missing"]), name=str(message["missing"]))
        walls = message.get("ready")
        if not isinstance(walls, dict):
            _outcome(channel, message)  # raises what it says
            raise channel.broken()
        self.gaps = missing_walls(bool(walls.get("landlock")), bool(walls.get("sealed")))


def try_load(path: Path | str, n_ctx: int | None = None, patience: Patience | None = None) -> None:
    """Load a model in a process of its own, have it compute, and end that again: a trial of a file.

    Raises:
        ArtifactError: as `WorkerLLM`, or it cannot compute.
        ConfigError: as `WorkerLLM`.
    """
    with WorkerLLM(path, n_ctx=n_ctx, patience=patience) as llm:
        try:
            llm.score(Prompt("", "x"), ["x"])
        except GenerationError as exc:
            raise ArtifactError(f"{path} loads but does not compute: {exc.message}", exc.hint) from exc


class _Slot:
    """Hold the model's open file, and the process that works with it, if one does."""

    def __init__(self, file: Path) -> None:
        try:
            self.descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise ArtifactError(f"{file} cannot be read: {exc.strerror}", hint="check the path") from exc
        self.channel: Channel | None = None
        self._state = self._look()

    def check_unchanged(self) -> None:
        """Raise ArtifactError where the file was written to since it was opened."""
        if self._look() != self._state:
            raise ArtifactError("the model file changed while it was in use", hint="run the command again")

    def end(self) -> None:
        """End the process; the file stays open for the next one."""
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """End the process and close the file; a second call does nothing."""
        self.end()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _look(self) -> tuple[int, int]:
        found = os.fstat(self.descriptor)
        return found.st_size, found.st_mtime_ns


def _checked(channel: Channel, read: Callable[[Any], T], value: Any) -> T:
    """Return what `read` makes of a value; a process that sends another is ended."""
    try:
        return read(value)
    except ValueError as exc:
        raise channel.broken() from exc


def _outcome(channel: Channel, message: dict[str, Any]) -> Any:
    """Return the answer in a message, or raise the error."""
    if "answer" in message:
        return message["answer"]
    error = message.get("error")
    if isinstance(error, list) and len(error) == 3 and all(isinstance(text, str) for text in error):
        kind, reason, hint = (plain(text[:_MAX_REASON_CHARS]) for text in error)
        raise _ERRORS.get(kind, GenerationError)(reason, hint)
    if isinstance(failure := message.get("failed"), str):
        channel.close()
        raise ChannelEnded(plain(failure[:_MAX_REASON_CHARS]))
    raise channel.broken()
