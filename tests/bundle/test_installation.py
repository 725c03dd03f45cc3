import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.bundle.contents import parse_manifest
from dlcodegen_local.bundle.installation import MARKER, check_machine, install_bundle
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.bundle.kills import kill_often
from tests.bundle.making import LONG_TAG, make_bundle

HERE = "{}.{}".format(*sys.version_info[:2])


def ignore(line):
    pass


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder / "work", folder / "bundle", python=HERE)
    return folder / "bundle"


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newer")
    make_bundle(
        folder / "work", folder / "b.tar", python=HERE, launched="def main():\n    print('[\"newer\"]')\n"
    )
    return folder / "b.tar"


def launch(prefix):
    command = [str(prefix / "bin" / "dlcodegen")]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_bundle_becomes_a_command_that_runs(bundle, tmp_path):
    done = install_bundle(bundle, tmp_path / "a prefix", notify=ignore)
    assert launch(tmp_path / "a prefix") == []
    assert (done.folder / "share/dlcodegen/models/tiny/weights.bin").read_bytes() == b"weights" * 10
    assert (done.folder / "share/dlcodegen/sbom.cdx.json").is_file()
    assert not (tmp_path / "a prefix/staging").exists()
    assert install_bundle(bundle, tmp_path / "a prefix", notify=ignore).was_there


def test_a_newer_bundle_takes_over_and_the_one_before_is_kept(bundle, newer, tmp_path):
    old = install_bundle(bundle, tmp_path, notify=ignore).folder
    new = install_bundle(newer, tmp_path, notify=ignore).folder
    assert launch(tmp_path) == ["newer"]
    assert (tmp_path / "current").resolve() == new
    assert (old / MARKER).is_file()


def test_a_damaged_bundle_leaves_the_installation_as_it_was(bundle, tmp_path):
    broken = Path(shutil.copytree(bundle, tmp_path / "broken"))
    install_bundle(bundle, tmp_path / "prefix", notify=ignore)
    (broken / f"wheels/train-1.0-{LONG_TAG}.whl").write_bytes(b"")
    manifest = json.loads((broken / "manifest.json").read_bytes())
    (broken / "manifest.json").write_text(json.dumps({**manifest, "created": "later"}))
    with pytest.raises(ArtifactError, match=r"train-1\.0"):
        install_bundle(broken, tmp_path / "prefix", notify=ignore)
    assert launch(tmp_path / "prefix") == []
    assert len(list((tmp_path / "prefix/versions").iterdir())) == 1


def test_a_command_that_does_not_start_is_not_put_in_use(bundle, tmp_path):
    make_bundle(tmp_path / "work", tmp_path / "broken", python=HERE, launched="raise RuntimeError('no')\n")
    install_bundle(bundle, tmp_path / "prefix", notify=ignore)
    with pytest.raises(ArtifactError, match=r"does not start: RuntimeError: no"):
        install_bundle(tmp_path / "broken", tmp_path / "prefix", notify=ignore)
    assert launch(tmp_path / "prefix") == []


def test_what_was_copied_is_not_read_from_the_medium_again(bundle, tmp_path):
    stick = Path(shutil.copytree(bundle, tmp_path / "stick"))
    manifest = parse_manifest((stick / "manifest.json").read_bytes())
    staging = tmp_path / "prefix/staging" / manifest.sha256[:16]
    wheel = f"wheels/train-1.0-{LONG_TAG}.whl"
    (staging / wheel).parent.mkdir(parents=True)
    shutil.copy(stick / wheel, staging / wheel)
    size = (stick / wheel).stat().st_size
    (stick / wheel).write_bytes(bytes(size))
    install_bundle(stick, tmp_path / "prefix", notify=ignore)
    assert launch(tmp_path / "prefix") == []


def manifest_for(**facts):
    table = {"format": 1, "version": "1", "platform": "manylinux_2_5_x86_64", "python": HERE, "files": []}
    return parse_manifest(json.dumps(table | facts).encode())


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"python": "2.7"}, "for Python 2.7"),
        ({"platform": "manylinux_2_5_riscv64"}, "riscv64"),
        ({"platform": "manylinux_2_999_x86_64"}, r"glibc 2\.999"),
        ({"platform": "win_amd64"}, "win_amd64"),
    ],
)
def test_a_bundle_for_another_machine_is_refused(facts, message):
    with pytest.raises(ArtifactError, match=message):
        check_machine(manifest_for(**facts))


def test_a_place_that_cannot_be_written_is_named(bundle, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        install_bundle(bundle, tmp_path / "file/prefix", notify=ignore)


def test_a_killed_installation_leaves_the_old_one_and_goes_on(tmp_path):
    tally = kill_often(tmp_path, 2, random.Random(0))
    assert tally["failed"] == 0
