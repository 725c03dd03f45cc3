"""The whole way of a planner on four rows of our own: train, resume, export, quantise, plan."""

import json
import os

import numpy as np
import pytest

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.beam import BeamSettings, beam_search, log_softmax
from tests.export.beams import beams_of_transformers
from tests.export.test_planner_rows import PLAN, write_rows
from tests.planner.toy import TableLogits

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore"),  # theirs
]

REQUIREMENTS = [
    "I want to tell ripe from rotten fruit.",
    "I want to find cracks in concrete.",
    "I want to name the bird on a photo.",
    "I want to spot forged signatures.",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from export import train_planner

    folder = tmp_path_factory.mktemp("planner")
    for name in ("train", "validation"):
        texts = REQUIREMENTS if name == "train" else ["I want to weigh a whale from the air."]
        write_rows(folder / f"data/plans/{name}.jsonl", texts)
    small = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--vocab-size", "300"]
    small += ["--batch-tokens", "400", "--own-rows", "5"]
    for epochs in ("1", "3"):
        train_planner.main([str(folder / "data"), "-o", str(folder / "run"), "--epochs", epochs, *small])
    return folder / "run"


def test_a_killed_run_goes_on_where_it_was(run):
    record = json.loads((run / "training.json").read_text())
    assert record["rows"] == 4 and record["settings"]["seed"] == 42
    assert record["checkpoints"][-1]["epoch"] == 3
    state = torch.load(run / "trainer.pt", weights_only=True)
    assert state["place"][0] == 3


def exported(run, folder):
    """Return the folders of the run's planner, fp32 and int8."""
    from export import quantize, to_onnx

    to_onnx.main([str(run), "-o", str(folder / "fp32")])
    quantize.main([str(folder / "fp32"), "-o", str(folder / "int8"), "--skip-check"])
    quantize.write_manifest(folder / "fp32", "fp32", "Apache-2.0")
    return folder / "fp32", folder / "int8"


@pytest.fixture(scope="module")
def planners(run, tmp_path_factory):
    from export import train_choices

    small = ["--buckets", "512", "--own-rows", "200", "--no-task-rows", "200", "--batch", "16"]
    train_choices.main([str(run.parent / "data"), str(run), *small])
    return exported(run, tmp_path_factory.mktemp("exported"))


def test_export_and_quantisation_give_a_planner(planners):
    from dlcodegen_local.planner.planner import Planner

    loaded = [Planner(folder, threads=1) for folder in planners]
    plans = [planner.plan("Sort eggs by size.").plan for planner in loaded]
    assert all(Plan.from_dict(plan.to_dict()) == plan for plan in plans)
    for planner in loaded:
        sure = [
            planner.plan(text).confidence["task"] for text in ("Bake a cake.", "Classify images of cats.")
        ]
        assert sure[0] < sure[1]


def test_int8_weights_are_read_as_the_numbers_they_stand_for(planners, tmp_path):
    from export.planner_start import DequantisedWeights, start_from_planner

    whole, coarse = (DequantisedWeights(folder) for folder in planners)
    assert set(whole) == set(coarse)
    for name, weights in whole.items():
        np.testing.assert_allclose(coarse[name], weights, atol=np.abs(weights).max() / 127)
    checkpoint = start_from_planner(planners[1], tmp_path)
    model = transformers.GPT2LMHeadModel.from_pretrained(checkpoint)
    embedding = dict(model.named_parameters())["transformer.wte.weight"].detach().numpy()
    np.testing.assert_array_equal(embedding, coarse["wte.weight"])


def test_a_finished_planner_is_fine_tuned_on_a_file_of_pairs(planners, tmp_path):
    from dlcodegen_local.planner.planner import Planner
    from export import train_choices, train_planner

    pairs, tuned = tmp_path / "pairs.jsonl", tmp_path / "tuned"
    texts = [f"Watch pump number {place} of the plant." for place in range(12)]
    write_rows(pairs, texts, plan={**PLAN, "Task Category": "Anomaly Detection"})
    argv = [str(pairs), "-o", str(tuned), "--planner", str(planners[1])]
    train_planner.main([*argv, "--own-rows", "5", "--epochs", "2"])
    small = ["--own-rows", "20", "--no-task-rows", "20", "--batch", "8"]
    train_choices.main([str(pairs), str(tuned), "--fine-tune", *small])
    record = json.loads((tuned / "training.json").read_text())
    assert list(record["files"]) == ["pairs.jsonl"]
    assert record["rows"] == 11  # one of twelve is held out
    assert record["checkpoints"][-1]["validation_loss"].keys() == {"closed", "text"}
    folders = (planners[1], exported(tuned, tmp_path)[1])
    before, after = (Planner(folder, threads=1).plan("Watch pump 99.").plan for folder in folders)
    assert before.category != after.category == "Anomaly Detection"


def test_a_local_checkpoint_is_fine_tuned_with_its_own_tokenizer(run, tmp_path):
    from export import train_planner
    from export.planner_vocabulary import train_bpe

    checkpoint = tmp_path / "checkpoint"
    tokenizer = train_bpe(REQUIREMENTS, 280)
    config = transformers.GPT2Config(vocab_size=280, n_positions=800, n_embd=16, n_layer=1, n_head=2)
    transformers.GPT2LMHeadModel(config).save_pretrained(checkpoint)
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    argv = [str(run.parent / "data"), "-o", str(tmp_path / "tuned"), "--paper", "--epochs", "1"]
    train_planner.main([*argv, "--checkpoint", str(checkpoint)])
    tuned = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "tuned")
    settings = json.loads((tmp_path / "tuned/planner.json").read_text())["vocabulary"]
    assert tuned.config.vocab_size == settings["vocab_size"] > tokenizer.get_vocab_size()
    record = json.loads((tmp_path / "tuned/training.json").read_text())["settings"]
    assert (record["learning_rate"], record["own_rows"], record["epochs"]) == (1e-3, 0, 1.0)


class UpTo:
    """Allow everything; complete at `end` or at a length, as `generate` is."""

    def __init__(self, end, length, vocab_size):
        self.end, self.length, self.vocab_size = end, length, vocab_size

    def start(self):
        return ()

    def advance(self, state, token_id):
        return (*state, token_id)

    def finished(self, state):
        return len(state) >= self.length or self.end in state

    def forced(self, state):
        return None

    def score(self, state, logits):
        return np.arange(self.vocab_size), log_softmax(logits)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_our_beams_are_those_of_transformers(seed, length_penalty, num_beams):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=40, n_positions=64, n_embd=16, n_layer=2, n_head=2, initializer_range=0.6,
        bos_token_id=1, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    prompt = [5, 6, 7]
    theirs = beams_of_transformers(model, prompt, num_beams, length_penalty, 16)

    def logits_of(row):
        with torch.no_grad():
            return model(torch.tensor([list(row)])).logits[0, -1].numpy()

    ours = beam_search(
        TableLogits(logits_of), prompt, UpTo(0, 16, 40), BeamSettings(num_beams, length_penalty, 20)
    )
    padded = [[*h.token_ids, *[0] * (16 - len(h.token_ids))] for h in ours.hypotheses]
    width = len(theirs[0])
    assert [row[:width] for row in padded] == theirs


def test_help_of_every_command(capsys):
    from export import quantize, score_planner, to_onnx, train_planner

    for command in (train_planner, to_onnx, quantize, score_planner):
        with pytest.raises(SystemExit) as exit_info:
            command.main(["--help"])
        assert exit_info.value.code == 0
        assert command.__name__ in capsys.readouterr().out


def test_offline_is_asked_for(run):
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
