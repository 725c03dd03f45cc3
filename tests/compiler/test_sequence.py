import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.plain_text import plain
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import REQUIRED_FUNCTIONS, SECTION_NAMES, Sections
from dlcodegen_local.verification.compliance import measure_compliance
from dlcodegen_local.verification.static import check_source
from tests.compiler.plans import make_plan
from tests.compiler.sequence_plans import HOSTILE, PLANS


@pytest.mark.parametrize("plan", [*PLANS.values(), *HOSTILE], ids=lambda plan: plan.category)
def test_every_plan_gives_a_project_in_the_section_contract(plan: Plan) -> None:
    source = compile_plan(plan)
    sections = Sections.parse(source)
    assert list(sections.bodies) == list(SECTION_NAMES)
    for name, functions in REQUIRED_FUNCTIONS.items():
        defined = {
            node.name for node in ast.parse(sections.bodies[name]).body if isinstance(node, ast.FunctionDef)
        }
        assert set(functions) <= defined
    assert [finding for finding in check_source(source) if finding.severity == "error"] == []
    assert compile_plan(plan) == source


@pytest.mark.parametrize("name", sorted(PLANS))
def test_the_code_follows_its_plan(name: str) -> None:
    compliance = measure_compliance(compile_plan(PLANS[name]), PLANS[name])
    assert compliance.score is not None
    assert compliance.score >= 0.9, compliance.fields


@settings(max_examples=40, deadline=None)
@given(
    category=st.sampled_from(sorted({plan.category for plan in PLANS.values()})),
    layers=st.lists(st.text(max_size=30), max_size=4),
    texts=st.tuples(*[st.text(max_size=40)] * 5),
)
def test_no_text_breaks_the_compiler(category: str, layers: list[str], texts: tuple[str, ...]) -> None:
    clean = [plain(text) for text in (*texts, *layers)]
    plan = make_plan(
        category, (clean[0], clean[1]), tuple(clean[5:]), optimizer=clean[2], loss=clean[3], metric=clean[4]
    )
    ast.parse(compile_plan(plan))


@settings(max_examples=60, deadline=None)
@given(
    category=st.sampled_from(sorted({plan.category for plan in PLANS.values()})),
    layers=st.lists(
        st.sampled_from(sorted({layer for plan in (*PLANS.values(), *HOSTILE) for layer in plan.layers}))
    ),
)
def test_no_order_of_layers_breaks_the_compiler(category: str, layers: list[str]) -> None:
    source = compile_plan(make_plan(category, ("(batch_size, 16)", ""), tuple(layers)))
    assert [finding for finding in check_source(source) if finding.severity == "error"] == []


def test_a_language_model_with_a_target_for_every_token_sees_no_later_token() -> None:
    plan = make_plan("Text Generation", ("(None, 8)", "(None, 8, 50)"), ("TransformerBlock(16, 2, 16)",))
    assert "self.attention(x, x, use_causal_mask=True)" in compile_plan(plan)


def test_a_decoder_starts_from_the_state_of_a_fitting_encoder() -> None:
    source = compile_plan(PLANS["translation"])
    assert "x, state_h, state_c = layers.LSTM(16, return_sequences=True, return_state=True)(x)" in source
    assert "(x, initial_state=[state_h, state_c])" in source
    assert "layers.Attention()([x, encoded])" in source


def test_a_decoder_of_another_width_gets_a_bridge() -> None:
    layers = ("Embedding(9, 4)", "GRU(3)", "Embedding(9, 4)", "GRU(5)", "Dense(9, activation='softmax')")
    source = compile_plan(make_plan("Translation", ("sentences", "sentences"), layers))
    assert 'state = layers.Dense(5, activation="tanh")(encoded)' in source


def test_a_plan_without_a_decoder_is_one_chain_and_says_so() -> None:
    assert "one chain from source to target" in compile_plan(PLANS["summary"])


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["text", "translation", "captions", "cart"])
def test_the_project_trains_evaluates_and_predicts(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    script = tmp_path / "script.py"
    script.write_text(compile_plan(PLANS[name]), encoding="utf-8")
    options = ["--synthetic", "--synthetic-samples", "16", "--batch-size", "4", "--epochs", "1"]
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            *options,
            "--data-dir",
            str(tmp_path / "d"),
            "--output-dir",
            str(tmp_path / "o"),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "'loss'" in done.stdout
    assert (tmp_path / "o" / "predictions.npy").is_file()
