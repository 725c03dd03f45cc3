import re
from dataclasses import replace

import pytest

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation import stages
from dlcodegen_local.generation.llm import Progress
from dlcodegen_local.generation.results import Floor, GenerationSettings
from dlcodegen_local.generation.segments import is_sound_script
from dlcodegen_local.generation.syntax import config_defaults, parse_module
from tests.generation.foreign import BROKEN, NOTEBOOK, TORCH
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import BATCHES, OTHER_PLAN, PLAN, TABLE, PooledSample, section

SAMPLES = (PooledSample("table", TABLE), PooledSample("batches", BATCHES))
SETTINGS = GenerationSettings()
REQUIREMENT = 'sort my rows """ into \u202e five classes'


def material(prompt):
    """Return the section that a prompt shows."""
    found = re.search(r"<(?:sample|template|code_1)>\n(.*?)\n</", prompt.user, re.DOTALL)
    return found.group(1) if found else ""


def copy_with_a_mark(prompt):
    if prompt.assistant_prefix.endswith("[imports]\n"):
        return material(prompt)
    return "# by the model\n" + material(prompt) + "\n\n\n# %% [next]\nnever read"


def draft(llm, plan=OTHER_PLAN, samples=SAMPLES, settings=SETTINGS):
    return stages.code_rag_draft(REQUIREMENT, plan, samples, llm, settings)


def template(llm, samples=SAMPLES, settings=SETTINGS):
    return stages.template(REQUIREMENT, OTHER_PLAN, samples, llm, settings)


def template_draft(llm, template_result, settings=SETTINGS):
    return stages.template_rag_draft(REQUIREMENT, OTHER_PLAN, template_result, SAMPLES, llm, settings)


def test_sections_that_the_model_wrote_are_taken_and_labelled():
    result = draft(ScriptedLLM([copy_with_a_mark]), plan=PLAN)
    written = {name for name, origin in result.provenance.items() if origin == "model"}
    assert {"data", "train", "evaluate", "predict"} <= written
    assert result.source.count("# by the model") == len(written)
    assert set(result.bases.values()) == {"sample:table"}
    assert is_sound_script(result.source)


@pytest.mark.parametrize(
    "answer", ["", "garbage ((", "I am sorry.", "x = 1", "```python\n", "def train(config):\n" * 3, "\n" * 50]
)
def test_whatever_the_model_writes_a_draft_is_sound_and_says_what_stood_in(answer):
    llm = ScriptedLLM([answer])
    result = draft(llm)
    assert is_sound_script(result.source)
    assert "model" not in result.provenance.values()
    assert result.provenance["config"] == "sample:table+plan"
    assert result.provenance["train"] == "sample:table"
    assert len(llm.prompts) == 14
    assert sum("attempt" in note for note in result.notes) == 14


@pytest.mark.parametrize(("n_params", "asked"), [(49_999_999, 5), (50_000_000, 7), (None, 7)])
def test_a_tiny_model_is_not_asked_for_imports_and_data(n_params, asked):
    llm = ScriptedLLM([copy_with_a_mark], n_params=n_params)
    settings = GenerationSettings(drafting="segments")
    drafted = draft(llm, settings=settings)
    filled = template_draft(llm, template(llm, settings=settings), settings)
    for result in (drafted, filled):
        assert len({prompt.assistant_prefix for prompt in result.prompts}) == asked
        copied = [note for note in result.notes if "copied from sample:table" in note]
        assert len(copied) == 7 - asked
        assert (result.provenance["data"] == "sample:table") == (asked == 5)
        assert is_sound_script(result.source)


def test_a_tiny_model_is_asked_for_what_there_is_nothing_to_copy_of():
    without = TABLE[: TABLE.index("# %% [data]")] + TABLE[TABLE.index("# %% [model]") :]
    llm = ScriptedLLM([section(TABLE, "data")], n_params=5_000_000)
    result = draft(llm, samples=[PooledSample("table", without)])
    assert [prompt.assistant_prefix for prompt in llm.prompts].count("# %% [data]\n") == 1
    assert result.provenance["data"] == "model"


def test_the_sample_s_model_with_the_plan_s_layers_is_a_candidate():
    result = draft(ScriptedLLM([copy_with_a_mark]))
    assert result.provenance["model"] == "sample:table+plan"
    assert "Dense(16" in section(result.source, "model")
    assert "Dropout(0.5)" in section(result.source, "model")
    assert any("[model]: sample:table+plan is nearest to the plan" in note for note in result.notes)


def test_a_model_section_as_near_to_the_plan_as_its_layers_put_in_is_taken_where_likelier():
    written = section(TABLE, "model").replace(
        'Dense(8, activation="relu"),',
        'Dense(16, activation="relu"),  # wide\n            keras.layers.Dropout(0.5),',
    )

    def answer(prompt):
        return written if "[model]" in prompt.assistant_prefix else "not code ("

    result = draft(ScriptedLLM([answer], likes=lambda text: 0.0 if text == written else -1.0))
    assert result.provenance["model"] == "model"


