"""Copies that are interrupted, cut, or of a source that changes."""

import hashlib
import os

import pytest

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.model_store import copying
from dlcodegen_local.model_store.copying import STATE, Pace, copy_file
from dlcodegen_local.model_store.sources import SourceFile

CONTENT = bytes(range(256)) * 80_000  # 20 MB, five pieces


class Interrupted(KeyboardInterrupt):
    pass


class Progress:
    """Take progress; interrupt the copy after so many pieces."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.heard = []

    def __call__(self, what, done, total, rate, left):
        self.heard.append((what, done, total))
        assert rate >= 0 and left >= 0
        if self.stop_after is not None and len(self.heard) >= self.stop_after:
            raise Interrupted

    def count(self, what):
        return sum(heard[0] == what for heard in self.heard)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.gguf"
    path.write_bytes(CONTENT)
    return SourceFile("model.gguf", (path,))


def copied(source, folder, progress):
    return copy_file(source, folder, Pace(2 * len(CONTENT), progress))


def test_a_copy_is_hashed_and_its_progress_told(source, tmp_path):
    progress = Progress()
    assert copied(source, tmp_path / "to", progress) == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "to/model.gguf").read_bytes() == CONTENT
    assert progress.heard[-1] == ("checking", 40, 40)


def test_an_interrupted_copy_goes_on_after_what_is_there_was_read_again(source, tmp_path):
    with pytest.raises(Interrupted):
        copied(source, tmp_path / "to", Progress(stop_after=3))
    assert 0 < (tmp_path / "to/model.gguf").stat().st_size < len(CONTENT)
    progress = Progress()
    assert copied(source, tmp_path / "to", progress) == hashlib.sha256(CONTENT).hexdigest()
    assert progress.count("checking what is there") == 3
    assert progress.count("copying") == 2


@pytest.mark.parametrize("damage", ["a changed byte", "a cut", "another source", "a damaged note"])
def test_what_is_there_counts_for_nothing_where_it_differs(source, tmp_path, damage):
    with pytest.raises(Interrupted):
        copied(source, tmp_path / "to", Progress(stop_after=3))
    part = tmp_path / "to/model.gguf"
    if damage == "a changed byte":
        with part.open("r+b") as file:
            file.write(b"X")
    elif damage == "a cut":
        os.truncate(part, 1000)
    elif damage == "another source":
        os.utime(source.parts[0], ns=(0, 0))
    else:
        (tmp_path / f"to/model.gguf{STATE}").write_text("{")
    progress = Progress()
    assert copied(source, tmp_path / "to", progress) == hashlib.sha256(CONTENT).hexdigest()
    assert part.read_bytes() == CONTENT
    assert progress.count("copying") == 5


def test_bytes_after_the_last_note_are_cut_off(source, tmp_path):
    with pytest.raises(Interrupted):
        copied(source, tmp_path / "to", Progress(stop_after=2))
    with (tmp_path / "to/model.gguf").open("ab") as file:
        file.write(bytes(1000))  # the disk had room for them, nobody vouches for them
    copied(source, tmp_path / "to", None)
    assert (tmp_path / "to/model.gguf").read_bytes() == CONTENT


def test_parts_are_joined_and_go_on_in_the_middle(tmp_path):
    parts = []
    for index, start in enumerate(range(0, len(CONTENT), 6_000_000)):
        parts.append(tmp_path / f"x.gguf.{index:03}")
        parts[-1].write_bytes(CONTENT[start : start + 6_000_000])
    source = SourceFile("model.gguf", tuple(parts))
    with pytest.raises(Interrupted):
        copied(source, tmp_path / "to", Progress(stop_after=4))
    assert copied(source, tmp_path / "to", None) == hashlib.sha256(CONTENT).hexdigest()


def test_a_source_that_changes_or_goes_is_said(source, tmp_path):
    def change(*_):
        source.parts[0].write_bytes(b"other")

    with pytest.raises(ArtifactError, match="changed while it was copied"):
        copied(source, tmp_path / "to", change)
    source.parts[0].unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        copied(source, tmp_path / "to", None)


def test_a_copy_that_cannot_be_written_leaves_nothing(source, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / f"to/model.gguf{STATE}").mkdir()  # no note can be written
    with pytest.raises(ConfigError, match="cannot be written"):
        copied(source, tmp_path / "to", None)
    assert not (tmp_path / "to/model.gguf").exists()


def test_checkpoints_are_often_enough_for_a_stick():
    assert copying.CHECKPOINT_BYTES <= 64 << 20
