"""The adapter to a GGUF code model.

Guarantees that the header was checked before the native parser sees a file, that the model's own chat
template never runs, and that the same prompt, sampling and pace give the same answer whatever was
asked before: a prompt is read in chunks that start at fixed positions, and of the previous prompt
only whole chunks are kept.

Differs: sampling is done in numpy on the logits, so that it depends on our seed alone.
"""

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.chat import format_named, render
from dlcodegen_local.generation.chat_template import find_format
from dlcodegen_local.generation.decoding import TextStream, TokenChooser
from dlcodegen_local.generation.gguf_header import GgufHeader, read_header
from dlcodegen_local.generation.llm import Completion, FinishReason, ModelInfo, Progress, Prompt, Sampling
from dlcodegen_local.generation.lookup import Choose, LookupWriter
from dlcodegen_local.generation.memory import choose_context
from dlcodegen_local.generation.native import NativeModel
from dlcodegen_local.generation.pace import ModelCache, Pace, default_pace, find_pace
from dlcodegen_local.generation.scoring import ChunkScorer
from dlcodegen_local.hash_cache import known_sha256
from dlcodegen_local.plain_text import plain

OnProgress = Callable[[Progress], None]
_COUNTED_TEXTS = 64


class LoadedLLM:
    """Answer with a native model that is loaded already; `info` says what it is, but not its pace."""

    def __init__(self, native: NativeModel, info: ModelInfo, pace: Pace, seed: int = 0) -> None:
        self._native = native
        self._pace = pace
        self._seed = seed
        self._info = replace(info, pace=pace.to_dict())
        self._read_tokens: list[int] = []
        # Budgets count the same materials again and again.
        self._tokens_of = lru_cache(_COUNTED_TEXTS)(partial(native.tokenize, special=False))
        native.set_threads(*pace.threads)

    @property
    def info(self) -> ModelInfo:
        """Describe the model."""
        return self._info

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, special tokens read as plain text."""
        return len(self._tokens_of(text))

    def complete(
        self, prompt: Prompt, *, sampling: Sampling, on_progress: OnProgress | None = None
    ) -> Completion:
        """Answer a prompt; see `CodeLLM.complete`."""
        input_ids = self._input_ids(prompt)
        max_tokens = min(sampling.max_tokens, self._info.n_ctx - len(input_ids))
        if max_tokens < 1:
            raise GenerationError(
                f"the prompt has {len(input_ids)} tokens, the context of {self._info.name} "
                f"{self._info.n_ctx}",
                hint="use a model with a longer context",
            )
        start = time.monotonic()
        cached = self._read(input_ids, on_progress)
        middle = time.monotonic()
        stop = (*sampling.stop, *format_named(self._info.chat_format).stop)
        stream = TextStream(stop, sampling.is_hopeless)
        writer = LookupWriter(self._native, input_ids, self.chooser(sampling), self._pace.steps)
        written = 0
        for written, token in enumerate(writer.tokens(max_tokens), start=1):
            added = stream.add(self._native.piece(token))
            if on_progress is not None:
                on_progress(_progress("writing", written, max_tokens, middle, added))
            if stream.finish_reason:
                break
        reason: FinishReason = stream.finish_reason or ("length" if written == max_tokens else "stop")
        end = time.monotonic()
        return Completion(
            stream.text,
            reason,
            len(input_ids),
            written,
            middle - start,
            end - middle,
            cached,
            writer.drafted_tokens,
            writer.accepted_tokens,
        )

    def chooser(self, sampling: Sampling) -> Choose:
        """Return what chooses the tokens of one answer; a subclass may force a text."""
        return TokenChooser(sampling, self._seed)

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> tuple[float, ...]:
        """Return the mean log-probability per token of each candidate; see `CodeLLM.score`."""
        input_ids = self._input_ids(prompt)
        answers = [self._native.tokenize(text, special=False, after_line=True) for text in candidates]
        longest = len(input_ids) + max((len(answer) for answer in answers), default=0)
        if longest > self._info.n_ctx:
            raise GenerationError(
                f"the prompt and a candidate have {longest} tokens, the context {self._info.n_ctx}",
                hint="use a model with a longer context",
            )
        self._read(input_ids, None)
        scorer = ChunkScorer(
            self._native, len(input_ids), self._pace.chunk_tokens, lambda: self._read_anew(input_ids)
        )
        return tuple(scorer.score(answer) for answer in answers)

    def _input_ids(self, prompt: Prompt) -> list[int]:
        ids = self._native.start_tokens()
        for index, piece in enumerate(render(prompt, self._info.chat_format)):
            ids += self._native.tokenize(piece.text, special=piece.is_marker, after_line=index > 0)
        return ids

    def _read_anew(self, input_ids: list[int]) -> None:
        self._read_tokens = []
        self._read(input_ids, None)

    def _read(self, input_ids: list[int], on_progress: OnProgress | None) -> int:
        """Read a prompt so that the logits of its end are there; returns the tokens not read again."""
        shared = 0
        for mine, theirs in zip(input_ids, self._read_tokens, strict=False):
            if mine != theirs:
                break
            shared += 1
        kept = min(shared, len(input_ids) - 1) // self._pace.chunk_tokens * self._pace.chunk_tokens
        if not self._native.forget(kept):
            kept = 0
            self._native.forget(0)
        self._read_tokens = input_ids[:kept]
        start = time.monotonic()
        for at in range(kept, len(input_ids), self._pace.chunk_tokens):
            chunk = input_ids[at : at + self._pace.chunk_tokens]
            self._native.decode(chunk, at)
            self._read_tokens += chunk
            if on_progress is not None:
                done = at + len(chunk) - kept
                on_progress(_progress("reading", done, len(input_ids) - kept, start))
        return kept


class LlamaCppLLM(LoadedLLM):
    """Load a GGUF model into this process and run it on the CPU.

    A fault of the native code ends the process: commands load a model through `model_worker`. With a
    `cache` the model is measured on this machine, once, and runs by what was found: the threads, unless
    `n_threads` gives them, and drafts of what the answer repeats. `pace` replaces the measurement.
    Without both it writes token by token.

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
        seed: int = 0,
        cache: ModelCache | None = None,
        pace: Pace | None = None,
    ) -> None:
        file = Path(path)
        header = read_header(file)
        info = describe_model(file, header, choose_context(header, n_ctx), cache)
        native = NativeModel(file, info.n_ctx)
        weakref.finalize(self, native.close)
        chosen = pace or default_pace(header.n_params, n_threads)
        if pace is None and cache is not None:
            chosen = find_pace(native, info.sha256, chosen, n_threads, cache)
        super().__init__(native, info, chosen, seed)

    def close(self) -> None:
        """Give the memory of the model back; nothing may be asked afterwards."""
        self._native.close()

    def __enter__(self) -> "LlamaCppLLM":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def describe_model(file: Path, header: GgufHeader, n_ctx: int, cache: ModelCache | None) -> ModelInfo:
    """Return what a file says of its model, without loading it: hash and prompt format, no pace.

    Raises:
        ArtifactError: the file cannot be read.
    """
    return ModelInfo(
        name=plain(str(header.metadata.get("general.name") or file.stem)),
        path=file,
        sha256=known_sha256(file, cache.folder) if cache else sha256_of(file),
        n_ctx=n_ctx,
        n_params=header.n_params,
        chat_format=find_format(file, header, cache.folder / "templates" if cache else None).name,
        size_bytes=header.size_bytes,
    )


def _progress(kind: Any, done: int, total: int, start: float, text: str = "") -> Progress:
    seconds = time.monotonic() - start
    speed = done / seconds if seconds > 0 else 0.0
    return Progress(kind, done, total, speed, (total - done) / speed if speed else 0.0, text)
