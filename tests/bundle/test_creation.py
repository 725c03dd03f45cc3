import json
import re
import sqlite3

import pytest

from dlcodegen_local.bundle.contents import parse_manifest
from dlcodegen_local.bundle.creation import Order, create_bundle
from dlcodegen_local.bundle.licences import licence_of, spdx
from dlcodegen_local.bundle.wheels import Target, choose_wheels
from dlcodegen_local.config import PoolPlace, find_paths
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.bundle.making import CREATED, PLATFORM, make_bundle, make_model, make_wheel, make_wheels

TARGET = Target(PLATFORM, "3.11")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_bundle(folder / "work", folder / "bundle")
    return folder / "bundle"


def order_of(tmp_path, **changes):
    facts = {"wheels": tmp_path / "wheels", "target": TARGET, "extras": (), "models": (), "pools": ()}
    return Order(**{**facts, "created": CREATED, **changes})


def create(order, output):
    return create_bundle(order, output, None, lambda line: None)


def test_everything_is_in_one_folder(made):
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {"manifest.json", "sbom.cdx.json", "verify.py", "install.py", "README.md"} <= names
    assert {"docs/README.md", "models/tiny/MODEL_CARD.md", "licences/train-1.0/LICENSE"} <= names
    assert (made / "docs/README.md").read_text() == "# what it is\n"
    assert names == {*parse_manifest((made / "manifest.json").read_bytes()).files, "manifest.json"}


def test_every_component_has_a_line_with_its_licence(made):
    lines = (made / "licences/INDEX.tsv").read_text().splitlines()
    rows = {line.split("\t")[0]: line.split("\t")[2:] for line in lines[1:]}
    assert rows["train"] == ["BSD-3-Clause", "train-1.0/"]
    assert rows["tiny"] == ["Apache-2.0", "../models/tiny/"]
    pip = choose_wheels(made / "wheels", TARGET, ("keras",)).wheels["pip"]
    assert rows["pip"][0] == "MIT" == licence_of(pip).text


@pytest.mark.parametrize(
    ("metadata", "licence", "is_spdx"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0", True),
        ("License: Apache 2.0\n", "Apache-2.0", True),
        ("Classifier: License :: OSI Approved :: MIT License\nLicense: whatever\n", "MIT", True),
        ("License: Our own, see below\n", "Our own, see below", False),
        ("", "not stated", False),
    ],
)
def test_a_licence_is_what_the_wheel_states(tmp_path, metadata, licence, is_spdx):
    make_wheels(tmp_path)
    make_wheel(tmp_path, "train", "2.0", metadata=metadata)
    found = licence_of(choose_wheels(tmp_path, TARGET, ("keras",)).wheels["train"])
    assert (found.text, found.is_spdx) == (licence, is_spdx)


def test_words_are_not_taken_for_an_spdx_expression():
    assert spdx("GPL-3.0-only WITH GCC-exception-3.1").is_spdx
    assert spdx("(MIT OR Apache-2.0)").is_spdx
    assert not spdx("free for research").is_spdx


def sbom(made):
    return json.loads((made / "sbom.cdx.json").read_bytes())


def test_the_sbom_names_every_wheel_and_model_with_hash_and_licence(made):
    document = sbom(made)
    files = parse_manifest((made / "manifest.json").read_bytes()).files
    components = {part["name"]: part for part in [document["metadata"]["component"], *document["components"]]}
    assert set(components) == {"dlcodegen", "llama-cpp-python", "train", "pip", "tiny"}
    for path, file in files.items():
        if path.startswith("wheels/"):
            (part,) = (part for part in components.values() if file.sha256 == part["hashes"][0]["content"])
            assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
    assert components["train"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert components["tiny"]["type"] == "machine-learning-model"
    assert components["llama-cpp-python"]["components"][0]["name"] == "libgomp"


def test_the_sbom_keeps_the_rules_of_its_format(made):
    document = sbom(made)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    assert document["metadata"]["timestamp"] == CREATED
    parts = [document["metadata"]["component"], *document["components"]]
    references = [part["bom-ref"] for part in parts]
    assert len(set(references)) == len(references)
    for row in document["dependencies"]:
        assert {row["ref"], *row["dependsOn"]} <= set(references)


def test_a_validator_of_others_accepts_the_sbom(made):
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str((made / "sbom.cdx.json").read_text(encoding="utf-8")) is None


def test_a_gguf_file_becomes_a_model_with_a_manifest(tmp_path):
    make_wheels(tmp_path / "wheels")
    gguf = find_paths().models / "starter" / "starter.gguf"
    create(order_of(tmp_path, models=(gguf,)), tmp_path / "bundle")
    table = json.loads((tmp_path / "bundle/models/starter/manifest.json").read_bytes())
    assert table["files"][0]["size"] == gguf.stat().st_size


def test_a_damaged_model_is_refused_and_nothing_is_left(tmp_path):
    make_wheels(tmp_path / "wheels")
    model = make_model(tmp_path / "models")
    (model / "weights.bin").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"weights.bin is damaged"):
        create(order_of(tmp_path, models=(model,)), tmp_path / "bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "wheels"]


def test_two_models_of_one_name_are_refused(tmp_path):
    make_wheels(tmp_path / "wheels")
    models = (make_model(tmp_path / "a"), make_model(tmp_path / "b"))
    with pytest.raises(ConfigError, match="two models are called tiny"):
        create(order_of(tmp_path, models=models), tmp_path / "bundle")


def test_the_bundled_samples_go_along_with_their_licences(tmp_path):
    make_wheels(tmp_path / "wheels")
    place = PoolPlace("bundled", find_paths().index / "samples")
    create(order_of(tmp_path, pools=(place,)), tmp_path / "bundle")
    samples = [path for path in (tmp_path / "bundle/pool/bundled").iterdir() if path.suffix == ".py"]
    data = [part for part in sbom(tmp_path / "bundle")["components"] if part["type"] == "data"]
    assert len(samples) == len(data) > 50
    assert all("expression" in part["licenses"][0] for part in data)


def test_a_team_pool_is_copied_while_it_is_open(tmp_path):
    make_wheels(tmp_path / "wheels")
    (tmp_path / "pool").mkdir()
    database = sqlite3.connect(tmp_path / "pool/pool.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE facts (name TEXT)")
    database.execute("INSERT INTO facts VALUES ('kept')")
    database.commit()
    create(order_of(tmp_path, pools=(PoolPlace("team", tmp_path / "pool"),)), tmp_path / "bundle")
    database.close()
    copy = sqlite3.connect(tmp_path / "bundle/pool/team/pool.sqlite")
    assert copy.execute("SELECT name FROM facts").fetchall() == [("kept",)]
    copy.close()


def test_wheels_of_another_version_are_refused(tmp_path):
    make_wheels(tmp_path / "wheels")
    make_wheel(tmp_path / "wheels", "dlcodegen", "99.0")
    with pytest.raises(ConfigError, match=r"dlcodegen-99.0.*is not of this version"):
        create(order_of(tmp_path), tmp_path / "bundle")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    make_wheels(tmp_path / "wheels")
    with pytest.raises(ConfigError, match="exists and is not empty"):
        create(order_of(tmp_path), tmp_path / "wheels")
