"""The choice of a backend, limits on what it shows, and what it costs."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from dlcodegen_local.errors import SandboxError
from dlcodegen_local.verification import seccomp
from dlcodegen_local.verification.sandbox import (
    BACKENDS,
    LauncherSandbox,
    Limits,
    Sandbox,
    find_sandbox,
    interpreter_paths,
    probe,
)

ROOT = Path(__file__).parents[2]
READABLE = interpreter_paths(sys.prefix, sys.base_prefix)
FIND = (
    f"import sys; sys.path.append({os.fspath(ROOT)!r})\n"
    "from dlcodegen_local.errors import SandboxError\n"
    "from dlcodegen_local.verification.sandbox import find_sandbox\n"
    "try:\n    print(find_sandbox().name)\nexcept SandboxError as error:\n    print('none:', error.hint)\n"
)


@cache
def sandbox(backend: str) -> Sandbox:
    try:
        return find_sandbox(backend)
    except SandboxError as error:
        pytest.skip(error.message)


@pytest.fixture(params=BACKENDS)
def box(request: pytest.FixtureRequest) -> Sandbox:
    return sandbox(request.param)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_program_works_on_a_copy_and_files_come_back(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("given")
    code = "import os; os.mkdir('sub'); open('sub/out.txt', 'w').write(open('in.txt').read() + ' back')"
    result = box.run(python(code), workdir=tmp_path, limits=Limits(wall_s=30), env={}, readable=READABLE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "sub" / "out.txt").read_text() == "given back"


def test_only_named_files_come_back(box: Sandbox, tmp_path: Path) -> None:
    code = "open('a', 'w').close(); open('b', 'w').close()"
    limits = Limits(wall_s=30)
    box.run(
        python(code), workdir=tmp_path, limits=limits, env={}, readable=READABLE, returned=("a", "missing")
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_environment_is_what_was_given(box: Sandbox, tmp_path: Path) -> None:
    code = (
        "import os; print(sorted(k for k in os.environ if k not in ('LC_CTYPE', 'PWD')), os.environ['MARK'])"
    )
    result = box.run(
        python(code), workdir=tmp_path, limits=Limits(wall_s=30), env={"MARK": "x"}, readable=READABLE
    )
    assert result.stdout == "['HOME', 'KERAS_HOME', 'MARK', 'TMPDIR'] x\n"


@pytest.mark.parametrize(("code", "exit_code"), [("raise SystemExit(7)", 7), ("import os; os.abort()", 134)])
def test_exit_code_is_passed_on(box: Sandbox, tmp_path: Path, code: str, exit_code: int) -> None:
    result = box.run(python(code), workdir=tmp_path, limits=Limits(wall_s=30), env={}, readable=READABLE)
    assert result.exit_code == exit_code
    assert not result.timed_out


def test_time_out_is_a_value(box: Sandbox, tmp_path: Path) -> None:
    code = "import time; print('started', flush=True); time.sleep(60)"
    result = box.run(python(code), workdir=tmp_path, limits=Limits(wall_s=3), env={}, readable=READABLE)
    assert result.exit_code is None
    assert result.timed_out
    assert result.stdout == "started\n"
    assert result.seconds < 30


def test_home_may_not_be_shown(tmp_path: Path) -> None:
    box = LauncherSandbox("bubblewrap", "/usr/bin/bwrap")
    for path in (Path.home(), Path("/")):
        with pytest.raises(SandboxError, match="would show all"):
            box.run(python(""), workdir=tmp_path, limits=Limits(), env={}, readable=[path])


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(SandboxError, match="no sandbox is called 'docker'"):
        find_sandbox("docker")


def test_broken_bubblewrap_is_found_out() -> None:
    assert probe(LauncherSandbox("bubblewrap", "/bin/false"))
    assert probe(LauncherSandbox("bubblewrap", "/no/such/bwrap"))


def test_without_user_namespaces_landlock_is_chosen() -> None:
    sandbox("landlock")
    closed = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", closed, "sh", sys.executable, "-c", FIND]
    if not shutil.which("unshare"):
        pytest.skip("needs unshare of util-linux")
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "unshare" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.stdout == "landlock\n"


@pytest.mark.parametrize("user", [None, 65534], ids=["self", "user"])
def test_under_the_guard_the_same_sandbox_starts(user: int | None) -> None:
    python = sys.executable if user is None else "/usr/bin/python3"
    if user is not None and (os.geteuid() != 0 or not os.path.exists(python)):
        pytest.skip("needs root, to become another user, and the system's Python")
    path, imports = FIND.split("\n", 1)
    closed = f"{path}\nfrom dlcodegen_local.guard import close_network\nclose_network()\n{imports}"
    found = []
    for code in (FIND, closed):
        ran = subprocess.run(
            [python, "-B", "-c", code], user=user, group=user, extra_groups=[] if user else None,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if user and "Error" in ran.stderr:
            pytest.skip("an ordinary user finds no Python 3.11 and no repository here")
        found.append(ran.stdout)
    assert found[0] == found[1] != ""


def test_where_nothing_works_the_code_is_not_run() -> None:
    """A process that may not make namespaces, nor use Landlock, finds no sandbox, and says what to do."""
    machine = os.uname().machine
    if not seccomp.supported(machine):
        pytest.skip("needs a filter of system calls")
    refuse_landlock = seccomp.refuse_calls(machine, (444, 445, 446))
    shut = (
        f"import sys; sys.path.append({os.fspath(ROOT)!r})\n"
        "from dlcodegen_local.verification import seccomp, syscalls\n"
        "syscalls.renounce_privileges()\n"
        f"syscalls.load_filter({seccomp.build_filter(machine, namespaces=True)!r})\n"
        f"syscalls.load_filter({refuse_landlock!r})\n"
    )
    ran = subprocess.run([sys.executable, "-c", shut + FIND], capture_output=True, text=True, timeout=120)
    assert ran.stdout.startswith("none: install bubblewrap"), ran.stderr


@pytest.mark.parametrize("home", ["", "/", "/nonexistent"])
def test_a_sandbox_is_found_without_a_home(home: str) -> None:
    expected = find_expected()
    environment = {"HOME": home, "PATH": os.defpath}
    ran = subprocess.run(
        [sys.executable, "-c", FIND], capture_output=True, text=True, timeout=120, env=environment
    )
    assert ran.stdout == f"{expected}\n", ran.stderr


def find_expected() -> str:
    try:
        return find_sandbox().name
    except SandboxError as error:
        pytest.skip(error.message)


def test_a_program_that_is_not_there_is_an_error_of_the_sandbox(tmp_path: Path) -> None:
    box = sandbox("namespaces")
    with pytest.raises(SandboxError, match="dlcodegen-confine"):
        box.run(["/no/such/program"], workdir=tmp_path, limits=Limits(wall_s=30), env={}, readable=READABLE)
