"""What a user may bring, and what is refused with one line before anything is copied."""

import json
import os

import pytest

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.model_store.sources import fit_name, read_source
from tests.test_artifacts import write_model


def test_a_file_is_taken_with_the_licence_beside_it(tmp_path):
    (tmp_path / "My Model (Q4).gguf").write_bytes(b"GGUF")
    (tmp_path / "LICENSE.txt").write_text("MIT License")
    source = read_source(tmp_path / "My Model (Q4).gguf")
    assert (source.kind, source.name, source.size_bytes) == ("code-model", "My-Model-Q4", 4)
    assert source.licence_files == (tmp_path / "LICENSE.txt",)


@pytest.mark.parametrize(
    "names", [("x.gguf.001", "x.gguf.002"), ("x.gguf.part0", "x.gguf.part1", "x.gguf.part2")]
)
def test_a_file_cut_for_a_stick_is_taken_by_its_first_part(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"part")
    source = read_source(tmp_path / names[0])
    assert [path.name for path in source.files[0].parts] == list(names)
    assert source.name == "x"
    (tmp_path / names[1]).unlink()
    if len(names) > 2:
        with pytest.raises(ArtifactError, match="part 1 is missing"):
            read_source(tmp_path / names[0])


def test_a_later_part_and_a_shard_are_refused(tmp_path):
    for name in ("x.gguf.002", "x-00001-of-00003.gguf"):
        (tmp_path / name).write_bytes(b"part")
    with pytest.raises(ConfigError, match="not the first part"):
        read_source(tmp_path / "x.gguf.002")
    with pytest.raises(ConfigError, match="shard 1 of 3") as raised:
        read_source(tmp_path / "x-00001-of-00003.gguf")
    assert "--merge" in raised.value.hint


def test_folders_without_one_model_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no model"):
        read_source(tmp_path)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert read_source(tmp_path).name == "a"
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=r"several models: a\.gguf, b\.gguf"):
        read_source(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"without manifest\.json"):
        read_source(tmp_path)
    with pytest.raises(ArtifactError, match="missing"):
        read_source(tmp_path / "nothing")


def test_a_model_folder_is_taken_as_its_manifest_says(tmp_path):
    source = read_source(write_model(tmp_path / "m"))
    assert [file.name for file in source.files] == ["weights.gguf"]
    assert source.manifest is not None and source.manifest.licence == "MIT"


@pytest.mark.parametrize("trick", ["symbolic link", "hard link", "folder link", "missing", "longer"])
def test_files_that_are_not_the_folders_own_are_refused(tmp_path, trick):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "weights.gguf").write_bytes(b"weights")
    folder = write_model(tmp_path / "m")
    weights = folder / "weights.gguf"
    if trick == "longer":
        weights.write_bytes(b"weights and more")
    else:
        weights.unlink()
    if trick == "symbolic link":
        weights.symlink_to(secret / "weights.gguf")
    elif trick == "hard link":
        os.link(secret / "weights.gguf", weights)
    elif trick == "folder link":
        (folder / "sub").symlink_to(secret)
        table = json.loads((folder / "manifest.json").read_text())
        table["files"][0]["path"] = "sub/weights.gguf"
        (folder / "manifest.json").write_text(json.dumps(table))
    with pytest.raises(ArtifactError, match=r"hard links|no plain file|its size"):
        read_source(folder)


def test_any_name_can_be_made_fit():
    assert fit_name("../ä b\n") == "b"
    assert fit_name("...") == "model"
    assert len(fit_name("x" * 300)) == 64
