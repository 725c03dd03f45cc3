"""One form for every spelling of a layer, so that two layers that mean the same compare equal.

Arguments are named after Keras' signatures, defaults and names for display are left out, sizes are
tuples, aliases are resolved. An argument that a plan leaves to a name (`num_classes`) agrees with any value.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from dlcodegen_local.plan.distance import aligned_similarity, normalised_distance
from dlcodegen_local.plan.layers import parse_layers

# Keras' signatures, as far as plans give arguments: a parameter without "=" must be given.
_CONV = (
    "filters kernel_size strides=1 padding=valid data_format=None dilation_rate=1 groups=1 "
    "activation=None use_bias=True"
)
_POOL = "pool_size=2 strides=None padding=valid data_format=None"
_RNN = "units activation=tanh recurrent_activation=sigmoid use_bias=True"
_SIGNATURES: dict[str, str] = {
    "dense": "units activation=None use_bias=True",
    "embedding": "input_dim output_dim embeddings_initializer=uniform mask_zero=False",
    "dropout": "rate",
    "batchnormalization": "axis=-1 momentum=0.99 epsilon=0.001 center=True scale=True",
    "layernormalization": "axis=-1 epsilon=0.001",
    "activation": "activation",
    "leakyrelu": "negative_slope=0.3",
    "elu": "alpha=1.0",
    "relu": "max_value=None negative_slope=0.0",
    "softmax": "axis=-1",
    "concatenate": "axis=-1",
    "reshape": "target_shape",
    "repeatvector": "n",
    "rescaling": "scale offset=0.0",
    "resizing": "height width",
    "bidirectional": "layer merge_mode=concat",
    "timedistributed": "layer",
    "multiheadattention": "num_heads key_dim value_dim=None dropout=0.0",
    "randomflip": "mode=horizontal_and_vertical",
    "randomrotation": "factor",
    "randomzoom": "height_factor width_factor=None",
    "randomcontrast": "factor",
    "gaussiannoise": "stddev",
    "lstm": _RNN,
    "gru": _RNN,
    "simplernn": "units activation=tanh use_bias=True",
    "lambda": "function",
}
_OTHER_DEFAULTS = {
    "return_sequences": "False",
    "return_state": "False",
    "go_backwards": "False",
    "stateful": "False",
    "kernel_initializer": "'glorot_uniform'",
    "bias_initializer": "'zeros'",
    "kernel_regularizer": "None",
    "interpolation": "'nearest'",
    "trainable": "True",
    "include_top": "True",
    "pooling": "None",
}
_IGNORED_NAMES = """
batch_input_shape dtype input_dim input_length input_shape input_tensor name seed trainable weights
"""
_IGNORED = frozenset(_IGNORED_NAMES.split())
_ALIASES = (
    (r"^(tfa?|keras|layers|nn|tensorflow)(?=[a-z])(?!u)", ""),
    (r"convolution(?=[123]d)", "conv"),
    (r"maxpool(?=[123]d)", "maxpooling"),
    (r"(avg|average)pool(ing)?(?=[123]d)", "averagepooling"),
    (r"^cudnn", ""),
    (r"^spatialdropout", "spatialdropout"),
)
_SIZES_NAMES = """
dilation_rate kernel_size padding pool_size size strides
"""
_SIZES = frozenset(_SIZES_NAMES.split())
_UNTOLD = ("_initializer", "_regularizer", "_constraint", "include_top", "pooling", "seed")
_MAX_NUMBER = 1e15
_REGULARIZERS = {"l1", "l2", "l1_l2"}
_ACTIVATION_LAYERS = {"relu", "softmax", "elu", "selu", "gelu", "sigmoid", "tanh", "swish"}
_RENAMED = {
    "alpha": "negative_slope",
    "nb_filter": "filters",
    "kernel": "kernel_size",
    "p": "rate",
    "output_size": "units",
}


@dataclass(frozen=True)
class CanonicalLayer:
    """Hold a layer's canonical name and arguments, as texts; `open_names` are those left to a name."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()
    open_names: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The canonical text, lower-case, without blanks."""
        return f"{self.name}({','.join(f'{key}={value}' for key, value in self.arguments)})"

    def filled_from(self, other: "CanonicalLayer") -> "CanonicalLayer":
        """Return this layer with its open arguments and its missing ones that must be given from another."""
        if self.name != other.name:
            return self
        theirs = dict(other.arguments)
        mine = dict(self.arguments)
        needed = {name for name, default in _signature(self.name) if default is None}
        for key in sorted(self.open_names | (needed - mine.keys())):
            if key in theirs:
                mine[key] = theirs[key]
            else:
                mine.pop(key, None)
        return CanonicalLayer(self.name, tuple(sorted(mine.items())))

    def told_by(self, plan: "CanonicalLayer") -> "CanonicalLayer":
        """Return this layer without the initialisers and the like that a plan says nothing of."""
        planned = dict(plan.arguments)
        kept = tuple(
            (key, value) for key, value in self.arguments if key in planned or not key.endswith(_UNTOLD)
        )
        return CanonicalLayer(self.name, kept)


def canonical_layers(texts: Iterable[str]) -> list[CanonicalLayer]:
    """Return the canonical layers of texts: without inputs, activations folded into the layer before."""
    layers: list[CanonicalLayer] = []
    for layer in (layer for text in texts for layer in _layers_in(text)):
        if layer.name in ("input", "inputlayer"):
            continue
        if layer.name == "activation" and layers and _takes_activation(layers[-1]):
            value = dict(layer.arguments).get("activation", "")
            last = layers.pop()
            arguments = tuple(sorted({**dict(last.arguments), "activation": value}.items()))
            layers.append(CanonicalLayer(last.name, arguments, last.open_names | layer.open_names))
        elif not (layer.name == "activation" and dict(layer.arguments).get("activation") == "linear"):
            layers.append(layer)
    return layers


def _layers_in(text: str) -> list[CanonicalLayer]:
    """Read a call as it stands, prose by the layers that it names; else the words stand for a layer."""
    if layer := canonical_layer(text):
        return [layer]
    named = [canonical_layer(call.render()) for call in parse_layers(text)]
    words = CanonicalLayer(" ".join(re.findall(r"[a-z0-9.]+", text.lower())))
    return [layer for layer in named if layer is not None] or [words]


def canonical_layer(text: str) -> CanonicalLayer | None:
    """Return the canonical form of a layer that is given as a call or a bare name, else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name | ast.Attribute):
            node = ast.Call(node, [], [])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Call):
            node = node.func
        return _from_call(node) if isinstance(node, ast.Call) else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _from_call(node: ast.Call) -> CanonicalLayer:
    name = canonical_name(ast.unparse(node.func).rsplit(".", 1)[-1])
    signature = _signature(name)
    arguments: dict[str, ast.expr] = {}
    for index, arg in enumerate(node.args):
        arguments[signature[index][0] if index < len(signature) else f"arg{index}"] = arg
    for keyword in node.keywords:
        if keyword.arg is not None:
            arguments[keyword.arg if name != "leakyrelu" else _RENAMED.get(keyword.arg, keyword.arg)] = (
                keyword.value
            )
    defaults = {key: default for key, default in signature if default is not None}
    texts: dict[str, str] = {}
    open_names = set()
    for key, value in arguments.items():
        if key in _IGNORED and key not in dict(signature):
            continue
        text = _argument_text(name, key, value)
        default = defaults.get(key, _OTHER_DEFAULTS.get(key, "").strip("'"))
        if text == default.lower() or (key in _SIZES and default and text == _size(name, default)):
            continue
        if key == "strides" and text == texts.get("pool_size", _size(name, "2")):
            continue
        if _is_open(value):
            open_names.add(key)
        texts[key] = text
    if name == "embedding" and "input_dim" in texts and "output_dim" not in texts:
        open_names.add("output_dim")
    return _as_activation(CanonicalLayer(name, tuple(sorted(texts.items())), frozenset(open_names)))


