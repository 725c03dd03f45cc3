from dataclasses import replace

import pytest

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.merge import merge
from dlcodegen_local.generation.plan_values import with_defaults
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.generation.segments import is_sound_script
from dlcodegen_local.generation.syntax import parse_module
from dlcodegen_local.sections import SECTION_NAMES, Sections
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import BATCHES, OTHER_PLAN, PLAN, TABLE, section


def draft(source, name, origin="model"):
    return StageResult(
        name, source, dict.fromkeys(SECTION_NAMES, origin), dict.fromkeys(SECTION_NAMES, "sample:s")
    )


VALID = draft(TABLE, "code_rag_draft")
OTHER = draft(BATCHES, "template_rag_draft", "template+plan")
BROKEN = TABLE[: TABLE.index("# %% [predict]")] + "# %% [predict]\ndef predict(config:"


def merged_with(source, **bodies):
    return Sections.parse(source).replace(**bodies).to_source()


@pytest.mark.parametrize("source", [BROKEN, "", None, "prose", TABLE.replace("def train(", "def fit(")])
@pytest.mark.parametrize("mode", ["auto", "free", "segments"])
def test_merging_broken_and_valid_gives_the_valid(source, mode):
    llm = ScriptedLLM(["garbage"])
    broken, settings = draft(source, "template_rag_draft"), GenerationSettings(merge=mode)
    for pair in ((broken, VALID), (VALID, broken)):
        result = merge(PLAN, *pair, llm=llm, settings=settings)
        assert result.source == VALID.source
        assert result.provenance == VALID.provenance
    assert llm.prompts == []


def test_equal_drafts_are_not_written_again():
    llm = ScriptedLLM()
    assert merge(PLAN, VALID, draft(TABLE, "template_rag_draft"), llm=llm).source == TABLE
    assert (llm.prompts, llm.scored) == ([], [])


def test_the_model_chooses_between_sections_by_likelihood():
    model = section(TABLE, "model").replace("Return the model.", "Return another model.")
    other = draft(merged_with(TABLE, model=model), "template_rag_draft", "sample:t")
    for word, origin in (("another", "sample:t"), ("the model", "model")):
        llm = ScriptedLLM(likes=lambda text, word=word: 0.0 if word in text else -1.0)
        result = merge(PLAN, VALID, other, llm=llm)
        assert result.provenance["model"] == origin
        assert result.provenance["train"] == "model"
        assert len(llm.scored) == 1
        assert llm.prompts == []


def test_equal_likelihood_takes_the_first():
    other = draft(merged_with(TABLE, evaluate=section(TABLE, "evaluate") + "\n# x"), "template_rag_draft")
    assert merge(PLAN, VALID, other, llm=ScriptedLLM(likes=lambda text: -1.0)).source == TABLE


def test_the_config_nearer_to_the_plan_wins_whatever_the_model_likes():
    config = with_defaults(section(TABLE, "config"), {"epochs": 3, "batch_size": 8})
    other = draft(merged_with(TABLE, config=config), "template_rag_draft", "template+plan")
    llm = ScriptedLLM(likes=lambda text: -1.0 if "= 3" in text else 0.0)
    result = merge(OTHER_PLAN, VALID, other, llm=llm)
    assert result.provenance["config"] == "template+plan"
    assert "nearest to the plan" in "".join(result.notes)


def test_drafts_that_read_data_in_another_form_are_not_mixed():
    for word, origin in (("batches", "template+plan"), ("np.zeros", "model")):
        llm = ScriptedLLM(likes=lambda text, word=word: 0.0 if word in text else -1.0)
        result = merge(PLAN, VALID, OTHER, llm=llm)
        tied = {
            result.provenance[name] for name in ("config", "data", "model", "train", "evaluate", "predict")
        }
        assert tied == {origin}
        assert is_sound_script(result.source)


def test_of_drafts_in_different_forms_the_one_with_the_plan_s_loss_leads():
    one_hot = BATCHES.replace("sparse_categorical_crossentropy", "categorical_crossentropy")
    plan = replace(PLAN, loss="categorical_crossentropy")
    llm = ScriptedLLM()
    result = merge(plan, VALID, draft(one_hot, "template_rag_draft", "template+plan"), llm=llm)
    assert result.provenance["data"] == result.provenance["config"] == "template+plan"
    assert llm.scored == []


