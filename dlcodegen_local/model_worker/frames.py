"""Messages between the command and the model's process: four bytes of length, then a JSON object.

Guarantees that no more than `MAX_FRAME_BYTES` are held for one message, and that what is no message is
a ValueError, whatever the other side sends. Imports the standard library alone.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

MAX_FRAME_BYTES = 32 << 20
_LENGTH = struct.Struct(">I")


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as bytes; numbers keep every bit, half characters stay JSON escapes."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Join bytes to messages, however they arrive."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._bytes += piece

    def next_message(self) -> dict[str, Any] | None:
        """Return the next message; None until it is whole.

        Raises:
            ValueError: what came is none, or is too large.
        """
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        try:
            message = json.loads(body)
        except RecursionError as exc:
            raise ValueError("a message nested too deeply") from exc
        if not isinstance(message, dict):
            raise ValueError("a message that is no object")
        return message
