"""Train the planner: a GPT-2 language model on requirement and plan pairs.

`python -m export.train_planner DATA -o FOLDER` trains a small model with its own byte-level BPE;
with `--checkpoint` it fine-tunes a local GPT-2 folder, with `--planner` a finished planner. Checkpoints
are written every few minutes and a killed run resumes by the same command. Paper recipe for
GPT-2-large: AdamW, learning rate 1e-3, batch 16, 8 epochs (`--paper`).

Guarantees: seeded; with `--epochs` the same batches in the same order. With `--minutes` the
learning rate follows the clock, so two runs differ.
"""

import argparse
import json
import os
import platform
import random
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from dlcodegen_local.planner.tokenizer import PlanTokenizer, PlanVocabulary
from export.large_models import save_checkpoint, spare_memory, training_needs
from export.needs import announce
from export.own_rows import own_rows
from export.planner_batches import MAX_LENGTH, Example, Weights, epoch_batches, examples
from export.planner_rows import (
    RARE_DIALECT,
    Row,
    file_hashes,
    held_out_rows,
    training_rows,
    validation_rows,
)
from export.planner_start import start_from_planner
from export.planner_vocabulary import add_control_tokens, row_texts, train_bpe


@dataclass(frozen=True)
class Settings:
    """Hold everything that decides a training run, as recorded in `training.json`."""

    checkpoint: str | None = None
    n_layer: int = 6
    n_head: int = 8
    n_embd: int = 256
    n_positions: int = 768
    vocab_size: int = 4608
    dropout: float = 0.1
    optimizer: str = "muon"
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    beta2: float = 0.98
    warmup: float = 0.03
    decay: float = 0.5
    batch_tokens: int = 3072
    epochs: float | None = 7.0
    minutes: float | None = None
    prompt_weight: float = 0.3
    closed_weight: float = 2.0
    own_rows: int = 1600
    rare_dialect: float = 1.6
    held_out: int = 100
    seed: int = 42
    threads: int = 1
    checkpoint_minutes: float = 4.0


PAPER = Settings(
    n_layer=36, n_head=20, n_embd=1280, n_positions=1024, batch_tokens=16 * 256, epochs=8.0,
    optimizer="adamw", learning_rate=1e-3, prompt_weight=1.0, closed_weight=1.0, own_rows=0,
    beta2=0.999, weight_decay=0.01, rare_dialect=1.0, held_out=0,
)  # fmt: skip

# A team's pairs on a finished planner: small steps, and rows of our own so that it forgets little.
FINE_TUNING = Settings(
    optimizer="adamw", learning_rate=5e-4, epochs=6.0, own_rows=400, rare_dialect=1.0, warmup=0.1, decay=0.9
)


def main(argv: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m export.train_planner", description=__doc__)
    data_help = "folder with plans/train.jsonl and plans/validation.jsonl, or one file of pairs"
    parser.add_argument("data", type=Path, help=data_help)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the run's folder; resumed if there")
    recipe = parser.add_mutually_exclusive_group()
    recipe.add_argument("--paper", action="store_true", help="start from the paper's recipe for GPT-2-large")
    recipe.add_argument("--planner", type=Path, help="fine-tune this finished planner, int8 or not")
    parser.add_argument("--force", action="store_true", help="start even where memory or disk is short")
    for name, value in asdict(Settings()).items():
        kind = str if name == "checkpoint" else int if type(value) is int else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=None, help=f"default {value}")
    table = vars(parser.parse_args(argv))
    data, output, force = table.pop("data"), table.pop("output"), table.pop("force")
    base = PAPER if table.pop("paper") else Settings()
    if planner := table.pop("planner"):
        output.mkdir(parents=True, exist_ok=True)
        base = replace(FINE_TUNING, checkpoint=str(start_from_planner(planner, output)))
    given = {name: value for name, value in table.items() if value is not None}
    if "epochs" in given:
        given["minutes"] = None
    elif "minutes" in given:
        given["epochs"] = None
    settings = replace(base, **given)
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    announce(training_needs(asdict(settings)), output, force=force)
    train(data, output, settings)


def train(data: Path, output: Path, settings: Settings) -> None:
    """Train from `data` into `output`, resuming from its last checkpoint."""
    output.mkdir(parents=True, exist_ok=True)
    rows, dropped = training_rows(data)
    rows, held_out = held_out_rows(rows, settings.held_out)
    validation = [*validation_rows(data), *held_out]
    say(f"{len(rows)} training rows; dropped: {asdict(dropped)}; {len(validation)} validation rows")
    tokenizer = prepare_tokenizer(output, rows, settings)
    run = Run(
        output, settings, tokenizer, examples(rows, tokenizer), examples(validation, tokenizer, augment=False)
    )
    record: dict[str, Any] = {
        "settings": asdict(settings),
        "rows": len(rows),
        "dropped": asdict(dropped),
        "files": file_hashes(data),
        "python": platform.python_version(),
        "parameters": sum(weight.numel() for weight in run.model.parameters()),
    }
    if (output / "training.json").exists():
        earlier = json.loads((output / "training.json").read_text(encoding="utf-8"))
        record["checkpoints"] = earlier.get("checkpoints", [])
    say(f"{record['parameters'] / 1e6:.1f} million parameters")
    run.train(record)


