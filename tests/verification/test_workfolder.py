"""What is copied out of a hostile folder, and that any folder can be removed."""

import os
from pathlib import Path

from dlcodegen_local.verification.workfolder import (
    Copied,
    CopyLimits,
    copy_regular_files,
    remove_tree,
    tree_size_bytes,
)


def test_only_regular_files_are_copied(tmp_path: Path) -> None:
    source, target, secret = tmp_path / "source", tmp_path / "target", tmp_path / "secret"
    source.mkdir()
    secret.write_text("secret")
    (source / "plain").write_text("plain")
    (source / "link").symlink_to(secret)
    (source / "folder").symlink_to(tmp_path)
    os.link(secret, source / "hard")
    os.mkfifo(source / "pipe")
    copied = copy_regular_files(source, target, CopyLimits(1000))
    assert [path.name for path in target.iterdir()] == ["plain"]
    assert copied == Copied(1, 5, 4)


def test_a_link_at_the_destination_is_not_followed(tmp_path: Path) -> None:
    source, target, secret = tmp_path / "source", tmp_path / "target", tmp_path / "secret"
    source.mkdir()
    target.mkdir()
    secret.write_text("secret")
    (source / "name").write_text("new")
    (target / "name").symlink_to(secret)
    copy_regular_files(source, target, CopyLimits(1000))
    assert secret.read_text() == "secret"


def test_size_number_and_depth_are_bounded(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "b" / "c").mkdir(parents=True)
    for name in ("1", "2", "3"):
        (source / name).write_bytes(bytes(100))
    (source / "a" / "b" / "c" / "deep").write_bytes(bytes(1))
    assert copy_regular_files(source, tmp_path / "size", CopyLimits(250)).files == 2 + 1
    assert copy_regular_files(source, tmp_path / "number", CopyLimits(1000, files=2)).files == 2
    assert copy_regular_files(source, tmp_path / "depth", CopyLimits(1000, depth=2)) == Copied(3, 300, 1)


def test_closed_and_deep_folders_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    here = folder
    for _ in range(200):
        here = here / "d"
    here.mkdir(parents=True)
    (folder / "closed").mkdir()
    (folder / "closed" / "file").write_text("x")
    (folder / "loop").symlink_to(folder)
    (folder / "closed").chmod(0)
    remove_tree(folder)
    assert list(tmp_path.iterdir()) == []
    remove_tree(folder)


def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    kept.mkdir()
    (kept / "file").write_text("x")
    folder.mkdir()
    (folder / "link").symlink_to(kept)
    remove_tree(folder)
    assert (kept / "file").is_file()


def test_tree_size_counts_blocks_and_gives_up_on_floods(tmp_path: Path) -> None:
    for index in range(5):
        (tmp_path / str(index)).write_bytes(bytes(4096))
    assert tree_size_bytes(tmp_path) >= 5 * 4096
    assert tree_size_bytes(tmp_path, max_entries=3) > 1 << 60
