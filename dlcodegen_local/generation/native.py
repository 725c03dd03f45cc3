"""The native model behind the adapter: the only module with ctypes and llama_cpp.

Guarantees that nothing native writes to stderr, and that a token decoded among a few others gives, for
weights in the usual block formats, bit for bit the logits that it gives alone (`pace` finds how few).
Does not protect from faults of the native code itself.
"""

import ctypes
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcodegen_local.errors import ArtifactError, GenerationError
from dlcodegen_local.generation.backends import load_backends

MAX_BATCH_TOKENS = 256
_SENTENCEPIECE = 1
_MAX_PIECE_BYTES = 4096
_FLASH_ATTENTION = 1
_F16, _BF16 = 1, 30


class NativeModel:
    """Own the native model, its context and one batch.

    Values are kept in bfloat16 beside keys in float16: llama.cpp then sums values in float32, and
    takes the same path for one token as for several, however many threads there are. Weights stay as they are
    in the file: repacked for a processor they take another path for four tokens than for one.
    """

    def __init__(self, path: Path, n_ctx: int, source: str = "") -> None:
        """Load the model of a file, opened as `source` where that is another path to the same file."""
        llama_cpp = load_library()
        self._api = llama_cpp
        self.n_ctx = n_ctx
        self._open = False
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model_params.use_extra_bufts = False
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(source or path), model_params)
        if not self._model:
            raise ArtifactError(
                f"{path} is not a model that llama.cpp can load", hint="check that the file is complete"
            )
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, MAX_BATCH_TOKENS, MAX_BATCH_TOKENS
        params.flash_attn_type, params.type_k, params.type_v = _FLASH_ATTENTION, _F16, _BF16
        params.no_perf = False
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            llama_cpp.llama_model_free(self._model)
            raise ArtifactError(f"{path}: no memory for a context of {n_ctx} tokens", hint="lower n_ctx")
        self._open = True
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._n_vocab = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._row = ctypes.c_float * self._n_vocab
        self._is_sentencepiece = llama_cpp.llama_vocab_type(self._vocab) == _SENTENCEPIECE
        self._batch = llama_cpp.llama_batch_init(MAX_BATCH_TOKENS, 0, 1)
        self._buffer = ctypes.create_string_buffer(_MAX_PIECE_BYTES)
        self._pieces: dict[int, bytes] = {}
        for i in range(MAX_BATCH_TOKENS):
            self._batch.n_seq_id[i] = 1
            self._batch.seq_id[i][0] = 0

    @property
    def n_vocab(self) -> int:
        """Count the tokens of the vocabulary."""
        return int(self._n_vocab)

    def set_threads(self, writing: int, reading: int) -> None:
        """Choose how many threads work on one token, and on several."""
        self._api.llama_set_n_threads(self._context, writing, reading)

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
        if (known := self._pieces.get(token)) is not None:
            return known
        length = self._api.llama_token_to_piece(self._vocab, token, self._buffer, _MAX_PIECE_BYTES, 0, False)
        self._pieces[token] = self._buffer.raw[:length] if length > 0 else b""
        return self._pieces[token]

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
        logits = np.frombuffer(self._row.from_address(ctypes.addressof(pointer.contents)), np.float32)
        if not np.isfinite(logits.max()):
            raise GenerationError("the model computes no numbers", hint="its file may be damaged")
        return logits

    def milliseconds(self) -> tuple[float, float]:
        """Return what llama.cpp reports for reading and for writing, since the model was loaded."""
        figures = self._api.llama_perf_context(self._context)
        return float(figures.t_p_eval_ms), float(figures.t_eval_ms)


@functools.cache
def load_library() -> Any:
    """Import llama.cpp and make it ready, once a process.

    Its log callback drops everything. It is a C function that reads no argument: an interrupt that
    falls into a Python callback is lost.

    Raises:
        ImportError: llama-cpp-python is not installed.
    """
    import llama_cpp

    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    llama_cpp.llama_log_set(llama_cpp.llama_log_callback(address), ctypes.c_void_p(0))
    load_backends(Path(llama_cpp.__file__).parent / "lib")
    llama_cpp.llama_backend_init()
    return llama_cpp
