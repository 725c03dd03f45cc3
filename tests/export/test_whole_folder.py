"""What a kill, a failure or a full machine leaves behind of an export."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from export.needs import Needs, announce, available_memory, free_disk
from export.whole_folder import whole_folder


def test_a_folder_appears_whole_and_replaces_the_earlier_one(tmp_path):
    for content in ("first", "second"):
        with whole_folder(tmp_path / "model") as folder:
            (folder / "weights").write_text(content)
            assert folder != tmp_path / "model"
        assert (tmp_path / "model/weights").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("earlier")
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("half")
        raise RuntimeError
    assert (tmp_path / "model/weights").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_kill_leaves_nothing_but_a_hidden_folder_that_the_next_run_removes(tmp_path):
    program = """
        import os, signal, sys
        from pathlib import Path
        from export.whole_folder import whole_folder
        with whole_folder(Path(sys.argv[1])) as folder:
            (folder / "weights").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    target = tmp_path / "model"
    command = [sys.executable, "-c", textwrap.dedent(program), str(target)]
    done = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == -signal.SIGKILL and not target.exists()
    assert [path.name.startswith(".model.part-") for path in tmp_path.iterdir()] == [True]
    with whole_folder(target) as folder:
        (folder / "weights").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_needs_are_said_and_a_smaller_machine_is_refused(tmp_path, capsys):
    announce(Needs.of("the export", 6_000_000, (8.5, 4.4, 60.0)), tmp_path / "new")
    said = capsys.readouterr().err
    assert "0.7 GB of memory" in said and "less than a minute" in said
    giant = Needs.of("the export", 10**12, (16.0, 4.0, 60.0))
    with pytest.raises(SystemExit, match=r"only .* GB of memory and .* GB of disk free: --force"):
        announce(giant, tmp_path / "new")
    announce(giant, tmp_path / "new", force=True)
    assert "1000 minutes" in capsys.readouterr().err


def test_the_machine_is_asked(tmp_path):
    memory = available_memory()
    assert memory is None or memory > 10**6
    assert free_disk(tmp_path / "not" / "there") > 0
