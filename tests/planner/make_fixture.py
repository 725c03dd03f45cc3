"""Write `fixtures/tiny`: a whole planner folder with random weights, for tests without a trained one.

`python -m tests.planner.make_fixture` needs the `train` extra.
"""

import json
from dataclasses import asdict
from pathlib import Path

from export.decoder_graph import write_decoder
from export.planner_manifest import write_manifest
from export.to_onnx import model_dims
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
    )
    model = GPT2LMHeadModel(config).eval()
    FOLDER.mkdir(parents=True, exist_ok=True)
    weights = {
        name.removeprefix("transformer."): value.detach().numpy() for name, value in model.named_parameters()
    }
    write_decoder(FOLDER, model_dims(config), weights)
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
