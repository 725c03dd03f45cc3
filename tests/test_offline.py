"""Nothing leaves: network system calls of whole commands are counted under strace.

`CI` and its like are unset and HOME is fresh, since libraries that phone home are silent under CI.
Idling for a minute is left to `make prove-offline`, which sets DLCODEGEN_TEST_IDLE_S=60.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
NETWORK = re.compile(r"(?:socket\(AF_INET6?,|(?:connect|sendto|sendmsg)\(.*sa_family=AF_INET)")
IDLE_S = float(os.environ.get("DLCODEGEN_TEST_IDLE_S", "0"))

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def network_calls(tmp_path: Path, program: str) -> list[str]:
    """Run a Python program under strace and return the lines of its network calls."""
    log, home = tmp_path / "strace.log", tmp_path / "home"
    home.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    answer = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if "ptrace" in answer.stderr and not log.stat().st_size:
        pytest.skip("this machine forbids ptrace")
    assert answer.returncode in (0, 1), answer.stderr
    return [line for line in log.read_text(errors="replace").splitlines() if NETWORK.search(line)]


def command(*arguments: str) -> str:
    return (
        "import sys, time\n"
        "from dlcodegen_local.cli import main\n"
        f"sys.argv = ['dlcodegen', *{list(arguments)!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    time.sleep({IDLE_S})\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "Classify images of birds"),
        ("search", "images of birds", "--why"),
        ("models", "list"),
        ("doctor",),
        ("pool", "add", str(REPOSITORY / "index/samples/churn_dense.py")),
        ("verify", str(REPOSITORY / "index/samples/churn_dense.py")),
        ("generate", "Predict house prices from a table", "-o", "out", "--no-run"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_make_no_network_call(tmp_path, arguments):
    assert network_calls(tmp_path, command(*arguments)) == []


@pytest.mark.smoke
def test_a_smoke_run_makes_no_network_call(tmp_path):
    arguments = ("generate", "Predict house prices from a table", "-o", "out")
    assert network_calls(tmp_path, command(*arguments)) == []


OWN_LEAK = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
CHILD_LEAK = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {OWN_LEAK!r}])"


@pytest.mark.parametrize("leak", [OWN_LEAK, CHILD_LEAK], ids=["own", "child"])
def test_a_planted_leak_is_counted(tmp_path, leak):
    assert network_calls(tmp_path, leak)


def test_the_telemetry_of_libraries_is_off_before_they_load(tmp_path):
    program = (
        "import os, sys\n"
        "from dlcodegen_local.cli import main\n"
        "sys.argv = ['dlcodegen', 'models', 'list']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "from dlcodegen_local.config import OFFLINE_ENVIRONMENT\n"
        "assert OFFLINE_ENVIRONMENT.items() <= os.environ.items()\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
