"""Where a plan's layers live in code: the layers of a `Sequential`, their slot, and other layers put in.

Guarantees that code in which layers were put parses, and differs from the original in them only.
"""

import ast
import json
import re

from dlcodegen_local.generation.plan_values import replaced
from dlcodegen_local.generation.syntax import parse_module
from dlcodegen_local.plan.layer_words import LAYERS
from dlcodegen_local.plan.layers import LayerCall, parse_layer
from dlcodegen_local.plan.schema import Plan

_ONE_CHANNEL = re.compile(r"Input\(shape=\([^()]*, 1\)\)")
_SCALING = re.compile(r"\b(Rescaling\((?:[^()]|\([^()]*\))*\))")
_RANDOM = "Random"
_PREPARING = ("Rescaling", "Normalization", "TextVectorization", _RANDOM, "Resizing", "MelSpectrogram")


def with_layer_slot(model_body: str) -> str:
    """Return the model section with the slot `{{layers}}` in place of the layers of `Sequential`.

    A model that is written as calls on tensors keeps them: its structure is in the calls.
    """
    lists: list[ast.List] = []
    for layers in _layer_lists(model_body):
        if not any(_inside(layers, other) for other in lists):
            lists.append(layers)
    return replaced(model_body, [(layers, "[{{layers}}]") for layers in lists])


def with_plan_layers(model_body: str, plan: Plan) -> str | None:
    """Return the model section with the plan's layers in its only `Sequential`.

    The section's own input and preparing layers stay, and its last layer where the plan ends in the
    same kind: their sizes come from the config. None where the section is written otherwise, or
    where a layer of the plan is none that Keras has or has an argument without a value.
    """
    lists = _layer_lists(model_body)
    calls = [parse_layer(text) for text in plan.layers]
    if len(lists) != 1 or not calls or not all(isinstance(item, ast.Call) for item in lists[0].elts):
        return None
    own = [(name, text) for name, text in _own_layers(model_body, lists[0])]
    prefix = own[0][1].split("(")[0].rpartition(".")[0] if own else "keras.layers"
    planned = [_rendered(call, prefix) for call in calls if call is not None and call.name != "Input"]
    if not own or not planned or None in planned or None in calls:
        return None
    kept = []
    wanted = {call.name for call in calls if call is not None}
    for name, text in own:
        if name != "Input" and (name in wanted or not name.startswith(_PREPARING)):
            break
        kept.append(text)
    body = [text for text in planned if text]
    if calls[-1] is not None and own[-1][0] == calls[-1].name:
        body[-1] = own[-1][1]
    indent = " " * (lists[0].elts[0].col_offset)
    lines = "".join(f"{indent}{text},\n" for text in [*kept, *body])
    filled = replaced(model_body, [(lists[0], f"[\n{lines}{indent[:-4]}]")])
    return filled if parse_module(filled) is not None else None


def _layer_lists(model_body: str) -> list[ast.List]:
    """Return the lists of layers that `Sequential` is called with, in the order of the text."""
    tree = parse_module(model_body)
    found = [
        node.args[0]
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "Sequential"
        and node.args
        and isinstance(node.args[0], ast.List)
    ]
    return sorted((node for node in found if isinstance(node, ast.List)), key=lambda node: node.lineno)


def _own_layers(model_body: str, layers: ast.List) -> list[tuple[str, str]]:
    """Return the class name and the text of each layer of a list."""
    pairs = []
    for item in layers.elts:
        text = ast.get_source_segment(model_body, item) or ""
        pairs.append((text.split("(")[0].rpartition(".")[2], text))
    return pairs


def _rendered(call: LayerCall, prefix: str) -> str | None:
    """Return a layer as code, or None for a name or a value that would not stand in it."""
    if call.name not in LAYERS:
        return None
    parts: list[str] = []
    for key, value in [*(("", value) for value in call.args), *call.kwargs.items()]:
        if isinstance(value, LayerCall):
            inner = _rendered(value, prefix)
            if inner is None:
                return None
            text = inner
        elif value is None or isinstance(value, str | int | float | bool | tuple):
            text = json.dumps(value) if isinstance(value, str) else repr(value)
        else:
            return None
        parts.append(f"{key}={text}" if key else text)
    return f"{prefix}.{call.name}({', '.join(parts)})"


def _inside(node: ast.expr, other: ast.expr) -> bool:
    start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    return (other.lineno, other.col_offset) <= start and end <= (
        other.end_lineno or 0,
        other.end_col_offset or 0,
    )


def with_layers_of(model_body: str, other_body: str, *, is_augmented: bool = True) -> str | None:
    """Return a model section with the layers of another one's only `Sequential`.

    What reads and prepares the input stays (random changes only where it `is_augmented`), and so does what
    compiles the model. None where either
    section is written otherwise, or where something between input and output is used elsewhere.
    """
    lists = _layer_lists(other_body)
    if len(lists) != 1 or not lists[0].elts:
        return None
    margin = "\n" + " " * lists[0].elts[0].col_offset
    named = _own_layers(other_body, lists[0])
    given = [text.replace(margin, "\n") for name, text in named if name not in ("Input", "")]
    if not given or not all(isinstance(item, ast.Call) for item in lists[0].elts):
        return None
    own = _layer_lists(model_body)
    if len(own) == 1 and not any(_prepares(name) for name, _ in _own_layers(model_body, own[0])[1:2]):
        ranks = input_rank(model_body), input_rank(other_body)
        if ranks == (1, 2) and _ONE_CHANNEL.search(other_body):
            given.insert(0, "layers.Reshape((-1, 1))")
        elif None not in ranks and ranks[0] != ranks[1]:
            return None
    filled = _fill_list(model_body, own[0], given, is_augmented) if len(own) == 1 else None
    if not own:
        filled = _fill_chain(model_body, given)
    return filled if filled is not None and parse_module(filled) is not None else None


