"""Start a training run from a finished planner, whose weights may be int8.

An int8 weight times its scale is the weight that the planner computes with: the run starts where the
planner stands, without the checkpoint that it was made from.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.artifacts import read_manifest
from dlcodegen_local.planner.files import CHOICES_FILE
from dlcodegen_local.planner.model import ModelDims
from export.decoder_weights import Array, ExportedWeights

CHECKPOINT = "start"
_EMBEDDING = "wte.weight"
_TRANSPOSED_HEAD = "lm_head.weight"
_SCALE = ".scale"


class DequantisedWeights(Mapping[str, Array]):
    """Read a planner's weights as fp32, under GPT2LMHeadModel's names."""

    def __init__(self, planner: Path) -> None:
        self._exported = ExportedWeights(planner)

    def __getitem__(self, name: str) -> Array:
        array: Array = np.asarray(self._exported[name])
        if array.dtype != np.int8:
            return array.astype(np.float32)
        scale = np.asarray(self._exported[_scale_of(name)])
        return array.astype(np.float32) * scale

    def __iter__(self) -> Any:
        return (name for name in self._exported if not name.endswith(_SCALE) and name != _TRANSPOSED_HEAD)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def start_from_planner(planner: Path, run: Path) -> Path:
    """Write tokenizer, vocabulary and choices of a planner into a new run's folder; return its checkpoint.

    A run that has begun is left as it is.

    Raises:
        ArtifactError: the planner is missing or damaged.
    """
    checkpoint = run / CHECKPOINT
    if (run / "planner.json").exists():
        return checkpoint
    read_manifest(planner).check_files()
    checkpoint.mkdir(parents=True, exist_ok=True)
    settings = json.loads((planner / "planner.json").read_text(encoding="utf-8"))
    _save(DequantisedWeights(planner), ModelDims.from_dict(settings["model"]), checkpoint)
    for name in ("tokenizer.json", CHOICES_FILE):
        if (planner / name).exists():
            shutil.copyfile(planner / name, run / name)
    kept = {name: value for name, value in settings.items() if name != "model"}
    (run / "planner.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return checkpoint


def _save(weights: Mapping[str, Array], dims: ModelDims, checkpoint: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=dims.vocab_size,
        n_positions=dims.n_positions,
        n_embd=dims.n_embd,
        n_layer=dims.n_layer,
        n_head=dims.n_head,
        attn_pdrop=0.0,
        activation_function="gelu_pytorch_tanh",
    )
    model = GPT2LMHeadModel(config)
    state = {f"transformer.{name}": torch.from_numpy(np.array(array)) for name, array in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or [name for name in missing if name != _TRANSPOSED_HEAD]:
        raise ValueError(f"weights of another model: {[*unexpected, *missing]}")
    model.save_pretrained(checkpoint)


def _scale_of(name: str) -> str:
    return "wte.scale" if name == _EMBEDDING else f"{name}{_SCALE}"
