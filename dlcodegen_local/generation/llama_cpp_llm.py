"""The adapter to a GGUF code model; the only module that imports llama_cpp.

Guarantees that the header was checked before the native parser sees a file, that nothing native
writes to stderr, that the model's own chat template never runs, and that the same prompt, sampling
and threads give the same answer whatever was asked before: a prompt is read in chunks that start at
fixed positions, and of the previous prompt only whole chunks are kept. Does not protect from faults
of the native code itself.

Differs: sampling is done in numpy on the logits, so that it depends on our seed alone.
"""

import ctypes
import functools
import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.errors import ArtifactError, GenerationError
from dlcodegen_local.generation.chat import format_named, render
from dlcodegen_local.generation.chat_template import find_format
from dlcodegen_local.generation.decoding import TextStream, choose_token, log_softmax
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.generation.llm import Completion, FinishReason, ModelInfo, Progress, Prompt, Sampling
from dlcodegen_local.generation.memory import choose_context

OnProgress = Callable[[Progress], None]
_SENTENCEPIECE = 1
_MAX_PIECE_BYTES = 4096


class LlamaCppLLM:
    """Run a GGUF model on the CPU.

    Raises:
        ArtifactError: the file is no sound GGUF, cannot be loaded, or does not fit into memory.
        ConfigError: `n_ctx` is more than the model was trained for.
    """

    def __init__(
        self, path: Path | str, *, n_ctx: int | None = None, n_threads: int | None = None, seed: int = 0
    ) -> None:
        file = Path(path)
        header = read_header(file)
        choice = choose_context(header, n_ctx)
        self._seed = seed
        self._chunk = _chunk_tokens(header.n_params)
        self._native = _Native(file, choice, self._chunk, _threads(header.n_params, n_threads))
        weakref.finalize(self, self._native.close)
        self._info = ModelInfo(
            name=str(header.metadata.get("general.name") or file.stem),
            path=file,
            sha256=sha256_of(file),
            n_ctx=choice,
            n_params=header.n_params,
            chat_format=find_format(file, header).name,
            size_bytes=header.size_bytes,
        )
        self._read_tokens: list[int] = []

    @property
    def info(self) -> ModelInfo:
        """Describe the model."""
        return self._info

    def close(self) -> None:
        """Give the memory of the model back; nothing may be asked afterwards."""
        self._native.close()

    def __enter__(self) -> "LlamaCppLLM":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, special tokens read as plain text."""
        return len(self._native.tokenize(text, special=False)) if text else 0

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
        written = 0
        for written, piece in enumerate(self._write(len(input_ids), max_tokens, sampling), start=1):
            added = stream.add(piece)
            if on_progress is not None:
                on_progress(_progress("writing", written, max_tokens, middle, added))
            if stream.finish_reason:
                break
        reason: FinishReason = stream.finish_reason or ("length" if written == max_tokens else "stop")
        end = time.monotonic()
        return Completion(stream.text, reason, len(input_ids), written, middle - start, end - middle, cached)

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
        first = log_softmax(self._native.logits(-1))
        scores: list[float] = []
        for answer in answers:
            if not answer:
                scores.append(-np.inf)
                continue
            log_probs = [float(first[answer[0]])]
            if not self._native.forget(len(input_ids)):
                self._read_tokens = []
                self._read(input_ids, None)
            for at in range(0, len(answer) - 1, self._chunk):
                chunk = answer[at : min(at + self._chunk, len(answer) - 1)]
                self._native.decode(chunk, len(input_ids) + at, all_logits=True)
                targets = answer[at + 1 : at + 1 + len(chunk)]
                log_probs += [
                    float(log_softmax(self._native.logits(i))[target]) for i, target in enumerate(targets)
                ]
            scores.append(sum(log_probs) / len(log_probs))
        return tuple(scores)

    def _input_ids(self, prompt: Prompt) -> list[int]:
        ids = self._native.start_tokens()
        for index, piece in enumerate(render(prompt, self._info.chat_format)):
            ids += self._native.tokenize(piece.text, special=piece.is_marker, after_line=index > 0)
        return ids

    def _read(self, input_ids: list[int], on_progress: OnProgress | None) -> int:
        """Read a prompt so that the logits of its end are there; returns the tokens not read again."""
        shared = 0
        for mine, theirs in zip(input_ids, self._read_tokens, strict=False):
            if mine != theirs:
                break
            shared += 1
        kept = min(shared, len(input_ids) - 1) // self._chunk * self._chunk
        if not self._native.forget(kept):
            kept = 0
            self._native.forget(0)
        self._read_tokens = input_ids[:kept]
        start = time.monotonic()
        for at in range(kept, len(input_ids), self._chunk):
            chunk = input_ids[at : at + self._chunk]
            self._native.decode(chunk, at)
            self._read_tokens += chunk
            if on_progress is not None:
                done = at + len(chunk) - kept
                on_progress(_progress("reading", done, len(input_ids) - kept, start))
        return kept

    def _write(self, position: int, max_tokens: int, sampling: Sampling) -> Iterator[bytes]:
        rng = np.random.default_rng([self._seed & 0xFFFFFFFF, sampling.seed & 0xFFFFFFFF])
        for index in range(max_tokens):
            token = choose_token(self._native.logits(-1), sampling, rng)
            if self._native.is_end(token):
                return
            yield self._native.piece(token)
            if index + 1 < max_tokens:
                self._native.decode([token], position + index)


def _progress(kind: Any, done: int, total: int, start: float, text: str = "") -> Progress:
    seconds = time.monotonic() - start
    speed = done / seconds if seconds > 0 else 0.0
    return Progress(kind, done, total, speed, (total - done) / speed if speed else 0.0, text)


def _chunk_tokens(n_params: int) -> int:
    """Return how many tokens are read at once: about a second of a slow machine, for Ctrl-C."""
    if n_params < 500_000_000:
        return 256
    return 128 if n_params < 2_000_000_000 else 64


def _threads(n_params: int, n_threads: int | None) -> tuple[int, int]:
    """Return how many threads write and read.

    Under 50 million weights one works alone: waiting for each other takes longer than the work.
    """
    if n_threads:
        return n_threads, n_threads
    cores = len(os.sched_getaffinity(0))
    return (1, 1) if n_params < 50_000_000 else (cores, cores)


class _Native:
    """Own the native model, its context and one batch; the single place with ctypes."""

    def __init__(self, path: Path, n_ctx: int, n_batch: int, threads: tuple[int, int]) -> None:
        import llama_cpp

        self._api: Any = llama_cpp
        self._open = False
        llama_cpp.llama_log_set(_silent_log(), ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        if not self._model:
            raise ArtifactError(
                f"{path} is not a model that llama.cpp can load", hint="check that the file is complete"
            )
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, n_batch
        params.no_perf = False
        params.n_threads, params.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            llama_cpp.llama_model_free(self._model)
            raise ArtifactError(f"{path}: no memory for a context of {n_ctx} tokens", hint="lower n_ctx")
        self._open = True
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._n_vocab = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._is_sentencepiece = llama_cpp.llama_vocab_type(self._vocab) == _SENTENCEPIECE
        self._batch = llama_cpp.llama_batch_init(n_batch, 0, 1)
        self._buffer = ctypes.create_string_buffer(_MAX_PIECE_BYTES)

    def close(self) -> None:
        """Free batch, context and model, in this order; a second call does nothing."""
        if self._open:
            self._open = False
            self._api.llama_batch_free(self._batch)
            self._api.llama_free(self._context)
            self._api.llama_model_free(self._model)

    def start_tokens(self) -> list[int]:
        """Return the token that the model wants before every prompt, if it wants one."""
        bos = int(self._api.llama_vocab_bos(self._vocab))
        return [bos] if self._api.llama_vocab_get_add_bos(self._vocab) and bos >= 0 else []

    def tokenize(self, text: str, *, special: bool, after_line: bool = False) -> list[int]:
        """Return the tokens of a text. `after_line` keeps SentencePiece from putting a blank before it."""
        if not text:
            return []
        if after_line and self._is_sentencepiece:
            line = self._tokenize("\n", False)
            return self._tokenize("\n" + text, special)[len(line) :]
        return self._tokenize(text, special)

    def _tokenize(self, text: str, special: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        size = len(raw) + 8
        tokens = (self._api.llama_token * size)()
        count = self._api.llama_tokenize(self._vocab, raw, len(raw), tokens, size, False, special)
        if count < 0:
            raise GenerationError("the model's tokenizer refused a text", hint="use another model")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token, perhaps part of a character; none for a special token."""
        length = self._api.llama_token_to_piece(self._vocab, token, self._buffer, _MAX_PIECE_BYTES, 0, False)
        return self._buffer.raw[:length] if length > 0 else b""

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends the answer, by the model's own vocabulary."""
        return bool(self._api.llama_vocab_is_eog(self._vocab, token))

    def forget(self, position: int) -> bool:
        """Drop every position from `position` on; False where this architecture cannot."""
        if position == 0:
            self._api.llama_memory_clear(self._memory, False)
            return True
        return bool(self._api.llama_memory_seq_rm(self._memory, 0, position, -1))

    def decode(self, tokens: Sequence[int], position: int, *, all_logits: bool = False) -> None:
        """Run the model over tokens that start at a position; logits of the last, or of all."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = all_logits or i == len(tokens) - 1
        code = self._api.llama_decode(self._context, batch)
        if code:
            raise GenerationError(
                f"llama.cpp could not go on at token {position + len(tokens)} (code {code})",
                hint="use a model with a longer context",
            )

    def logits(self, index: int) -> NDArray[np.float32]:
        """Return the logits `(vocabulary,)` of a position of the last batch; -1 is its last one."""
        pointer = self._api.llama_get_logits_ith(self._context, index)
        logits = np.ctypeslib.as_array(pointer, shape=(self._n_vocab,))
        if not np.isfinite(logits.max()):
            raise GenerationError("the model computes no numbers", hint="its file may be damaged")
        return logits

    def milliseconds(self) -> tuple[float, float]:
        """Return what llama.cpp reports for reading and for writing, since the model was loaded."""
        figures = self._api.llama_perf_context(self._context)
        return float(figures.t_p_eval_ms), float(figures.t_eval_ms)


@functools.cache
def _silent_log() -> Any:
    """Return a log callback that drops everything; the cache keeps it alive for the native side.

    It is a C function that reads no argument: an interrupt that falls into a Python callback is lost.
    """
    import llama_cpp

    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    return llama_cpp.llama_log_callback(address)
