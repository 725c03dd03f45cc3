"""One layer of a plan, read from a call ("Conv2D(32, (3, 3))") or from prose ("Dense layer, 64 units").

Guarantees that nothing is ever executed and that `parse_layer(call.render()) == call`. Does not know
which arguments a layer takes, nor whether layers fit each other: that is the compiler's part.
"""

import ast
import re
from dataclasses import dataclass, field

from dlcodegen_local.plan.layer_words import (
    ACTIVATIONS,
    BASES,
    LAYER_PATTERNS,
    POSITIONAL_UNITS,
    SPELLINGS,
)

MAX_PARSED_CHARS = 2000
_PREFIX = re.compile(r"^\s*(?:[-*•]|\d+[.):]|layer\s*\d*\s*:|\([a-z0-9]\))\s+", re.IGNORECASE)
_UNITS = re.compile(
    r"(\d[\d,]*)\s*(?:-\s*)?(?:hidden |output |dense )?"
    r"(?:neurons?|units?|nodes?|filters?|cells?|kernels?|channels?|outputs?|feature maps?|"
    r"dimensions?|classes)",
    re.IGNORECASE,
)
_UNITS_AFTER = re.compile(
    r"(?:units|filters|neurons|dim(?:ension)?s?|nodes|size)\s*(?:of|=|:)?\s*(\d+)\b(?!\s*[x×.])",
    re.IGNORECASE,
)
_GRID = re.compile(r"(\d+)\s*[x×,*]\s*(\d+)(?:\s*[x×,*]\s*(\d+))?")
_RATE = re.compile(r"(0?\.\d+)|(\d{1,2})\s*%")
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Name:
    """Stand for a value that a plan names but does not give, such as `num_classes`."""

    text: str


@dataclass(frozen=True)
class LayerCall:
    """Hold one layer: its Keras name, positional and keyword arguments.

    Arguments are literals, tuples, lists, `Name`s and nested `LayerCall`s (an inner layer, a regulariser).
    """

    name: str
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict)

    def render(self) -> str:
        """Return the canonical call, strings in single quotes as plans write them."""
        parts = [render_value(value) for value in self.args]
        parts += [f"{key}={render_value(value)}" for key, value in self.kwargs.items()]
        return f"{self.name}({', '.join(parts)})"

    def get(self, key: str, position: int | None = None, default: object = None) -> object:
        """Return the argument given by keyword, else by position, else `default`."""
        if key in self.kwargs:
            return self.kwargs[key]
        if position is not None and position < len(self.args):
            return self.args[position]
        return default


def render_value(value: object) -> str:
    """Return the source text of one argument."""
    if isinstance(value, LayerCall):
        return value.render()
    if isinstance(value, Name):
        return value.text
    if isinstance(value, tuple):
        inner = ", ".join(render_value(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(render_value(item) for item in value)}]"
    return repr(value)


def parse_layer(text: str) -> LayerCall | None:
    """Read the first layer that a plan's text names, None where it names none."""
    calls = parse_layers(text)
    return calls[0] if calls else None


def parse_layers(text: str) -> tuple[LayerCall, ...]:
    """Read every layer that one text of a plan names, in the order of their naming."""
    plain = _PREFIX.sub("", text[:MAX_PARSED_CHARS]).strip().rstrip(".;")
    if not plain:
        return ()
    call = _parse_call(plain)
    if call is not None:
        return (call,)
    calls = _parse_call_list(plain)
    return calls if calls else _parse_prose(plain)


def _parse_call(text: str) -> LayerCall | None:
    node = _expression(text)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Call):
        node = node.func
    if isinstance(node, ast.Name | ast.Attribute | ast.Call):
        value = _value(node)
        if isinstance(value, Name):
            name = canonical_name(value.text)
            return LayerCall(name) if name else None
        if isinstance(value, LayerCall) and (canonical_name(value.name) or value.name[:1].isupper()):
            return _tidied(value)
    return None


def _parse_call_list(text: str) -> tuple[LayerCall, ...]:
    """Read "Conv2D(32), MaxPooling2D()" and "Generator: Dense(8*8*512), Reshape((8, 8, 512))"."""
    body = text.split(":", 1)[1] if re.match(r"^[A-Za-z ]{3,30}:", text) else text
    node = _expression(re.sub(r"\s*(?:->|→|=>)\s*", ", ", body.strip()))
    if not isinstance(node, ast.Tuple | ast.List):
        return ()
    calls = [_parse_call(ast.unparse(item)) for item in node.elts]
    known = tuple(call for call in calls if call is not None)
    return known if known and len(known) == len(calls) else ()


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> object:
    """Turn an argument's syntax into a value; arithmetic on literals is worked out."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand)
        if isinstance(inner, int | float):
            return -inner
    if isinstance(node, ast.BinOp):
        return _arithmetic(node)
    if isinstance(node, ast.Call):
        arguments = tuple(_value(item) for item in node.args if not isinstance(item, ast.Starred))
        keywords = {item.arg: _value(item.value) for item in node.keywords if item.arg}
        return LayerCall(_dotted(node.func), arguments, keywords)
    if isinstance(node, ast.Name | ast.Attribute):
        return Name(_dotted(node))
    return Name(ast.unparse(node))


def _arithmetic(node: ast.BinOp) -> object:
    left, right = _value(node.left), _value(node.right)
    if (
        isinstance(left, int | float)
        and isinstance(right, int | float)
        and abs(left) < 1e6
        and abs(right) < 1e6
    ):
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.FloorDiv) and right:
            return left // right
        if isinstance(node.op, ast.Div) and right:
            return left / right
    return Name(ast.unparse(node))


def _dotted(node: ast.expr) -> str:
    """Return the last part of a dotted name: `keras.layers.Dense` is `Dense`."""
    return (
        node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else "Lambda"
    )


def canonical_name(text: str) -> str | None:
    """Return Keras' spelling of a layer or pretrained network, None where it is neither."""
    return SPELLINGS.get(re.sub(r"[^a-z0-9]", "", text.lower()))


