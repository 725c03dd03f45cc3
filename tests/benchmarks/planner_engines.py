"""One engine of the planner's benchmark, in a process of its own.

`python -m tests.benchmarks.planner_engines NAME FOLDER` loads the model of that folder, continues a
prompt of random tokens by beam search and prints one JSON object: seconds, steps, seconds of
loading, and the process's peak memory as the kernel counts it (VmHWM).
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Task:
    """Hold what every engine does."""

    prompt_tokens: int = 150
    new_tokens: int = 100
    num_beams: int = 3
    threads: int = 2

    def prompt(self, vocab_size: int) -> list[int]:
        return np.random.default_rng(0).integers(1, vocab_size - 1, self.prompt_tokens).tolist()


# Generate that many new tokens; return the number of model steps.
Generate = Callable[[int], int]


def load_ours(folder: Path, task: Task) -> Generate:
    from dlcodegen_local.planner.beam import BeamSettings, Unconstrained, beam_search
    from dlcodegen_local.planner.model import MODEL_FILE, WEIGHTS_FILE, ModelDims, OnnxModel

    for name in (MODEL_FILE, WEIGHTS_FILE):  # as every load of a planner does
        with (folder / name).open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
    dims = ModelDims.from_dict(json.loads((folder / "dims.json").read_text()))
    model = OnnxModel(folder / MODEL_FILE, dims, task.threads)
    prompt = task.prompt(dims.vocab_size)

    def generate(new_tokens: int) -> int:
        constraint = Unconstrained(new_tokens, 2 * task.num_beams)
        settings = BeamSettings(task.num_beams, length_penalty=1.0, max_new_tokens=new_tokens + 1)
        return beam_search(model.decoder(), prompt, constraint, settings).steps

    return generate


def load_optimum(folder: Path, task: Task) -> Generate:
    import onnxruntime
    from optimum.onnxruntime import ORTModelForCausalLM

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    return _transformers_generate(ORTModelForCausalLM.from_pretrained(folder, session_options=options), task)


def load_transformers(folder: Path, task: Task) -> Generate:
    import torch
    from transformers import GPT2LMHeadModel

    torch.set_num_threads(task.threads)
    return _transformers_generate(GPT2LMHeadModel.from_pretrained(folder).eval(), task)


def load_ctranslate2(folder: Path, task: Task) -> Generate:
    """Load CTranslate2 and call it the faster way: the prompt is read in one pass and not returned."""
    generator, prompt = _ctranslate2(folder, task)

    def generate(new_tokens: int) -> int:
        results = generator.generate_batch(
            [prompt],
            beam_size=task.num_beams,
            max_length=new_tokens,
            min_length=new_tokens,
            include_prompt_in_result=False,
        )
        return _checked(len(results[0].sequences_ids[0]), new_tokens)

    return generate


def load_ctranslate2_as_is(folder: Path, task: Task) -> Generate:
    """Load CTranslate2 and call it by its defaults: the prompt is read token by token and returned."""
    generator, prompt = _ctranslate2(folder, task)

    def generate(new_tokens: int) -> int:
        length = len(prompt) + new_tokens - 1  # the first token is not counted
        results = generator.generate_batch(
            [prompt], beam_size=task.num_beams, max_length=length, min_length=length
        )
        return _checked(len(results[0].sequences_ids[0]) - len(prompt), new_tokens)

    return generate


def _ctranslate2(folder: Path, task: Task) -> tuple[Any, list[str]]:
    import ctranslate2

    generator = ctranslate2.Generator(str(folder), compute_type="int8", intra_threads=task.threads)
    words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    return generator, [words[token] for token in task.prompt(len(words))]


def _transformers_generate(model: Any, task: Task) -> Generate:
    import torch

    prompt = torch.tensor([task.prompt(model.config.vocab_size)])

    def generate(new_tokens: int) -> int:
        with torch.no_grad():
            tokens = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                num_beams=task.num_beams,
                min_new_tokens=new_tokens,
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=model.config.eos_token_id,
            )
        return _checked(tokens.shape[1] - prompt.shape[1], new_tokens)

    return generate


def _checked(found: int, new_tokens: int) -> int:
    if found != new_tokens:
        raise RuntimeError(f"{found} new tokens instead of {new_tokens}")
    return found


LOADERS: dict[str, Callable[[Path, Task], Generate]] = {
    "ours": load_ours,
    "Optimum": load_optimum,
    "CTranslate2": load_ctranslate2,
    "CTranslate2 by default": load_ctranslate2_as_is,
    "transformers": load_transformers,
}


def peak_memory_mib() -> float:
    """Return the most memory that this process ever held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.planner_engines")
    parser.add_argument("engine", choices=LOADERS)
    parser.add_argument("folder", type=Path)
    for name, value in Task.__dataclass_fields__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value.default)
    table = vars(parser.parse_args())
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", ORT_DISABLE_TELEMETRY="1")
    engine, folder = table.pop("engine"), table.pop("folder")
    task = Task(**table)
    started = time.perf_counter()
    generate = LOADERS[engine](folder, task)
    load_seconds = time.perf_counter() - started
    generate(2)  # warm
    started = time.perf_counter()
    steps = generate(task.new_tokens)
    seconds = time.perf_counter() - started
    json.dump(
        {
            "seconds": seconds,
            "steps": steps,
            "load_seconds": load_seconds,
            "peak_mib": peak_memory_mib(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