def prepare_tokenizer(output: Path, rows: list[Row], settings: Settings) -> PlanTokenizer:
    """Return the run's tokenizer: that of the run, of the checkpoint, or a new one."""
    if not (output / "planner.json").exists():
        if settings.checkpoint is None:
            own = list(own_rows(4 * settings.own_rows, settings.seed))
            tokenizer = train_bpe(row_texts([*rows, *own]), settings.vocab_size)
        else:
            tokenizer = Tokenizer.from_file(str(Path(settings.checkpoint) / "tokenizer.json"))
        vocabulary = add_control_tokens(tokenizer, rows)
        tokenizer.save(str(output / "tokenizer.json"))
        planner = {"format": 1, "vocabulary": vocabulary.to_dict()}
        (output / "planner.json").write_text(json.dumps(planner, indent=1) + "\n", encoding="utf-8")
    settings_file = json.loads((output / "planner.json").read_text(encoding="utf-8"))
    vocabulary = PlanVocabulary.from_dict(settings_file["vocabulary"])
    return PlanTokenizer.from_bytes((output / "tokenizer.json").read_bytes(), vocabulary)


def build_model(settings: Settings, vocabulary: PlanVocabulary) -> Any:
    """Return a GPT2LMHeadModel, new or from the checkpoint, with room for the control tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    if settings.checkpoint is not None:
        model = GPT2LMHeadModel.from_pretrained(settings.checkpoint, attn_implementation="sdpa")
        if model.config.n_positions < MAX_LENGTH:
            raise SystemExit(f"{settings.checkpoint}: fewer than {MAX_LENGTH} positions")
        model.resize_token_embeddings(vocabulary.vocab_size)
        return model
    config = GPT2Config(
        vocab_size=vocabulary.vocab_size,
        n_positions=settings.n_positions,
        n_embd=settings.n_embd,
        n_layer=settings.n_layer,
        n_head=settings.n_head,
        resid_pdrop=settings.dropout,
        embd_pdrop=settings.dropout,
        attn_pdrop=0.0,  # any other value leaves the fused attention kernel
        activation_function="gelu_pytorch_tanh",  # the same function as gelu_new, in one kernel
        bos_token_id=vocabulary.borders["requirement"],
        eos_token_id=vocabulary.borders["end"],
        pad_token_id=vocabulary.borders["pad"],
        attn_implementation="sdpa",
    )
    return GPT2LMHeadModel(config)


class Run:
    """Hold a training run's model, optimizer, place in the data and clock."""

    def __init__(
        self,
        output: Path,
        settings: Settings,
        tokenizer: PlanTokenizer,
        training: list[Example],
        validation: list[Example],
    ) -> None:
        import torch

        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.output, self.settings, self.tokenizer = output, settings, tokenizer
        self.training, self.validation = training, validation
        self.model = spare_memory(build_model(settings, tokenizer.vocabulary))
        self.optimizers = build_optimizers(self.model, settings)
        self.epoch, self.batch, self.seconds, self.tokens = 0, 0, 0.0, 0
        self._resume()

    def train(self, record: dict[str, Any]) -> None:
        """Train to the end of the budget, writing checkpoints on the way."""
        saved_at = said_at = self.seconds
        recent: list[float] = []
        while (progress := self._progress(0, 1)) < 1:
            weights, seed = self._weights(progress), self.settings.seed + self.epoch
            batches = epoch_batches(
                self._epoch_examples(seed), self.tokenizer, weights, self.settings.batch_tokens, seed
            )
            while self.batch < len(batches) and progress < 1:
                progress = self._progress(self.batch, len(batches))
                started = time.perf_counter()
                recent.append(self._step(*batches[self.batch], progress))
                self.batch += 1
                self.seconds += time.perf_counter() - started
                if len(recent) == 50 or self.seconds - said_at > 60:
                    say(
                        f"{100 * progress:5.1f}%  epoch {self.epoch + self.batch / len(batches):.2f}  "
                        f"loss {sum(recent) / len(recent):.3f}  {self.tokens / self.seconds:.0f} tokens/s"
                    )
                    recent.clear()
                    said_at = self.seconds
                if self.seconds - saved_at > 60 * self.settings.checkpoint_minutes:
                    saved_at = self.seconds
                    self._save(record, progress)
            if self.batch == len(batches):
                self.epoch, self.batch = self.epoch + 1, 0
        self._save(record, 1.0)

    def _epoch_examples(self, seed: int) -> list[Example]:
        """Return an epoch's rows: the published ones, some of the rare dialect again, and our own."""
        rare = [example for example in self.training if example.row.dialect == RARE_DIALECT]
        repeated = random.Random(seed).sample(rare, round(len(rare) * (self.settings.rare_dialect - 1)))
        own = examples(list(own_rows(self.settings.own_rows, seed)), self.tokenizer, augment=False)
        return [*self.training, *repeated, *own]

    def _progress(self, batch: int, batches: int) -> float:
        if self.settings.minutes is not None:
            return self.seconds / (60 * self.settings.minutes)
        return (self.epoch + batch / batches) / (self.settings.epochs or 1.0)

    def _weights(self, progress: float) -> Weights:
        """Let the prompt teach the language first, then leave the capacity to the plan."""
        prompt = self.settings.prompt_weight * (1.0 if progress < 0.5 else 0.3)
        return Weights(prompt=prompt, closed=self.settings.closed_weight)

    def _learning_rate(self, progress: float) -> float:
        """Rise over `warmup`, stay, and fall to almost nothing over the last `decay` of the run."""
        rise = progress / self.settings.warmup if self.settings.warmup else 1.0
        fall = (1 - progress) / self.settings.decay if self.settings.decay else 1.0
        return self.settings.learning_rate * min(1.0, max(rise, 0.02), max(fall, 0.02))

    def _step(self, input_ids: Any, weight: Any, progress: float) -> float:
        import torch

        self.model.train()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate(progress)
        loss = _weighted_loss(self.model, torch.from_numpy(input_ids), torch.from_numpy(weight))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.tokens += int(input_ids.size)
        return float(loss.detach())

    def validation_loss(self) -> dict[str, float]:
        """Return the mean loss a token of the validation rows: closed values, and free text.

        Nothing where there are no such rows.
        """
        import torch

        self.model.eval()
        losses: dict[str, float] = {}
        if not self.validation:
            return losses
        for name, weights in (("closed", Weights(0.0, 1.0, 0.0)), ("text", Weights(0.0, 0.0, 1.0))):
            total = weight_sum = 0.0
            made = epoch_batches(self.validation, self.tokenizer, weights, self.settings.batch_tokens, 0)
            with torch.no_grad():
                for input_ids, weight in made:
                    loss = _weighted_loss(self.model, torch.from_numpy(input_ids), torch.from_numpy(weight))
                    total += float(loss) * float(weight.sum())
                    weight_sum += float(weight.sum())
            losses[name] = total / weight_sum
        return losses

    def _save(self, record: dict[str, Any], progress: float) -> None:
        import torch

        losses = self.validation_loss()
        record.setdefault("checkpoints", []).append(
            {
                "progress": round(progress, 4),
                "epoch": round(self.epoch, 2),
                "seconds": round(self.seconds),
                "tokens": self.tokens,
                "validation_loss": {name: round(loss, 4) for name, loss in losses.items()},
            }
        )
        state = {
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "place": [self.epoch, self.batch, self.seconds, self.tokens],
            "rng": torch.get_rng_state(),
        }
        save_checkpoint(self.model, state, self.output)
        (self.output / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        say(f"checkpoint at {100 * progress:.0f}%: validation {losses}")

    def _resume(self) -> None:
        import torch
        from transformers import GPT2LMHeadModel

        if not (self.output / "trainer.pt").exists():
            return
        state = torch.load(self.output / "trainer.pt", weights_only=True)
        del self.model, self.optimizers  # a large model does not fit twice
        self.model = spare_memory(GPT2LMHeadModel.from_pretrained(self.output, attn_implementation="sdpa"))
        self.optimizers = build_optimizers(self.model, self.settings)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["rng"])
        self.epoch, self.batch, self.seconds, self.tokens = state["place"]
        say(f"resumed at epoch {self.epoch}, batch {self.batch}, {self.seconds / 60:.1f} minutes")


