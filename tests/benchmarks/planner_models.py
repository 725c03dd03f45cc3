"""The models of the planner's benchmark: one random GPT-2, in the format of each engine.

Each is built once into a folder of the cache, under a temporary name first, so that a killed build
leaves nothing that looks whole. Needs the `train` extra; CTranslate2's needs `ctranslate2`.
"""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from dlcodegen_local.planner.model import ModelDims
from export.decoder_graph import write_decoder
from export.decoder_weights import CheckpointWeights


@dataclass(frozen=True)
class Size:
    """Hold the size of the GPT-2 that is measured; the default is GPT-2-large."""

    n_layer: int = 36
    n_head: int = 20
    n_embd: int = 1280
    n_positions: int = 1024
    vocab_size: int = 50257

    @property
    def name(self) -> str:
        return f"gpt2-{self.n_layer}x{self.n_embd}-{self.vocab_size}"


def built(cache: Path, name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache, built where it is missing."""
    folder = cache / name
    if not folder.exists():
        part = cache / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        build(part)
        part.rename(folder)
    return folder


def checkpoint(cache: Path, size: Size) -> Path:
    """Return a folder as `transformers` writes it: random weights and a tokenizer of that size."""

    def build(folder: Path) -> None:
        import torch
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        config = GPT2Config(
            n_layer=size.n_layer,
            n_head=size.n_head,
            n_embd=size.n_embd,
            n_positions=size.n_positions,
            vocab_size=size.vocab_size,
            bos_token_id=size.vocab_size - 1,
            eos_token_id=size.vocab_size - 1,
        )
        GPT2LMHeadModel(config).save_pretrained(folder)
        write_tokenizer(folder, size.vocab_size)

    return built(cache, f"{size.name}-checkpoint", build)


def write_tokenizer(folder: Path, vocab_size: int) -> None:
    """Write a byte-level BPE of pairs of bytes, with one special token at its end."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {char: index for index, char in enumerate(alphabet)}
    merges = list(itertools.islice(itertools.product(alphabet, alphabet), vocab_size - 1 - len(vocab)))
    vocab |= {first + second: len(vocab) + index for index, (first, second) in enumerate(merges)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    tokenizer.add_special_tokens([AddedToken(end, special=True, normalized=False)])
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(f"a tokenizer of {vocab_size} tokens cannot be made from pairs of bytes")
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), end)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def our_int8(cache: Path, size: Size) -> Path:
    """Return our own export, quantised: the same matrices, a scale per channel, embeddings too."""

    def build(folder: Path) -> None:
        dims = ModelDims(**asdict(size))
        write_decoder(folder, dims, CheckpointWeights(checkpoint(cache, size)), int8=True)
        (folder / "dims.json").write_text(json.dumps(asdict(dims)), encoding="utf-8")

    return built(cache, f"{size.name}-ours-int8", build)


def optimum_int8(cache: Path, size: Size) -> Path:
    """Return Optimum's export, quantised by onnxruntime: every MatMul and Gemm, a scale per channel."""

    def build(folder: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from optimum.exporters.onnx import onnx_export_from_model

        source = checkpoint(cache, size)
        onnx_export_from_model(
            model=_torch_model(source),
            output=folder / "fp32",
            task="text-generation-with-past",
            do_validation=False,
            no_post_process=True,  # it would need the weights once more in memory
        )
        quantize_dynamic(
            folder / "fp32/model.onnx",
            folder / "model.onnx",
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"WeightSymmetric": True, "DefaultTensorType": 1},
        )
        for name in ("config.json", "generation_config.json"):
            shutil.copyfile(folder / "fp32" / name, folder / name)
        shutil.rmtree(folder / "fp32")

    return built(cache, f"{size.name}-optimum-int8", build)


def ctranslate2_int8(cache: Path, size: Size) -> Path:
    """Return CTranslate2's conversion to int8."""

    def build(folder: Path) -> None:
        from ctranslate2.converters import TransformersConverter

        converter = TransformersConverter(str(checkpoint(cache, size)))
        converter.convert(str(folder), quantization="int8", force=True)

    return built(cache, f"{size.name}-ctranslate2-int8", build)


def _torch_model(folder: Path) -> Any:
    from transformers import GPT2LMHeadModel

    return GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").eval()
