"""Turn a checkpoint of the starter into a GGUF file that llama.cpp loads, with manifest.

Guarantees the names, shapes and metadata of llama.cpp's `llama` architecture, a tokenizer that splits as
the one in the checkpoint's folder, and a ChatML template. Matrices are stored as Q8_0, F16 or F32, norms
always as F32.
Does not convert other people's checkpoints.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from export.starter_model import StarterModel

LICENCE = "Apache-2.0"
CHATML_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_BLOCK_TENSORS = (
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)


def load_model(folder: Path, checkpoint: str) -> "StarterModel":
    """Read settings and weights of a training folder."""
    import torch

    from export.starter_model import ModelSettings, StarterModel

    settings = ModelSettings(**json.loads((folder / "settings.json").read_text(encoding="utf-8")))
    model = StarterModel(settings)
    state = torch.load(folder / checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    return model.eval()


def tensors_of(model: "StarterModel") -> dict[str, NDArray[np.float32]]:
    """Return the weights under their GGUF names; the output shares the embedding and has none."""
    weights = {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}
    names = ["token_embd.weight", "output_norm.weight"]
    names += [f"blk.{i}.{part}.weight" for i in range(model.settings.num_layers) for part in _BLOCK_TENSORS]
    if missing := set(names) ^ weights.keys():
        raise ValueError(f"tensors without a GGUF name, or names without a tensor: {sorted(missing)}")
    return {name: weights[name] for name in names}


def add_vocabulary(writer: Any, tokenizer_json: Path) -> None:
    """Write tokens, merges and special tokens."""
    from gguf import TokenType

    from export.starter_tokenizer import END_OF_TEXT, IM_END, SPECIAL_TOKENS

    model = json.loads(tokenizer_json.read_text(encoding="utf-8"))["model"]
    ids: Mapping[str, int] = model["vocab"]
    tokens = sorted(ids, key=lambda token: ids[token])
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(f"{tokenizer_json}: token ids are not 0 to {len(tokens) - 1}")
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_eos_token_id(ids[IM_END])
    writer.add_eot_token_id(ids[IM_END])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(CHATML_TEMPLATE)


def write_gguf(model: "StarterModel", tokenizer_json: Path, path: Path, kind: str = "q8_0") -> None:
    """Write the file: temp file, fsync, rename. `kind` is q8_0, f16 or f32.

    Raises:
        ValueError: the vocabulary and the embedding differ in size.
    """
    import gguf

    stored = {
        "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
        "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
        "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    }
    quantisation, file_type = stored[kind]
    settings = model.settings
    temporary = path.with_suffix(".tmp")
    writer = gguf.GGUFWriter(temporary, "llama")
    writer.add_name("dlcodegen starter")
    writer.add_license(LICENCE)
    writer.add_file_type(file_type)
    writer.add_context_length(settings.context_length)
    writer.add_embedding_length(settings.hidden_size)
    writer.add_block_count(settings.num_layers)
    writer.add_feed_forward_length(settings.intermediate_size)
    writer.add_head_count(settings.num_heads)
    writer.add_head_count_kv(settings.num_heads)
    writer.add_rope_dimension_count(settings.head_dim)
    writer.add_rope_freq_base(settings.rope_theta)
    writer.add_layer_norm_rms_eps(settings.norm_epsilon)
    writer.add_vocab_size(settings.vocab_size)
    add_vocabulary(writer, tokenizer_json)
    for name, weights in tensors_of(model).items():
        if weights.ndim == 1 or kind == "f32":
            writer.add_tensor(name, weights)
        else:
            writer.add_tensor(name, gguf.quants.quantize(weights, quantisation), raw_dtype=quantisation)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_manifest(folder: Path, context_length: int, parameters: int) -> None:
    """Write `manifest.json`: what the model is, and size and sha256 of its files."""
    names = [name for name in ("starter.gguf", "training.json") if (folder / name).is_file()]
    files = [
        {
            "path": name,
            "size": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in names
    ]
    manifest = {
        "name": "starter",
        "kind": "code-model",
        "licence": LICENCE,
        "files": files,
        "chat_format": "chatml",
        "context_length": context_length,
        "parameters": parameters,
        "quantisation": "Q8_0",
    }
    temporary = folder / "manifest.json.tmp"
    temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder / "manifest.json")


def main(argv: list[str] | None = None) -> int:
    """Convert a training folder's checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m export.to_gguf", description=__doc__)
    parser.add_argument("--training", type=Path, required=True, help="folder that train_starter wrote")
    parser.add_argument("--checkpoint", default="tasks.pt", help="file in it: pretrained.pt or tasks.pt")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model: starter.gguf, manifest")
    parser.add_argument("--kind", choices=("q8_0", "f16", "f32"), default="q8_0")
    args = parser.parse_args(argv)
    model = load_model(args.training, args.checkpoint)
    args.out.mkdir(parents=True, exist_ok=True)
    write_gguf(model, args.training / "tokenizer.json", args.out / "starter.gguf", args.kind)
    record = args.training / "training.json"
    if record.is_file():
        (args.out / "training.json").write_bytes(record.read_bytes())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    write_manifest(args.out, model.settings.context_length, parameters)
    return 0


if __name__ == "__main__":
    sys.exit(main())
