"""The exported decoder against torch, over random histories of a beam; ours against `generate`."""

import numpy as np
import pytest
from hypothesis import given, settings

from dlcodegen_local.planner.beam import BeamSettings, Unconstrained, beam_search
from dlcodegen_local.planner.model import ModelDims, OnnxModel
from tests.export.beams import beams_of_transformers
from tests.planner.tree_calls import histories, rows_after

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]

VOCAB = 40
END = 0


def random_model(seed=0):
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=VOCAB, n_positions=64, n_embd=16, n_layer=2, n_head=2, initializer_range=0.6,
        bos_token_id=1, eos_token_id=END, pad_token_id=END,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    for weight in model.parameters():  # biases and norms, which transformers starts at 0 and 1
        if weight.ndim == 1:
            torch.nn.init.normal_(weight, 0.3, 0.5)
    return model


def exported(model, folder, *, int8=False):
    from export.decoder_graph import write_decoder
    from export.to_onnx import model_dims

    dims = model_dims(model.config)
    weights = {
        name.removeprefix("transformer."): value.detach().numpy() for name, value in model.named_parameters()
    }
    write_decoder(folder, dims, weights, int8=int8)
    return OnnxModel(folder / "model.onnx", dims, threads=1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    model = random_model()
    return model, exported(model, tmp_path_factory.mktemp("decoder"))


@settings(max_examples=40, deadline=None)
@given(histories(VOCAB))
def test_any_history_gives_the_logits_of_torch(pair, history):
    model, onnx_model = pair
    decoder = onnx_model.decoder()
    for call, rows in zip(history, rows_after(history), strict=True):
        if max(map(len, rows)) > 64:
            return
        logits = decoder(call.parents, call.tokens)
        with torch.no_grad():
            expected = [model(torch.tensor([row])).logits[0, -1].numpy() for row in rows]
        np.testing.assert_allclose(logits, np.stack(expected), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_our_beams_on_the_exported_model_are_those_of_transformers(tmp_path, seed, length_penalty, num_beams):
    torch.set_num_threads(1)
    model = random_model(seed)
    prompt = [5, 6, 7]
    theirs = beams_of_transformers(model, prompt, num_beams, length_penalty, 40)
    ours = beam_search(
        exported(model, tmp_path).decoder(),
        prompt,
        Unconstrained(40, 2 * num_beams, END),
        BeamSettings(num_beams, length_penalty, 50),
    )
    width = len(theirs[0])
    padded = [[*h.token_ids, *[END] * 40][:width] for h in ours.hypotheses]
    assert padded == theirs


def test_int8_stays_near_fp32(tmp_path):
    model = random_model()
    folders = [tmp_path / name for name in ("fp32", "int8")]
    for folder in folders:
        folder.mkdir()
    fp32, int8 = (exported(model, folder, int8=folder.name == "int8") for folder in folders)
    row = [3, 1, 4, 1, 5, 9, 2, 6]
    ours, theirs = (one.decoder()([0], [row])[0] for one in (int8, fp32))
    assert np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()


@pytest.mark.parametrize(
    "change",
    [
        {"activation_function": "relu"},
        {"layer_norm_epsilon": 1e-6},
        {"n_inner": 48},
        {"scale_attn_by_inverse_layer_idx": True},
        {"tie_word_embeddings": False},
    ],
)
def test_a_model_that_the_graph_does_not_compute_is_refused(change):
    from export.to_onnx import check_config

    config = transformers.GPT2Config(n_embd=16, n_head=2)
    check_config(config)
    with pytest.raises(RuntimeError, match=next(iter(change))):
        check_config(transformers.GPT2Config(**{"n_embd": 16, "n_head": 2, **change}))


def test_weights_that_were_written_wrongly_do_not_pass_the_comparison(tmp_path):
    from export.decoder_graph import write_decoder
    from export.decoder_weights import CheckpointWeights
    from export.to_onnx import TOLERANCE, compare, model_dims

    model = random_model()
    model.save_pretrained(tmp_path / "run")
    weights = dict(CheckpointWeights(tmp_path / "run"))
    for change, passes in ((0.0, True), (0.1, False)):
        weights["h.1.mlp.c_fc.bias"] = weights["h.1.mlp.c_fc.bias"] + np.float32(change)
        write_decoder(tmp_path, model_dims(model.config), weights)
        worst = compare(tmp_path / "run", tmp_path, model_dims(model.config))
        assert (worst <= TOLERANCE) is passes


def test_sizes_of_the_wrong_kind_are_refused(pair, tmp_path):
    from dlcodegen_local.errors import ArtifactError

    model, _ = pair
    exported(model, tmp_path)
    with pytest.raises(ArtifactError, match="not a decoder of this version"):
        OnnxModel(tmp_path / "model.onnx", ModelDims(2, 2, 16, 64, VOCAB + 1))