def input_rank(model_body: str) -> int | None:
    """Return how many axes a model's only input has beside the batch; None where the text does not tell."""
    tree = parse_module(model_body)
    shapes = [
        word.value
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Input"
        for word in node.keywords
        if word.arg == "shape"
    ]
    return len(shapes[0].elts) if len(shapes) == 1 and isinstance(shapes[0], ast.Tuple) else None


def _fill_list(model_body: str, layers: ast.List, given: list[str], is_augmented: bool) -> str | None:
    own = _own_layers(model_body, layers)
    count = next((i for i, (name, _) in enumerate(own) if not _prepares(name)), len(own))
    if not count or not own[0][0]:
        return None
    kept = [text for name, text in own[:count] if is_augmented or not name.startswith(_RANDOM)]
    indent = " " * layers.elts[0].col_offset
    put_in = [text.replace("\n", f"\n{indent}") for text in _like(given, own[0][1])]
    lines = "".join(f"{indent}{text},\n" for text in [*kept, *put_in])
    return replaced(model_body, [(layers, f"[\n{lines}{indent[:-4]}]")])


def _fill_chain(model_body: str, given: list[str]) -> str | None:
    """Put layers between the prepared input and `keras.Model(inputs, outputs)`, one call a line."""
    function = _function(model_body, "build_model")
    body = function.body if function else []
    end = next((i for i, node in enumerate(body) if _model_outputs(node)), None)
    start = next((i for i, node in enumerate(body[:end]) if _is_trunk(node)), None)
    if function is None or end is None or start is None:
        return None
    first, last = body[start], body[end - 1]
    source, target = _tensor_of(first), _model_outputs(body[end])
    dropped, kept = _names(body[start:end], ast.Store), _names(body[:start], ast.Store)
    rest = _names(body[end:], ast.Load)
    used = _names(body[:start], ast.Load) | rest
    if any(_calls_on_tensors(node) for node in body[:start]):
        return None
    if (rest & dropped) - {target} or kept - used - {source} or target not in dropped:
        return None
    indent = " " * first.col_offset
    lines = []
    for number, layer in enumerate(_like(given, ast.get_source_segment(model_body, first) or ""), start=1):
        name, layer = target if number == len(given) else "x", layer.replace("\n", f"\n{indent}")
        lines.append(f"{indent}{name} = {layer}({source if number == 1 else 'x'})")
    text = model_body.split("\n")
    start = first.lineno - 1
    while text[start - 1].lstrip().startswith("#"):
        start -= 1  # what was said of the layers that go
    text[start : last.end_lineno] = lines
    return "\n".join(text)


def _like(layers: list[str], example: str) -> list[str]:
    """Return layers under the name that the example gives their module."""
    prefix = "keras.layers." if "keras.layers." in example else "layers."
    return [re.sub(r"(?<![\w.])layers\.", prefix, text) for text in layers]


def _prepares(name: str) -> bool:
    return name == "Input" or name.startswith(_PREPARING)


def _function(source: str, name: str) -> ast.FunctionDef | None:
    tree = parse_module(source)
    found = (node for node in (tree.body if tree else ()) if isinstance(node, ast.FunctionDef))
    return next((node for node in found if node.name == name), None)


def _names(statements: list[ast.stmt], context: type[ast.expr_context]) -> set[str]:
    """Return the names that statements read (`ast.Load`) or bind (`ast.Store`)."""
    nodes = (node for statement in statements for node in ast.walk(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def _tensor_of(node: ast.stmt) -> str:
    """Return the name of the tensor that `y = layer(...)(x)` reads, "" for other statements."""
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Call) and len(value.args) == 1:
        argument = value.args[0]
        return argument.id if isinstance(argument, ast.Name) else ""
    return ""


def _calls_on_tensors(node: ast.stmt) -> bool:
    """Tell whether a statement is `x = block(x)`: a network of its own, which no other layers may follow."""
    value = node.value if isinstance(node, ast.Assign) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name)


def _is_trunk(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Assign) else None
    called = value.func if isinstance(value, ast.Call) else None
    name = getattr(called.func, "attr", "") if isinstance(called, ast.Call) else ""
    return bool(_tensor_of(node)) and name in LAYERS and not _prepares(name) and name != "Concatenate"


def _model_outputs(node: ast.stmt) -> str:
    """Return the name of the output in `model = keras.Model(inputs, outputs)`, "" for other statements."""
    value = node.value if isinstance(node, ast.Assign | ast.Return) else None
    if isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "Model" and len(value.args) == 2:
        return getattr(value.args[1], "id", "")
    return ""


def with_scaling_of(model_body: str, other_body: str) -> str:
    """Return a model section that scales its input as another one does, which gets the same data."""
    scaling = _SCALING.search(other_body)
    if scaling is None or "Rescaling(" in model_body:
        return model_body
    layer = f"layers.{scaling.group(1)}"
    listed = re.sub(
        r"^( +)(layers\.Input\(.*\),)$", rf"\1\2\n\1{layer},", model_body, count=1, flags=re.MULTILINE
    )
    if listed != model_body and parse_module(listed) is not None:
        return listed
    head, found, tail = model_body.partition("inputs = layers.Input(")
    line, _, rest = tail.partition("\n")
    called = rest.replace("(inputs)", "(x)", 1)
    text = f"{head}{found}{line}\n    x = {layer}(inputs)\n{called}"
    return text if found and called != rest and parse_module(text) is not None else model_body
