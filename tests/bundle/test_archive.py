import gzip
import io
import json
import subprocess
import sys
import tarfile
import time

import pytest

from dlcodegen_local.bundle.verification import verify_bundle
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.bundle.making import make_bundle


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    make_bundle(folder / "work", folder / "b.tar")
    return folder / "b.tar"


def members(path):
    with tarfile.open(path) as source:
        return [(info, source.extractfile(info).read()) for info in source.getmembers()]


def write(path, rows):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as target:
        for info, content in rows:
            target.addfile(info, io.BytesIO(content))


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_an_archive_is_sound_and_one_that_others_can_read(tmp_path, name):
    make_bundle(tmp_path / "work", tmp_path / name)
    verified = verify_bundle(tmp_path / name)
    assert {info.name for info, _ in members(tmp_path / name)} == {*verified.manifest.files, "manifest.json"}
    answer = subprocess.run([sys.executable, str(tmp_path / "verify.py"), str(tmp_path / name)], check=False)
    assert answer.returncode == 0


def test_the_same_input_gives_the_same_bytes(tmp_path, archive):
    make_bundle(tmp_path / "work", tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == archive.read_bytes()


def test_parts_are_one_archive(tmp_path, archive):
    made = make_bundle(tmp_path / "work", tmp_path / "b.tar", part_bytes=500_000)
    assert [path.name for path in made.paths] == [f"b.tar.{n:03}" for n in range(1, len(made.paths) + 1)]
    assert b"".join(path.read_bytes() for path in made.paths) == archive.read_bytes()
    assert max(path.stat().st_size for path in made.paths) == 500_000
    assert verify_bundle(tmp_path / "b.tar").manifest == verify_bundle(tmp_path / "b.tar.001").manifest
    made.paths[-1].unlink()
    with pytest.raises(ArtifactError, match="ends too early"):
        verify_bundle(tmp_path / "b.tar.001")


def test_what_is_there_is_not_written_over(archive):
    with pytest.raises(ConfigError, match="exists"):
        make_bundle(archive.parent / "again", archive)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (special("docs/x", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link"),
        (special("docs/x", tarfile.LNKTYPE, "README.md"), "a hard link"),
        (special("docs/x", tarfile.CHRTYPE), "a device"),
        (special("docs/x", tarfile.FIFOTYPE), "a named pipe"),
        (special("docs/x", tarfile.DIRTYPE), "a folder"),
        (special("docs/" + "x" * 120, tarfile.REGTYPE), "twice or not in the manifest"),
        (special("docs/" + "x" * 700, tarfile.REGTYPE), "too long"),
        (special("../" + "x" * 120, tarfile.REGTYPE), "may not be written"),
        (special("docs/x", tarfile.SYMTYPE, "x" * 120), "a long name of a link"),
        (special("/etc/passwd", tarfile.REGTYPE), "may not be written"),
        (special("docs/../../x", tarfile.REGTYPE), "may not be written"),
        (special("docs/x", tarfile.REGTYPE), "twice or not in the manifest"),
        (special("README.md", tarfile.REGTYPE), "twice or not in the manifest"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].name[:12],
)
def test_members_that_no_bundle_has_are_refused(tmp_path, archive, extra, message):
    write(tmp_path / "b.tar", [*members(archive), extra])
    with pytest.raises(ArtifactError, match=message):
        verify_bundle(tmp_path / "b.tar")


def test_a_lying_size_is_refused_before_its_bytes_are_read(tmp_path, archive):
    rows = members(archive)
    rows[1][0].size += 1
    write(
        tmp_path / "b.tar", [(rows[1][0], rows[1][1] + b"x") if i == 1 else row for i, row in enumerate(rows)]
    )
    with pytest.raises(ArtifactError, match="its size differs"):
        verify_bundle(tmp_path / "b.tar")


def test_a_bomb_is_stopped_at_twenty_times_its_size(tmp_path):
    size = 1 << 28
    row = {"path": "zeros", "size": size, "sha256": "0" * 64}
    table = {"format": 1, "version": "1", "platform": "any", "python": "3.11", "files": [row]}
    manifest, zeros = tarfile.TarInfo("manifest.json"), tarfile.TarInfo("zeros")
    text = json.dumps(table).encode()
    manifest.size, zeros.size = len(text), size
    content = manifest.tobuf() + text + bytes(-len(text) % 512) + zeros.tobuf()
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(content + bytes(size), 9, mtime=0))
    start = time.monotonic()
    with pytest.raises(ArtifactError, match="far more than it holds"):
        verify_bundle(tmp_path / "b.tar.gz")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 1024, 5000, -10240])
def test_a_cut_archive_is_refused(tmp_path, archive, cut):
    (tmp_path / "b.tar").write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(ArtifactError):
        verify_bundle(tmp_path / "b.tar")


@pytest.mark.parametrize("rest", [b"x", bytes(512 * 50), b"\0" * 512 + b"more"])
def test_nothing_may_follow_the_end(tmp_path, archive, rest):
    (tmp_path / "b.tar").write_bytes(archive.read_bytes() + rest)
    with pytest.raises(ArtifactError, match="goes on after its end"):
        verify_bundle(tmp_path / "b.tar")
