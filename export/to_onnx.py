"""Export a trained planner to ONNX, and prove that it computes the same.

`python -m export.to_onnx RUN -o FOLDER` writes a whole fp32 planner: `model.onnx` (the graph of
`decoder_graph`), `model.onnx.data` (its weights), `tokenizer.json`, `planner.json`, `manifest.json`.
The folder appears only after shapes and values were compared with torch, over a prompt, forks,
rows of unequal length and dead branches; a killed run leaves nothing.
"""

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.planner.files import CHOICES_FILE
from dlcodegen_local.planner.model import MODEL_FILE, WEIGHTS_FILE, ModelDims, OnnxModel
from export.decoder_graph import LAYER_NORM_EPSILON, write_decoder
from export.decoder_weights import CheckpointWeights
from export.needs import Needs, announce, folder_bytes
from export.planner_manifest import write_manifest
from export.whole_folder import whole_folder

TOLERANCE = 1e-3
# Bytes of memory and disk and nanoseconds for each parameter, measured at GPT-2-large size.
FIGURES = (8.5, 4.1, 75.0)


def main(argv: list[str] | None = None) -> None:
    """Read the command line, export and compare."""
    parser = argparse.ArgumentParser(prog="python -m export.to_onnx", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of export.train_planner")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that gets the planner")
    parser.add_argument("--name", default="planner-fp32", help="name in the manifest")
    parser.add_argument("--licence", default="Apache-2.0", help="SPDX identifier in the manifest")
    parser.add_argument("--force", action="store_true", help="start even where memory or disk is short")
    options = parser.parse_args(argv)
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    parameters = folder_bytes(options.run, "model.safetensors") // 4
    announce(Needs.of("the export", parameters, FIGURES), options.output, force=options.force)
    with whole_folder(options.output) as folder:
        worst = export(options.run, folder)
        write_manifest(folder, options.name, options.licence)
    print(f"largest difference to torch: {worst:.2e} (at most {TOLERANCE:g} is allowed)", file=sys.stderr)


def export(run: Path, folder: Path) -> float:
    """Write the checkpoint in `run` into `folder`; return the largest difference of a logit to torch.

    Raises:
        RuntimeError: the difference is over `TOLERANCE`, or the model is no plain GPT-2.
    """
    from transformers import GPT2Config

    config = GPT2Config.from_pretrained(run)
    check_config(config)
    dims = model_dims(config)
    _say(f"writing {dims.n_layer} layers")
    write_decoder(folder, dims, CheckpointWeights(run))
    _say("comparing with torch")
    worst = compare(run, folder, dims)
    if not worst <= TOLERANCE:
        raise RuntimeError(f"the ONNX model differs from torch by {worst:.2e}, over {TOLERANCE:g}")
    for name in ("tokenizer.json", "training.json", CHOICES_FILE):
        if (run / name).exists():
            shutil.copyfile(run / name, folder / name)
    planner = json.loads((run / "planner.json").read_text(encoding="utf-8"))
    planner["model"] = asdict(dims)
    (folder / "planner.json").write_text(json.dumps(planner, indent=1) + "\n", encoding="utf-8")
    return worst


def model_dims(config: Any) -> ModelDims:
    """Return the sizes that a GPT2Config holds."""
    return ModelDims(config.n_layer, config.n_head, config.n_embd, config.n_positions, config.vocab_size)


def check_config(config: Any) -> None:
    """Refuse what the graph does not compute.

    Raises:
        RuntimeError: names the setting.
    """
    wanted: dict[str, tuple[Any, ...]] = {
        "model_type": ("gpt2",),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of one function
        "layer_norm_epsilon": (LAYER_NORM_EPSILON,),
        "n_inner": (None, 4 * config.n_embd),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    }
    for name, values in wanted.items():
        if (value := getattr(config, name)) not in values:
            raise RuntimeError(f"config.json: {name} {value!r} cannot be exported, {values[0]!r} can")


def compare(run: Path, folder: Path, dims: ModelDims) -> float:
    """Return the largest difference of a logit between torch and our decoder on the exported files."""
    import torch
    from transformers import GPT2LMHeadModel

    sequences, ours = tree_logits(folder, dims)
    model = GPT2LMHeadModel.from_pretrained(run, attn_implementation="eager").eval()
    worst = 0.0
    for logits, sequence in zip(ours, sequences, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([sequence])).logits[0, -1].numpy()
        if logits.shape != expected.shape:
            raise RuntimeError(f"logits of shape {logits.shape}, torch has {expected.shape}")
        worst = max(worst, float(np.abs(logits - expected).max()))
    return worst


def tree_logits(folder: Path, dims: ModelDims) -> tuple[list[list[int]], list[Any]]:
    """Return sequences and our logits after each: a prompt, a fork of unequal rows, a change of parents."""
    rng = np.random.default_rng(0)
    prompt = rng.integers(0, dims.vocab_size, 24).tolist()
    tails = [rng.integers(0, dims.vocab_size, length).tolist() for length in (1, 3)]
    decoder = OnnxModel(folder / MODEL_FILE, dims).decoder()
    logits = [decoder([0], [prompt])[0], *decoder([0, 0], tails), *decoder([1, 0], [[5], [7]])]
    sequences = [prompt, *[prompt + tail for tail in tails], prompt + tails[1] + [5], prompt + tails[0] + [7]]
    return sequences, logits


def file_bytes(folder: Path) -> int:
    """Return the bytes of graph and weights."""
    return sum((folder / name).stat().st_size for name in (MODEL_FILE, WEIGHTS_FILE))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
