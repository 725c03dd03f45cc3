import json

import pytest
from click.testing import CliRunner

from dlcodegen_local.cli.bundle import command
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.bundle.making import CREATED, LONG_TAG, PLATFORM, make_bundle, make_wheels


def invoke(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_bundle_is_created_and_verified(tmp_path):
    make_wheels(tmp_path / "wheels")
    stated = ("--platform", PLATFORM, "--python", "3.11", "--date", CREATED, "--with", "none")
    made = invoke(
        "create", "--wheels", tmp_path / "wheels", "-o", tmp_path / "b.tar", *stated, "--split", "9M"
    )
    assert (tmp_path / "b.tar.001").is_file()
    assert f"not needed, left out: train-1.0-{LONG_TAG}.whl" in made.stderr
    facts = json.loads(invoke("verify", tmp_path / "b.tar", "--json").stdout)
    assert (facts["platform"], facts["python"]) == (PLATFORM, "3.11")
    assert facts["manifest_sha256"] in made.stderr


def test_without_json_a_person_reads_what_it_is(tmp_path):
    make_bundle(tmp_path / "work", tmp_path / "bundle")
    assert "signature: none" in invoke("verify", tmp_path / "bundle").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "lots"), "--split takes a size"),
        (("--date", "yesterday"), "no date"),
        (("--wheels", "nowhere"), "no folder of wheels"),
        (("--platform", "solaris"), "no platform"),
    ],
)
def test_a_wrong_order_is_one_clear_error(tmp_path, arguments, message):
    make_wheels(tmp_path / "wheels")
    with pytest.raises(ConfigError, match=message):
        invoke("create", "--wheels", tmp_path / "wheels", "-o", tmp_path / "bundle", *arguments)


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such folder or file"):
        invoke("verify", tmp_path / "nothing")
    with pytest.raises(ArtifactError, match=r"holds no manifest.json"):
        invoke("install", tmp_path, "--prefix", tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()
