"""Vary code and plans for training: other names, other numbers, planted faults.

Every function is pure and draws from the generator it is given. A variation that does not apply is None.
"""

import ast
import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.verification.report import Finding

Edit = tuple[int, int, int, str]
_FIRST = (
    "batch",
    "train",
    "item",
    "new",
    "final",
    "base",
    "local",
    "raw",
    "part",
    "one",
    "next",
    "whole",
    "block",
)
_SECOND = (
    "net",
    "table",
    "rows",
    "values",
    "stack",
    "size",
    "store",
    "names",
    "steps",
    "record",
    "frame",
    "parts",
)
_NUMBERS = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    10,
    12,
    16,
    20,
    24,
    32,
    48,
    50,
    64,
    80,
    96,
    100,
    128,
    192,
    200,
    256,
    300,
    512,
)
_LOSSES = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "binary_crossentropy",
    "mse",
    "mae",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
)
_RATES = (0.1, 0.05, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005, 0.0003, 0.0002, 0.0001, 5e-05, 2e-05, 1e-05)


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    """Replace spans `(line, start, end, text)`; lines from 1, columns in UTF-8 bytes."""
    lines = source.encode().split(b"\n")
    for line, start, end, text in sorted(set(edits), reverse=True):
        lines[line - 1] = lines[line - 1][:start] + text.encode() + lines[line - 1][end:]
    return b"\n".join(lines).decode()


def rename_locals(body: str, rng: np.random.Generator, share: float = 0.4) -> str:
    """Give a share of the variables that functions assign other names, everywhere in the function."""
    edits: list[Edit] = []
    for function in ast.parse(body).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        assigned = sorted({node.id for node in names if isinstance(node.ctx, ast.Store)})
        arguments = {
            arg.arg for node in ast.walk(function) if isinstance(node, ast.arguments) for arg in node.args
        }
        if any(isinstance(node, ast.Global | ast.Nonlocal) for node in ast.walk(function)):
            continue
        for name in assigned:
            if name in arguments or rng.random() > share:
                continue
            new = f"{rng.choice(_FIRST)}_{rng.choice(_SECOND)}"
            edits += [(n.lineno, n.col_offset, n.end_col_offset or 0, new) for n in names if n.id == name]
    return apply_edits(body, edits)


def change_numbers(body: str, rng: np.random.Generator, share: float = 0.3) -> str:
    """Give a share of the whole numbers above 1 other values."""
    edits: list[Edit] = []
    for node in ast.walk(ast.parse(body)):
        if (
            isinstance(node, ast.Constant)
            and type(node.value) is int
            and node.value > 1
            and rng.random() < share
        ):
            edits.append((node.lineno, node.col_offset, node.end_col_offset or 0, str(rng.choice(_NUMBERS))))
    return apply_edits(body, edits)


def vary_plan(plan: Plan, rng: np.random.Generator) -> Plan:
    """Return the plan with some hyperparameters and numbers of its layers changed."""
    changes: dict[str, object] = {}
    if rng.random() < 0.7:
        changes["learning_rate"] = float(rng.choice(_RATES))
    if rng.random() < 0.7:
        changes["batch_size"] = int(rng.choice(_NUMBERS))
    if rng.random() < 0.7:
        changes["epochs"] = int(rng.integers(1, 151))
    if rng.random() < 0.5:
        changes["optimizer"] = str(rng.choice(("adam", "sgd", "rmsprop", "adamw", "nadam", "adagrad")))
    if rng.random() < 0.3:
        changes["loss"] = str(rng.choice(_LOSSES))
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]


def plant_fault(body: str, rng: np.random.Generator) -> tuple[str, Finding] | None:
    """Return the section with one fault, and the finding that a check would make of it."""
    if rng.random() < 0.4:
        return _broken_syntax(body, rng)
    names = [node for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name) and len(node.id) > 3]
    names = [node for node in names if isinstance(node.ctx, ast.Load)]
    if not names:
        return None
    node = names[int(rng.integers(len(names)))]
    place = int(rng.integers(1, len(node.id) - 1))
    wrong = node.id[:place] + node.id[place + 1] + node.id[place] + node.id[place + 2 :]
    if wrong == node.id:
        wrong = node.id + "s"
    edit = (node.lineno, node.col_offset, node.end_col_offset or 0, wrong)
    finding = Finding("script.py", node.lineno, "undefined-name", f"{wrong!r} is not defined")
    return apply_edits(body, [edit]), finding


def _broken_syntax(body: str, rng: np.random.Generator) -> tuple[str, Finding] | None:
    places = [match.start() for match in re.finditer(r"[)\]:,](?=\n)", body)]
    if not places:
        return None
    place = places[int(rng.integers(len(places)))]
    broken = body[:place] + body[place + 1 :]
    try:
        ast.parse(broken)
    except SyntaxError as error:
        return broken, Finding("script.py", error.lineno or 1, "syntax", error.msg)
    return None
