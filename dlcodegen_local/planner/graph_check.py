"""What an ONNX graph asks for, read from its protobuf before a native parser sees it.

Guarantees that a graph that passes holds the operators of our own export only, no functions and
no graphs or tensors inside nodes, and that every weight outside it lies in one named file.
"""

from collections.abc import Iterator

from dlcodegen_local.errors import ArtifactError

OPERATOR_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
OPERATORS = frozenset(
    {
        "Add", "Cast", "Constant", "DynamicQuantizeMatMul", "FastGelu", "Gather", "Gemm",
        "GroupQueryAttention", "LayerNormalization", "MatMul", "Mul", "SkipLayerNormalization", "Squeeze",
    }
)  # fmt: skip

# Field numbers of onnx.proto3.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODES, _GRAPH_TENSORS, _GRAPH_SPARSE_TENSORS = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS_AND_GRAPHS = frozenset({5, 6, 10, 11, 22, 23})
_TENSOR_EXTERNAL_DATA = 13

_HINT = "install the planner again, or export it again: see export/README.md"


def check_graph(model: bytes, name: str, weights_file: str) -> None:
    """Refuse a graph that is not of our export.

    Raises:
        ArtifactError: it is no ONNX file, or asks for what our export never writes.
    """
    try:
        _check(model, name, weights_file)
    except (IndexError, ValueError) as exc:
        raise ArtifactError(f"{name}: not an ONNX file", hint=_HINT) from exc


def operator_domains(model: bytes) -> list[str]:
    """Return the operator domains that an ONNX file imports.

    Raises:
        IndexError, ValueError: the bytes are no protobuf message.
    """
    return [_text(body, 1) for body in _bodies(memoryview(model), _MODEL_OPSETS)]


def _check(model: bytes, name: str, weights_file: str) -> None:
    if foreign := sorted(set(operator_domains(model)) - OPERATOR_DOMAINS):
        raise ArtifactError(f"{name}: asks for operators of {', '.join(foreign)}", hint=_HINT)
    message = memoryview(model)
    graphs = list(_bodies(message, _MODEL_GRAPH))
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs")
    _refuse_fields(message, {_MODEL_TRAINING, _MODEL_FUNCTIONS}, name)
    _refuse_fields(graphs[0], {_GRAPH_SPARSE_TENSORS}, name)
    for node in _bodies(graphs[0], _GRAPH_NODES):
        operator, domain = _text(node, _NODE_OPERATOR), _text(node, _NODE_DOMAIN)
        if operator not in OPERATORS or domain not in OPERATOR_DOMAINS:
            raise ArtifactError(f"{name}: not of this version, it has {operator!r} in it", hint=_HINT)
        for attribute in _bodies(node, _NODE_ATTRIBUTES):
            _refuse_fields(attribute, _ATTRIBUTE_TENSORS_AND_GRAPHS, name)
    for tensor in _bodies(graphs[0], _GRAPH_TENSORS):
        places = {_text(entry, 1): _text(entry, 2) for entry in _bodies(tensor, _TENSOR_EXTERNAL_DATA)}
        if places and places.get("location") != weights_file:
            raise ArtifactError(f"{name}: has weights outside {weights_file}", hint=_HINT)


def _refuse_fields(message: memoryview, numbers: set[int] | frozenset[int], name: str) -> None:
    if any(number in numbers for number, _ in _fields(message)):
        raise ArtifactError(f"{name}: not of this version, it has more than one plain graph", hint=_HINT)


def _bodies(message: memoryview, number: int) -> Iterator[memoryview]:
    return (body for found, body in _fields(message) if found == number)


def _text(message: memoryview, number: int) -> str:
    """Return the last text of that number, as a protobuf reader does; empty where there is none."""
    texts = [bytes(body).decode("utf-8") for body in _bodies(message, number)]
    return texts[-1] if texts else ""


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and body of a protobuf message's length-delimited fields."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        wire = key & 7
        if wire == 0:
            _, place = _varint(message, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        elif wire == 2:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise ValueError("a field reaches past the end")
            yield key >> 3, message[place : place + length]
            place += length
        else:
            raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a varint has no end")
