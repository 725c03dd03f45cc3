"""Anomaly detection: an autoencoder of tables or images, or a classifier where the plan has labels."""

import re
from dataclasses import replace

from dlcodegen_local.compiler.anomaly_tables import DATA, EVALUATE, PREDICT
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.image_pairs import compile_image_to_image
from dlcodegen_local.compiler.model_section import model_section
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import last_layer, read_shapes
from dlcodegen_local.compiler.series import read_window
from dlcodegen_local.compiler.tabular import compile_tabular_classification, features_shape
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_LAYERS = (
    "Dense(32, activation='relu')",
    "Dense(8, activation='relu')",
    "Dense(32, activation='relu')",
)
_SEQUENCE = frozenset(
    {"LSTM", "GRU", "SimpleRNN", "Conv1D", "Bidirectional", "TimeDistributed", "RepeatVector"}
)


def compile_anomaly_detection(plan: Plan) -> Program:
    """Compile a plan that finds what does not look like the rest."""
    items = read_items(plan.layers)
    last = last_layer(items)
    labelled = re.search(r"cross.?entropy|bce|focal", plan.loss.lower()) and (last.units or 1) <= 2
    if labelled and not any("Transpose" in item.name for item in items):
        return compile_tabular_classification(plan)
    if any("2D" in item.name for item in items):
        return compile_image_to_image(replace(plan, dataset_output=""))
    if not any(item.call is not None and item.name not in ("Input", "Dropout") for item in items):
        items = [*items, *read_items(DEFAULT_LAYERS)]
    return _autoencoder(plan, items)


def _autoencoder(plan: Plan, items: list[Item]) -> Program:
    last = last_layer(items)
    windows = any(item.name in _SEQUENCE for item in items)
    shape = read_window(plan, items) if windows else (_columns(plan, items),)
    code = "(config.sequence_length, config.num_features)" if windows else "(config.num_features,)"
    settings = [Setting("sequence_length", shape[0])] if windows else []
    settings.append(Setting("num_features", shape[-1]))
    objective = read_objective(plan, Targets("values", shape[-1], last.units, last.activation))
    head = Head(shape, "config.num_features", objective.activation, objective.accepts)
    symbols = {
        name: Expr("config.num_features", shape[-1])
        for name in ("input_dim", "n_features", "num_features", "input_size", "n_inputs")
    }
    chain = fit_layers(items, shape, code, head, symbols)
    settings.append(
        Setting("threshold_quantile", 0.95, "rows with a larger error than this share are anomalies")
    )
    unit_range = objective.activation == "sigmoid" or last.activation == "sigmoid"
    sections = array_sections("")
    return Program(
        title="Anomaly detection with an autoencoder",
        summary="Learns to reproduce normal rows; what it reproduces badly is an anomaly. "
        f"Preprocessing planned: {plan.preprocess[:300] or 'none'}",
        data_format="`data_dir/table.csv` with a header line; the last column, `anomaly`, is 1 for "
        "known anomalies and 0 "
        "otherwise, every other column a number" + (", one row a time step." if windows else "."),
        data=_data(windows, unit_range),
        model=model_section(chain, objective, settings),
        train=sections["train"].replace(
            "(x_train, y_train), validation, _ =", "(x_train, y_train), validation, _, _ ="
        ),
        evaluate=EVALUATE,
        predict=PREDICT,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*objective.deviations, *chain.deviations),
    )


def _columns(plan: Plan, items: list[Item]) -> int:
    """Return how many columns a row has: as the input says, else as the last layer gives back."""
    stated = [shape[0] for shape in read_shapes(plan.dataset_input) if len(shape) == 1 and shape[0]]
    columns = stated[0] if stated else last_layer(items).units or features_shape(plan, items)[-1]
    return columns if 1 < columns <= 20_000 else features_shape(plan, items)[-1]


def _data(windows: bool, unit_range: bool) -> str:
    """Return the data section: single rows or windows of them, scaled to [0, 1] or standardised."""
    return fill(
        DATA,
        rows="config.synthetic_samples * config.sequence_length" if windows else "config.synthetic_samples",
        windows="rows = rows.reshape(-1, config.sequence_length, config.num_features)" if windows else "",
        cut="length = len(rows) // config.sequence_length * config.sequence_length\nrows = rows[:length]"
        if windows
        else "",
        flag="labels = labels[:length].reshape(-1, config.sequence_length).max(axis=1)" if windows else "",
        center="normal.min(axis=0)" if unit_range else "normal.mean(axis=0)",
        spread="normal.max(axis=0) - normal.min(axis=0)" if unit_range else "normal.std(axis=0)",
        limit="np.clip((rows - center) / spread, 0.0, 1.0)" if unit_range else "(rows - center) / spread",
    )
