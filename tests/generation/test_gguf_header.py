import struct

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation.gguf_header import read_header
from tests.generation.tiny_gguf import write_tiny_gguf


def test_a_sound_header_is_read(tiny_gguf):
    header = read_header(tiny_gguf)
    assert (header.architecture, header.version) == ("llama", 3)
    assert header.whole_number("block_count") == 2
    assert len(header.tensors) == 21
    assert header.n_params == sum(tensor.size_bytes for tensor in header.tensors) // 4


def test_every_cut_is_refused_with_one_line(tiny_gguf, tmp_path):
    content = tiny_gguf.read_bytes()
    last = read_header(tiny_gguf).tensors[-1]
    end = last.offset + last.size_bytes
    cut = tmp_path / "cut.gguf"
    for length in [*range(0, 4000, 97), len(content) // 2, end - 1]:
        cut.write_bytes(content[:length])
        with pytest.raises(ArtifactError) as raised:
            read_header(cut)
        assert "\n" not in raised.value.message
        assert raised.value.hint


@pytest.mark.parametrize("content", [b"", b"GGUF", b"print('hello')\n" * 50, b"GGML" + bytes(100)])
def test_what_is_no_gguf_is_refused(content, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not a"):
        read_header(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ArtifactError):
            read_header(path)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (4, struct.pack("<I", 9), "version 9"),
        (8, struct.pack("<Q", 2**40), "tensors"),
        (16, struct.pack("<Q", 2**63), "keys"),
        (24, struct.pack("<Q", 2**62), "a text of"),
    ],
)
def test_lying_counts_are_refused(at, value, message, tiny_gguf, tmp_path):
    content = bytearray(tiny_gguf.read_bytes())
    content[at : at + len(value)] = value
    path = tmp_path / "lying.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        read_header(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shape", 2**61, "shape"),
        ("kind", 200, "unknown type"),
        ("offset", 33, "offset"),
        ("offset", 2**40, "ends at byte"),
        ("offset", 0, "overlaps"),
    ],
)
def test_lying_tensors_are_refused(field, value, message, tiny_gguf, tmp_path):
    content = bytearray(tiny_gguf.read_bytes())
    name = b"output.weight"
    at = content.rindex(name) + len(name)
    places = {"shape": (at + 4, "<Q"), "kind": (at + 20, "<I"), "offset": (at + 24, "<Q")}
    place, form = places[field]
    struct.pack_into(form, content, place, value)
    path = tmp_path / "lying.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        read_header(path)


def test_the_same_seed_writes_the_same_file(tiny_gguf, tmp_path):
    assert write_tiny_gguf(tmp_path / "again.gguf").read_bytes() == tiny_gguf.read_bytes()
