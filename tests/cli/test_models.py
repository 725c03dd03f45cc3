"""What `models info` shows of files that anybody may have written."""

import json
import struct

import pytest

from dlcodegen_local.cli.models import _describe
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.model_store.store import Store


def gguf_named(name):
    """Return a GGUF file of one weight."""

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def whole(key, value):
        return text(key) + struct.pack("<II", 4, value)

    keys = [text(key) + struct.pack("<I", 8) + text(value) for key, value in (("general.name", name),)]
    keys.append(text("general.architecture") + struct.pack("<I", 8) + text("llama"))
    keys += [whole(f"llama.{key}", 4) for key in ("block_count", "embedding_length", "context_length")]
    keys.append(text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 1) + text("a"))
    tensor = text("token_embd.weight") + struct.pack("<IQIQ", 1, 1, 0, 0)
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, len(keys)) + b"".join(keys) + tensor
    return header.ljust(-(-len(header) // 32) * 32, b"\0") + struct.pack("<f", 1.0)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_hostile_name_is_shown_without_its_controls(run, tmp_path, flags):
    (tmp_path / "work/hostile.gguf").write_bytes(gguf_named("evil\x1b[2J\u202ename\x9b"))
    answer = run("models", "info", "hostile.gguf", *flags)
    assert answer.returncode == 0, answer.stderr.decode()
    assert "evil [2J name" in answer.stdout.decode()
    assert not set("\x1b\u202e\x9b") & set(answer.stdout.decode())


def test_a_file_is_described_though_a_bundled_manifest_is_broken(tmp_path):
    (tmp_path / "models/broken").mkdir(parents=True)
    (tmp_path / "models/broken/manifest.json").write_text("{")
    (tmp_path / "mine.gguf").write_bytes(gguf_named("mine"))
    store = Store(tmp_path / "data", tmp_path / "models", tmp_path / "cache")
    assert _describe(str(tmp_path / "mine.gguf"), store)["name"] == "mine"
    with pytest.raises(ArtifactError, match="broken"):
        _describe("starter", store)


def test_a_hostile_manifest_is_shown_without_its_controls(run, tmp_path):
    (tmp_path / "work/model").mkdir()
    table = {
        "name": "a\x1bb",
        "kind": "planner",
        "licence": "\u202eTIM",
        "files": [],
        "facts": {"x": ["\x9b"]},
    }
    (tmp_path / "work/model/manifest.json").write_text(json.dumps(table))
    answer = run("models", "info", "model")
    assert answer.returncode == 0, answer.stderr.decode()
    assert not set("\x1b\u202e\x9b") & set(answer.stdout.decode())