@pytest.mark.parametrize(("loss", "origin"), [(PLAN.loss, "model"), ("mean_squared_error", "template+plan")])
def test_of_drafts_that_differ_in_their_loss_alone_the_plan_s_leads(loss, origin):
    config = with_defaults(section(TABLE, "config"), {"loss": "mean_squared_error"})
    other = draft(merged_with(TABLE, config=config), "template_rag_draft", "template+plan")
    result = merge(replace(PLAN, loss=loss), VALID, other, llm=ScriptedLLM())
    assert result.provenance["config"] == origin
    assert result.source == (TABLE if origin == "model" else other.source)


def test_configs_that_are_both_unsound_and_differ_in_their_loss_are_rewritten():
    config = section(TABLE, "config").replace("def parse_config", "def read_config")
    bodies = config, config.replace("sparse_categorical_crossentropy", "mean_squared_error")
    drafts = [draft(merged_with(TABLE, config=body), name) for body, name in zip(bodies, "ab", strict=True)]
    result = merge(PLAN, *drafts, llm=ScriptedLLM([section(TABLE, "config")]))
    assert result.source == TABLE
    assert result.provenance["config"] == "model"


def test_what_the_model_finds_unlikely_is_rewritten_by_it():
    body = "def evaluate(config):\n    return {}"
    other = draft(merged_with(TABLE, evaluate=section(TABLE, "evaluate") + "\n# x"), "template_rag_draft")
    result = merge(PLAN, VALID, other, llm=ScriptedLLM([body], likes=lambda text: -9.0))
    assert section(result.source, "evaluate") == body
    assert result.provenance["evaluate"] == "model"
    refused = merge(PLAN, VALID, other, llm=ScriptedLLM(["nonsense ("], likes=lambda text: -9.0))
    assert refused.source == TABLE
    assert any("not sound" in note for note in refused.notes)


def test_two_broken_drafts_give_the_sound_sections_of_both():
    first = draft(merged_with(TABLE, train="def train(config"), "code_rag_draft")
    second = draft(merged_with(TABLE, predict="def predict("), "template_rag_draft")
    result = merge(PLAN, first, second, llm=ScriptedLLM())
    assert result.source == TABLE


def test_a_section_that_neither_draft_has_sound_is_written():
    body = section(TABLE, "train")
    first = draft(merged_with(TABLE, train="def train(config"), "code_rag_draft")
    second = draft(merged_with(TABLE, train="def train(x y"), "template_rag_draft")
    result = merge(PLAN, first, second, llm=ScriptedLLM([body]))
    assert result.source == TABLE
    assert result.provenance["train"] == "model"


def test_no_code_at_all_is_an_error():
    nothing = draft("no ( code", "code_rag_draft")
    with pytest.raises(GenerationError, match="merge"):
        merge(PLAN, nothing, draft(None, "template_rag_draft"), llm=ScriptedLLM())


def big(*answers):
    return ScriptedLLM(answers, n_params=7_000_000_000)


def test_a_big_model_writes_the_merge():
    written = TABLE.replace("Classify rows", "Classify all rows")
    result = merge(PLAN, VALID, OTHER, llm=big(f"```python\n{written}```"), requirement="r")
    assert result.source == written.strip()
    assert set(result.provenance.values()) == {"model"}


@pytest.mark.parametrize("answer", ["", "```python\nx = 1\n```", "same line\n" * 100, TABLE[:800]])
def test_auto_goes_by_segments_where_the_written_merge_is_not_sound(answer):
    result = merge(PLAN, VALID, OTHER, llm=big(answer))
    assert is_sound_script(result.source)
    assert any("merged by sections instead" in note for note in result.notes)
    with pytest.raises(GenerationError, match="no code block"):
        merge(PLAN, VALID, OTHER, llm=big(answer), settings=GenerationSettings(merge="free"))


def test_a_merge_by_segments_always_parses_and_agrees_on_names():
    for bits in range(0, 256, 5):

        def likes(text, bits=bits):
            return -float((bits >> (len(text) % 8)) & 1)

        result = merge(PLAN, VALID, OTHER, llm=ScriptedLLM(likes=likes))
        assert parse_module(result.source) is not None
        assert not any("nothing defines" in note for note in result.notes)
