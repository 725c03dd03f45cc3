"""Export a trained planner to ONNX by Optimum, and prove that it computes the same.

`python -m export.to_onnx RUN -o FOLDER` writes `model.onnx` (fp32, a decoder with past),
`tokenizer.json` and `planner.json`. The export counts only after names, shapes and values were
compared with torch, in two steps: a prompt without past, then tokens after it.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dlcodegen_local.planner.model import ModelDims, OnnxModel

TOLERANCE = 1e-3


def main(argv: list[str] | None = None) -> None:
    """Read the command line, export and compare."""
    parser = argparse.ArgumentParser(prog="python -m export.to_onnx", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of export.train_planner")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that gets the three files")
    parser.add_argument(
        "--no-post-process",
        action="store_true",
        help="keep shared weights twice: saves memory for large models",
    )
    options = parser.parse_args(argv)
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    worst = export(options.run, options.output, post_process=not options.no_post_process)
    print(f"largest difference to torch: {worst:.2e} (at most {TOLERANCE:g} is allowed)", file=sys.stderr)


def export(run: Path, output: Path, *, post_process: bool = True) -> float:
    """Export the checkpoint in `run`; return the largest difference of a logit to torch.

    Raises:
        RuntimeError: the difference is over `TOLERANCE`; `output` is then left as it was.
    """
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(run, attn_implementation="eager").eval()
    dims = model_dims(model.config)
    with tempfile.TemporaryDirectory(dir=output.parent if output.parent.exists() else None) as scratch:
        exported = export_model(model, Path(scratch), post_process=post_process)
        worst = compare(model, exported, dims)
        if not worst <= TOLERANCE:
            raise RuntimeError(f"the ONNX model differs from torch by {worst:.2e}, over {TOLERANCE:g}")
        output.mkdir(parents=True, exist_ok=True)
        for source in exported.parent.glob("model.onnx*"):
            shutil.move(source, output / source.name)
    for name in ("tokenizer.json", "training.json"):
        shutil.copyfile(run / name, output / name)
    planner = json.loads((run / "planner.json").read_text(encoding="utf-8"))
    planner["model"] = asdict(dims)
    (output / "planner.json").write_text(json.dumps(planner, indent=1) + "\n", encoding="utf-8")
    return worst


def export_model(model: Any, folder: Path, *, post_process: bool = True) -> Path:
    """Write a GPT2LMHeadModel as a decoder with past into `folder`; return the ONNX file."""
    from optimum.exporters.onnx import onnx_export_from_model

    onnx_export_from_model(
        model=model,
        output=folder,
        task="text-generation-with-past",
        do_validation=False,
        no_post_process=not post_process,
    )
    return folder / "model.onnx"


def model_dims(config: Any) -> ModelDims:
    """Return the sizes that a GPT2Config holds."""
    return ModelDims(config.n_layer, config.n_head, config.n_embd, config.n_positions, config.vocab_size)


def compare(model: Any, exported: Path, dims: ModelDims) -> float:
    """Return the largest difference of a logit between torch and our cached decoder on the ONNX file.

    The decoder's own checks compare names; two rows of unequal length go through padding, cache
    and forking.
    """
    import torch

    rng = np.random.default_rng(0)
    prompt = rng.integers(0, dims.vocab_size, 24).tolist()
    tails = [rng.integers(0, dims.vocab_size, length).tolist() for length in (1, 3)]
    decoder = OnnxModel(exported, dims).decoder()
    ours = [decoder([0], [prompt])[0], *decoder([0, 0], tails)]
    ours += list(decoder([1, 0], [[5], [7]]))
    sequences = [prompt, *[prompt + tail for tail in tails], prompt + tails[1] + [5], prompt + tails[0] + [7]]
    worst = 0.0
    for logits, sequence in zip(ours, sequences, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([sequence])).logits[0, -1].numpy()
        if logits.shape != expected.shape:
            raise RuntimeError(f"logits of shape {logits.shape}, torch has {expected.shape}")
        worst = max(worst, float(np.abs(logits - expected).max()))
    return worst


if __name__ == "__main__":
    main()
