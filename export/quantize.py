"""Quantise an exported planner to int8, and write the folder that the program loads.

`python -m export.quantize FP32_FOLDER -o FOLDER` quantises the weights of MatMul and Gemm
(dynamic, symmetric per channel), writes `manifest.json`, and compares the plans of both models
on sentences of its own.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.files import REQUIRED_FILES
from dlcodegen_local.planner.planner import Planner

SENTENCES = (
    "Build a network that tells ripe from unripe tomatoes on photos.",
    "Train a model to predict house rents from a table of flats.",
    "Classify film reviews as positive or negative with an LSTM.",
    "Segment roads in satellite images with a U-Net, 128x128 pixels.",
    "Forecast tomorrow's electricity demand from the last two weeks.",
    "Generate handwritten digits with a GAN.",
    "Recognise spoken commands from short audio clips.",
    "Translate English sentences to French with an encoder and a decoder.",
    "Detect fraudulent card payments in tabular data, Adam optimizer, 15 epochs.",
    "Write captions for photographs with a CNN and an RNN.",
)
AGREEING = ("category", "optimizer", "loss", "metric", "learning_rate", "batch_size", "epochs", "layers")


def main(argv: list[str] | None = None) -> None:
    """Read the command line, quantise and compare."""
    parser = argparse.ArgumentParser(prog="python -m export.quantize", description=__doc__)
    parser.add_argument("fp32", type=Path, help="folder of export.to_onnx")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the planner")
    parser.add_argument("--name", default="planner", help="name in the manifest")
    parser.add_argument("--licence", default="Apache-2.0", help="SPDX identifier in the manifest")
    parser.add_argument("--skip-check", action="store_true", help="do not compare the plans of both models")
    options = parser.parse_args(argv)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    before, after = quantize(options.fp32, options.output)
    write_manifest(options.output, options.name, options.licence)
    print(f"{before / 1e6:.1f} MB -> {after / 1e6:.1f} MB", file=sys.stderr)
    if not options.skip_check:
        write_manifest(options.fp32, f"{options.name}-fp32", options.licence)
        print(json.dumps(agreement(options.fp32, options.output)))


def quantize(fp32: Path, output: Path) -> tuple[int, int]:
    """Write the int8 model and its companions; return the sizes in bytes before and after."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as scratch:
        small = Path(scratch) / "model.onnx"
        quantize_dynamic(
            fp32 / "model.onnx",
            small,
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"WeightSymmetric": True, "DefaultTensorType": 1},
        )
        small.replace(output / "model.onnx")
    for name in ("tokenizer.json", "planner.json", "training.json"):
        shutil.copyfile(fp32 / name, output / name)
    return (fp32 / "model.onnx").stat().st_size, (output / "model.onnx").stat().st_size


def write_manifest(folder: Path, name: str, licence: str) -> None:
    """Write `manifest.json`: path, sha256 and size of every file, and the licence."""
    optional = [name for name in ("MODEL_CARD.md", "training.json") if (folder / name).exists()]
    manifest = {
        "name": name,
        "kind": "planner",
        "format": 1,
        "licence": licence,
        "files": [
            {
                "path": path,
                "sha256": hashlib.sha256((folder / path).read_bytes()).hexdigest(),
                "size": (folder / path).stat().st_size,
            }
            for path in sorted((*REQUIRED_FILES, *optional))
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def agreement(fp32: Path, int8: Path) -> dict[str, Any]:
    """Return the share of `SENTENCES` on which both planners agree, whole and field by field."""
    planners = [Planner(folder) for folder in (fp32, int8)]
    pairs: list[tuple[Plan, Plan]] = []
    for place, sentence in enumerate(SENTENCES, start=1):
        first, second = (planner.plan(sentence).plan for planner in planners)
        pairs.append((first, second))
        print(f"compared {place} of {len(SENTENCES)}", file=sys.stderr)
    shares: dict[str, Any] = {"plans": sum(first == second for first, second in pairs) / len(pairs)}
    for name in AGREEING:
        shares[name] = sum(getattr(a, name) == getattr(b, name) for a, b in pairs) / len(pairs)
    return shares


if __name__ == "__main__":
    main()
