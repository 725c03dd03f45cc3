"""Training of the starter: batches, the copying start, checkpoints."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.starter_batches import Example, TaskStream, TextStream, task_batch  # noqa: E402
from export.starter_model import ModelSettings, StarterModel  # noqa: E402
from export.starter_start import start_copying  # noqa: E402
from export.starter_training import Schedule, Stage, Trainer, run_stage  # noqa: E402

TINY = ModelSettings(
    vocab_size=64, num_layers=2, hidden_size=32, num_heads=4, intermediate_size=48, context_length=64
)
MARKERS = (np.array([1, 3]), np.array([2, 4]))


def text_stream(copy_share: float = 0.4) -> TextStream:
    token_ids = np.random.default_rng(0).integers(5, 64, size=2000).astype(np.uint16)
    return TextStream(token_ids, 32, 7, MARKERS, copy_share)


def new_trainer() -> Trainer:
    torch.manual_seed(0)
    return Trainer(StarterModel(TINY), micro_tokens=64)


def stage(path: Path, steps: int) -> Stage:
    stream = text_stream()
    schedule = Schedule(6, matrix_rate=1e-2, other_rate=1e-2, warmup=2, decay=0.5)
    schedule = Schedule(steps, schedule.matrix_rate, schedule.other_rate, schedule.warmup, 0.0)
    return Stage("pretrain", schedule, lambda step: stream.batch(step, 4), [stream.batch(99, 2)], path)


def test_a_resumed_run_equals_one_that_went_through(tmp_path: Path) -> None:
    through = new_trainer()
    run_stage(through, stage(tmp_path / "a.pt", 6), lambda _: None)
    first = new_trainer()
    run_stage(first, stage(tmp_path / "b.pt", 3), lambda _: None)
    second = new_trainer()
    second.load(tmp_path / "b.pt")
    run_stage(second, stage(tmp_path / "b.pt", 6), lambda _: None)
    assert (second.step, second.tokens) == (through.step, through.tokens)
    for one, other in zip(through.model.parameters(), second.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_loss_falls(tmp_path: Path) -> None:
    trainer, lines = new_trainer(), []
    before = trainer.validation_loss([text_stream(1.0).batch(99, 4)])
    result = run_stage(trainer, stage(tmp_path / "a.pt", 30), lines.append)
    assert trainer.validation_loss([text_stream(1.0).batch(99, 4)]) < before
    assert result["tokens"] == 30 * 4 * 32
    assert "tokens/s" in lines[0] and "min left" in lines[0]


def test_schedule_rises_stays_and_falls() -> None:
    schedule = Schedule(100, 1.0, 1.0, warmup=10, decay=0.5)
    assert schedule.factor(0) == pytest.approx(0.1)
    assert schedule.factor(30) == 1.0
    assert schedule.factor(75) == pytest.approx(0.525)
    assert schedule.factor(99) < 0.1


def test_start_copies_before_any_training() -> None:
    torch.manual_seed(1)
    settings = ModelSettings(
        vocab_size=2000, num_layers=2, hidden_size=256, num_heads=4, intermediate_size=64, context_length=256
    )
    model = StarterModel(settings)
    start_copying(model)
    passage = np.random.default_rng(0).permutation(2000)[:100].tolist()
    with torch.no_grad():
        logits = model.logits(model(torch.tensor([passage * 2]))[0])
    predicted = logits.argmax(-1)[101:-1].tolist()
    right = sum(a == b for a, b in zip(predicted, passage[2:], strict=True))
    assert right >= 0.95 * len(predicted)


def test_start_refuses_a_model_without_room() -> None:
    with pytest.raises(ValueError, match="two layers"):
        start_copying(StarterModel(ModelSettings(vocab_size=64, num_layers=1)))


def test_batches_depend_on_seed_and_step_only() -> None:
    one, other = text_stream().batch(5, 3), text_stream().batch(5, 3)
    np.testing.assert_array_equal(one.inputs, other.inputs)
    np.testing.assert_array_equal(one.inputs[:, 1:], one.targets[:, :-1])
    assert (one.inputs != text_stream().batch(6, 3).inputs).any()


def test_copy_windows_repeat_their_passage() -> None:
    window = text_stream(copy_share=1.0).window(0).tolist()
    turns = [i for i in range(len(window) - 1) if window[i : i + 2] == [2, 4]]
    passage = window[2 : turns[0]]
    assert window[turns[0] + 2 :][: len(passage)] == passage[: len(window) - turns[0] - 2]


def test_only_answers_count_in_a_task_batch() -> None:
    batch = task_batch([Example((9, 8, 7, 6), 2), Example((5, 4, 3), 1)], pad_id=0, prompt_weight=0.1)
    np.testing.assert_array_equal(batch.targets, [[8, 7, 6], [4, 3, 0]])
    np.testing.assert_allclose(batch.weights, [[0.1, 1.0, 1.0], [1.0, 1.0, 0.0]])


def test_an_epoch_holds_every_example_once() -> None:
    examples = [Example(tuple(range(5 + n % 7)), 2) for n in range(50)]
    batches = TaskStream(examples, 40, 0, pad_id=0, pool=16).plan_epoch(0)
    assert sorted(n for batch in batches for n in batch) == list(range(50))
    assert all(len(batch) * max(len(examples[n].token_ids) for n in batch) <= 40 for batch in batches)
