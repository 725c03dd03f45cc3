import pytest

from dlcodegen_local.generation.describing import SampleDescriber, checked_requirement
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import PLAN, TABLE

GOOD = "Build a model that sorts the rows of a table into classes. The data is a CSV file of numbers."


def test_a_plain_answer_is_the_requirement():
    llm = ScriptedLLM([f'"{GOOD}"\n\nAnd here is more.'])
    assert SampleDescriber(llm)("Rows", PLAN, TABLE) == GOOD
    assert "<title>\nRows\n</title>" in llm.prompts[0].user
    assert llm.samplings[0].temperature == 0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Classify.",
        "Sure, here is the request: build a model for tables.",
        "import keras and train a model = keras.Sequential() for rows.",
        "Build a model with build_model for the rows of a table.",
        "Build one. Train it well. Then test it on the rows.",
        "Build a model that sorts the rows of a table into",
        "rows rows rows rows rows rows rows rows rows rows rows.",
        "Build a model for \u202ethe rows of a table of numbers.",
        "Build " + "a very large model and " * 30 + "end.",
    ],
)
def test_what_is_no_requirement_is_refused(answer):
    assert checked_requirement(answer) is None


def test_an_answer_that_is_cut_off_is_refused():
    assert SampleDescriber(ScriptedLLM([GOOD * 40]))("Rows", PLAN, TABLE) is None


def test_a_long_code_is_cut_to_the_context():
    assert SampleDescriber(ScriptedLLM([GOOD], n_ctx=700))("Rows", PLAN, TABLE * 20) == GOOD


def test_a_context_without_room_leaves_the_sample_as_it_is():
    assert SampleDescriber(ScriptedLLM([GOOD], n_ctx=80))("Rows", PLAN, TABLE) is None
