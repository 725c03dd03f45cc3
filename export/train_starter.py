"""Train the bundled starter code model from scratch: tokenizer, pretraining, the pipeline's own tasks.

One seeded command, resumable with `--resume`: each stage leaves its result in the output folder and is
not done again. `to_gguf` turns the result into a GGUF file.
Works on the CPU; torch and tokenizers are needed.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from export.starter_batches import Example, TextStream
    from export.starter_tasks import TaskExample
    from export.starter_training import Trainer

PRETRAIN_STEPS = 1100
WINDOW = 512
ROWS = 4
TASK_BATCH_TOKENS = 2048
MAX_TASK_TOKENS = 1600
HELD_OUT_ROWS = 100


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m export.train_starter", description=__doc__)
    parser.add_argument(
        "--sources", type=Path, required=True, help="JSON file that names the folders of text"
    )
    parser.add_argument(
        "--leak-check",
        type=Path,
        action="append",
        default=[],
        metavar="JSONL",
        help="files whose `reference` texts must not occur in the training text",
    )
    parser.add_argument("--plans", type=Path, help="JSON lines with requirement and plan, for the task stage")
    parser.add_argument("--samples", type=Path, help="folder of sample projects, for the task stage")
    parser.add_argument("--out", type=Path, required=True, help="folder for tokenizer, checkpoints, record")
    parser.add_argument("--stage", choices=("prepare", "pretrain", "tasks", "all"), default="all")
    parser.add_argument("--steps", type=int, default=PRETRAIN_STEPS, help="steps of pretraining")
    parser.add_argument("--task-steps", type=int, default=500, help="steps on tasks")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--intermediate-size", type=int, default=704)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints in the folder")
    return parser.parse_args(argv)


def write_json(path: Path, value: object) -> None:
    """Write JSON: temp file, fsync, rename."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def note(path: Path, key: str, value: object) -> None:
    """Add one entry to the training record."""
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_json(path, {**record, key: value})


