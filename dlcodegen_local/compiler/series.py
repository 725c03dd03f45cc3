"""Time series: forecasting of the next values of a table, and classification of whole recordings."""

import math
import re

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.model_section import model_section
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import count_classes, input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.series_tables import RECORDINGS, WINDOWS
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_STEPS = 24
DEFAULT_COLUMNS = 3
MAX_VALUES = 400_000
FORECAST_LAYERS = ("LSTM(64)", "Dropout(0.2)", "Dense()")
CLASSIFY_LAYERS = (
    "Conv1D(32, 5, activation='relu', padding='same')",
    "MaxPooling1D(2)",
    "Conv1D(64, 5, activation='relu', padding='same')",
    "GlobalAveragePooling1D()",
    "Dense()",
)


def compile_forecasting(plan: Plan) -> Program:
    """Compile a plan that predicts the next values of a series."""
    items = _items(plan, FORECAST_LAYERS)
    last = last_layer(items)
    steps, columns = read_window(plan, items)
    horizon, targets = _horizon(plan, last.units, columns)
    objective = read_objective(plan, Targets("values", targets or horizon, last.units, last.activation))
    shape: tuple[int, ...] = (horizon, targets) if targets else (horizon,)
    units = "config.num_targets" if targets else "config.horizon"
    symbols = {
        "n_features": Expr("config.num_features", columns),
        "num_features": Expr("config.num_features", columns),
        "sequence_length": Expr("config.sequence_length", steps),
        "horizon": Expr("config.horizon", horizon),
        "output_dim": Expr(units, shape[-1]),
    }
    head = Head(shape, units, objective.activation, objective.accepts)
    chain = fit_layers(
        items, (steps, columns), "(config.sequence_length, config.num_features)", head, symbols
    )
    settings = [
        Setting("sequence_length", steps),
        Setting("num_features", columns),
        Setting("horizon", horizon),
        *((Setting("num_targets", targets),) if targets else ()),
    ]
    scaled = re.search(r"min-?max|\[0, ?1\]", plan.preprocess.lower()) is not None
    return Program(
        title="Time series forecasting with a neural network",
        summary=f"Learns to predict the next steps from windows of the past. Preprocessing planned: "
        f"{plan.preprocess[:300] or 'none'}",
        data_format="`data_dir/series.csv` with a header line; one row a time step, oldest first, "
        "every column a number. "
        "What is predicted stands in the first column" + ("s." if targets else "."),
        data=fill(
            WINDOWS,
            center="train.min(axis=0)" if scaled else "train.mean(axis=0)",
            spread="train.max(axis=0) - train.min(axis=0)" if scaled else "train.std(axis=0)",
            target=": config.num_targets" if targets else "0",
        ),
        model=model_section(chain, objective, settings),
        **array_sections("the scaled forecasts"),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*objective.deviations, *chain.deviations),
    )


def compile_series_classification(plan: Plan) -> Program:
    """Compile a plan that sorts recordings into classes."""
    items = _items(plan, CLASSIFY_LAYERS)
    last = last_layer(items)
    size = max(count_classes(plan.dataset_output) or last.units or 2, 2)
    objective = read_objective(plan, Targets("classes", size, last.units, last.activation))
    shape = _recording(plan, items)
    units = "1" if objective.units == 1 else "config.num_classes"
    symbols = {name: Expr(units, objective.units) for name in ("num_classes", "n_classes", "nb_classes")}
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    chain = fit_layers(items, shape, str(shape), head, symbols)
    settings = [Setting("num_classes", size)]
    return Program(
        title="Time series classification with a neural network",
        summary=f"Sorts recordings into classes. Preprocessing planned: {plan.preprocess[:300] or 'none'}",
        data_format=f"one folder a class in `data_dir`, each with `.npy` arrays of shape {shape}; "
        "classes are numbered in the order of their names.",
        data=recordings_code(shape, objective.labels),
        model=model_section(chain, objective, settings),
        **array_sections("class probabilities"),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*objective.deviations, *chain.deviations),
    )


def recordings_code(shape: tuple[int, ...], labels: str, low: str = "0.0") -> str:
    """Return the data section for arrays in one folder a class."""
    forms = {
        "index": 'labels = np.array(labels, dtype="int32")',
        "one_hot": "labels = keras.utils.to_categorical(labels, config.num_classes)",
    }
    return fill(
        RECORDINGS,
        shape=str(shape),
        labels=forms.get(labels, 'labels = np.array(labels, dtype="float32").reshape(-1, 1)'),
        low=low,
    )


def _items(plan: Plan, default: tuple[str, ...]) -> list[Item]:
    items = read_items(plan.layers)
    if any(item.call is not None and item.name not in ("Input", "Dropout", "Activation") for item in items):
        return items
    return [*items, *read_items(default)]


def read_window(plan: Plan, items: list[Item]) -> tuple[int, int]:
    """Return the window's length and number of columns."""
    stated = input_from_layers(items)
    for shape in [*([stated] if stated else []), *read_shapes(plan.dataset_input)]:
        if len(shape) == 1 and shape[0] and 2 <= shape[0] <= 2000:
            return shape[0], 1
        if len(shape) == 2 and (shape[0] or shape[1]):
            return min(shape[0] or DEFAULT_STEPS, 2000), min(shape[1] or DEFAULT_COLUMNS, 2000)
        if len(shape) >= 3 and any(shape):
            sizes = [size or 1 for size in shape[1:]]
            return min(shape[0] or DEFAULT_STEPS, 2000), min(math.prod(sizes), 2000)
    text = f"{plan.dataset_input} {plan.preprocess}".lower()
    match = re.search(r"(\d{1,4})[- ](?:time ?steps|days|hours|months|minutes|steps|points|weeks)", text)
    steps = int(match.group(1)) if match and 2 <= int(match.group(1)) <= 2000 else DEFAULT_STEPS
    match = re.search(r"(\d{1,3})\s+(?:\w+\s+)?(?:features|variables|columns)", text)
    return steps, int(match.group(1)) if match and int(match.group(1)) else DEFAULT_COLUMNS


def _horizon(plan: Plan, units: int | None, columns: int) -> tuple[int, int]:
    """Return how many steps are predicted, and of how many columns where the output is a table (else 0)."""
    for shape in read_shapes(plan.dataset_output):
        if len(shape) == 1 and shape[0] and shape[0] <= 1000:
            return shape[0], 0
        if len(shape) == 2 and (shape[0] or shape[1]):
            return min(shape[0] or 1, 1000), max(1, min(shape[1] or 1, columns))
    return min(units or 1, 1000), 0


def _recording(plan: Plan, items: list[Item]) -> tuple[int, ...]:
    stated = input_from_layers(items)
    for shape in [*([stated] if stated else []), *read_shapes(plan.dataset_input)]:
        sizes = tuple(size or DEFAULT_STEPS for size in shape)
        if 1 <= len(sizes) <= 3 and any(shape) and 4 <= math.prod(sizes) <= MAX_VALUES:
            return (*sizes, 1) if len(sizes) == 1 else sizes
    if any(item.name in ("Conv2D", "MaxPooling2D") for item in items):
        return (32, 128, 1)
    return (128, DEFAULT_COLUMNS)
