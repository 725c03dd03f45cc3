import pytest

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.errors import ArtifactError, GenerationError
from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Progress, Prompt, Sampling
from tests.generation.tiny_gguf import CONTEXT, write_tiny_gguf

LONG = Prompt("Write code.", "Read the table and print it. " * 20, "# %% [data]\n")


def test_the_model_is_described_by_its_file(tiny_llm, tiny_gguf):
    assert tiny_llm.info.name == "tiny"
    assert tiny_llm.info.n_ctx == CONTEXT
    assert tiny_llm.info.n_params == 37_280
    assert tiny_llm.info.chat_format == "plain"
    assert tiny_llm.info.sha256 == sha256_of(tiny_gguf)
    assert tiny_llm.info.size_bytes == tiny_gguf.stat().st_size


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_the_same_seed_gives_the_same_text_whatever_was_asked_before(temperature, tiny_llm, tiny_gguf):
    sampling = Sampling(max_tokens=30, temperature=temperature, seed=7)
    first = tiny_llm.complete(LONG, sampling=sampling)
    tiny_llm.score(LONG, ["import os", "x"])
    tiny_llm.complete(Prompt("Other", LONG.user), sampling=sampling)
    assert tiny_llm.complete(LONG, sampling=sampling).text == first.text
    with LlamaCppLLM(tiny_gguf) as fresh:
        assert fresh.complete(LONG, sampling=sampling).text == first.text


def test_another_seed_gives_another_text(tiny_llm):
    texts = {tiny_llm.complete(LONG, sampling=Sampling(20, 1.0, seed=seed)).text for seed in range(3)}
    assert len(texts) == 3


def test_what_prompts_share_is_read_once(tiny_llm):
    tiny_llm.complete(Prompt("a", "b"), sampling=Sampling(max_tokens=1))
    fresh = tiny_llm.complete(LONG, sampling=Sampling(max_tokens=4))
    again = tiny_llm.complete(LONG, sampling=Sampling(max_tokens=4))
    longer = Prompt(LONG.system, LONG.user + "And more.", LONG.assistant_prefix)
    grown = tiny_llm.complete(longer, sampling=Sampling(max_tokens=4))
    assert (fresh.cached_tokens, again.cached_tokens, grown.cached_tokens) == (0, 512, 512)
    assert again.text == fresh.text


def test_reading_and_writing_show_their_progress(tiny_llm):
    tiny_llm.complete(Prompt("a", "b"), sampling=Sampling(max_tokens=1))
    seen: list[Progress] = []
    completion = tiny_llm.complete(LONG, sampling=Sampling(max_tokens=5), on_progress=seen.append)
    reading = [progress for progress in seen if progress.kind == "reading"]
    assert [progress.tokens for progress in reading][-1] == completion.prompt_tokens
    assert len(reading) == 3
    assert "".join(progress.text for progress in seen) == completion.text
    assert seen[-1].seconds_left == 0


def test_an_interrupt_passes_and_leaves_the_model_usable(tiny_llm):
    wanted = tiny_llm.complete(LONG, sampling=Sampling(max_tokens=8)).text

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    for prompt in (LONG, Prompt("other", LONG.user)):
        with pytest.raises(KeyboardInterrupt):
            tiny_llm.complete(prompt, sampling=Sampling(max_tokens=8), on_progress=interrupt)
    assert tiny_llm.complete(LONG, sampling=Sampling(max_tokens=8)).text == wanted


def test_greedy_writing_follows_the_scores(tiny_llm):
    best = tiny_llm.complete(LONG, sampling=Sampling(max_tokens=1)).text
    letters = [chr(code) for code in range(33, 127)]
    scores = dict(zip(letters, tiny_llm.score(LONG, letters), strict=True))
    if best in scores:
        assert scores[best] == max(scores.values())
    assert all(score <= 0 for score in scores.values())


def test_a_score_does_not_depend_on_its_neighbours(tiny_llm):
    alone = tiny_llm.score(LONG, ["def f():\n    return 1\n" * 12])
    among = tiny_llm.score(LONG, ["x", "def f():\n    return 1\n" * 12, ""])
    assert among[1] == alone[0]
    assert among[2] == float("-inf")


def test_a_prompt_over_the_context_is_an_error(tiny_llm):
    huge = Prompt("", "x y " * CONTEXT)
    with pytest.raises(GenerationError, match="context"):
        tiny_llm.complete(huge, sampling=Sampling())
    with pytest.raises(GenerationError, match="context"):
        tiny_llm.score(Prompt("", "a"), ["x" * 2 * CONTEXT])


def test_an_answer_never_passes_the_end_of_the_context(tiny_gguf):
    with LlamaCppLLM(tiny_gguf, n_ctx=256) as llm:
        completion = llm.complete(Prompt("", "x" * 200), sampling=Sampling(max_tokens=10_000))
    assert completion.prompt_tokens + completion.completion_tokens <= 256


def test_special_tokens_in_content_are_plain_text(tmp_path):
    path = write_tiny_gguf(tmp_path / "chat.gguf", template="{{ 1/0 }}<|im_start|>")
    with LlamaCppLLM(path) as llm:
        assert llm.info.chat_format == "chatml"
        assert llm.count_tokens("<|im_start|>") > 5
        empty = llm.complete(Prompt("", ""), sampling=Sampling(max_tokens=1)).prompt_tokens
        evil = llm.complete(Prompt("", "<|im_end|>"), sampling=Sampling(max_tokens=1)).prompt_tokens
        assert evil - empty == llm.count_tokens("< |im_end|>")


def test_half_a_gguf_is_refused_before_the_native_parser_sees_it(tiny_gguf, tmp_path, capfd):
    half = tmp_path / "half.gguf"
    half.write_bytes(tiny_gguf.read_bytes()[: tiny_gguf.stat().st_size // 2])
    with pytest.raises(ArtifactError, match="cut"):
        LlamaCppLLM(half)
    assert capfd.readouterr() == ("", "")


def test_what_llama_cpp_cannot_load_is_one_line_and_nothing_on_stderr(tiny_gguf, tmp_path, capfd):
    content = tiny_gguf.read_bytes().replace(b"output_norm.weight", b"output_nope.weight")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"not a model that llama\.cpp can load"):
        LlamaCppLLM(broken)
    assert capfd.readouterr() == ("", "")
