"""An ONNX graph taken apart into its messages, changed, and written again with lengths that fit."""

import copy
import random
from dataclasses import dataclass

from tests.fuzz.mutations import COUNTS

# Field numbers, from the model downward, under which another message stands.
_INNER: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {5: "attribute"},
    "tensor": {13: "entry"},
}
_TEXTS = (
    b"", b"..", b"/etc/passwd", b"../outside/canary", b"model.onnx", b"planner.json", b"./model.onnx.data",
    b"-1", b"0", b"99999999999", b"1e3", b"ai.onnx.ml", b"com.microsoft", b"evil.ex", b"Loop", b"MatMul",
    b"Gather", b"location", b"offset", b"length", b"checksum", b"\xff\xfe", b"x" * 3000,
)  # fmt: skip


@dataclass
class Field:
    """Hold a field of a message; `value` is a whole number, bytes, or the fields of another message."""

    number: int
    wire: int
    value: "int | bytes | list[Field]"


def take_apart(content: bytes, kind: str = "model") -> list[Field]:
    """Read a sound message."""
    fields, place = [], 0
    while place < len(content):
        key, place = _read(content, place)
        number, wire = key >> 3, key & 7
        value: int | bytes | list[Field]
        if wire == 0:
            value, place = _read(content, place)
        else:
            length, place = _read(content, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)
            value = content[place : place + length]
            place += length
        if (inner := _INNER.get(kind, {}).get(number)) and isinstance(value, bytes):
            value = take_apart(value, inner)
        fields.append(Field(number, wire, value))
    return fields


def put_together(fields: list[Field]) -> bytes:
    """Write a message."""
    parts = []
    for field in fields:
        value = put_together(field.value) if isinstance(field.value, list) else field.value
        parts.append(_written(field.number << 3 | field.wire))
        if isinstance(value, int):
            parts.append(_written(value))
        else:
            parts += [_written(len(value)) if field.wire == 2 else b"", value]
    return b"".join(parts)


def change(fields: list[Field], rng: random.Random) -> None:
    """Change one field, somewhere in the tree."""
    places = list(_places(fields))
    message, field = rng.choice(places)
    kind = rng.randrange(7)
    if kind == 0:
        message.remove(field)
    elif kind == 1:
        message.insert(rng.randrange(len(message) + 1), copy.deepcopy(rng.choice(places)[1]))
    elif kind == 2:
        field.number = rng.choice((*range(1, 30), 2**28))
    elif kind == 3:
        message.append(Field(rng.randrange(1, 30), 2, rng.choice(_TEXTS)))
    elif isinstance(field.value, int):
        field.value = rng.choice((*COUNTS, *range(20), field.value + 1))
    elif isinstance(field.value, bytes) and field.wire == 2:
        field.value = rng.choice((*_TEXTS, field.value + b"0", field.value[:-1]))
    else:
        message.append(copy.deepcopy(field))


def _places(fields: list[Field]) -> list[tuple[list[Field], Field]]:
    found = []
    stack = [fields]
    while stack:
        message = stack.pop()
        for field in message:
            found.append((message, field))
            if isinstance(field.value, list):
                stack.append(field.value)
    return found


def _read(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _written(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])