def test_a_second_attempt_has_another_seed_and_some_heat():
    llm = ScriptedLLM(["def broken("])
    draft(llm, settings=GenerationSettings(seed=5))
    first, second = llm.samplings[:2]
    assert (first.seed, first.temperature) == (5, 0.0)
    assert (second.seed, second.temperature) == (6, 0.7)


def test_the_plan_s_values_are_in_the_config_of_a_draft():
    defaults = config_defaults(section(draft(ScriptedLLM([copy_with_a_mark])).source, "config"))
    assert (defaults["learning_rate"], defaults["batch_size"], defaults["epochs"]) == (0.01, 8, 3)
    assert (defaults["num_features"], defaults["num_classes"], defaults["optimizer"]) == (9, 5, "sgd")


def test_between_equals_under_the_plan_the_likelihood_decides():
    def best(text):
        return 0.0 if "# by the model" in text else -1.0

    for likes, origin in ((best, "model"), (lambda text: -best(text), "sample:table")):
        result = draft(ScriptedLLM([copy_with_a_mark], likes=likes), plan=PLAN)
        assert result.provenance["config"] == origin
        assert result.provenance["model"] == origin


def test_a_section_that_uses_unknown_names_falls_back_to_the_sample():
    def answer(prompt):
        text = material(prompt)
        return (
            text.replace("load_data(config)", "load_rows(config)")
            if "[train]" in prompt.assistant_prefix
            else text
        )

    result = draft(ScriptedLLM([answer]))
    assert result.provenance["train"] == "sample:table"
    assert any("lacks load_rows" in note for note in result.notes)
    assert "load_rows" not in result.source


def test_the_head_of_a_draft_is_the_requirement_made_safe():
    header = draft(ScriptedLLM()).source
    assert header.startswith(
        '# SPDX-License-Identifier: Apache-2.0\n"""Sort my rows into five classes.\n\nData: '
    )


def test_the_prompt_tells_what_earlier_sections_define():
    llm = ScriptedLLM([copy_with_a_mark])
    draft(llm)
    assert "<names>\nConfig(data_dir, num_features" in llm.prompts[2].user
    assert llm.prompts[3].user.count("load_data(config)") == 1
    assert "- Dense(16, activation='relu')" in llm.prompts[3].user


def test_every_section_draft_is_accounted_for():
    seen = []
    settings = GenerationSettings(on_progress=lambda stage, progress: seen.append((stage, progress)))
    result = draft(ScriptedLLM([copy_with_a_mark]), settings=settings)
    assert len(result.prompts) == len(result.outputs) == len(result.budgets) == 7
    assert result.prompt_tokens > 0 < result.completion_tokens
    assert {stage for stage, _ in seen} == {"code_rag_draft"}
    assert all(isinstance(progress, Progress) for _, progress in seen)


def test_a_template_has_slots_for_what_the_task_decides():
    result = template(ScriptedLLM())
    assert parse_module(result.source) is not None
    assert "epochs: int = {{epochs}}" in result.source
    assert "[{{layers}}]" in result.source
    assert set(result.provenance.values()) == {"sample:table"}


def test_the_model_says_which_sample_a_template_is_based_on():
    likes_batches = ScriptedLLM(likes=lambda text: 0.0 if "batch" in text else -1.0)
    result = template(likes_batches)
    assert result.provenance["data"] == result.provenance["train"] == "sample:batches"
    assert "shuffle_size" in result.source
    assert len(likes_batches.scored) == 6 - 1


def test_sections_that_hand_over_data_come_from_one_sample():
    likes = ScriptedLLM(likes=lambda text: 0.5 if "def evaluate" in text and "batches" in text else -1.0)
    result = template(likes)
    assert len({result.provenance[name] for name in ("data", "train", "evaluate", "predict")}) == 1


def test_one_sample_is_its_own_template():
    result = template(ScriptedLLM(), samples=SAMPLES[:1])
    assert "{{learning_rate}}" in result.source


def test_a_template_draft_has_no_slot_left_and_the_plan_s_layers():
    llm = ScriptedLLM(["not code"])
    result = template_draft(llm, template(llm))
    assert "{{" not in result.source
    assert result.provenance["config"] == result.provenance["model"] == "template:table+plan"
    assert "Dense(16" in result.source
    assert config_defaults(section(result.source, "config"))["epochs"] == 3
    assert is_sound_script(result.source)


def test_without_samples_there_is_no_draft():
    for stage in (draft, template):
        with pytest.raises(GenerationError, match="no sample"):
            stage(ScriptedLLM(), samples=())


WHOLE = GenerationSettings(drafting="whole")


def test_a_big_model_writes_the_whole_script_in_one_go():
    llm = ScriptedLLM([f"Here:\n```python\n{TABLE}```\nDone."], n_params=7_000_000_000)
    for result in (draft(llm), template(llm)):
        assert result.source == TABLE.strip("\n")
        assert set(result.provenance.values()) == {"model"}
    assert len(llm.prompts) == 2
    assert draft(llm).bases["train"] == "sample:table"
    assert template(llm).bases["train"] == "sample:table, sample:batches"


