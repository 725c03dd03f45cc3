"""Importing: what is listed is whole, checked and loadable; what is refused leaves the list as it was."""

import json
import shutil
import struct
from pathlib import Path

import pytest

from dlcodegen_local.artifacts import find_model
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.model_store.importing import Wish, import_model
from dlcodegen_local.model_store.sources import read_source
from dlcodegen_local.policy import Policy
from tests.planner.test_planner import TINY


def listed(store):
    return [manifest.name for manifest in store.listed()[0] if store.is_imported(manifest)]


def left_over(store):
    return [path.name for path in store.folder.iterdir() if path.name != ".lock"]


def test_a_gguf_is_imported_under_its_name(store, tiny_gguf):
    manifest = import_model(read_source(tiny_gguf), Wish(licence="MIT"), store)
    assert listed(store) == ["tiny"]
    assert manifest.facts == {"licence stated by": "declared", "imported from": "tiny.gguf"}
    assert (manifest.folder / "model.gguf").read_bytes() == tiny_gguf.read_bytes()
    assert left_over(store) == ["tiny"]
    store.verify(manifest)
    assert find_model("tiny", (store.bundled, store.folder)) == manifest


def test_a_planner_folder_is_imported_whole(store, tmp_path):
    folder = Path(shutil.copytree(TINY, tmp_path / "ours"))
    (folder / "notes.txt").write_text("not named by the manifest")
    manifest = import_model(read_source(folder), Wish("ours"), store)
    assert manifest.kind == "planner"
    assert sorted(path.name for path in manifest.folder.iterdir()) == sorted(
        [*(file.path for file in manifest.files), "manifest.json"]
    )
    assert manifest.sha256 == read_source(folder).manifest.sha256


def test_the_licence_is_read_and_shown_or_said_not_to_be_stated(store, tiny_gguf, tmp_path):
    assert import_model(read_source(tiny_gguf), Wish("silent"), store).licence == "not stated"
    shutil.copy(tiny_gguf, tmp_path / "beside.gguf")
    (tmp_path / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004")
    found = import_model(read_source(tmp_path / "beside.gguf"), Wish(), store)
    assert (found.licence, found.facts["licence stated by"]) == ("Apache-2.0", "LICENSE")


def test_a_licence_in_the_header_is_read(store, tiny_gguf, tmp_path):
    path = with_key(tiny_gguf, tmp_path / "stated.gguf", "general.license", "cc-by-nc-4.0")
    found = import_model(read_source(path), Wish(), store)
    assert (found.licence, found.facts["licence stated by"]) == ("CC-BY-NC-4.0", "header")
    rules = (Policy(Path("p"), model_licences=("MIT",)),)
    with pytest.raises(ConfigError, match=r"licence cc-by-nc-4\.0"):
        import_model(read_source(path), Wish("other", "MIT"), store, rules)
    assert listed(store) == ["stated"]


def with_key(path, target, key, value):
    """Write a GGUF file again with one more key, a text."""

    def text(word):
        return struct.pack("<Q", len(word)) + word.encode()

    content = path.read_bytes()
    version, n_tensors, n_keys = struct.unpack_from("<IQQ", content, 4)
    added = text(key) + struct.pack("<I", 8) + text(value)
    added += text("padding") + struct.pack("<I", 8) + text("x" * (-(len(added) + 27) % 32))
    target.write_bytes(b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys + 2) + added + content[24:])
    return target


@pytest.mark.parametrize("name", ["../up", "a b", "", ".hidden", "x" * 65, "starter", "tiny"])
def test_names_that_are_taken_or_none_are_refused(store, tiny_gguf, name):
    import_model(read_source(tiny_gguf), Wish(), store)
    with pytest.raises(ConfigError, match=r"no name|is a model named|there is a model"):
        import_model(read_source(tiny_gguf), Wish(name), store)
    assert listed(store) == ["tiny"]


def test_damage_is_refused_and_leaves_nothing(store, tiny_gguf, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:-5000])
    with pytest.raises(ArtifactError, match="cut"):
        import_model(read_source(cut), Wish(), store)
    folder = Path(shutil.copytree(TINY, tmp_path / "p"))
    weights = bytearray((folder / "model.onnx.data").read_bytes())
    weights[100] ^= 1
    (folder / "model.onnx.data").write_bytes(weights)
    with pytest.raises(ArtifactError, match="not the manifest's"):
        import_model(read_source(folder), Wish(), store)
    assert listed(store) == []


def test_a_model_that_llama_cpp_cannot_load_is_not_listed(store, tiny_gguf, tmp_path):
    path = tmp_path / "odd.gguf"
    path.write_bytes(tiny_gguf.read_bytes().replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_UP.weight"))
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        import_model(read_source(path), Wish(), store)
    assert left_over(store) == []


def test_an_interrupted_import_is_not_listed_and_goes_on(store, tiny_gguf):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_model(read_source(tiny_gguf), Wish(), store, (), interrupt)
    assert listed(store) == [] and list(store.unfinished()) == ["tiny"]
    heard = []
    import_model(read_source(tiny_gguf), Wish(), store, (), lambda what, *_: heard.append(what))
    assert heard == ["checking what is there", "checking"]
    assert listed(store) == ["tiny"] and not store.unfinished()


def test_a_policy_refuses_before_anything_is_listed(store, tiny_gguf):
    rules = (Policy(Path("p"), models=("0" * 64,)),)
    with pytest.raises(ConfigError, match=r"\[models\] sha256 of the policy p"):
        import_model(read_source(tiny_gguf), Wish(), store, rules)
    assert left_over(store) == []


def test_only_imported_models_are_removed(store, tiny_gguf):
    import_model(read_source(tiny_gguf), Wish(), store)
    for name, message in (
        ("starter", "came with the tool"),
        ("none", "no imported model"),
        ("../x", "no imported"),
    ):
        with pytest.raises(ConfigError, match=message):
            store.remove(name)
    assert store.remove("tiny") > tiny_gguf.stat().st_size
    assert left_over(store) == []


def test_one_broken_model_hides_no_other(store, tiny_gguf):
    manifest = import_model(read_source(tiny_gguf), Wish(), store)
    (store.folder / "broken").mkdir()
    (store.folder / "broken/manifest.json").write_text("{")
    found, errors = store.listed()
    assert manifest in found and len(errors) == 1 and "broken" in errors[0].message


def test_verify_reads_what_the_remembered_hash_does_not_see(store, tiny_gguf):
    manifest = import_model(read_source(tiny_gguf), Wish(), store)
    with (manifest.folder / "model.gguf").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\1\2\3\4")
    with pytest.raises(ArtifactError, match=r"model\.gguf is damaged"):
        store.verify(manifest)


def test_two_imports_do_not_meet(store, tiny_gguf):
    with store.locked(), pytest.raises(ConfigError, match="another import"):
        import_model(read_source(tiny_gguf), Wish(), store)


def test_the_manifest_is_plain_json(store, tiny_gguf):
    manifest = import_model(read_source(tiny_gguf), Wish(), store)
    table = json.loads((manifest.folder / "manifest.json").read_text())
    assert table["files"][0]["size"] == tiny_gguf.stat().st_size
