"""Messages written by hand: what a reader may take, and where it ends."""

import pytest

from dlcodegen_local.planner.protobuf import MAX_FIELDS, WireReader, bodies, text
from tests.planner.test_graph_check import field, number, varint


def read(content):
    return WireReader().read(memoryview(content))


def test_fields_are_found_by_number():
    message = read(field(1, "a") + number(2, 300) + field(1, "b") + varint(3 << 3 | 5) + b"four")
    assert [bytes(body) for body in bodies(message, 1)] == [b"a", b"b"]
    assert text(message, 1) == "b" and text(message, 9) == ""
    assert message[2] == [300] and message[3] == [b"four"]


def test_whole_numbers_are_signed_and_may_be_packed():
    reader = WireReader()
    message = reader.read(memoryview(number(1, -1) + field(1, varint(5) + varint(2**63))))
    assert reader.numbers(message, 1) == [-1, 5, -(2**63)]


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a\x05abc",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b",
        b"\x02\x00",
        b"\xff" * 11,
        b"\x09abc",
        b"\x08",
    ],
    ids=["past the end", "endless length", "a group", "number 0", "endless key", "cut double", "cut number"],
)
def test_what_is_no_message_is_refused(content):
    with pytest.raises((ValueError, IndexError)):
        read(content)


def test_a_number_is_no_text():
    with pytest.raises(ValueError, match="is a number"):
        text(read(number(1, 1)), 1)


def test_reading_ends():
    with pytest.raises(ValueError, match="fields"):
        read(b"\x08\x00" * (MAX_FIELDS + 1))
    reader = WireReader()
    packed = reader.read(memoryview(field(1, b"\0" * (MAX_FIELDS + 1))))
    with pytest.raises(ValueError, match="fields"):
        reader.numbers(packed, 1)
