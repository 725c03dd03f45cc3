import math

import pytest

from dlcodegen_local.model_worker.frames import MAX_FRAME_BYTES, FrameReader, encode


def test_a_message_arrives_however_it_is_cut():
    message = {"text": "né \ud800 \n", "score": -1.2345678901234567e-300, "worst": -math.inf}
    content = encode(message) + encode({"next": 1})
    for size in (1, 3, len(content)):
        reader, found = FrameReader(), []
        for at in range(0, len(content), size):
            reader.feed(content[at : at + size])
            while (received := reader.next_message()) is not None:
                found.append(received)
        assert found == [message, {"next": 1}]


@pytest.mark.parametrize(
    "content",
    [
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x01\xff",
        b"\x00\x03\x0d\x40" + b"[" * 200_000,
    ],
    ids=("too large", "no object", "no text", "nested"),
)
def test_what_is_no_message_is_an_error(content):
    reader = FrameReader()
    reader.feed(content)
    with pytest.raises(ValueError, match=r"."):
        reader.next_message()
