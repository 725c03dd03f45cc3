"""Optimise the starter: one step at a time, with checkpoints from which a run goes on exactly.

Matrices inside the layers are trained by Muon, embeddings and norms by AdamW: Muon needs fewer tokens.
Batches are functions of the step, so a checkpoint holds weights, the state of both optimisers and the
step, and no random state.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch  # noqa: TID253
import torch.nn.functional as functional  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from export.starter_batches import Batch
from export.starter_model import StarterModel

Report = Callable[[str], None]


@dataclass(frozen=True)
class Schedule:
    """Say how long a stage trains and at which learning rates (`matrix_rate` Muon, `other_rate` AdamW).

    Rates rise over `warmup` steps, stay, and fall linearly to `final_share` over the last `decay` share
    of the steps.
    """

    steps: int
    matrix_rate: float
    other_rate: float
    warmup: int = 20
    decay: float = 0.0
    final_share: float = 0.05

    def factor(self, step: int) -> float:
        """Return the share of the full rate at a step."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        start = self.steps * (1 - self.decay)
        if step < start:
            return 1.0
        return 1.0 - (1.0 - self.final_share) * (step - start) / max(1.0, self.steps - start)


class Trainer:
    """Hold the model with its optimisers; `train_step` is the only thing that changes them."""

    def __init__(self, model: StarterModel, micro_tokens: int = 1024) -> None:
        """Create the optimisers; a batch is run in pieces of at most `micro_tokens` tokens."""
        self.model = model
        self.micro_tokens = micro_tokens
        matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blk")]
        others = [p for name, p in model.named_parameters() if p.dim() != 2 or not name.startswith("blk")]
        self.muon = torch.optim.Muon(
            matrices, lr=1.0, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
        )
        self.adamw = torch.optim.AdamW(others, lr=1.0, betas=(0.9, 0.95), weight_decay=0.0)
        self.step = 0
        self.tokens = 0

    def _pieces(self, batch: Batch) -> list[tuple[Tensor, Tensor, Tensor]]:
        rows = max(1, self.micro_tokens // batch.inputs.shape[1])
        arrays = (batch.inputs, batch.targets, batch.weights)
        count = len(batch.inputs)
        return [
            tuple(torch.from_numpy(array[start : start + rows]) for array in arrays)  # type: ignore[misc]
            for start in range(0, count, rows)
        ]

    def loss_sum(self, inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of the tokens' losses, in nats; tokens of weight 0 are not computed."""
        wanted = weights > 0
        hidden = self.model(inputs)[wanted]
        losses = functional.cross_entropy(self.model.logits(hidden), targets[wanted], reduction="none")
        return (losses * weights[wanted]).sum()

    def train_step(self, batch: Batch, schedule: Schedule) -> float:
        """Take one step; return the mean loss of the batch."""
        factor = schedule.factor(self.step)
        for optimiser, rate in ((self.muon, schedule.matrix_rate), (self.adamw, schedule.other_rate)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        total_weight = float(batch.weights.sum())
        loss = 0.0
        for piece in self._pieces(batch):
            part = self.loss_sum(*piece) / total_weight
            part.backward()
            loss += float(part.detach())
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in (self.muon, self.adamw):
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += batch.inputs.size
        return loss

    @torch.no_grad()
    def validation_loss(self, batches: list[Batch]) -> float:
        """Return the mean loss over batches, in nats a token."""
        weight = sum(float(batch.weights.sum()) for batch in batches)
        total = sum(float(self.loss_sum(*piece)) for batch in batches for piece in self._pieces(batch))
        return total / weight

    def save(self, path: Path) -> None:
        """Write a checkpoint: temp file, fsync, rename."""
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adamw": self.adamw.state_dict(),
            "step": self.step,
            "tokens": self.tokens,
        }
        temporary = path.with_suffix(".tmp")
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def load(self, path: Path, weights_only: bool = False) -> None:
        """Go on from a checkpoint; with `weights_only` step, tokens and optimisers start anew."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        if not weights_only:
            self.muon.load_state_dict(state["muon"])
            self.adamw.load_state_dict(state["adamw"])
            self.step, self.tokens = state["step"], state["tokens"]


@dataclass
class Stage:
    """Hold what one stage of training needs beside the trainer."""

    name: str
    schedule: Schedule
    batch: Callable[[int], Batch]
    validation: list[Batch]
    checkpoint: Path
    checkpoint_seconds: float = 180.0
    report_every: int = 5


def run_stage(trainer: Trainer, stage: Stage, report: Report) -> dict[str, float | None]:
    """Train from the trainer's step to the stage's end; return its losses, speed and token count."""
    started = saved = time.monotonic()
    first_tokens, first_step, losses = trainer.tokens, trainer.step, []
    while trainer.step < stage.schedule.steps:
        losses.append(trainer.train_step(stage.batch(trainer.step), stage.schedule))
        if trainer.step % stage.report_every == 0:
            spent = time.monotonic() - started
            speed = (trainer.tokens - first_tokens) / spent
            left = spent / (trainer.step - first_step) * (stage.schedule.steps - trainer.step)
            recent = float(np.mean(losses[-stage.report_every :]))
            report(
                f"{stage.name} step {trainer.step}/{stage.schedule.steps} loss {recent:.3f} "
                f"{speed:.0f} tokens/s, {left / 60:.1f} min left"
            )
        if time.monotonic() - saved > stage.checkpoint_seconds:
            trainer.save(stage.checkpoint)
            saved = time.monotonic()
            report(
                f"{stage.name} checkpoint, validation loss {trainer.validation_loss(stage.validation):.3f}"
            )
    trainer.save(stage.checkpoint)
    seconds = time.monotonic() - started
    return {
        "steps": float(trainer.step),
        "tokens": float(trainer.tokens),
        "train_loss": float(np.mean(losses[-20:])) if losses else None,
        "validation_loss": trainer.validation_loss(stage.validation),
        "seconds_this_run": seconds,
    }