def build_optimizers(model: Any, settings: Settings) -> list[Any]:
    """Return AdamW alone, or Muon for the matrices inside the layers and AdamW for all else."""
    import torch

    named = list(model.named_parameters())
    inner = {name for name, weight in named if weight.ndim == 2 and ".h." in name}
    made: list[Any] = []
    if settings.optimizer == "muon":
        matrices = [weight for name, weight in named if name in inner]
        made.append(
            torch.optim.Muon(
                matrices,
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
        named = [(name, weight) for name, weight in named if name not in inner]
    decayed = [weight for _, weight in named if weight.ndim >= 2]
    plain = [weight for _, weight in named if weight.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    made.append(torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, settings.beta2)))
    return made


def _weighted_loss(model: Any, input_ids: Any, weight: Any) -> Any:
    """Return the weighted mean cross entropy; logits are made only where the weight is not 0."""
    from torch.nn import functional

    hidden = model.transformer(input_ids).last_hidden_state[:, :-1]
    targets, target_weight = input_ids[:, 1:], weight[:, 1:]
    chosen = target_weight > 0
    logits = model.lm_head(hidden[chosen])
    losses = functional.cross_entropy(logits.float(), targets[chosen], reduction="none")
    return (losses * target_weight[chosen]).sum() / target_weight[chosen].sum()


def say(message: str) -> None:
    """Write a line of progress to stderr."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
