import os
import socket
import threading
import time

import pytest

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.walking import read_whole, walk


def make(root, *paths, text="x = 1\n"):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def names(root):
    return [os.path.relpath(file.path, os.path.realpath(root)) for file in walk(root).files]


def test_files_are_found_in_order_and_the_rest_is_left_out(tmp_path):
    make(tmp_path, "b.py", "a.ipynb", "sub/C.PY", "notes.txt", ".git/x.py", "__pycache__/x.py")
    make(tmp_path, "node_modules/x.py", ".ipynb_checkpoints/a.ipynb", "env/pyvenv.cfg", "env/lib/x.py")
    assert names(tmp_path) == ["a.ipynb", "b.py", "sub/C.PY"]


def test_gitignore_is_honoured_nested_and_with_negation(tmp_path):
    make(tmp_path, "a.py", "draft_b.py", "draft_keep.py", "build/x.py", "sub/build/y.py", "sub/draft_c.py")
    make(tmp_path, "sub/deep/d.py", "secret/e.py")
    (tmp_path / ".gitignore").write_text("draft_*\n!draft_keep.py\n/build/\nsecret/\n!secret/e.py\n")
    (tmp_path / "sub/.gitignore").write_text("!draft_c.py\ndeep/\n")
    assert names(tmp_path) == ["a.py", "draft_keep.py", "sub/build/y.py", "sub/draft_c.py"]


def test_the_rules_above_the_folder_hold_within_its_repository(tmp_path):
    make(tmp_path, "repo/sub/a.py", "repo/sub/b_draft.py", "repo/out/c.py")
    (tmp_path / "repo/.git").mkdir()
    (tmp_path / "repo/.gitignore").write_text("*_draft.py\nout/\n")
    assert names(tmp_path / "repo/sub") == ["a.py"]
    assert names(tmp_path / "repo/out") == ["c.py"]  # asked for by name


def test_links_end_and_do_not_lead_out(tmp_path):
    make(tmp_path, "outside/o.py", "root/real/a.py", "root/.store/b.py")
    root = tmp_path / "root"
    (root / "loop").symlink_to(root)
    (root / "real/up").symlink_to("..")
    (root / "again").symlink_to(root / "real")
    (root / "b.py").symlink_to(root / ".store/b.py")
    (root / "c.py").symlink_to(root / "real/a.py")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "gone.py").symlink_to(root / "nowhere.py")
    (root / "self.py").symlink_to(root / "self.py")
    assert names(root) == [".store/b.py", "real/a.py"]
    reasons = {os.path.basename(problem.path): problem.reason for problem in walk(root).left_out}
    assert reasons == {
        "out": "is a link that leads out of the folder",
        "gone.py": "is a link that leads nowhere",
        "self.py": "is a link that leads nowhere",
    }


def test_what_is_no_regular_file_is_named_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket.ipynb"))
    listener.close()
    assert [problem.reason for problem in walk(tmp_path).problems] == ["is no regular file"] * 2
    with pytest.raises(ConfigError, match="no regular file"):
        read_whole(str(tmp_path / "pipe.py"), 100)


def test_a_large_notebook_is_not_read(tmp_path):
    with open(tmp_path / "huge.ipynb", "wb") as file:
        file.truncate(200_000_000)
    found = walk(tmp_path)
    assert found.files == []
    assert [problem.reason for problem in found.problems] == ["has 200 MB, a notebook may have 20"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path):
    make(tmp_path, "closed/a.py")
    (tmp_path / "closed").chmod(0)
    assert "Permission denied" in walk(tmp_path).problems[0].reason
    (tmp_path / "closed").chmod(0o700)


def test_a_name_that_is_not_utf8_is_named(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.py"), "wb"):
        pass
    assert [problem.reason for problem in walk(tmp_path).problems] == ["its name is not UTF-8"]


def test_a_file_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_whole(str(tmp_path / "gone.py"), 100)


def test_a_file_that_keeps_changing_is_refused(tmp_path):
    path = tmp_path / "busy.py"
    path.write_bytes(b"0" * 4_000_000)
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            with open(path, "r+b") as file:
                file.write(b"1")
            time.sleep(0)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        with pytest.raises(ConfigError, match="changes while it is read"):
            for _ in range(200):
                read_whole(str(path), 5_000_000)
    finally:
        stop.set()
        writer.join()
