"""Write `fixtures/tiny`: a whole planner folder with random weights, for tests without a trained one.

`python -m tests.planner.make_fixture` needs the `train` extra.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from export.quantize import write_manifest
from export.to_onnx import export_model, model_dims
from tests.planner.toy import toy_tokenizer

FOLDER = Path(__file__).parent / "fixtures" / "tiny"


def main() -> None:
    """Write the folder."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = toy_tokenizer()
    torch.manual_seed(7)
    config = GPT2Config(
        vocab_size=tokenizer.vocabulary.vocab_size,
        n_positions=800,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.4,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).eval()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        (FOLDER / "model.onnx").write_bytes(export_model(model, Path(scratch)).read_bytes())
    tokenizer.save(FOLDER / "tokenizer.json")
    settings = {
        "format": 1,
        "vocabulary": tokenizer.vocabulary.to_dict(),
        "model": asdict(model_dims(config)),
    }
    (FOLDER / "planner.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    write_manifest(FOLDER, "tiny", "Apache-2.0")


if __name__ == "__main__":
    main()
