"""The GGUF file against torch: same tokens, same scores, same greedy answer."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")
llama_cpp = pytest.importorskip("llama_cpp")

from export.starter_model import ModelSettings, StarterModel, greedy  # noqa: E402
from export.starter_tokenizer import IM_END, IM_START, load_tokenizer, train_tokenizer  # noqa: E402
from export.to_gguf import main, tensors_of, write_gguf  # noqa: E402

CODE = '''import keras
import numpy as np


def build_model(config):
    """Return the compiled classifier."""
    model = keras.Sequential()
    for units in (128, 64, 32):
        model.add(keras.layers.Dense(units, activation="relu"))
    if config.dropout > 0.25:
        model.add(keras.layers.Dropout(config.dropout))
\tx = 1_000  # a tab, then trailing blanks   
    model.compile(optimizer="adam", loss='mse', metrics=["mae"])
    return model


class Ünïcode:  # naïve café, 数据, don't
    rate: float = 3e-4
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold a tokenizer trained on a page of code."""
    path = tmp_path_factory.mktemp("starter")
    train_tokenizer([CODE] * 4, 320, path / "tokenizer.json")
    return path


@pytest.fixture(scope="module")
def model() -> StarterModel:
    """Return a tiny model with random weights, large enough for clear differences between tokens."""
    torch.manual_seed(3)
    settings = ModelSettings(
        vocab_size=320, num_layers=2, hidden_size=64, num_heads=4, intermediate_size=96, context_length=128
    )
    network = StarterModel(settings)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5.0)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()


def load(path: Path) -> "llama_cpp.Llama":
    return llama_cpp.Llama(str(path), n_ctx=128, n_threads=1, logits_all=True, verbose=False)


def native_logits(path: Path, input_ids: list[int]) -> np.ndarray:
    llama = load(path)
    llama.eval(input_ids)
    return np.array(llama.scores[: len(input_ids)])


def torch_logits(model: StarterModel, input_ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model.logits(model(torch.tensor([input_ids])))[0].numpy()


def test_tokenises_as_the_tokenizer_does(model: StarterModel, folder: Path) -> None:
    write_gguf(model, folder / "tokenizer.json", folder / "tokens.gguf", "f32")
    tokenizer, llama = load_tokenizer(folder / "tokenizer.json"), load(folder / "tokens.gguf")
    chat = f"{IM_START}user\n{CODE}{IM_END}\n"
    for text, special in ((CODE, False), (chat, True), ("\n\n    x\n", False), ("  \t 12345 '''", False)):
        assert llama.tokenize(text.encode(), add_bos=True, special=special) == tokenizer.encode(text).ids


@pytest.mark.parametrize(("kind", "atol"), [("f32", 2e-3), ("f16", 2e-2), ("q8_0", 0.3)])
def test_logits_equal_torch(model: StarterModel, folder: Path, kind: str, atol: float) -> None:
    path = folder / f"{kind}.gguf"
    write_gguf(model, folder / "tokenizer.json", path, kind)
    input_ids = np.random.default_rng(0).integers(3, 320, size=100).tolist()
    expected = torch_logits(model, input_ids)
    assert expected.std() > 0.5
    np.testing.assert_allclose(native_logits(path, input_ids), expected, atol=atol, rtol=0)


def test_same_greedy_tokens(model: StarterModel, folder: Path) -> None:
    path = folder / "greedy.gguf"
    write_gguf(model, folder / "tokenizer.json", path, "f32")
    prompt = load_tokenizer(folder / "tokenizer.json").encode("def build_model(config):").ids
    expected = greedy(model, prompt, 20, stop_id=-1)
    llama, written = load(path), []
    for token in llama.generate(prompt, temp=0.0, top_k=1, repeat_penalty=1.0):
        written.append(token)
        if len(written) == 20:
            break
    assert written == expected


def test_every_weight_has_a_name(model: StarterModel) -> None:
    named = tensors_of(model)
    assert sum(array.size for array in named.values()) == sum(p.numel() for p in model.parameters())


def test_command_writes_model_and_manifest(model: StarterModel, folder: Path, tmp_path: Path) -> None:
    torch.save({"model": model.state_dict()}, folder / "tasks.pt")
    (folder / "settings.json").write_text(json.dumps(vars(model.settings)))
    assert main(["--training", str(folder), "--out", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (file,) = manifest["files"]
    assert file["path"] == "starter.gguf"
    assert file["size"] == (tmp_path / "starter.gguf").stat().st_size
    assert manifest["kind"] == "code-model"
