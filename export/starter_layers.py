"""Put a plan's layers into the model section of a sample, as a good adaptation of it would.

What reads the input (the `Input`, vectorisation, scaling) stays as the sample has it, and so does the
last layer where the plan's is of the same kind with the same activation: their sizes come from the config.
Layers between come from the plan. Covers `Sequential([...])` and chains of `x = layer(...)(x)` that end in
`outputs = ...`; None for anything else.
"""

import ast
import re
from collections.abc import Sequence

from dlcodegen_local.plan.layers import LayerCall, Name, parse_layer

_READING = frozenset(
    ("Input", "InputLayer", "TextVectorization", "MelSpectrogram", "Rescaling", "Normalization", "Reshape")
)
_DENSE_LIKE = frozenset(("Dense", "Dropout", "BatchNormalization", "Activation", "LeakyReLU", "ReLU"))
_SIZED = frozenset(
    (
        "Dense",
        "Dropout",
        "Embedding",
        "LSTM",
        "GRU",
        "SimpleRNN",
        "Conv1D",
        "Conv2D",
        "Conv3D",
        "Conv2DTranspose",
    )
)
_MAX_LAYERS = 30
_MAX_LAYER_CHARS = 100


def with_plan_layers(model_body: str, layers: Sequence[str]) -> str | None:
    """Return the section with the plan's layers; None where that is not plain to do."""
    planned = layer_sources(layers, "keras.layers." if "keras.layers." in model_body else "layers.")
    if planned is None or not 3 <= len(planned) <= _MAX_LAYERS:
        return None
    while planned and _kind(planned[0]) in _READING:
        planned = planned[1:]
    if not planned or any(_kind(layer) in _READING - {"Reshape"} for layer in planned):
        return None
    return _in_sequential(model_body, planned) or _in_chain(model_body, planned)


def layer_sources(layers: Sequence[str], prefix: str) -> list[str] | None:
    """Return a plan's layers as calls in source form; None where one of them is no plain call."""
    sources = []
    for layer in layers:
        call = parse_layer(layer)
        inner = call.args[0] if call and call.args else None
        if isinstance(inner, LayerCall) and not inner.args:
            return None
        if call is None or any(isinstance(v, Name) for v in (*call.args, *call.kwargs.values())):
            return None
        if call.name in _SIZED and not call.args and not {"units", "filters", "rate"} & call.kwargs.keys():
            return None
        text = call.render().replace("'", '"')
        if len(text) > _MAX_LAYER_CHARS or "None" in text or re.search(r"\b[a-z_]\w*\(", text):
            return None
        sources.append(re.sub(r"\b([A-Z]\w*)\(", prefix + r"\1(", text))
    return sources


def _kind(layer: str) -> str:
    return layer.split("(")[0].rsplit(".", 1)[-1]


def _head(layer: str) -> tuple[str, str]:
    activation = re.search(r'activation="(\w+)"', layer)
    return _kind(layer), activation.group(1) if activation and activation.group(1) != "linear" else ""


def _in_sequential(body: str, planned: list[str]) -> str | None:
    found = [
        node.args[0]
        for node in ast.walk(ast.parse(body))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "Sequential" and node.args
    ]
    if len(found) != 1 or not isinstance(found[0], ast.List) or len(found[0].elts) < 3:
        return None
    listed = found[0]
    items = [ast.get_source_segment(body, item) or "" for item in listed.elts]
    kept = 0
    while kept < len(items) - 1 and _reads_input(items[kept]):
        kept += 1
    if _kind(planned[0]) == "Embedding" and any("Embedding(" in item for item in items[:kept]):
        planned = planned[1:]
    if planned and _head(planned[-1]) == _head(items[-1]):
        planned = [*planned[:-1], items[-1]]
    lines = body.split("\n")
    opening = lines[listed.lineno - 1]
    indent = " " * (len(opening) - len(opening.lstrip()) + 4)
    end = (listed.end_lineno or listed.lineno) - 1
    closing = indent[:-4] + lines[end][(listed.end_col_offset or 1) - 1 :]
    inner = [f"{indent}{item}," for item in [*items[:kept], *planned]]
    before = [*lines[: listed.lineno - 1], opening[: listed.col_offset + 1]]
    return "\n".join([*before, *inner, closing, *lines[end + 1 :]])


def _reads_input(item: str) -> bool:
    return "\n" in item or _kind(item) in _READING or (_kind(item) == "Embedding" and "config." in item)


def _in_chain(body: str, planned: list[str]) -> str | None:
    lines = body.split("\n")
    run = _longest_run(lines)
    if len(run) < 2:
        return None
    first, last = run[0], run[-1]
    own = [_LINK.match(lines[number]) for number in run]
    kinds = {_kind(match["layer"]) for match in own if match}
    following = _LINK.match(lines[last + 1]) if last + 1 < len(lines) else None
    if following is None or following["name"] != "outputs":
        return None
    if _kind(planned[0]) == "Embedding" and any("Embedding(" in line for line in lines[:first]):
        planned = planned[1:]
    if planned and _head(planned[-1]) == _head(following["layer"]):
        planned = planned[:-1]
    if kinds <= _DENSE_LIKE:
        start = len(planned)
        while start and _kind(planned[start - 1]) in _DENSE_LIKE:
            start -= 1
        planned = planned[start:]
    if not planned or not own[0]:
        return None
    indent, name, source = own[0]["indent"], own[0]["name"], own[0]["source"]
    chain = [f"{indent}{name} = {planned[0]}({source})"]
    chain += [f"{indent}{name} = {layer}({name})" for layer in planned[1:]]
    return "\n".join([*lines[:first], *chain, *lines[last + 1 :]])


_LINK = re.compile(
    r"^(?P<indent> +)(?P<name>\w+) = (?P<layer>(?:keras\.)?layers\.[A-Z]\w*\(.*\))\((?P<source>\w+)\)$"
)


def _longest_run(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the longest run of lines that each apply one layer to the same variable."""
    best: list[int] = []
    current: list[int] = []
    for number, line in enumerate(lines):
        match = _LINK.match(line)
        if match is None or _kind(match["layer"]) in _READING or _kind(match["layer"]).startswith("Random"):
            current = []
            continue
        previous = _LINK.match(lines[current[-1]]) if current else None
        linked = previous and previous["name"] == match["name"] == match["source"]
        current = [*current, number] if linked else [number]
        best = max(best, current, key=len)
    return best