def canonical_name(name: str) -> str:
    """Return a layer's name in lower case with its aliases resolved."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for pattern, replacement in _ALIASES[1:]:
        plain = re.sub(pattern, replacement, plain)
    return plain


def _is_open(value: ast.expr) -> bool:
    """Say whether an argument hangs on a name: `num_classes`, `filters * 2`, `hp.Int(...)`."""
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func).rsplit(".", 1)[-1]
        return "hp." in ast.unparse(value.func) or (name.islower() and name not in _REGULARIZERS)
    if isinstance(value, ast.Lambda):
        return False
    if isinstance(value, ast.Tuple | ast.List):
        return any(_is_open(item) for item in value.elts)
    names = [node for node in ast.walk(value) if isinstance(node, ast.Name)]
    return bool(names) and not re.search(r"\bnn\.|activations\.", ast.unparse(value))


def _as_activation(layer: CanonicalLayer) -> CanonicalLayer:
    if layer.name in _ACTIVATION_LAYERS and not layer.arguments:
        return CanonicalLayer("activation", (("activation", layer.name),))
    return layer


def _takes_activation(layer: CanonicalLayer) -> bool:
    return (
        layer.name == "dense" or re.match(r"(?:separable|depthwise)?conv[123]d", layer.name) is not None
    ) and ("activation" not in dict(layer.arguments))


def _signature(name: str) -> list[tuple[str, str | None]]:
    if re.fullmatch(r"(?:separable)?conv[123]d", name):
        text = _CONV
    elif re.fullmatch(r"conv[123]dtranspose", name):
        text = "filters kernel_size strides=1 padding=valid"
    elif re.fullmatch(r"(?:max|average)pooling[123]d", name):
        text = _POOL
    elif re.fullmatch(r"upsampling[123]d", name):
        text = "size=2"
    elif re.fullmatch(r"(?:zeropadding|cropping)[123]d", name):
        text = "padding=1"
    elif name.startswith(("spatialdropout", "gaussiandropout", "alphadropout")):
        text = "rate"
    else:
        text = _SIGNATURES.get(name, "")
    parts = [part.partition("=") for part in text.split()]
    return [(key, default if equals else None) for key, equals, default in parts]


def _argument_text(name: str, key: str, value: ast.expr) -> str:
    if isinstance(value, ast.Call):
        inner = _from_call(value)
        return inner.text
    if (number := _number(value)) is not None:
        text = f"{number:g}"
        return _size(name, text) if key in _SIZES else text
    text = ast.unparse(value).lower().replace(" ", "").replace('"', "'")
    if key == "activation" or isinstance(value, ast.Constant):
        text = text.strip("'").rsplit(".nn.", 1)[-1].rsplit("activations.", 1)[-1]
    if key in _SIZES:
        return _size(name, text)
    return text.replace("'", "")


def _number(node: ast.expr) -> float | None:
    """Return what arithmetic on constants yields, None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return None if isinstance(node.value, bool) or abs(node.value) > _MAX_NUMBER else node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mult):
        left, right = _number(node.left), _number(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Mult):
            return left * right
        return left / right if right else None
    return None


def _size(name: str, text: str) -> str:
    """Write a size as a tuple with one entry for each spatial axis."""
    dims = re.search(r"([123])d", name)
    plain = text.strip("()[]").rstrip(",")
    if dims is None or not re.fullmatch(r"\d+", plain):
        return text.replace("[", "(").replace("]", ")")
    return "(" + ",".join([plain] * int(dims.group(1))) + ")"


def sequence_similarity(planned: Sequence[CanonicalLayer], found: Sequence[CanonicalLayer]) -> float:
    """Return 1 - edit distance / longer length; substituting costs the distance of the two texts."""

    @cache
    def cost(layer: CanonicalLayer, other: CanonicalLayer) -> float:
        return normalised_distance(layer.filled_from(other).text, other.told_by(layer).text)

    return aligned_similarity(planned, found, cost)
