"""The wire format of protobuf, as far as an ONNX graph needs it, read without any library.

Guarantees that reading ends: a message is read once, all messages of one file together have at most
`MAX_FIELDS` fields, and no field reaches past its message. Groups, which protobuf has given up, are refused.
"""

MAX_FIELDS = 300_000

Value = int | memoryview
Message = dict[int, list[Value]]


class WireReader:
    """Read the messages of one file; ValueError and IndexError say that it is none."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def read(self, body: memoryview) -> Message:
        """Return the fields of a message by their numbers: whole numbers, or bytes of any other kind."""
        fields: Message = {}
        place = 0
        while place < len(body):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"more than {MAX_FIELDS} fields")
            key, place = _varint(body, place)
            value: Value
            if key & 7 == 0:
                value, place = _varint(body, place)
            else:
                length, place = _length(body, place, key & 7)
                if place + length > len(body):
                    raise ValueError("a field reaches past the end")
                value = body[place : place + length]
                place += length
            if not 0 < key >> 3 < 1 << 29:
                raise ValueError(f"field number {key >> 3}")
            fields.setdefault(key >> 3, []).append(value)
        return fields

    def messages(self, fields: Message, number: int) -> list[Message]:
        """Read every message that stands under a number."""
        return [self.read(body) for body in bodies(fields, number)]

    def numbers(self, fields: Message, number: int) -> list[int]:
        """Return the whole numbers under a field number, packed or one by one, signed."""
        found: list[int] = []
        for value in fields.get(number, []):
            if isinstance(value, int):
                found.append(value)
                continue
            place = 0
            while place < len(value):
                one, place = _varint(value, place)
                found.append(one)
                self._left -= 1
                if self._left < 0:
                    raise ValueError(f"more than {MAX_FIELDS} fields")
        return [number - (1 << 64) if number >= 1 << 63 else number for number in found]


def bodies(fields: Message, number: int) -> list[memoryview]:
    """Return the bodies that stand under a number.

    Raises:
        ValueError: a plain number stands there.
    """
    found = fields.get(number, [])
    if not all(isinstance(value, memoryview) for value in found):
        raise ValueError(f"field {number} is a number")
    return [value for value in found if isinstance(value, memoryview)]


def text(fields: Message, number: int) -> str:
    """Return the last text of that number, as a protobuf reader does; empty where there is none."""
    found = bodies(fields, number)
    return bytes(found[-1]).decode("utf-8") if found else ""


def _length(body: memoryview, place: int, wire: int) -> tuple[int, int]:
    if wire == 2:
        return _varint(body, place)
    if wire in (1, 5):
        return (8 if wire == 1 else 4), place
    raise ValueError(f"wire type {wire}")


def _varint(body: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = body[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
        shift += 7
    raise ValueError("a varint has no end")
