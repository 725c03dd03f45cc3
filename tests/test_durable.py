import os
import resource
import subprocess
import sys

import pytest

from dlcodegen_local.durable import check_new_folder, write_file, write_folder
from dlcodegen_local.errors import ConfigError


def test_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    write_file(path, "one")
    write_file(path, b"two")
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["file"]


def test_folder_appears_whole(tmp_path):
    write_folder(tmp_path / "out", {"a.txt": "1", "sub/b.txt": "2"})
    assert (tmp_path / "out/sub/b.txt").read_text() == "2"
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", {"a": "1"})
    assert (tmp_path / "out/a").read_text() == "1"


def test_a_full_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfigError, match="not empty"):
        write_folder(tmp_path, {"a": "1"})
    assert os.listdir(tmp_path) == ["mine"]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(ConfigError, match="not a folder"):
        check_new_folder(tmp_path / "out")


def test_a_full_disk_leaves_nothing(tmp_path):
    """RLIMIT_FSIZE stands for the full disk; it holds for a process, so this runs in a child."""
    code = (
        "import resource, signal, sys, pathlib\n"
        "from dlcodegen_local.durable import write_folder, write_file\n"
        "from dlcodegen_local.errors import ConfigError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "for write in (lambda: write_folder(root / 'out', {'a': 'x', 'b': 'y' * 9000}),\n"
        "              lambda: write_file(root / 'file', 'y' * 9000)):\n"
        "    try:\n"
        "        write()\n"
        "    except ConfigError as exc:\n"
        "        print(exc.message)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert answer.stdout.count("cannot be written: File too large") == 2
    assert os.listdir(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096
