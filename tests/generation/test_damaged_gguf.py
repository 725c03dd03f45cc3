"""Hundreds of damaged headers: an `ArtifactError` in one line or a header, never a traceback, never long."""

import random
import struct
import time
import tracemalloc

import gguf
import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation import gguf_header
from dlcodegen_local.generation.chat_template import find_format
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.generation.memory import needed_by_context
from tests.generation.odd_gguf import write_odd_gguf

LIES = (0, 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)
DAMAGES = 500


def damaged(content: bytes, end: int, rng: random.Random) -> bytes:
    """Return a file with flipped bits, a lying count, a cut, or a part that stands twice or is missing."""
    kind, place = rng.randrange(5), rng.randrange(4, end - 8)
    changed = bytearray(content)
    if kind == 0:
        for _ in range(rng.choice((1, 1, 2, 20))):
            changed[rng.randrange(4, end)] ^= 1 << rng.randrange(8)
    elif kind == 1:
        width = rng.choice((4, 8))
        changed[place : place + width] = (rng.choice(LIES) % 256**width).to_bytes(width, "little")
    elif kind == 2:
        del changed[rng.randrange(len(changed)) :]
    else:
        other = rng.randrange(place, end)
        changed[place:other] = changed[place:other] * 2 if kind == 3 else b""
    return bytes(changed)


def test_damage_of_any_kind_is_refused_or_harmless_and_ends_soon(tmp_path):
    content = write_odd_gguf(tmp_path / "odd.gguf", template="<|im_start|>", fills_in=True).read_bytes()
    end = read_header(tmp_path / "odd.gguf").tensors[0].offset
    rng, path, refused, slowest = random.Random(0), tmp_path / "damaged.gguf", 0, 0.0
    for _ in range(DAMAGES):
        path.write_bytes(damaged(content, end, rng))
        began = time.monotonic()
        try:
            header = read_header(path)
            needed_by_context(header)
            if "<|im_start|>" in str(header.metadata.get("tokenizer.chat_template")):  # no worker is started
                find_format(path, header)
        except ArtifactError as exc:
            refused += 1
            assert "\n" not in exc.message and len(exc.message) < 1000
        slowest = max(slowest, time.monotonic() - began)
    assert DAMAGES // 2 < refused < DAMAGES
    assert slowest < 10


@pytest.mark.parametrize("kind", ["arrays", "texts"])
def test_a_header_without_end_is_left_after_so_many_bytes(kind, tmp_path):
    """Files of 256 MiB, mostly holes: arrays of four million numbers, or a thousand texts of 256 KiB."""
    path, numbers = tmp_path / "long.gguf", 4_000_000
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, 1, 2000))
        for index in range(1000):
            if kind == "texts":
                file.write(struct.pack("<Q4sIQ", 4, b"%04d" % index, 8, 1 << 18))
                file.seek(1 << 18, 1)
            else:
                file.write(struct.pack("<Q4sIIQ", 4, b"%04d" % index, 9, 10, numbers))
                file.seek(numbers * 8, 1)
        file.truncate(256 << 20)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(ArtifactError, match="a header of more than 64 MiB"):
        read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < 10
    assert peak < 256 << 20


def test_what_a_file_says_of_itself_is_shown_in_part_and_plain(tmp_path):
    path = write_odd_gguf(tmp_path / "odd.gguf")
    path.write_bytes(path.read_bytes().replace(b"llama", b"\x1b[2J\n", 1))
    with pytest.raises(ArtifactError) as raised:
        read_header(path)
    assert raised.value.message.isprintable()


def test_the_sizes_of_all_tensor_types_are_those_of_ggml():
    assert {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()} == gguf_header._BLOCKS
