"""The starter's task examples: prompts of the pipeline, answers that follow from them."""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest

from dlcodegen_local.generation.plan_values import config_defaults
from dlcodegen_local.plan.schema import Plan
from export.starter_tasks import Material, TaskMaker, planned_body, read_samples, split_rows, template_body
from export.starter_variations import change_numbers, plant_fault, rename_locals

SAMPLES = Path(__file__).parents[2] / "index" / "samples"
PLAN = Plan(
    category="Tabular Classification",
    dataset_input="(batch_size, 9), numbers",
    dataset_output="(batch_size, 3), classes",
    preprocess="Standardised.",
    layers=(
        "Input(shape=(9,))",
        "Dense(77, activation='tanh')",
        "Dropout(0.15)",
        "Dense(3, activation='softmax')",
    ),
    optimizer="sgd",
    loss="sparse_categorical_crossentropy",
    learning_rate=0.02,
    batch_size=17,
    epochs=23,
    metric="accuracy",
)
SEQUENTIAL = '''def build_model(config):
    """Return the model."""
    model = keras.Sequential(
        [
            keras.layers.Input(shape=(config.num_features,)),
            keras.layers.Normalization(),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Dense(config.num_classes, activation="softmax"),
        ]
    )
    return model'''
CHAIN = """def build_model(config):
    inputs = layers.Input(shape=(config.num_features,))
    x = layers.Dense(10, activation="relu")(inputs)
    x = layers.Dropout(0.5)(x)
    outputs = layers.Dense(config.num_classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)"""


@pytest.fixture(scope="module")
def material() -> Material:
    samples = tuple(s for s in read_samples(SAMPLES) if s.plan.category == "Tabular Classification")
    return Material(samples, (("Tell which customers leave.", PLAN),))


def test_examples_repeat_with_the_seed(material: Material) -> None:
    def drawn(seed: int) -> list[tuple[str, str]]:
        examples = itertools.islice(TaskMaker(material, seed).examples(), 25)
        return [(e.prompt.user, e.answer) for e in examples]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_answers_parse_and_config_follows_the_plan(material: Material) -> None:
    for example in itertools.islice(TaskMaker(material, 0).examples(), 60):
        assert example.prompt.assistant_prefix == f"# %% [{example.section}]\n"
        if example.kind == "template":
            continue
        ast.parse(example.answer)
        if example.section == "config" and example.plan.epochs is not None:
            assert config_defaults(example.answer)["epochs"] == example.plan.epochs


@pytest.mark.parametrize("model", [SEQUENTIAL, CHAIN])
def test_a_model_section_gets_the_layers_that_the_compiler_gives_the_plan(model: str) -> None:
    body = planned_body("model", model, PLAN)
    assert body is not None
    ast.parse(body)
    assert "layers.Dense(77" in body and "layers.Dropout(0.15" in body
    assert body != model


def test_templates_have_slots() -> None:
    assert "[{{layers}}]" in template_body("model", SEQUENTIAL, PLAN)
    config = "@dataclass\nclass Config:\n    epochs: int = 3\n    seed: int = 42"
    assert template_body("config", config, PLAN).split("\n")[2:] == [
        "    epochs: int = {{epochs}}",
        "    seed: int = 42",
    ]


def test_renaming_is_consistent_and_leaves_arguments() -> None:
    body = rename_locals(CHAIN, np.random.default_rng(1), share=1.0)
    assert "config" in body and "inputs = " not in body
    namespace = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    assert not {"x", "outputs", "inputs"} & namespace
    assert len(namespace) <= len(
        {node.id for node in ast.walk(ast.parse(CHAIN)) if isinstance(node, ast.Name)}
    )


def test_numbers_change_only_in_value() -> None:
    body = change_numbers(SEQUENTIAL, np.random.default_rng(0), share=1.0)
    assert body != SEQUENTIAL
    assert ast.dump(ast.parse(body)).count("Constant") == ast.dump(ast.parse(SEQUENTIAL)).count("Constant")


@pytest.mark.parametrize("seed", range(12))
def test_a_planted_fault_is_one_fault_with_its_finding(seed: int) -> None:
    found = plant_fault(SEQUENTIAL, np.random.default_rng(seed))
    if found is None:
        return
    broken, finding = found
    assert broken != SEQUENTIAL
    assert 1 <= finding.line <= len(SEQUENTIAL.split("\n"))
    if finding.rule == "undefined-name":
        ast.parse(broken)
    else:
        with pytest.raises(SyntaxError):
            ast.parse(broken)


def test_held_out_rows_are_not_trained_on() -> None:
    rows = [(str(n), PLAN) for n in range(100)]
    kept, held = split_rows(rows, 10)
    assert len(held) == 10
    assert not {name for name, _ in kept} & {name for name, _ in held}