@pytest.mark.parametrize("answer", ["", "I cannot.", "```python\n```", "prose " * 100])
def test_a_completion_without_code_is_an_error_that_names_the_stage(answer):
    llm = ScriptedLLM([answer], n_params=None)
    with pytest.raises(GenerationError, match="code_rag_draft: no code block in the completion"):
        draft(llm)


def test_an_answer_that_is_cut_is_reported():
    llm = ScriptedLLM([f"```python\n{TABLE}"], n_ctx=2000)
    result = draft(llm, settings=replace(WHOLE, max_answer_tokens=400))
    assert parse_module(result.source) is not None
    assert any("(length)" in note for note in result.notes)
    assert any("incomplete" in note for note in result.notes)


def test_a_sample_over_the_context_is_cut_with_a_note():
    llm = ScriptedLLM([f"```python\n{TABLE}```"], n_ctx=1800)
    result = draft(llm, settings=WHOLE)
    assert any(note.startswith("code_rag_draft: sample cut from") for note in result.notes)


def test_the_same_input_gives_the_same_result():
    def results():
        llm = ScriptedLLM([copy_with_a_mark])
        first = draft(llm)
        second = template_draft(llm, template(llm))
        return first.source, first.notes, second.source, second.notes

    assert results() == results()


def test_a_sample_in_a_form_of_its_own_is_cut_by_its_statements():
    own = "import keras\n\n\ndef build_model():\n    return keras.Sequential([])\n\n\nbuild_model().fit()\n"
    result = draft(ScriptedLLM(["nonsense ("]), samples=[PooledSample("own", own)])
    assert parse_module(result.source) is not None
    assert not is_sound_script(result.source)


def test_a_context_too_short_for_the_plan_is_an_error():
    with pytest.raises(GenerationError, match=r"code_rag_draft \[imports\]: .* 150 tokens"):
        draft(ScriptedLLM(n_ctx=150))


@pytest.mark.parametrize("script", [NOTEBOOK, TORCH])
def test_a_script_without_sections_is_shown_and_the_floor_stands_in(script):
    settings = GenerationSettings(floor=Floor(TABLE, PLAN))
    llm = ScriptedLLM(["no code"])
    samples = [PooledSample("team", script)]
    result = draft(llm, plan=PLAN, samples=samples, settings=settings)
    assert is_sound_script(result.source)
    assert {source.removesuffix("+plan") for source in result.provenance.values()} == {"compiler"}
    assert set(result.bases.values()) == {"compiler"}
    shown = "\n".join(material(prompt) for prompt in llm.prompts)
    assert "Dense(64" in shown or "nn.Linear(12, 64)" in shown
    assert "%% [" not in shown
    abstracted = stages.template(REQUIREMENT, PLAN, samples, llm, settings)
    filled = stages.template_rag_draft(REQUIREMENT, PLAN, abstracted, samples, llm, settings)
    assert is_sound_script(filled.source)


def test_what_the_model_writes_after_a_script_without_sections_is_traced_to_it():
    settings = GenerationSettings(floor=Floor(TABLE, PLAN))
    train = section(TABLE, "train")
    answers = ScriptedLLM([lambda prompt: train if prompt.assistant_prefix.endswith("[train]\n") else "no"])
    result = draft(answers, plan=PLAN, samples=[PooledSample("team", NOTEBOOK)], settings=settings)
    assert result.bases["data"] == "compiler" and result.provenance["data"] == "compiler"
    changed = ScriptedLLM(
        [lambda prompt: f"# ours\n{train}" if prompt.assistant_prefix.endswith("[train]\n") else "no"]
    )
    result = draft(changed, plan=PLAN, samples=[PooledSample("team", NOTEBOOK)], settings=settings)
    assert (result.provenance["train"], result.bases["train"]) == ("model", "sample:team")


def test_a_second_sample_in_the_contract_stands_in_before_the_floor():
    settings = GenerationSettings(floor=Floor(BATCHES, PLAN))
    samples = [PooledSample("team", NOTEBOOK), PooledSample("table", TABLE)]
    result = draft(ScriptedLLM(["no code"]), plan=PLAN, samples=samples, settings=settings)
    assert result.provenance["train"] == "sample:table" and result.bases["train"] == "sample:table"


def test_a_sample_that_does_not_parse_is_shown_whole():
    settings = GenerationSettings(floor=Floor(TABLE, PLAN))
    llm = ScriptedLLM([f"```python\n{TABLE}\n```"])
    result = draft(llm, plan=PLAN, samples=[PooledSample("team", BROKEN)], settings=settings)
    assert is_sound_script(result.source) and "def train(:" in llm.prompts[0].user
    assert set(result.bases.values()) == {"sample:team"}
