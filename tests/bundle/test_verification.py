import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.bundle.contents import check_name, parse_manifest
from dlcodegen_local.bundle.verification import verify_bundle
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.bundle.making import make_bundle

CARD = "models/tiny/MODEL_CARD.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_bundle(folder / "work", folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def bundle(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def test_a_sound_bundle_passes_and_tells_what_it_is(made):
    verified = verify_bundle(made)
    assert verified.manifest.facts["platform"] == "manylinux_2_5_x86_64"
    assert CARD in verified.manifest.files
    assert verified.signature.startswith("none")


def replace_by_link(path):
    elsewhere = path.parent.parent / "elsewhere"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("A card\n"), "is damaged"),
        (lambda path: path.write_text("a longer card\n"), "its size differs"),
        (lambda path: path.unlink(), "is missing"),
        (
            lambda path: path.with_name("more.txt").write_text("?"),
            "models/tiny/more.txt is not in the manifest",
        ),
        (replace_by_link, "is no regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no regular file"),
        (lambda path: path.with_name("link").symlink_to("/"), "is no regular file"),
        (lambda path: path.parents[2].joinpath("manifest.json").unlink(), "holds no manifest.json"),
    ],
    ids=["changed", "longer", "gone", "unknown", "link", "pipe", "linked-folder", "no-manifest"],
)
def test_damage_is_named(bundle, damage, message):
    damage(bundle / CARD)
    with pytest.raises(ArtifactError, match=message):
        verify_bundle(bundle)


def test_verifying_writes_nothing(bundle):
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    subprocess.run([sys.executable, str(bundle / "verify.py")], check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before


def test_the_bare_command_needs_nothing_but_python_and_says_the_same(bundle, tmp_path):
    command = [sys.executable, "-I", "-S", str(bundle / "verify.py"), "--json"]
    answer = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["manifest_sha256"] == verify_bundle(bundle).manifest.sha256
    (bundle / CARD).write_text("A card\n")
    answer = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert answer.returncode == 3
    assert answer.stderr == f"{CARD} is damaged (its sha256 differs) (copy the bundle again)\n"


def old_pythons():
    names = ("python3.8", "python3.9", "python3.10")
    return [path for name in names if (path := shutil.which(name))]


def test_the_bare_command_is_written_in_an_old_python():
    # Where no old interpreter is at hand, its grammar is.
    import ast

    package = Path(verify_bundle.__code__.co_filename).parent
    names = ("archive", "commands", "contents", "installation", "signature", "start", "verification")
    for path in (*(package / f"{name}.py" for name in names), package.parent / "errors.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def run_with(python, bundle):
    answer = subprocess.run([python, str(bundle / "verify.py")], capture_output=True, text=True, check=False)
    if "not installed" in answer.stderr or "command not found" in answer.stderr:
        pytest.skip("no such interpreter")
    return answer


@pytest.mark.skipif(not old_pythons(), reason="no older Python is installed")
def test_the_bare_command_runs_on_an_old_python(bundle):
    answer = run_with(old_pythons()[0], bundle)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "as the manifest says" in answer.stdout


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../up",
        "a/../b",
        "a//b",
        "",
        "a/",
        "a\\b",
        "C:\\x",
        "a\nb",
        "a\u202eb",
        "x" * 256,
        "a.",
        7,
    ],
)
def test_names_that_leave_the_folder_or_lie_are_refused(name):
    with pytest.raises(ArtifactError, match="may not be written"):
        check_name(name)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"format": 1, "files": [1]}']
)
def test_a_manifest_that_is_none_is_refused(payload):
    with pytest.raises(ArtifactError):
        parse_manifest(payload)


def test_a_path_may_not_be_there_twice_on_any_file_system(made):
    table = json.loads((made / "manifest.json").read_bytes())
    table["files"].append({**table["files"][0], "path": table["files"][0]["path"].upper()})
    with pytest.raises(ArtifactError, match="twice"):
        parse_manifest(json.dumps(table).encode())


def make_key(folder):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


def test_a_signature_is_checked_against_the_key_and_the_manifest(tmp_path):
    key, other = make_key(tmp_path), make_key((tmp_path / "other").mkdir() or tmp_path / "other")
    make_bundle(tmp_path / "work", tmp_path / "bundle", key=key)
    public = key.with_suffix(".pub")
    assert "Good" in verify_bundle(tmp_path / "bundle", public).signature
    signers = tmp_path / "allowed_signers"
    signers.write_text(f'ann@example.org namespaces="dlcodegen-bundle" {public.read_text()}')
    assert "ann@example.org" in verify_bundle(tmp_path / "bundle", signers).signature
    with pytest.raises(ArtifactError, match="not one of the given signer"):
        verify_bundle(tmp_path / "bundle", other.with_suffix(".pub"))
    manifest = tmp_path / "bundle" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="not one of the given signer"):
        verify_bundle(tmp_path / "bundle", public)


def test_a_signature_that_is_asked_for_and_not_there_is_an_error(bundle, tmp_path):
    key = make_key(tmp_path)
    with pytest.raises(ArtifactError, match="is not signed"):
        verify_bundle(bundle, key.with_suffix(".pub"))
    with pytest.raises(ConfigError, match="cannot be read as a key"):
        verify_bundle(bundle, tmp_path / "nobody.pub")


def test_minisign_signs_and_checks_as_well(tmp_path):
    if shutil.which("minisign") is None:
        pytest.skip("minisign is not installed")
    key, public = tmp_path / "m.key", tmp_path / "m.pub"
    subprocess.run(["minisign", "-G", "-W", "-s", key, "-p", public], check=True, capture_output=True)
    make_bundle(tmp_path / "work", tmp_path / "bundle", key=key)
    assert verify_bundle(tmp_path / "bundle", public).signature.startswith("good")
    with pytest.raises(ArtifactError, match="not made by the tool"):
        verify_bundle(tmp_path / "bundle", make_key(tmp_path).with_suffix(".pub"))
