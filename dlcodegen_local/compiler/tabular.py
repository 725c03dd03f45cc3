"""Tabular classification and regression: a CSV table in, a class or numbers out."""

import re

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.catalog import BASE_FACTS
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.image_labels import compile_image_classification, compile_image_regression
from dlcodegen_local.compiler.model_section import model_section
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import count_classes, input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_FEATURES = 16
MAX_FEATURES = 20_000
DEFAULT_LAYERS = ("Dense(128, activation='relu')", "Dropout(0.3)", "Dense(64, activation='relu')", "Dense()")
_DATA = '''
def make_synthetic(config: Config) -> None:
    """Write a table whose target depends on the first columns."""
    rng = np.random.default_rng(config.seed)
    features = rng.normal(size=(config.synthetic_samples, config.num_features))
    signal = features[:, :2].sum(axis=1)
    $targets
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [f"feature_{i}" for i in range(config.num_features)]
        writer.writerow([*names, $header])
        writer.writerows([*row.round(5), $cells] for row, target in zip(features, targets))


def read_table(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return features (rows, num_features) and $returned."""
    path = Path(config.data_dir) / "table.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected $expected")
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype="float32")
    table = np.nan_to_num(np.atleast_2d(table))
    features, targets = table[:, :-$columns], table[:, -$columns:]
    if features.shape[1] != config.num_features:
        raise ValueError(f"{path} has {features.shape[1]} feature columns: pass --num-features")
    return features, targets


def load_data(config: Config):
    """Return (train, validation, test), each a pair of features and targets."""
    if config.synthetic:
        make_synthetic(config)
    features, targets = read_table(config)
    order = np.random.default_rng(config.seed).permutation(len(features))
    features, targets = features[order], targets[order]
    first, second = int(0.7 * len(features)), int(0.85 * len(features))
    $scale
    $reshape
    $labels
    return (
        (features[:first], targets[:first]),
        (features[first:second], targets[first:second]),
        (features[second:], targets[second:]),
    )
'''
_STANDARD = (
    "mean, scale = features[:first].mean(axis=0), features[:first].std(axis=0) + 1e-7\n"
    "features = (features - mean) / scale"
)
_MINMAX = (
    "low, high = features[:first].min(axis=0), features[:first].max(axis=0)\n"
    "features = (features - low) / (high - low + 1e-7)"
)


def compile_tabular_classification(plan: Plan) -> Program:
    """Compile a plan whose output is a class, or several labels at once."""
    items = planned_items(plan)
    if reads_images(plan, items):
        return compile_image_classification(plan)
    last = last_layer(items)
    size = count_classes(plan.dataset_output) or last.units or 2
    several = (
        re.search(r"multi-?label|multiple (?:target )?labels|targets", plan.dataset_output.lower())
        is not None
    )
    several = several and size > 1
    size = size if several else max(size, 2)
    objective = read_objective(
        plan, Targets("labels" if several else "classes", size, last.units, last.activation)
    )
    return _program(plan, items, objective, size, "labels" if several else "classes")


def compile_tabular_regression(plan: Plan) -> Program:
    """Compile a plan whose output is one or several numbers."""
    items = planned_items(plan)
    if reads_images(plan, items):
        return compile_image_regression(plan)
    last = last_layer(items)
    shapes = [shape for shape in read_shapes(plan.dataset_output) if len(shape) == 1 and shape[0] is not None]
    size = min(shapes[0][0] or 1, 1000) if shapes else min(last.units or 1, 1000)
    objective = read_objective(plan, Targets("values", size, last.units, last.activation))
    return _program(plan, items, objective, size, "values")


def reads_images(plan: Plan, items: list[Item]) -> bool:
    """Say whether a plan that calls itself tabular is about images."""
    if any(item.name in BASE_FACTS for item in items):
        return True
    words = re.search(
        r"\bimages?\b|photo|picture|\bscans?\b|x-?ray|\bmri\b|pixels", plan.dataset_input.lower()
    )
    return words is not None and any(item.name in ("Conv2D", "MaxPooling2D") for item in items)


def planned_items(plan: Plan) -> list[Item]:
    """Return the plan's layers, the family's own where the plan names none that can be built."""
    items = read_items(plan.layers)
    if any(item.call is not None and item.name != "Input" for item in items):
        return items
    return [*items, *read_items(DEFAULT_LAYERS)]


