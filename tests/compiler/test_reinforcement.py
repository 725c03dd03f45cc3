from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.sections import Sections
from tests.compiler.plans import make_plan
from tests.compiler.sequence_plans import PLANS


def test_a_state_of_four_numbers_and_two_actions_is_the_pole_on_a_cart() -> None:
    assert "Balance a pole on a cart" in compile_plan(PLANS["cart"])


def test_screens_are_drawn_by_a_grid_of_the_planned_size() -> None:
    data = Sections.parse(compile_plan(PLANS["grid"])).bodies["data"]
    assert "np.zeros((12, 12, 1)" in data
    assert "Walk to a goal on a grid" in data


def test_the_last_layer_has_one_linear_unit_an_action() -> None:
    layers = ("Dense(8, activation='relu')", "Dense(3, activation='softmax')")
    source = compile_plan(make_plan("Reinforcement Learning", ("(None, 6)", "(None, 3)"), layers, loss="mse"))
    assert "layers.Dense(config.num_actions)" in source
    assert "activation linear instead of softmax" in source


def test_an_environment_of_another_package_is_replaced_and_named() -> None:
    layers = ("Dense(8)",)
    source = compile_plan(
        make_plan("Reinforcement Learning", ("Lander-v2 states, (None, 8)", "(None, 4)"), layers)
    )
    assert "Lander-v2 is replaced by a walk on a grid" in source
