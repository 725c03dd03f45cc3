import hashlib
import json

import pytest

from dlcodegen_local.artifacts import list_manifests, read_manifest, sha256_of
from dlcodegen_local.errors import ArtifactError


def write_model(folder, **changes):
    folder.mkdir(parents=True)
    (folder / "weights.gguf").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    table = {
        "name": folder.name,
        "kind": "code-model",
        "licence": "MIT",
        "files": [{"path": "weights.gguf", "size": 7, "sha256": digest}],
        "context_length": 64,
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(table))
    return folder


def test_a_sound_model_passes(tmp_path):
    manifest = read_manifest(write_model(tmp_path / "m"))
    manifest.check_files()
    assert manifest.path_of(".gguf") == tmp_path / "m/weights.gguf"
    assert manifest.facts == {"context_length": 64}
    assert [found.name for found in list_manifests(tmp_path)] == ["m"]


@pytest.mark.parametrize("damage", [b"weightz", b"weight", b""])
def test_a_damaged_file_is_named(tmp_path, damage):
    manifest = read_manifest(write_model(tmp_path / "m"))
    (tmp_path / "m/weights.gguf").write_bytes(damage)
    with pytest.raises(ArtifactError, match=r"weights\.gguf is damaged"):
        manifest.check_files()


def test_a_missing_file_is_named(tmp_path):
    manifest = read_manifest(write_model(tmp_path / "m"))
    (tmp_path / "m/weights.gguf").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        manifest.check_files()
    with pytest.raises(ArtifactError):
        manifest.path_of(".onnx")


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "", "a/../../b", 7])
def test_a_path_outside_the_folder_is_refused(tmp_path, path):
    folder = write_model(tmp_path / "m", files=[{"path": path, "size": 1, "sha256": "0"}])
    with pytest.raises(ArtifactError, match="outside"):
        read_manifest(folder)


@pytest.mark.parametrize("size", ["1e999", "1.0", "true", "-1", '"7"', "null"])
def test_a_size_that_cannot_be_is_refused(tmp_path, size):
    folder = write_model(tmp_path / "m")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"size": 7', f'"size": {size}'))
    with pytest.raises(ArtifactError, match="size"):
        read_manifest(folder)


@pytest.mark.parametrize("digest", ["0", 0, None, "g" * 64, "0" * 65])
def test_a_hash_that_cannot_be_is_refused(tmp_path, digest):
    files = [{"path": "weights.gguf", "size": 7, "sha256": digest}]
    with pytest.raises(ArtifactError, match="sha256"):
        read_manifest(write_model(tmp_path / "m", files=files))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"files": 3}', "[" * 20000, '{"name": 1, "files": [{}]}']
)
def test_a_malformed_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        sha256_of(tmp_path)
