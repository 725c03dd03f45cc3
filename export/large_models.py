"""What lets a GPT-2-large be trained on a machine of 24 GiB, and its checkpoints survive a kill."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.needs import Needs, folder_bytes

LARGE_PARAMETERS = 200_000_000
# Bytes of memory and disk and nanoseconds for each parameter, measured at GPT-2-large size: weights,
# gradients and two moments of AdamW are 16; the minutes are those of one batch of 16 x 256 tokens.
FIGURES = (23.0, 25.0, 400.0)


def training_needs(settings: Mapping[str, Any]) -> Needs:
    """Return what a training run of these settings needs, checkpoints included, and a batch's minutes."""
    if settings["checkpoint"] is not None:
        parameters = folder_bytes(Path(settings["checkpoint"]), "*.safetensors") // 4
    else:
        parameters = settings["n_embd"] * (
            12 * settings["n_layer"] * settings["n_embd"] + settings["vocab_size"]
        )
    return Needs.of("training (time: each batch)", parameters, FIGURES)


def spare_memory(model: Any) -> Any:
    """Return the model; a large one computes its layers again for the gradients and keeps none of them."""
    if sum(weight.numel() for weight in model.parameters()) >= LARGE_PARAMETERS:
        model.config.use_cache = False
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def save_checkpoint(model: Any, state: dict[str, Any], output: Path) -> None:
    """Write weights and the trainer's state under other names, then put both in place at once."""
    import torch

    part = output / "checkpoint.part"
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    torch.save(state, part / "trainer.pt")
    for path in sorted(part.iterdir()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    for path in sorted(part.iterdir()):
        path.replace(output / path.name)
    part.rmdir()
