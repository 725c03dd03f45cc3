"""The walls are tried from inside, by a process that has closed them as the model's does."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.config import model_environment
from dlcodegen_local.model_worker.confinement import missing_walls
from dlcodegen_local.verification import seccomp, syscalls
from tests.verification.test_seccomp import ALLOW, refused, verdict

MAY = ("read the model", "read the library", "start a thread", "take some memory")
READING = ("read the home folder", "list the home folder", "read another process", "read the passwords")


@pytest.fixture(scope="module")
def tried(tiny_gguf, tmp_path_factory):
    """Return what each try came to, and the files outside."""
    home = tmp_path_factory.mktemp("home")
    secret = home / "secret"
    secret.write_text("kept")
    with open(tiny_gguf, "rb") as model:
        arguments = (str(model.fileno()), str(1 << 30), str(secret), str(home))
        answer = subprocess.run(
            [sys.executable, "-P", "-m", "tests.model_worker.probing_child", *arguments],
            env={**model_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
            pass_fds=(model.fileno(),),
        )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout), secret


def test_every_wall_of_this_machine_stands(tried):
    found, _ = tried
    assert found.pop("landlock") == syscalls.landlock_abi()
    assert found.pop("sealed") == seccomp.supported(os.uname().machine)
    if not syscalls.landlock_abi():
        found = {name: outcome for name, outcome in found.items() if name not in READING}
    passed = [name for name, outcome in found.items() if outcome == "done"]
    assert passed == list(MAY)


def test_nothing_outside_has_changed(tried, tiny_gguf):
    _, secret = tried
    assert [path.name for path in secret.parent.iterdir()] == ["secret"]
    assert secret.read_text() == "kept"
    assert tiny_gguf.stat().st_mode & 0o111 == 0
    assert not Path(f"/tmp/{os.getpid()}").exists()


def test_calls_are_refused_by_an_argument() -> None:
    code = seccomp.refuse_arguments(
        "x86_64", with_bits=[(257, 2, 0o3)], without_bits=[(56, 0, 0x10000)], other_values=[(62, 0, 7)]
    )
    expected = {
        (257, 0, 0, 0o100000): ALLOW,
        (257, 0, 0, 0o1): refused(errno.EPERM),
        (56, 0x10F00): ALLOW,
        (56, 0x11): refused(errno.EPERM),
        (62, 7): ALLOW,
        (62, 8): refused(errno.EPERM),
        (0,): ALLOW,
    }
    assert {call: verdict(code, "x86_64", *call) for call in expected} == expected


def test_a_wall_that_is_missing_is_said():
    assert missing_walls(True, True) == ()
    (said,) = missing_walls(False, True)
    assert "Landlock" in said and "read your files" in said


def test_of_the_environment_only_what_steers_threads_goes_in(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "kept")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = model_environment()
    assert found["OMP_NUM_THREADS"] == "3" and not {"AWS_SECRET_ACCESS_KEY", "HOME", "PATH"} & found.keys()
