"""Models that answer nothing of use: the run ends within its budget, and the compiler delivers, labelled."""

import pytest

from dlcodegen_local.generation.chat import format_named
from dlcodegen_local.generation.decoding import TextStream
from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Completion
from dlcodegen_local.project.layouts import render_project
from tests.generation.odd_gguf import without_end_token
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import TABLE
from tests.generation.tiny_gguf import write_tiny_gguf
from tests.test_pipeline import fenced, make_sample, run

ENDLESS = 160_000
ANSWERS = {
    "nothing at all": "",
    "prose only": "I would rather talk about the weather.\n" * (ENDLESS // 39),
    "one endless line": "```python\nx = 1" + " + 1" * (ENDLESS // 4),
    "the same line for ever": "```python\n" + "x = 1\n" * (ENDLESS // 6),
    "40,000 tokens of imports": "```python\n" + "".join(f"import m{i:04}\n" for i in range(ENDLESS // 13)),
    "a fence never closed": "```python\ndef train(config):\n    return {'loss': ",
    "a thought without end": "<think>" + "Let me see.\n" * (ENDLESS // 12),
    "new lines for ever": "```python\n" + "".join(f"x{i} = {i} + (\n" for i in range(ENDLESS // 15)),
    "noise": "```python\n" + "(" * ENDLESS,
}
# Where nothing tells that an answer is hopeless before its budget ends, it is gone on with twice.
MOST_TOKENS = {"new lines for ever": 3 * 4096}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return tmp_path_factory.mktemp("names")


class StreamingLLM(ScriptedLLM):
    """End an answer where the adapter would: at its budget, at a stop text, or once it is of no use."""

    written = 0

    def complete(self, prompt, *, sampling, on_progress=None):
        told = super().complete(prompt, sampling=sampling, on_progress=on_progress)
        stream = TextStream((*sampling.stop, *format_named(self.info.chat_format).stop), sampling.is_hopeless)
        pieces = iter(range(0, len(told.text), 4))
        while not stream.finish_reason and (at := next(pieces, None)) is not None:
            stream.add(told.text[at : at + 4].encode())
        tokens = self.count_tokens(stream.text)
        self.written += tokens
        reason = stream.finish_reason or told.finish_reason
        return Completion(stream.text, reason, told.prompt_tokens, tokens)


def delivered_by_the_compiler(outcome, record, request):
    files = render_project(outcome.project(request.requirement, record.summary()), "project")
    assert outcome.origin == "compiler" and outcome.verification.static_ok
    assert set(outcome.chosen.provenance.values()) == {"compiler"}
    return "plan compiler" in files["README.md"]


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_compilers_project_is_delivered_and_labelled(name, tmp_path, names):
    llm = StreamingLLM([ANSWERS[name]], n_params=7_000_000_000)
    outcome, _, record, request = run(tmp_path, llm, cache=names)
    assert delivered_by_the_compiler(outcome, record, request)
    stages = 3  # two drafts and a template; what is no code is neither merged nor repaired
    assert llm.written <= stages * MOST_TOKENS.get(name, 1024)


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_section_by_section_what_is_no_use_is_left_to_the_samples(name, tmp_path, names):
    llm = StreamingLLM([ANSWERS[name]])
    outcome, _, _, _ = run(tmp_path, llm, cache=names)
    assert outcome.verification.ok and "model" not in outcome.chosen.provenance.values()
    assert all(sampling.max_tokens <= 1024 for sampling in llm.samplings)


def test_a_vocabulary_without_an_end_token_delivers_the_same(tmp_path, names):
    model = without_end_token(write_tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "endless.gguf")
    with LlamaCppLLM(model) as llm:
        outcome, _, _, _ = run(tmp_path, llm, cache=names)
    assert outcome.verification.ok and "model" not in outcome.chosen.provenance.values()


def test_drafts_that_do_not_fit_into_the_context_are_merged_section_by_section(tmp_path, names):
    second = TABLE.replace("Return the model.", "Return the better model.")
    llm = StreamingLLM(
        [fenced(TABLE), fenced(TABLE), fenced(second)],
        n_params=7_000_000_000,
        n_ctx=2000,
        likes=lambda body: "better" in body,
    )
    outcome, reporter, _, _ = run(tmp_path, llm, cache=names)
    assert outcome.origin == "merge" and "Return the better model." in outcome.source
    assert any("do not fit into 2000 tokens" in line for line in reporter.lines)
    assert len(llm.prompts) == 3 and [len(candidates) for _, candidates in llm.scored] == [2]


def test_a_context_for_nothing_at_all_leaves_it_to_the_compiler(tmp_path, names):
    samples = [make_sample("first", TABLE), make_sample("second", TABLE.replace("Dense(8", "Dense(9"))]
    llm = StreamingLLM([fenced(TABLE)], n_params=7_000_000_000, n_ctx=400)
    outcome, reporter, record, request = run(tmp_path, llm, samples=samples, cache=names)
    assert delivered_by_the_compiler(outcome, record, request)
    assert any("no room in 400 tokens" in line for line in reporter.lines)
