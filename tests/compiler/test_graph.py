from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.sections import Sections
from tests.compiler.plans import make_plan
from tests.compiler.sequence_plans import PLANS


def model_of(plan) -> str:
    return Sections.parse(compile_plan(plan)).bodies["model"]


def test_every_graph_convolution_reads_the_adjacency() -> None:
    model = model_of(PLANS["nodes"])
    assert 'GCNConv(8, activation="relu")(features, adjacency)' in model
    assert "GCNConv(8)(x, adjacency)" in model


def test_flattened_plans_classify_signals_on_one_graph() -> None:
    source = compile_plan(PLANS["signals"])
    assert "signals.csv" in source
    assert "nodes.csv" not in source


def test_layers_that_read_no_graph_get_a_convolution() -> None:
    plan = make_plan(
        "Graph Learning", ("(nodes, 5)", "(nodes, 3)"), ("Dense(8)", "Dense(3, activation='softmax')")
    )
    assert "GCNConv(32" in model_of(plan)


def test_the_regulariser_that_the_plan_names_is_kept() -> None:
    layers = ("GCNConv layer (16 units) with ELU activation and L2 regularization", "Dense(2)")
    assert 'kernel_regularizer="l2"' in model_of(make_plan("Graph Learning", ("", "2 classes"), layers))
