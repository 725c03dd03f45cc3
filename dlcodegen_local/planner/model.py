"""The GPT-2 decoder in ONNX, with its key/value cache: the only importer of onnxruntime.

Guarantees that a model of other inputs and outputs than `planner.json` says is refused. Weights outside
the graph are looked for in its own folder. Does not check hashes, operators or the places of
weights: `files` does, before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.config import prepare_environment
from dlcodegen_local.errors import ArtifactError, PlanningError
from dlcodegen_local.planner.beam import Logits
from dlcodegen_local.planner.cache import KeyValueCache
from dlcodegen_local.planner.threads import cores_are_idle
from dlcodegen_local.planner.token_tree import TokenTree, TreeStep

MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "model.onnx.data"  # the only place of external data

STEP_INPUTS = ("input_ids", "position_ids", "last_tokens", "attention_bias", "past_slots", "all_slots")

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


@dataclass(frozen=True)
class ModelFiles:
    """Hold the bytes of the graph, and the folder in which its `WEIGHTS_FILE` lies."""

    graph: bytes
    folder: Path


class OnnxModel:
    """Hold an onnxruntime session of the decoder that `export.to_onnx` writes.

    Raises:
        ArtifactError: onnxruntime cannot load it, or it is no such decoder of these sizes.
    """

    def __init__(self, model: ModelFiles | bytes | Path, dims: ModelDims, threads: int | None = None) -> None:
        prepare_environment()  # later releases send telemetry unless told not to before their import
        import onnxruntime

        if isinstance(model, Path):
            model = ModelFiles(model.read_bytes(), model.parent)
        elif isinstance(model, bytes):
            model = ModelFiles(model, Path("/nonexistent"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        for key, value in (
            # Weights are mapped from their file and let go one by one as they are packed.
            ("session.model_external_initializers_file_folder_path", str(model.folder.absolute())),
            ("session.intra_op.allow_spinning", "1" if cores_are_idle(threads) else "0"),
            ("session.force_spinning_stop", "1"),  # none between steps, whatever is said above
        ):
            options.add_session_config_entry(key, value)
        try:
            self.session: Any = onnxruntime.InferenceSession(
                model.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # onnxruntime has no common base of its exceptions
            raise ArtifactError(f"the planner's ONNX model cannot be loaded ({exc})", hint=_HINT) from exc
        self.dims = dims
        self._check_names()

    def decoder(self) -> "TreeDecoder":
        """Return a decoder with an empty cache."""
        return TreeDecoder(self)

    def _check_names(self) -> None:
        inputs = {value.name: value.shape for value in self.session.get_inputs()}
        outputs = {value.name: value.shape for value in self.session.get_outputs()}
        wanted = set(STEP_INPUTS) | set(cache_names("past", self.dims.n_layer))
        head = [1, self.dims.n_head, "slots", self.dims.n_embd // self.dims.n_head]
        if (
            set(inputs) != wanted
            or set(outputs) != {"logits", *cache_names("present", self.dims.n_layer)}
            or any(shape != head for name, shape in inputs.items() if name.startswith("past."))
            or outputs["logits"] != ["rows", self.dims.vocab_size]
        ):
            raise ArtifactError(
                "the planner's ONNX model is not a decoder of this version",
                hint="export it again from its checkpoint, see export/README.md",
            )


class TreeDecoder:
    """Continue rows of tokens as one token tree: a `LogitsFunction`.

    The cache is bound as the model's past and present at once: the model appends to it in place.
    """

    def __init__(self, model: OnnxModel) -> None:
        dims = model.dims
        self._model = model
        self._tree = TokenTree()
        self._cache = KeyValueCache(dims.n_layer, dims.n_head, dims.n_embd // dims.n_head)
        self._binding: Any = model.session.io_binding()
        self._binding.bind_output("logits")
        self._bind_cache()

    def __call__(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Append the tokens of every row; return the logits after them, `(rows, vocab_size)`.

        Raises:
            PlanningError: a row is longer than the model's positions, or onnxruntime fails.
        """
        living = self._tree.fork(parents)
        if living is not None:
            self._cache.keep(living)
        if self._tree.longest(tokens) > self._model.dims.n_positions:
            raise PlanningError(f"more than {self._model.dims.n_positions} tokens for the planner's model")
        used = self._tree.slots
        step = self._tree.append(tokens)
        if self._cache.reserve(step.slots, used):
            self._bind_cache()
        return self._run(step)

    def _run(self, step: TreeStep) -> Logits:
        binding = self._binding
        inputs = {
            "input_ids": step.input_ids,
            "position_ids": step.positions,
            "last_tokens": step.last_tokens,
            "attention_bias": step.attention_bias,
            "past_slots": np.array([step.slots - 1], dtype=np.int32),
            "all_slots": np.array([step.slots], dtype=np.int32),
        }
        try:
            for name, value in inputs.items():
                binding.bind_cpu_input(name, value)
            binding.bind_output("logits")
            self._model.session.run_with_iobinding(binding)
            logits: Logits = binding.get_outputs()[0].numpy()  # the first one bound
        except Exception as exc:  # as above
            raise PlanningError(f"the planner's model failed ({exc})") from exc
        if logits.shape != (len(step.last_tokens), self._model.dims.vocab_size):
            raise PlanningError(f"the planner's model answers with the shape {logits.shape}", hint=_HINT)
        return logits

    def _bind_cache(self) -> None:
        n_layer = self._model.dims.n_layer
        names = zip(cache_names("past", n_layer), cache_names("present", n_layer), strict=True)
        for (past, present), buffer in zip(names, self._cache.buffers, strict=True):
            place = ("cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
            self._binding.bind_input(past, *place)
            self._binding.bind_output(present, *place)


def cache_names(prefix: str, n_layer: int) -> list[str]:
    """Return the names of the cache's inputs (`past`) or outputs (`present`), keys then values a layer."""
    return [f"{prefix}.{layer}.{kind}" for layer in range(n_layer) for kind in ("key", "value")]
