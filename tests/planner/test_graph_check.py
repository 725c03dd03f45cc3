"""Graphs that ask for what our export never writes; protobuf written by hand, as an attacker would."""

import json
import shutil
from pathlib import Path

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.planner.graph_check import OPERATOR_DOMAINS, check_graph, operator_domains
from dlcodegen_local.planner.model import WEIGHTS_FILE
from dlcodegen_local.planner.planner import Planner
from export.planner_manifest import write_manifest
from tests.planner.test_planner import TINY


def field(number, content):
    """Return a length-delimited protobuf field."""
    body = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def external(**places):
    entries = b"".join(field(13, field(1, key) + field(2, value)) for key, value in places.items())
    return field(7, field(5, entries))


def number(place, value):
    """Return a whole number as a protobuf field."""
    return varint(place << 3) + varint(value % 2**64)


def weights(*dims, kind=1, place=1, raw=None, **places):
    """Return a graph of one tensor, of floats in an external file unless told otherwise."""
    tensor = b"".join(number(1, size) for size in dims) + number(2, kind)
    tensor += b"".join(field(13, field(1, key) + field(2, value)) for key, value in places.items())
    tensor += number(14, place) if place else b""
    return field(7, field(5, tensor + (field(9, raw) if raw is not None else b"")))


ATTRIBUTE_WITH_GRAPH = field(5, field(1, "body") + field(6, b""))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (field(8, field(1, "evil.ex")) + field(7, b""), r"evil\.ex"),
        (field(7, field(1, field(4, "Loop"))), "Loop"),
        (field(7, field(1, field(4, "Gather") + field(7, "evil"))), "not of this version"),
        (field(7, field(1, field(4, "Constant") + ATTRIBUTE_WITH_GRAPH)), "one plain graph"),
        (field(7, b"") + field(25, b""), "one plain graph"),
        (field(7, field(15, b"")), "one plain graph"),
        (external(location="/etc/passwd", offset="0"), "weights outside"),
        (external(location="../other"), "weights outside"),
        (external(offset="0"), "weights outside"),
        (external(location=WEIGHTS_FILE) + field(7, b""), "not an ONNX file"),
        (b"", "not an ONNX file"),
        (b"not onnx at all", "not an ONNX file"),
        (b"\x08\xff\xff\xff\xff", "not an ONNX file"),
        (b"\xff" * 40, "not an ONNX file"),
        (field(7, field(1, field(4, b"\xff\xfe"))), "not an ONNX file"),
    ],
)
def test_what_our_export_never_writes_is_refused(model, message):
    with pytest.raises(ArtifactError, match=message):
        check_graph(model, "model.onnx", WEIGHTS_FILE)


def test_our_own_graph_passes():
    model = (TINY / "model.onnx").read_bytes()
    check_graph(model, "model.onnx", WEIGHTS_FILE)
    assert set(operator_domains(model)) <= OPERATOR_DOMAINS
    check_graph(weights(2, 3, location=WEIGHTS_FILE), "model.onnx", WEIGHTS_FILE, 24)
    check_graph(weights(2, place=0, raw=b"8 bytes!"), "model.onnx", WEIGHTS_FILE, 0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (weights(2, 3, location=WEIGHTS_FILE, offset="80", length="24"), "past the end"),
        (weights(2, 3, location=WEIGHTS_FILE, offset="0", length="20"), "past the end"),
        (weights(2, 3, location=WEIGHTS_FILE, offset="-4", length="24"), "at no place"),
        (weights(2, 3, location=WEIGHTS_FILE, offset="9" * 400), "at no place"),
        (weights(2, 3, location=WEIGHTS_FILE, offset="\u0661"), "at no place"),
        (weights(2, -3, location=WEIGHTS_FILE), "impossible shape"),
        (weights(*[1] * 9, location=WEIGHTS_FILE), "impossible shape"),
        (weights(2, 3, kind=8, location=WEIGHTS_FILE), "unknown type"),
        (weights(2, 3, place=0, location=WEIGHTS_FILE), "without a place"),
        (weights(2, 3, place=1), "without a place"),
        (weights(2, place=0, raw=b"7 bytes"), "another size"),
        (weights(2, location=WEIGHTS_FILE, checksum="0"), "without a place"),
        (weights(2, place=0, raw=b"8 bytes!").replace(b"8 bytes!", b""), "not an ONNX file"),
        (number(7, 1), "not an ONNX file"),
        (field(7, b"\x08\x00" * 400_000), "not an ONNX file"),
    ],
)
def test_weights_that_are_not_where_they_say_are_refused(model, message):
    with pytest.raises(ArtifactError, match=message):
        check_graph(model, "model.onnx", WEIGHTS_FILE, 96)


def test_the_last_location_counts_as_it_does_for_the_parser():
    twice = field(7, field(5, field(13, field(1, "location") + field(2, WEIGHTS_FILE) + field(2, "/etc/x"))))
    with pytest.raises(ArtifactError, match="weights outside"):
        check_graph(twice, "model.onnx", WEIGHTS_FILE)


def test_a_planner_with_a_foreign_graph_is_refused_before_it_is_parsed(tmp_path):
    folder = Path(shutil.copytree(TINY, tmp_path / "planner"))
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(field(8, field(1, "evil.ex")))
    write_manifest(folder, "changed", "Apache-2.0")
    with pytest.raises(ArtifactError, match=r"evil\.ex"):
        Planner(folder)


def test_a_planner_of_an_earlier_version_says_how_to_mend_it(tmp_path):
    folder = Path(shutil.copytree(TINY, tmp_path / "planner"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != WEIGHTS_FILE]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"does not list model\.onnx\.data") as caught:
        Planner(folder)
    assert "export it again" in str(caught.value.hint)
