import json

import pytest

from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Prompt, Sampling
from dlcodegen_local.generation.lookup import Steps
from dlcodegen_local.generation.pace import ModelCache, Pace, default_pace
from tests.generation.tiny_gguf import write_tiny_gguf

QUICK = Steps({1: 10.0, 2: 10.1, 4: 10.2, 8: 10.4, 16: 10.8})
OTHERWISE = Steps({1: 10.0, 2: 19.0, 3: 21.0, 16: 25.0})
PROMPTS = [Prompt("Copy.", "".join(f"x{i} = {i * seed}\n" for i in range(20)) * 2) for seed in range(4)]


@pytest.fixture(scope="module")
def blocks_gguf(tmp_path_factory):
    return write_tiny_gguf(tmp_path_factory.mktemp("blocks") / "blocks.gguf", q8_0=True)


def test_a_pace_survives_json():
    pace = Pace((1, 2), 64, Steps({1: 46.0, 2: 74.0}, {2: 3.5}))
    assert Pace.from_dict(json.loads(json.dumps(pace.to_dict()))) == pace
    plain = default_pace(5_000_000, None)
    assert Pace.from_dict(plain.to_dict()) == plain


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"threads": [0, 1], "chunk_tokens": 64, "steps": {}},
        {"threads": [1, 1], "chunk_tokens": 10**6, "steps": {}},
        {"threads": [1, 1], "chunk_tokens": 64, "steps": {"1": -1}},
        {"threads": [1, 1], "chunk_tokens": 64, "steps": {"x": 1}},
        {"threads": [1, 1], "chunk_tokens": 64, "steps": {"1": [1, 0]}},
        {"threads": [1, 1], "chunk_tokens": 64, "steps": {"1": 1}, "growth": {"2": 1}},
        {"threads": [1, 1], "chunk_tokens": 64, "steps": {"1": 1}, "growth": [1]},
    ],
)
def test_what_is_no_pace_is_refused(value):
    with pytest.raises(ValueError, match="no pace"):
        Pace.from_dict(value)


def test_a_model_is_measured_once_and_a_damaged_measurement_anew(blocks_gguf, tmp_path):
    said = []
    with LlamaCppLLM(blocks_gguf, cache=ModelCache(tmp_path, said.append)) as llm:
        measured = llm.info.pace
    (file,) = tmp_path.glob("pace/*.json")
    assert json.loads(file.read_text(encoding="utf-8")) == measured
    assert {"1", "2", "4"} <= set(measured["steps"])
    with LlamaCppLLM(blocks_gguf, cache=ModelCache(tmp_path, said.append)) as llm:
        assert llm.info.pace == measured
    assert len(said) == 1 and "measured, once" in said[0]
    file.write_text('{"threads"', encoding="utf-8")
    with LlamaCppLLM(blocks_gguf, cache=ModelCache(tmp_path), n_threads=1) as llm:
        assert llm.info.pace["threads"] == [1, 1]
    with LlamaCppLLM(blocks_gguf, cache=ModelCache(tmp_path)) as llm:
        assert llm.info.pace["chunk_tokens"] == measured["chunk_tokens"]
    assert json.loads(file.read_text(encoding="utf-8"))["steps"]


def test_a_context_too_short_to_measure_in_gets_the_default(blocks_gguf, tmp_path):
    with LlamaCppLLM(blocks_gguf, cache=ModelCache(tmp_path), n_ctx=80) as llm:
        assert llm.info.pace["steps"] is None


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_an_answer_depends_on_no_clock(temperature, blocks_gguf):
    """Other threads and another calibration, as after a resume whose measurement was made anew."""
    sampling = Sampling(max_tokens=120, temperature=temperature)
    paces = (Pace((1, 1), 256), Pace((2, 1), 256, QUICK), Pace((1, 2), 256, OTHERWISE))
    texts = []
    for pace in paces:
        with LlamaCppLLM(blocks_gguf, pace=pace) as llm:
            texts.append([llm.complete(prompt, sampling=sampling).text for prompt in PROMPTS])
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_drafts_change_no_token_of_a_model(temperature, blocks_gguf):
    accepted = 0
    with LlamaCppLLM(blocks_gguf) as plain, LlamaCppLLM(blocks_gguf, pace=Pace((1, 1), 256, QUICK)) as quick:
        for prompt in PROMPTS:
            for seed in range(3):
                sampling = Sampling(max_tokens=80, temperature=temperature, seed=seed)
                answer = quick.complete(prompt, sampling=sampling)
                assert answer.text == plain.complete(prompt, sampling=sampling).text
                accepted += answer.accepted_tokens
    assert accepted > 0 or temperature > 0.5
