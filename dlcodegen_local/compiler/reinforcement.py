"""Reinforcement learning: deep Q-learning on an environment of its own, the plan's layers as Q-network."""

import re

from dlcodegen_local.compiler import reinforcement_sections as sections
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.catalog import SPECS
from dlcodegen_local.compiler.chain import Head, Item
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.sequence_core import (
    LOAD_TRAINED,
    build_network,
    planned_items,
    planned_preprocessing,
    used_settings,
)
from dlcodegen_local.compiler.sequence_fitting import fit_sequence
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_metric

DEFAULT_LAYERS = ("Dense(64, activation='relu')", "Dense(64, activation='relu')")
CART_POLE_STATE = (4,)
MAX_SIDE = 128
MAX_ACTIONS = 64


def compile_reinforcement(plan: Plan) -> Program:
    """Compile a plan whose network tells the value of every action in a state."""
    items = planned_items(plan, DEFAULT_LAYERS)
    shape = _state_shape(plan, items)
    last = last_layer(items)
    shapes = [size for size in read_shapes(plan.dataset_output) if len(size) == 1 and size[0]]
    cart_pole = shape == CART_POLE_STATE
    actions = shapes[0][0] if shapes else last.units or (2 if cart_pole else 4)
    actions = max(2, min(actions or 2, MAX_ACTIONS))
    cart_pole = cart_pole and actions == 2
    objective = read_objective(plan, Targets("values", actions, last.units, last.activation))
    head = Head((actions,), "config.num_actions", None, frozenset({"linear"}))
    symbols = {
        name: Expr("config.num_actions", actions)
        for name in ("num_actions", "n_actions", "action_size", "action_dim")
    }
    code = str(shape) if len(shape) > 1 else "(config.state_size,)"
    chain, blocks = fit_sequence(items, shape, code, head, symbols, "numbers")
    settings = [*_settings(shape, actions)]
    model = build_network(chain, blocks, objective, settings)
    environment = fill(sections.CART_POLE) if cart_pole else _grid_world(shape)
    data = f"{environment}\n\n\n{fill(sections.TRANSITIONS)}"
    name = "a pole on a cart" if cart_pole else "a walk on a grid"
    found = re.search(r"[A-Z]\w+-v\d", f"{plan.dataset_input} {plan.dataset_output} {plan.preprocess}")
    note = (
        (f"{found.group(0)} is replaced by {name}, an environment that needs no other package",)
        if found
        else ()
    )
    return Program(
        title="Deep Q-learning",
        summary=f"Learns {name} by deep Q-learning with replay memory and target network; "
        f"one epoch is one episode. {planned_preprocessing(plan)}",
        data_format="`data_dir/transitions.npz`, logged steps of the environment: the arrays `states`, "
        "`actions`, `rewards`, `next_states` and `ended`, one row a step.",
        data=data,
        model=model,
        train=sections.TRAIN,
        evaluate=fill(LOAD_TRAINED + sections.EVALUATE),
        predict=sections.PREDICT,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=canonical_metric(plan.metric) or objective.metric,
        settings=used_settings(settings, data, model, sections.TRAIN, sections.EVALUATE),
        deviations=(*note, *objective.deviations, *chain.deviations),
    )


def _state_shape(plan: Plan, items: list[Item]) -> tuple[int, ...]:
    """Return the shape of a state: the plan's, or one that the first layers can take."""
    stated = input_from_layers(items) or next(iter(read_shapes(plan.dataset_input)), None)
    axes = next(
        (rank for item in items if item.name in SPECS and (rank := SPECS[item.name].rank or 0) > 1), 1
    )
    if stated and all(stated) and len(stated) in (1, 2, 3):
        sizes = tuple(size or 1 for size in stated)
        if axes == 1 or len(sizes) == axes:
            return (*(min(size, MAX_SIDE) for size in sizes[:-1]), min(sizes[-1], 1024))
    return {1: CART_POLE_STATE, 2: (16, 4)}.get(axes, (16, 16, 1))


def _settings(shape: tuple[int, ...], actions: int) -> list[Setting]:
    return [
        *([Setting("state_size", shape[0])] if len(shape) == 1 else []),
        Setting("num_actions", actions),
        Setting("grid_size", 4, "cells on each side"),
        Setting("max_steps", 50, "longest episode"),
        Setting("buffer_size", 10_000),
        Setting("learn_every", 4, "steps between two batches"),
        Setting("target_every", 5, "episodes between two copies to the target network"),
        Setting("discount", 0.99),
        Setting("epsilon_start", 1.0),
        Setting("epsilon_end", 0.05),
        Setting("epsilon_decay", 0.99),
        Setting("test_episodes", 3),
    ]


def _grid_world(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        observe = fill(
            sections.OBSERVE_IMAGE, height=str(shape[0]), width=str(shape[1]), channels=str(shape[2])
        )
        return fill(
            sections.GRID_WORLD, state_text="states are images", state_shape=str(shape), observe=observe
        )
    total = "config.state_size" if len(shape) == 1 else str(shape[0] * shape[1])
    reshape = "" if len(shape) == 1 else f".reshape({shape})"
    size = f"self.{total}" if len(shape) == 1 else total
    observe = fill(sections.OBSERVE_VECTOR, state_size=size, reshape=reshape)
    return fill(
        sections.GRID_WORLD,
        state_text="states repeat the places of agent and goal",
        state_shape="(state_size,)" if len(shape) == 1 else str(shape),
        observe=observe,
    )
