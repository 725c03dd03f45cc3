"""What an ONNX graph asks for, read from its protobuf before a native parser sees it.

Guarantees that a graph that passes holds the operators of our own export only, no functions and no graphs or
tensors inside nodes, and that every weight has a shape of its own size and lies, where it is outside of the
graph, within one named file. Does not check that the shapes fit one another: onnxruntime does.
"""

import math

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plain_text import plain
from dlcodegen_local.planner.protobuf import Message, WireReader, bodies, text

OPERATOR_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
OPERATORS = frozenset(
    {
        "Add", "Cast", "Constant", "DynamicQuantizeMatMul", "FastGelu", "Gather", "Gemm",
        "GroupQueryAttention", "LayerNormalization", "MatMul", "Mul", "SkipLayerNormalization", "Squeeze",
    }
)  # fmt: skip
MAX_GRAPH_BYTES = 16_000_000

# Field numbers of onnx.proto3. Others stand for functions, training, sparse or quantised tensors, devices.
_MODEL_GRAPH, _MODEL_OPSETS = 7, 8
_MODEL_KNOWN = frozenset({1, 2, 3, 4, 5, 6, _MODEL_GRAPH, _MODEL_OPSETS, 14})
_GRAPH_NODES, _GRAPH_TENSORS = 1, 5
_GRAPH_KNOWN = frozenset({_GRAPH_NODES, 2, _GRAPH_TENSORS, 10, 11, 12, 13, 16})
_NODE_OPERATOR, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS_AND_GRAPHS = frozenset({5, 6, 10, 11, 22, 23})
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_PLACE = 1, 2, 9, 13, 14
_TENSOR_KNOWN = frozenset({_TENSOR_DIMS, _TENSOR_TYPE, 8, _TENSOR_RAW, 12, _TENSOR_EXTERNAL, _TENSOR_PLACE})
_EXTERNAL_KEYS = frozenset({"location", "offset", "length"})
# Bytes of a number: float, uint8, int8, int32, int64, bool, float16, double, bfloat16.
_TYPE_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}
_MAX_DIMENSIONS = 8
_MAX_SHOWN = 100

_HINT = "install the planner again, or export it again: see export/README.md"


def check_graph(model: bytes, name: str, weights_file: str, weights_bytes: int | None = None) -> None:
    """Refuse a graph that is not of our export; `weights_bytes` is the size of the file of weights.

    Raises:
        ArtifactError: it is no ONNX file, or asks for what our export never writes.
    """
    if len(model) > MAX_GRAPH_BYTES:
        raise ArtifactError(f"{name}: larger than {MAX_GRAPH_BYTES} bytes", hint=_HINT)
    try:
        _GraphCheck(name, weights_file, weights_bytes).check(model)
    except (IndexError, ValueError) as exc:
        raise ArtifactError(f"{name}: not an ONNX file", hint=_HINT) from exc


def operator_domains(model: bytes) -> list[str]:
    """Return the operator domains that an ONNX file imports.

    Raises:
        IndexError, ValueError: the bytes are no protobuf message.
    """
    reader = WireReader()
    return [text(entry, 1) for entry in reader.messages(reader.read(memoryview(model)), _MODEL_OPSETS)]


class _GraphCheck:
    """Check one file."""

    def __init__(self, name: str, weights_file: str, weights_bytes: int | None) -> None:
        self._name = name
        self._weights_file = weights_file
        self._weights_bytes = weights_bytes
        self._reader = WireReader()

    def check(self, content: bytes) -> None:
        model = self._reader.read(memoryview(content))
        domains = {text(entry, 1) for entry in self._reader.messages(model, _MODEL_OPSETS)}
        if foreign := sorted(domains - OPERATOR_DOMAINS):
            raise self._refused(f"asks for operators of {', '.join(foreign)}")
        graphs = self._reader.messages(model, _MODEL_GRAPH)
        if len(graphs) != 1:
            raise ValueError(f"{len(graphs)} graphs")
        self._refuse_others(model, _MODEL_KNOWN)
        self._refuse_others(graphs[0], _GRAPH_KNOWN)
        for node in self._reader.messages(graphs[0], _GRAPH_NODES):
            self._check_node(node)
        for tensor in self._reader.messages(graphs[0], _GRAPH_TENSORS):
            self._check_tensor(tensor)

    def _check_node(self, node: Message) -> None:
        operator, domain = text(node, _NODE_OPERATOR), text(node, _NODE_DOMAIN)
        if operator not in OPERATORS or domain not in OPERATOR_DOMAINS:
            raise self._refused(f"not of this version, it has {operator!r} in it")
        for attribute in self._reader.messages(node, _NODE_ATTRIBUTES):
            if attribute.keys() & _ATTRIBUTE_TENSORS_AND_GRAPHS:
                raise self._refused("not of this version, it has more than one plain graph")

    def _check_tensor(self, tensor: Message) -> None:
        entries = self._reader.messages(tensor, _TENSOR_EXTERNAL)
        places = {text(entry, 1): text(entry, 2) for entry in entries}
        if entries and (places.get("location") != self._weights_file or len(entries) != len(places)):
            raise self._refused(f"has weights outside {self._weights_file}")
        self._refuse_others(tensor, _TENSOR_KNOWN)
        size = self._size_of(tensor)
        is_outside = self._reader.numbers(tensor, _TENSOR_PLACE)[-1:] == [1]
        if is_outside != bool(entries) or not places.keys() <= _EXTERNAL_KEYS:
            raise self._refused("has weights without a place")
        if is_outside:
            self._check_place(places, size)
        elif sum(len(raw) for raw in bodies(tensor, _TENSOR_RAW)[-1:]) != size:
            raise self._refused("has weights of another size than their shape's")

    def _size_of(self, tensor: Message) -> int:
        """Return the bytes that a tensor's shape and type take."""
        dims = self._reader.numbers(tensor, _TENSOR_DIMS)
        kind = self._reader.numbers(tensor, _TENSOR_TYPE)[-1:]
        if not kind or kind[0] not in _TYPE_BYTES:
            raise self._refused("has weights of an unknown type")
        if len(dims) > _MAX_DIMENSIONS or any(not 0 <= size < 1 << 40 for size in dims):
            raise self._refused("has weights of an impossible shape")
        return math.prod(dims) * _TYPE_BYTES[kind[0]]

    def _check_place(self, places: dict[str, str], size: int) -> None:
        numbers = {key: places[key] for key in ("offset", "length") if key in places}
        if not all(
            number.isascii() and number.isdecimal() and len(number) < 16 for number in numbers.values()
        ):
            raise self._refused(f"has weights at no place of {self._weights_file}")
        offset, length = int(numbers.get("offset", "0")), int(numbers.get("length", size))
        if length != size or (self._weights_bytes is not None and offset + length > self._weights_bytes):
            raise self._refused(f"has weights past the end of {self._weights_file}")

    def _refuse_others(self, message: Message, known: frozenset[int]) -> None:
        if message.keys() - known:
            raise self._refused("not of this version, it has more than one plain graph")

    def _refused(self, reason: str) -> ArtifactError:
        return ArtifactError(f"{self._name}: {plain(reason[:_MAX_SHOWN])}", hint=_HINT)
