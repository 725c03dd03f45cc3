"""Graph learning: classes of a graph's nodes, or of signals on a graph, by graph convolution."""

import re

from dlcodegen_local.compiler import graph_sections as sections
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.catalog import SPECS
from dlcodegen_local.compiler.chain import Chain, Head, Item, Step
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import count_classes, input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.rendering import wrapped
from dlcodegen_local.compiler.sequence_core import (
    LOAD_TRAINED,
    encode_labels,
    model_section,
    planned_items,
    planned_preprocessing,
    used_settings,
)
from dlcodegen_local.compiler.sequence_fitting import SequenceFitter
from dlcodegen_local.compiler.sequence_items import block_kind
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.layers import LayerCall
from dlcodegen_local.plan.schema import Plan

DEFAULT_LAYERS = ("GCNConv(32, activation='relu')", "Dropout(0.3)", "GCNConv(32, activation='relu')")
DEFAULT_NODES = 32
DEFAULT_FEATURES = 16
_POOLS = re.compile(r"^Flatten$|Global|Pool")


class GraphFitter(SequenceFitter):
    """Walk through the layers of a graph network; graph convolutions read the adjacency, too."""

    graph_rank = 1  # of the features: 1 where the batch axis is the graph's nodes

    def _place(self, index: int, item: Item) -> None:
        if item.call is not None and block_kind(item.name) == "graph" and self.rank == self.graph_rank:
            self._place_graph(item, item.call)
        else:
            super()._place(index, item)

    def _place_graph(self, item: Item, call: LayerCall) -> None:
        units = self._size(call, ("units", "channels", "out_channels", "filters"), 0, 32)
        activation = call.kwargs.get("activation", None if call.args else "relu")
        self.define(item.name, "graph")
        named = isinstance(activation, str) and activation.isidentifier()
        text = f', activation="{activation}"' if named else ""
        match = re.search(r"\bl([12])\b", item.text.lower())
        text += f', kernel_regularizer="l{match.group(1)}"' if match else ""
        self.chain.steps.append(GraphStep(f"{item.name}({units}{text})", (*self.shape[:-1], units)))

    def _find_head(self) -> int | None:
        index = super()._find_head()
        later = self.items[index + 1 :] if index is not None else []
        return None if any(block_kind(item.name) == "graph" for item in later) else index


class GraphStep(Step):
    """Hold a layer that reads features and adjacency."""


def compile_graph(plan: Plan) -> Program:
    """Compile a plan that learns from a graph."""
    items = planned_items(plan, DEFAULT_LAYERS)
    if not any(block_kind(item.name) == "graph" for item in items):
        items = [*_graph_first(items)]
    items = [item for item in items if _fits_graph(item)]
    signals = any(_POOLS.search(item.name) for item in items)
    last = last_layer(items)
    size = max(2, count_classes(plan.dataset_output) or last.units or 2)
    objective = read_objective(plan, Targets("classes", size, last.units, last.activation))
    nodes, features = _sizes(plan, items)
    units = "1" if objective.units == 1 else "config.num_classes"
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    symbols = {name: Expr(units, objective.units) for name in ("num_classes", "n_classes", "num_labels")}
    fitter = GraphFitter(items, Chain((nodes, features) if signals else (features,), ""), symbols, head)
    fitter.graph_rank = 2 if signals else 1
    fitter.tokens = False
    chain = fitter.run()
    network = _network(chain, signals)
    model = model_section(fitter.blocks, objective.functions, network, objective.compile_call)
    data = _data(objective, signals)
    settings = [
        *([Setting("num_nodes", nodes)] if signals else []),
        Setting("num_features", features),
        Setting("num_classes", size),
    ]
    parts = array_sections("class probabilities") if signals else _node_sections(objective)
    what = "signals on a graph" if signals else "the nodes of a graph"
    return Program(
        title=f"Graph learning: {what}",
        summary=f"Sorts {what} into classes by graph convolution. {planned_preprocessing(plan)}",
        data_format=_format(signals),
        data=data,
        model=model,
        **parts,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model),
        deviations=(*objective.deviations, *chain.deviations),
    )


def _graph_first(items: list[Item]) -> list[Item]:
    added = Item("added: the layers read no graph", LayerCall("GCNConv", (32,), {"activation": "relu"}))
    return [added, *items]


def _fits_graph(item: Item) -> bool:
    """Leave out what reads images or token ids: nodes have neither."""
    wanted = SPECS[item.name].rank if item.name in SPECS else None
    return item.name != "Embedding" and (wanted is None or wanted <= 2)


def _sizes(plan: Plan, items: list[Item]) -> tuple[int, int]:
    """Return the numbers of nodes and of features."""
    stated = input_from_layers(items)
    shapes = [
        shape
        for shape in [*([stated] if stated else []), *read_shapes(plan.dataset_input)]
        if len(shape) <= 2
    ]
    for shape in shapes:
        nodes = shape[0] if len(shape) == 2 and shape[0] and shape[0] <= 2048 else DEFAULT_NODES
        if shape[-1] and shape[-1] <= 4096:
            return nodes, shape[-1]
    return DEFAULT_NODES, DEFAULT_FEATURES


def _network(chain: Chain, signals: bool) -> str:
    features, adjacency = "(config.num_features,)", "(None,)"  # the batch axis is the graph's nodes
    if signals:
        features, adjacency = (
            "(config.num_nodes, config.num_features)",
            "(config.num_nodes, config.num_nodes)",
        )
    lines = [
        f'features = layers.Input(shape={features}, name="features")',
        f'adjacency = layers.Input(shape={adjacency}, name="adjacency")',
    ]
    current = "features"
    for step in chain.steps:
        lines += [f"# {step.comment}"] if step.comment else []
        if step.code:
            feed = f"{current}, adjacency" if isinstance(step, GraphStep) else current
            feed = {-1: f"{current}, {current}", -2: f"[{current}, {current}]"}.get(step.merges or 0, feed)
            lines.append(wrapped(f"x = {step.code}({feed})", 0))
            current = "x"
    return "\n".join([*lines, f"model = keras.Model([features, adjacency], {current})"])


def _data(objective: Objective, signals: bool) -> str:
    if signals:
        encoded = encode_labels(objective.labels)
        encode = "" if encoded == "labels" else f"labels = {encoded}"
        return fill(sections.READ_EDGES + sections.SIGNAL_DATA, encode=encode)
    encode = {
        "one_hot": "tf.one_hot(labels, config.num_classes)",
        "binary": 'tf.constant(labels[:, None], "float32")',
    }.get(objective.labels, "tf.constant(labels)")
    return fill(sections.READ_EDGES + sections.NODE_DATA, encode=encode)


def _node_sections(objective: Objective) -> dict[str, str]:
    chosen = "(outputs[..., 0] > 0.5).astype(int)" if objective.units == 1 else "outputs.argmax(axis=-1)"
    return {
        "train": sections.NODE_TRAIN,
        "evaluate": fill(LOAD_TRAINED + sections.NODE_EVALUATE, chosen=chosen),
        "predict": sections.NODE_PREDICT,
    }


def _format(signals: bool) -> str:
    edges = "`data_dir/edges.csv` with the columns `source` and `target`, numbers of nodes from 0"
    if signals:
        return (
            f"{edges}; `data_dir/signals.csv`, a signal a row, values node by node, last the class, `label`."
        )
    return f"{edges}; `data_dir/nodes.csv` with the columns `id`, the features and last the class, `label`."
