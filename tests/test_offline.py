"""Nothing leaves: network system calls of the whole job are counted, and a planted leak is seen.

`CI` and its like are not passed on and HOME is fresh, since libraries that phone home are silent under CI.
Idling for a minute is left to `make prove-offline`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.offline_proof import NETWORK_CALL, OfflineProof, network_calls

REPOSITORY = Path(__file__).resolve().parents[1]
GUARD = "from dlcodegen_local.guard import close_network; close_network()\n"
OWN = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {OWN!r}])"
NATIVE = "import ctypes; ctypes.CDLL(None).socket(10, 2, 0)"
LATE = (
    f"import threading, time\ndef leak():\n    time.sleep(0.2); {OWN}\nthreading.Thread(target=leak).start()"
)
NAME = "import socket\ntry:\n    socket.getaddrinfo('example.com', 443)\nexcept OSError:\n    pass"

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def calls_of(folder: Path, program: str) -> list[str]:
    found = network_calls(folder, [sys.executable, "-c", program])
    if not network_calls(folder, [sys.executable, "-c", OWN]):
        pytest.skip("this machine forbids ptrace")
    assert found is not None
    return found


@needs_strace
@pytest.mark.parametrize(
    "leak", [OWN, CHILD, NATIVE, LATE, NAME], ids=["own", "child", "native", "late", "name"]
)
@pytest.mark.parametrize("guard", ["", GUARD], ids=["open", "guarded"])
def test_a_planted_leak_is_counted_even_where_the_guard_refuses_it(tmp_path, guard, leak):
    assert calls_of(tmp_path, guard + leak)


@needs_strace
def test_a_leak_beside_a_command_is_counted_when_the_command_has_ended(tmp_path):
    job = "from dlcodegen_local.cli.offline_job import exit_code_of\n"
    job += "assert exit_code_of(('models', 'list')) == 0\n"
    assert calls_of(tmp_path, job) == []
    assert calls_of(tmp_path, job + LATE)


@needs_strace
def test_local_sockets_are_not_counted(tmp_path):
    program = "import socket\nsocket.socketpair()\nsocket.socket(socket.AF_UNIX)\nsocket.if_nameindex()"
    assert [call for call in calls_of(tmp_path, program) if "AF_INET" not in call] == []
    assert calls_of(tmp_path, "import socket\nsocket.socketpair()\nsocket.socket(socket.AF_UNIX)") == []


def test_without_strace_nothing_counts_as_watched(tmp_path):
    assert network_calls(tmp_path, [sys.executable, "-c", OWN], traced=False) is None


@pytest.mark.parametrize(
    "line",
    [
        "7 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = -1 EACCES (Permission denied)",
        "7 socket(AF_INET6, SOCK_DGRAM, IPPROTO_IP <unfinished ...>",
        "7 socket(AF_PACKET, SOCK_RAW, htons(0 /* ETH_P_??? */)) = 3",
        "7 connect(3, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 0",
        '7 sendto(3, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53)}, 28) = 1',
        '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0',
        r'7 sendto(3, "\2\0\0\0\r\0\0\0\6\0\0\0hosts\0", 18, MSG_NOSIGNAL, NULL, 0) = 18',
        "7 io_uring_setup(4, {flags=0}) = 3",
    ],
)
def test_what_reaches_for_the_network_is_counted(line):
    assert NETWORK_CALL.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "7 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3",
        "7 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0",
        "7 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3",
        "7 bind(3, {sa_family=AF_NETLINK, nl_pid=2, nl_groups=00000000}, 12) = 0",
        '7 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT',
        "7 socket(0xff /* AF_??? */, SOCK_STREAM, 0) = -1 EACCES (Permission denied)",
        r'7 sendto(3, "\2\0\0\0\v\0\0\0\7\0\0\0passwd\0", 19, MSG_NOSIGNAL, NULL, 0) = 19',
    ],
)
def test_what_stays_on_the_machine_is_not_counted(line):
    assert not NETWORK_CALL.search(line)


@needs_strace
@pytest.mark.smoke
def test_the_whole_job_makes_no_network_call(tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "CI": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "dlcodegen_local", "doctor", "--prove-offline", "--idle", "1", "--json"],
        env=environment, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    proof = json.loads(ran.stdout)
    if not proof["planted_calls_seen"]:
        pytest.skip("this machine forbids ptrace")
    assert proof["network_calls"] == 0, proof["attempts"]
    assert {*proof["steps"].values()} <= {0, 1}, proof["steps"]
    assert {"plan", "search", "generate", "pool add", "evaluate code", "doctor"} <= {*proof["steps"]}
    assert ran.returncode == 0


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"attempts": ("socket(AF_INET",)}, False),
        ({"packets": 1}, False),
        ({"attempts": None}, True),
        ({"packets": None}, True),
        ({"attempts": None, "packets": None}, False),
        ({"steps": {"plan": 3}}, False),
        ({"steps": {"generate": 1}}, True),
        ({"steps": {}}, False),
    ],
)
def test_a_proof_holds_where_something_watched_and_nothing_was_seen(changes, holds):
    facts = {"steps": {"plan": 0}, "idle_s": 1.0, "attempts": (), "planted": 1, "packets": 0, "unproved": ()}
    proof = OfflineProof(**{**facts, **changes})
    assert proof.holds is holds
    assert proof.to_dict()["holds"] is holds
    assert any("NOT PROVED" in line for line in proof.lines()) is not holds


def test_what_was_not_watched_is_said():
    lines = [*OfflineProof({"plan": 0}, 1.0, None, 0, 0, ("strace is not installed",)).lines()]
    assert "NOT PROVED: strace is not installed" in lines


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
