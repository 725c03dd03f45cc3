import ast
import importlib.util
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import REQUIRED_FUNCTIONS, SECTION_NAMES, Sections
from dlcodegen_local.verification.compliance import measure_compliance
from dlcodegen_local.verification.static import check_source
from tests.compiler.plans import HOSTILE, PLANS, TABLE, make_plan


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


@pytest.mark.parametrize("plan", PLANS.values(), ids=lambda plan: plan.category)
def test_the_code_follows_its_plan(plan: Plan) -> None:
    compliance = measure_compliance(compile_plan(plan), plan)
    assert compliance.score is not None
    assert compliance.score >= 0.85, compliance.fields


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert compile_plan(TABLE) == compile_plan(Plan.from_dict(TABLE.to_dict()))


def test_hyperparameters_are_defaults_of_the_config() -> None:
    source = compile_plan(TABLE)
    for line in (
        "learning_rate: float = 0.002",
        "batch_size: int = 16",
        "epochs: int = 7",
        'optimizer: str = "adam"',
    ):
        assert line in source


def test_layers_keep_order_and_spelling() -> None:
    body = Sections.parse(compile_plan(TABLE)).bodies["model"]
    expected = (
        "layers.Dense(24,",
        "layers.BatchNormalization()",
        "layers.Dropout(0.2)",
        "layers.Dense(config.num",
    )
    positions = [body.index(text) for text in expected]
    assert positions == sorted(positions)


def test_a_last_layer_that_does_not_fit_the_loss_is_mended_and_reported() -> None:
    plan = make_plan(
        "Tabular Classification", ("(None, 4)", "(None, 3)"), ("Dense(9, activation='sigmoid')",)
    )
    source = compile_plan(plan)
    assert 'layers.Dense(config.num_classes, activation="softmax")' in source
    assert "Deviations from the plan" in source
    assert "3 units instead of 9" in source


def test_what_cannot_be_built_stays_as_a_comment() -> None:
    plan = make_plan(
        "Tabular Regression", ("(None, 4)", "(None, 1)"), ("gradient boosting", "Dense(1)"), loss="mse"
    )
    assert "# plan: gradient boosting (not a layer that can be built)" in compile_plan(plan)


def test_another_framework_is_refused() -> None:
    with pytest.raises(ConfigError, match="torch"):
        compile_plan(TABLE, framework="torch")


@settings(max_examples=40, deadline=None)
@given(
    category=st.sampled_from(sorted(PLANS)),
    layers=st.lists(st.text(max_size=30), max_size=4),
    texts=st.tuples(*[st.text(max_size=40)] * 5),
)
def test_no_text_breaks_the_compiler(category: str, layers: list[str], texts: tuple[str, ...]) -> None:
    clean = [plain(text) for text in (*texts, *layers)]
    plan = make_plan(
        category, (clean[0], clean[1]), tuple(clean[5:]), optimizer=clean[2], loss=clean[3], metric=clean[4]
    )
    ast.parse(compile_plan(plan))


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with numpy 2
@pytest.mark.parametrize("category", ["Tabular Classification", "Image Segmentation"])
def test_the_project_trains_evaluates_and_predicts(
    category: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    script = tmp_path / "compiled_project.py"
    script.write_text(compile_plan(PLANS[category]), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("compiled_project", script)
    assert spec is not None
    assert spec.loader is not None
    project = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "compiled_project", project)
    spec.loader.exec_module(project)
    options = ["--synthetic", "--synthetic-samples", "16", "--batch-size", "4", "--epochs", "1"]
    folders = ["--data-dir", str(tmp_path / "data"), "--output-dir", str(tmp_path / "outputs")]
    config = project.parse_config([*options, *folders])
    assert math.isfinite(project.train(config)["loss"])
    assert project.evaluate(config)
    assert len(project.predict(config)) == 3


def test_every_f1_score_is_averaged_to_one_number():
    for output, last in (
        ("(batch_size, 1)", "Dense(1, activation='sigmoid')"),
        ("(batch_size, 3)", "Dense(3)"),
    ):
        plan = Plan(
            "Tabular Classification", "(batch_size, 8)", output, "", (last,), "adam", "", metric="f1_score"
        )
        calls = re.findall(r"F1Score\(name=.*\)", compile_plan(plan))
        assert calls
        assert all("average=" in call for call in calls)


def test_images_to_one_row_of_numbers_are_labelled_whatever_the_category_says() -> None:
    plan = replace(PLANS["Image-to-Image"], dataset_output="(batch_size, 1), crowded or not")
    assert "Image Classification" in compile_plan(replace(plan, loss="binary_crossentropy"))
    assert "Image Regression" in compile_plan(replace(plan, loss="mean_squared_error"))
