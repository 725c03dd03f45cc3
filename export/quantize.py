"""Quantise an exported planner to int8, and write the folder that the program loads.

`python -m export.quantize FP32_FOLDER -o FOLDER` writes the same graph with the weights of its
matrix products as int8 (symmetric, a scale for each output) and activations quantised as they come,
writes `manifest.json`, and compares the plans of both models on sentences of its own. The folder
appears only when it is complete; a model card that lies there is kept.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.files import CHOICES_FILE
from dlcodegen_local.planner.model import WEIGHTS_FILE, ModelDims
from dlcodegen_local.planner.planner import Planner
from export.decoder_graph import write_decoder
from export.decoder_weights import ExportedWeights
from export.needs import Needs, announce
from export.planner_manifest import write_manifest
from export.to_onnx import file_bytes
from export.whole_folder import whole_folder

# Bytes of memory and disk and nanoseconds for each parameter, measured at GPT-2-large size.
FIGURES = (1.5, 1.2, 12.0)
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
    parser.add_argument("--force", action="store_true", help="start even where memory or disk is short")
    options = parser.parse_args(argv)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    parameters = (options.fp32 / WEIGHTS_FILE).stat().st_size // 4
    announce(Needs.of("quantising", parameters, FIGURES), options.output, force=options.force)
    with whole_folder(options.output) as folder:
        quantize(options.fp32, folder)
        if (options.output / "MODEL_CARD.md").exists():
            shutil.copyfile(options.output / "MODEL_CARD.md", folder / "MODEL_CARD.md")
        write_manifest(folder, options.name, options.licence)
    before, after = file_bytes(options.fp32), file_bytes(options.output)
    print(f"{before / 1e6:.1f} MB -> {after / 1e6:.1f} MB", file=sys.stderr)
    if not options.skip_check:
        print(json.dumps(agreement(options.fp32, options.output)))


def quantize(fp32: Path, folder: Path) -> None:
    """Write the int8 model and its companions into an empty folder."""
    settings = json.loads((fp32 / "planner.json").read_text(encoding="utf-8"))
    write_decoder(folder, ModelDims.from_dict(settings["model"]), ExportedWeights(fp32), int8=True)
    for name in ("tokenizer.json", "planner.json", "training.json", CHOICES_FILE):
        if (fp32 / name).exists():
            shutil.copyfile(fp32 / name, folder / name)


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
