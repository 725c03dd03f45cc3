"""What the remembered hash of a file sees, and what only reading it all does."""

import hashlib
import json
import os
import time

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.hash_cache import hashed_anew, known_sha256

CONTENT = b"weights" * 1000


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def model(tmp_path):
    """A file that was hashed when it had long been there."""
    path = tmp_path / "model.gguf"
    path.write_bytes(CONTENT)
    return settled(path)


def settled(path):
    time.sleep(2.1)  # a file that changed in the last two seconds is not remembered
    return path


def records(cache):
    return list((cache / "hashes").glob("*.json"))


def forge(path, cache):
    """Make the record that was kept fit the file as it is now, as damage beneath the file system would."""
    (record,) = records(cache)
    table, now = json.loads(record.read_text()), path.stat()
    table["identity"] |= {"mtime_ns": now.st_mtime_ns, "ctime_ns": now.st_ctime_ns, "inode": now.st_ino}
    record.write_text(json.dumps(table))


def test_a_changed_file_is_seen_by_size_times_and_inode(model, tmp_path):
    cache, before = tmp_path / "cache", model.stat()
    assert known_sha256(model, cache) == sha256(CONTENT)
    assert len(records(cache)) == 1

    changed = b"W" + CONTENT[1:]
    model.write_bytes(changed)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert model.stat().st_mtime_ns == before.st_mtime_ns
    assert known_sha256(model, cache) == sha256(changed), "one byte, the old time put back"

    other = tmp_path / "other"
    other.write_bytes(CONTENT[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, model)
    assert known_sha256(model, cache) == sha256(CONTENT[::-1]), "another file in its place"

    os.truncate(model, 100)
    assert known_sha256(model, cache) == sha256(CONTENT[::-1][:100]), "cut"


def test_damage_beneath_the_file_system_is_seen_by_reading_alone(model, tmp_path):
    cache = tmp_path / "cache"
    known_sha256(model, cache)
    with model.open("r+b") as file:
        file.write(b"X")
    forge(model, cache)
    assert known_sha256(model, cache) == sha256(CONTENT), "nothing that is looked at has changed"
    assert hashed_anew(settled(model), cache) == sha256(b"X" + CONTENT[1:])
    assert known_sha256(model, cache) == sha256(b"X" + CONTENT[1:]), "it is remembered"


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path):
    path = tmp_path / "fresh"
    path.write_bytes(CONTENT)
    assert known_sha256(path, tmp_path / "cache") == sha256(CONTENT)
    assert not records(tmp_path / "cache")


def test_a_damaged_record_is_read_over(model, tmp_path):
    known_sha256(model, tmp_path / "cache")
    (kept,) = records(tmp_path / "cache")
    for record in (b"", b"{}", b"[" * 1000, b'{"identity": 3, "sha256": 4}', b"\xff"):
        kept.write_bytes(record)
        assert known_sha256(model, tmp_path / "cache") == sha256(CONTENT), record


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="nowhere"):
        known_sha256(tmp_path / "nowhere", tmp_path)
