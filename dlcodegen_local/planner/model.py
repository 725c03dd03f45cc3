"""The GPT-2 decoder in ONNX, with its key/value cache: the only importer of onnxruntime.

Guarantees that no external data is read where the session is made from bytes, as the planner
does, and that a model of other names than `planner.json` says is refused. Does not check hashes:
`files` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcodegen_local.config import prepare_environment
from dlcodegen_local.errors import ArtifactError, PlanningError
from dlcodegen_local.planner.beam import Logits

_HINT = "install the planner again, or name another folder"


@dataclass(frozen=True)
class ModelDims:
    """Hold the sizes of a GPT-2 model."""

    n_layer: int
    n_head: int
    n_embd: int
    n_positions: int
    vocab_size: int

    @classmethod
    def from_dict(cls, table: object) -> "ModelDims":
        """Read the sizes from `planner.json`.

        Raises:
            ArtifactError: a size is missing or no whole number above 0.
        """
        sizes = {name: table.get(name) if isinstance(table, dict) else None for name in cls.__annotations__}
        if wrong := sorted(
            name for name, size in sizes.items() if type(size) is not int or not 0 < size <= 10**6
        ):
            raise ArtifactError(f"planner.json: model: {', '.join(wrong)} missing or wrong", hint=_HINT)
        return cls(**sizes)  # type: ignore[arg-type]  # checked above


class OnnxModel:
    """Hold an onnxruntime session of a decoder with past.

    A path in the place of bytes is for files of one's own making: it may have external data.
    """

    def __init__(self, model: bytes | Path, dims: ModelDims, threads: int | None = None) -> None:
        prepare_environment()  # later releases send telemetry unless told not to before their import
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session: Any = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # onnxruntime has no common base of its exceptions
            raise ArtifactError(f"the planner's ONNX model cannot be loaded ({exc})", hint=_HINT) from exc
        self.dims = dims
        self._check_names()

    def decoder(self) -> "CachedDecoder":
        """Return a decoder with an empty cache."""
        return CachedDecoder(self)

    def run(self, feeds: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Run one step. Raises PlanningError where onnxruntime fails."""
        try:
            outputs: list[npt.NDArray[Any]] = self.session.run(None, feeds)
        except Exception as exc:  # as above
            raise PlanningError(f"the planner's model failed ({exc})") from exc
        return outputs

    def _check_names(self) -> None:
        layers = range(self.dims.n_layer)
        past = [f"past_key_values.{layer}.{kind}" for layer in layers for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for layer in layers for kind in ("key", "value")]
        inputs = {value.name for value in self.session.get_inputs()}
        outputs = [value.name for value in self.session.get_outputs()]
        self.takes_positions = "position_ids" in inputs
        expected = {"input_ids", "attention_mask", *past} | ({"position_ids"} & inputs)
        if inputs != expected or outputs != ["logits", *present]:
            raise ArtifactError("the planner's ONNX model is not a GPT-2 decoder with past", hint=_HINT)
        self.past_names = past


class CachedDecoder:
    """Continue rows of tokens with a key/value cache: a `LogitsFunction`.

    Rows may get different numbers of tokens in one call: shorter ones are padded on the left and
    the padding is masked. The cache is re-ordered only where rows changed their parents.
    """

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        dims = model.dims
        empty = np.zeros((1, dims.n_head, 0, dims.n_embd // dims.n_head), dtype=np.float32)
        self._past: list[npt.NDArray[Any]] = [empty] * (2 * dims.n_layer)
        self._mask = np.zeros((1, 0), dtype=np.int64)

    def __call__(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Append the tokens of every row; return the logits after them, `(rows, vocab_size)`."""
        self._fork(parents)
        width = max(len(row) for row in tokens)
        input_ids = np.zeros((len(tokens), width), dtype=np.int64)
        new_mask = np.zeros((len(tokens), width), dtype=np.int64)
        for index, row in enumerate(tokens):
            input_ids[index, width - len(row) :] = row
            new_mask[index, width - len(row) :] = 1
        self._mask = np.concatenate([self._mask, new_mask], axis=1)
        positions = np.maximum(self._mask.cumsum(axis=1)[:, -width:] - 1, 0)
        if int(positions.max()) >= self._model.dims.n_positions:
            raise PlanningError(f"more than {self._model.dims.n_positions} tokens for the planner's model")
        feeds = {"input_ids": input_ids, "attention_mask": self._mask}
        if self._model.takes_positions:
            feeds["position_ids"] = positions
        feeds.update(zip(self._model.past_names, self._past, strict=True))
        outputs = self._model.run(feeds)
        self._past = outputs[1:]
        logits: Logits = outputs[0][:, -1]
        return logits

    def _fork(self, parents: Sequence[int]) -> None:
        if list(parents) == list(range(len(self._mask))):
            return
        rows = np.array(parents, dtype=np.int64)
        self._past = [array[rows] for array in self._past]
        self._mask = self._mask[rows]