def activation_in(text: str) -> str | None:
    """Return the first activation that a text names, in Keras' spelling."""
    hits = [
        (match.start(), rank)
        for rank, (pattern, _) in enumerate(ACTIVATIONS)
        if (match := re.search(pattern, text.lower()))
    ]
    return ACTIVATIONS[min(hits)[1]][1] if hits else None


def _tidied(call: LayerCall) -> LayerCall:
    """Spell the layer as Keras does, and give bare activation names their quotes."""
    args: list[object] = []
    kwargs: dict[str, object] = {}
    for value in call.args:
        activation = _bare_activation(value)
        if activation and call.name.lower() not in ("activation", "lambda") and args:
            kwargs["activation"] = activation
        elif activation:
            args.append(activation)
        else:
            args.append(_tidied_inner(value))
    for key, value in call.kwargs.items():
        activation = _bare_activation(value) if "activation" in key else None
        kwargs[key] = activation or _tidied_inner(value)
    return LayerCall(canonical_name(call.name) or call.name, tuple(args), kwargs)


def _bare_activation(value: object) -> str | None:
    if isinstance(value, Name) and re.fullmatch(r"[A-Za-z_]+", value.text):
        name = activation_in(value.text)
        if name and (value.text.lower().replace("_", "") == name.replace("_", "")):
            return name
    return None


def _tidied_inner(value: object) -> object:
    if isinstance(value, LayerCall):
        return _tidied(value) if canonical_name(value.name) else value
    if isinstance(value, Name) and (name := canonical_name(value.text)) and value.text[:1].isupper():
        return LayerCall(name)
    return value


def _parse_prose(text: str) -> tuple[LayerCall, ...]:
    """Cut a sentence at the layers it names; what follows a name, up to the next, is its description."""
    hits = _mentions(text)
    calls = []
    for index, (name, start, end) in enumerate(hits):
        before = text[hits[index - 1][2] if index else 0 : start]
        after = text[end : hits[index + 1][1] if index + 1 < len(hits) else len(text)]
        calls.append(_described(name, f"{before} {text[start:end]}", after))
    return tuple(calls)


def _mentions(text: str) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for name, pattern in LAYER_PATTERNS:
        for match in pattern.finditer(text):
            if all(match.end() <= start or match.start() >= end for _, start, end in found):
                found.append((name, match.start(), match.end()))
    found.sort(key=lambda hit: hit[1])
    return _merged(found)


def _merged(found: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Take a layer named twice running ("dropout layer, dropout rate 0.5", "softmax output layer") as one."""
    kept: list[tuple[str, int, int]] = []
    for hit in found:
        if kept and kept[-1][0] == hit[0]:
            continue
        if kept and kept[-1][0] == "Activation" and hit[0] == "Dense" and hit[1] - kept[-1][2] <= 1:
            kept[-1] = ("Dense", kept[-1][1], hit[2])
            continue
        kept.append(hit)
    return kept


def _described(name: str, before: str, after: str) -> LayerCall:
    """Build the call from the words round a layer's name."""
    words = f"{before} {after}"
    activation = activation_in(words)
    if name in BASES:
        return LayerCall(name, (), {"include_top": False})
    if name == "Activation":
        return LayerCall(name, (activation or "relu",))
    if name in (
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "GaussianDropout",
        "AlphaDropout",
        "GaussianNoise",
    ):
        return LayerCall(name, (_rate(words),) if _rate(words) is not None else ())
    if name.startswith("Bidirectional:"):
        return LayerCall("Bidirectional", (_described(name.split(":")[1], before, after),))
    if ("Pooling" in name and "Global" not in name) or name.startswith("UpSampling"):
        grid = _grid(after)
        return LayerCall(name, (grid,) if grid else ())
    args: list[object] = []
    kwargs: dict[str, object] = {}
    if name in POSITIONAL_UNITS:
        units = _units(before, after)
        if units:
            args.append(units)
        if name.startswith(("Conv", "SeparableConv")):
            grid = _grid(after)
            if grid and units:
                args.append(grid)
            elif grid:
                kwargs["kernel_size"] = grid
        if activation:
            kwargs["activation"] = activation
        if (
            "return_sequences=true" in words.lower().replace(" ", "")
            or "returning sequences" in words.lower()
        ):
            kwargs["return_sequences"] = True
    return LayerCall(name, tuple(args), kwargs)


def _units(before: str, after: str) -> int | None:
    for text in (after, before):
        match = _UNITS.search(text) or _UNITS_AFTER.search(text)
        if match:
            return int(match.group(1).replace(",", "")) or None
    plain = re.match(r"[\s:(\-–]*(?:layers?)?[\s:(\-–]*(\d+)\b(?!\s*[x×.%])", after)
    return int(plain.group(1)) or None if plain else None


def _grid(text: str) -> tuple[int, ...] | None:
    match = _GRID.search(text)
    if not match:
        return None
    sizes = tuple(int(part) for part in match.groups() if part)
    return sizes if all(0 < size <= 64 for size in sizes) else None


def _rate(text: str) -> float | None:
    match = _RATE.search(text)
    if not match:
        return None
    rate = float(match.group(1)) if match.group(1) else int(match.group(2)) / 100
    return rate if 0 <= rate < 1 else None