def report(message: str) -> None:
    """Print a progress line to stderr."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)


def prepare(args: argparse.Namespace) -> None:
    """Read the text, train the tokenizer, and leave both as files."""
    import numpy as np

    from export.starter_corpus import leak_shingles, read_corpus, read_sources
    from export.starter_tokenizer import END_OF_TEXT, train_tokenizer

    if args.resume and (args.out / "corpus.npz").exists():
        return
    args.out.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(read_sources(args.sources), leak_shingles(args.leak_check))
    report(f"{len(corpus.training)} documents, {sum(map(len, corpus.training))} characters")
    tokenizer = train_tokenizer(corpus.training, args.vocab_size, args.out / "tokenizer.json")
    order = np.random.default_rng(args.seed).permutation(len(corpus.training))
    end = tokenizer.token_to_id(END_OF_TEXT)

    def stream(documents: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
        encoded = tokenizer.encode_batch(documents)
        return np.array([i for item in encoded for i in (end, *item.ids)], dtype=np.uint16)

    training, validation = stream([corpus.training[i] for i in order]), stream(corpus.validation)
    with open(args.out / "corpus.npz.tmp", "wb") as file:
        np.savez(file, training=training, validation=validation)
    os.replace(args.out / "corpus.npz.tmp", args.out / "corpus.npz")
    note(
        args.out / "training.json",
        "text",
        {
            **corpus.record(),
            "training_tokens": len(training),
            "validation_tokens": len(validation),
            "tokenizer_sha256": hashlib.sha256((args.out / "tokenizer.json").read_bytes()).hexdigest(),
        },
    )
    report(f"{len(training)} training tokens, {len(validation)} validation tokens")


def new_trainer(args: argparse.Namespace) -> "Trainer":
    """Create model and optimisers from the seed."""
    import torch

    from export.starter_model import ModelSettings, StarterModel
    from export.starter_start import start_copying
    from export.starter_training import Trainer

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    settings = ModelSettings(
        vocab_size=args.vocab_size,
        num_layers=args.layers,
        hidden_size=args.hidden_size,
        num_heads=args.heads,
        intermediate_size=args.intermediate_size,
    )
    write_json(args.out / "settings.json", dataclasses.asdict(settings))
    model = StarterModel(settings)
    start_copying(model)
    return Trainer(model)


def text_stream(args: argparse.Namespace, tokenizer: "Tokenizer", part: str) -> "TextStream":
    """Return the stream of plain text, `training` or `validation`."""
    import numpy as np

    from export.starter_batches import TextStream
    from export.starter_tokenizer import IM_END, IM_START

    arrays = np.load(args.out / "corpus.npz", allow_pickle=False)
    opening, turn = (
        np.array(tokenizer.encode(text).ids, dtype=np.int64)
        for text in (f"{IM_START}user\n", f"{IM_END}\n{IM_START}assistant\n")
    )
    return TextStream(arrays[part], WINDOW, args.seed, (opening, turn))


def pretrain(args: argparse.Namespace) -> None:
    """Train on plain text; leaves `pretrained.pt`."""
    from dataclasses import replace

    from export.starter_batches import Batch
    from export.starter_tokenizer import load_tokenizer
    from export.starter_training import Schedule, Stage, run_stage

    tokenizer = load_tokenizer(args.out / "tokenizer.json")
    stream = text_stream(args, tokenizer, "training")
    validation: list[Batch] = [
        replace(text_stream(args, tokenizer, "validation"), copy_share=0.0).batch(0, 12)
    ]
    trainer = new_trainer(args)
    checkpoint = args.out / "pretrained.pt"
    if args.resume and checkpoint.exists():
        trainer.load(checkpoint)
    schedule = Schedule(args.steps, matrix_rate=2e-3, other_rate=1e-3)
    stage = Stage("pretrain", schedule, lambda step: stream.batch(step, ROWS), validation, checkpoint)
    result = run_stage(trainer, stage, report)
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    note(
        args.out / "training.json",
        "pretrain",
        {
            **result,
            **dataclasses.asdict(schedule),
            "window": WINDOW,
            "rows": ROWS,
            "seed": args.seed,
            "threads": args.threads,
            "parameters": parameters,
        },
    )


def encode_example(tokenizer: "Tokenizer", example: "TaskExample") -> "Example":
    """Return an example as tokens; pieces of the prompt are tokenised apart, as at run time."""
    from dlcodegen_local.generation.chat import render
    from export.starter_batches import Example
    from export.starter_tokenizer import IM_END

    pieces = [tokenizer.encode(piece.text).ids for piece in render(example.prompt, "chatml")]
    prompt = [token_id for piece in pieces for token_id in piece]
    answer = [*tokenizer.encode(example.answer).ids, tokenizer.token_to_id(IM_END)]
    return Example((*prompt, *answer), len(prompt))


def task_examples(
    args: argparse.Namespace, tokenizer: "Tokenizer", held: bool, tokens: int
) -> list["Example"]:
    """Return examples of at most MAX_TASK_TOKENS tokens, `tokens` in all; kept in a file for resuming."""
    import numpy as np

    from export.starter_batches import Example
    from export.starter_tasks import Material, TaskMaker, read_rows, read_samples, split_rows

    path = args.out / ("task-validation.npz" if held else "task-training.npz")
    if not (args.resume and path.exists()):
        material = Material(
            read_samples(args.samples), split_rows(read_rows(args.plans), HELD_OUT_ROWS)[held]
        )
        made: list[Example] = []
        counts: dict[str, int] = {}
        total = 0
        for task in TaskMaker(material, args.seed + held).examples():
            example = encode_example(tokenizer, task)
            if len(example.token_ids) > MAX_TASK_TOKENS:
                continue
            made.append(example)
            total += len(example.token_ids)
            counts[f"{task.kind} [{task.section}]"] = counts.get(f"{task.kind} [{task.section}]", 0) + 1
            if total >= tokens:
                break
        flat = np.array([i for example in made for i in example.token_ids], dtype=np.uint16)
        lengths = np.array([[len(example.token_ids), example.answer_start] for example in made])
        with open(path.with_suffix(".tmp"), "wb") as file:
            np.savez(file, flat=flat, lengths=lengths)
        os.replace(path.with_suffix(".tmp"), path)
        note(
            args.out / "training.json",
            path.stem,
            {
                "examples": len(made),
                "tokens": total,
                "by_kind": dict(sorted(counts.items())),
                "samples": len(material.samples),
                "plans": len(material.rows),
                "sha256": hashlib.sha256(flat.tobytes()).hexdigest(),
            },
        )
    arrays = np.load(path, allow_pickle=False)
    ends = np.cumsum(arrays["lengths"][:, 0])
    return [
        Example(tuple(arrays["flat"][end - size : end].tolist()), int(start))
        for end, (size, start) in zip(ends, arrays["lengths"].tolist(), strict=True)
    ]


def train_tasks(args: argparse.Namespace) -> None:
    """Train on the pipeline's tasks, one batch in eight on plain text; leaves `tasks.pt`."""
    from export.starter_batches import Batch, TaskStream, task_batch
    from export.starter_tokenizer import END_OF_TEXT, load_tokenizer
    from export.starter_training import Schedule, Stage, run_stage

    tokenizer = load_tokenizer(args.out / "tokenizer.json")
    pad = tokenizer.token_to_id(END_OF_TEXT)
    examples = task_examples(args, tokenizer, False, args.task_steps * TASK_BATCH_TOKENS * 7 // 8)
    held = task_examples(args, tokenizer, True, 40_000)
    stream = TaskStream(examples, TASK_BATCH_TOKENS, args.seed, pad)
    order = [batch for epoch in range(2) for batch in stream.plan_epoch(epoch)]
    text = text_stream(args, tokenizer, "training")

    def batch(step: int) -> Batch:
        if step % 8 == 7:
            return text.batch(args.steps + step, ROWS)
        return stream.batch_of(order[step % len(order)])

    validation = [task_batch([example], pad, 0.0) for example in held]
    trainer = new_trainer(args)
    checkpoint = args.out / "tasks.pt"
    if args.resume and checkpoint.exists():
        trainer.load(checkpoint)
    else:
        trainer.load(args.out / "pretrained.pt", weights_only=True)
    schedule = Schedule(args.task_steps, matrix_rate=2e-3, other_rate=1e-3, decay=0.6)
    result = run_stage(trainer, Stage("tasks", schedule, batch, validation, checkpoint), report)
    note(
        args.out / "training.json",
        "tasks",
        {
            **result,
            **dataclasses.asdict(schedule),
            "batch_tokens": TASK_BATCH_TOKENS,
            "seed": args.seed,
        },
    )


def main(argv: list[str] | None = None) -> int:
    """Run the stages that were asked for."""
    args = parse_arguments(argv)
    stages = ("prepare", "pretrain", "tasks") if args.stage == "all" else (args.stage,)
    if "prepare" in stages:
        prepare(args)
    if "pretrain" in stages:
        pretrain(args)
    if "tasks" in stages:
        train_tasks(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
