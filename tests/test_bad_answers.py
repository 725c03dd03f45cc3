"""Models that answer nothing of use: the run ends within its budget, and the compiler delivers, labelled."""

import pytest

from dlcodegen_local.project.layouts import render_project
from tests.generation.scripted import ScriptedLLM
from tests.test_pipeline import run

ANSWERS = {
    "nothing at all": "",
    "prose only": "I would rather talk about the weather. " * 4000,
    "one endless line": "```python\nx = 1" + " + 1" * 40_000,
    "the same line for ever": "```python\n" + "x = 1\n" * 40_000,
    "imports without end": "```python\n" + "".join(f"import module_{i}\n" for i in range(20_000)),
    "a fence never closed": "```python\ndef train(config):\n    return {'loss': ",
    "a thought without end": "<think>" + "Let me see. " * 10_000,
    "noise": "```python\n" + "(" * 100_000,
}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_compilers_project_is_delivered_and_labelled(name, tmp_path):
    llm = ScriptedLLM([ANSWERS[name]], n_params=7_000_000_000)
    outcome, _, record, request = run(tmp_path, llm)
    assert outcome.origin == "compiler" and outcome.verification.static_ok
    assert sum(sampling.max_tokens for sampling in llm.samplings) <= 12 * 4096
    files = render_project(outcome.project(request.requirement, record.summary()), "project")
    assert "compiler" in files["README.md"]