def features_shape(plan: Plan, items: list[Item]) -> tuple[int, ...]:
    """Return the shape of one row: a vector, or what the plan reshapes it to."""
    stated = input_from_layers(items)
    for shape in [*([stated] if stated else []), *read_shapes(plan.dataset_input)]:
        sizes = [size or DEFAULT_FEATURES for size in shape]
        total = 1
        for size in sizes:
            total *= size
        if any(size is not None for size in shape) and len(sizes) <= 3 and 1 < total <= MAX_FEATURES:
            return tuple(sizes)
    match = re.search(
        r"(\d{1,4})\s+(?:\w+\s+){0,2}(?:features|columns|attributes|variables|inputs)", plan.dataset_input
    )
    count = int(match.group(1)) if match else DEFAULT_FEATURES
    return (count if 1 <= count <= MAX_FEATURES else DEFAULT_FEATURES,)


def _program(plan: Plan, items: list[Item], objective: Objective, size: int, kind: str) -> Program:
    shape = features_shape(plan, items)
    total = 1
    for axis in shape:
        total *= axis
    name = "num_outputs" if kind == "values" else "num_classes"
    single = objective.units == 1 and kind != "values"
    units = "1" if single else f"config.{name}"
    symbols = {
        "num_classes": Expr(units, objective.units),
        "n_classes": Expr(units, objective.units),
        "num_features": Expr("config.num_features", total),
    }
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    code = "(config.num_features,)" if len(shape) == 1 else str(shape)
    chain = fit_layers(items, shape, code, head, symbols)
    data = _data(plan, objective, kind, shape)
    settings = [Setting("num_features", total), Setting(name, size)]
    what = {"values": "the predicted numbers", "labels": "a probability for every label"}.get(
        kind, "class probabilities"
    )
    return Program(
        title=f"{plan.category} with a neural network",
        summary=f"Reads a table, scales its columns and trains the planned network. Preprocessing "
        f"planned: {plan.preprocess[:300]}",
        data_format=_format(kind, size),
        data=data,
        model=model_section(chain, objective, settings),
        **array_sections(what),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*objective.deviations, *chain.deviations),
    )


def _format(kind: str, size: int) -> str:
    if kind == "classes":
        return (
            "`data_dir/table.csv` with a header line; the last column, `label`, is the class as "
            "a whole number from 0, every other column a number."
        )
    last = "the last columns are the targets" if size > 1 else "the last column is the target"
    return f"`data_dir/table.csv` with a header line; every column is a number, {last}."


def _data(plan: Plan, objective: Objective, kind: str, shape: tuple[int, ...]) -> str:
    if kind == "classes":
        targets = "targets = np.argsort(np.argsort(signal)) * config.num_classes // config.synthetic_samples"
        values = {
            "header": '"label"',
            "cells": "int(target)",
            "columns": "1",
            "returned": "targets (rows, 1)",
        }
    else:
        columns = "config.num_classes" if kind == "labels" else "config.num_outputs"
        targets = (
            f"noise = 0.1 * rng.normal(size=(config.synthetic_samples, {columns}))\n"
            "targets = signal[:, None] + noise"
        )
        if kind == "labels":
            targets += "\ntargets = (targets > 0).astype(int)"
        header = f'*[f"target_{{i}}" for i in range({columns})]'
        values = {
            "header": header,
            "cells": "*target.round(5)",
            "columns": columns,
            "returned": "targets (rows, columns)",
        }
    minmax = re.search(r"min-?max|\[0, ?1\]|between 0 and 1", plan.preprocess.lower())
    return fill(
        _DATA,
        targets=targets,
        expected="a CSV table, features first and then the target",
        scale=_MINMAX if minmax else _STANDARD,
        reshape=f"features = features.reshape((-1, {', '.join(map(str, shape))}))" if len(shape) > 1 else "",
        labels=_labels(objective.labels, kind),
        **values,
    )


def _labels(labels: str, kind: str) -> str:
    if kind != "classes":
        return ""
    if labels == "index":
        return 'targets = targets[:, 0].astype("int32")'
    if labels == "one_hot":
        return "targets = keras.utils.to_categorical(targets[:, 0], config.num_classes)"
    return ""
