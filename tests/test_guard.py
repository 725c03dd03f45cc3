"""The guard in processes of its own: what it refuses, what stays, what holds where there are no filters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlcodegen_local.verification import seccomp

REPOSITORY = Path(__file__).resolve().parents[1]
MACHINE = os.uname().machine
CLOSE = "from dlcodegen_local.guard import close_network, find_wall\nclose_network()\n"

pytestmark = pytest.mark.skipif(not seccomp.supported(MACHINE), reason="no filter for this machine")


def answer_of(program: str) -> str:
    """Run a Python program in a process of its own and return what it prints."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY}/tests/evil_programs"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_every_family_of_sockets_but_local_ones_is_refused():
    program = (
        "import errno, socket\n"
        "refused = []\n"
        "for family in range(46):\n"
        "    for kind in (1, 2, 3, 5):\n"
        "        try:\n            socket.socket(family, kind, 0).close()\n"
        "        except OSError as error:\n"
        "            refused.append((family, error.errno == errno.EACCES))\n"
        "opened = set(range(46)) - {family for family, _ in refused}\n"
        "local = {family for family, is_ours in refused if not is_ours}\n"
        "print(sorted(opened | local))\n"
    )
    assert answer_of(CLOSE + program) == "[1, 16]"


@pytest.mark.parametrize("protocol", [9, 15, 16], ids=["audit", "uevent", "generic"])
def test_of_netlink_the_routing_table_alone_stays(protocol):
    program = (
        "import socket\nsocket.socket(16, 3, 0).close()\n"
        f"try:\n    socket.socket(16, 3, {protocol})\n"
        "except PermissionError as error:\n    print(error.errno)\n"
    )
    assert answer_of(CLOSE + program) == "13"


def test_names_are_not_looked_up():
    program = (
        "import socket\ntry:\n    print(socket.getaddrinfo('example.com', 443))\n"
        "except OSError:\n    print('refused')\n"
    )
    assert answer_of(CLOSE + program) == "refused"


def test_children_are_held_as_well():
    leak = "import socket; socket.socket()"
    program = f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {leak!r}]).returncode)\n"
    assert answer_of(CLOSE + "import os\nos.close(2)\n" + program) == "1"


@pytest.mark.parametrize(
    "way",
    [
        "network.set_up_io_uring",
        "network.connect_by_system_call",
        "network.pair_of_network_sockets",
        "kernel.use_x32_table",
        "kernel.use_32_bit_table",
    ],
)
def test_ways_around_python_end_at_the_filter(way):
    module, name = way.split(".")
    program = (
        f"import {module}\noutside = {{'port': 9}}\n"
        f"try:\n    print({module}.{name}(outside) or 'held')\nexcept OSError:\n    print('held')\n"
    )
    assert answer_of(CLOSE + program) == "held"


def test_local_sockets_stay():
    program = (
        "from multiprocessing.connection import Client, Listener, Pipe\n"
        "left, right = Pipe()\nleft.send(1)\n"
        "with Listener(family='AF_UNIX') as listener:\n"
        "    client = Client(listener.address)\n    client.send(2)\n"
        "    print(right.recv(), listener.accept().recv())\n"
    )
    assert answer_of(CLOSE + program) == "1 2"


def test_a_network_socket_that_was_left_open_is_closed():
    look = CLOSE + (
        "import os, sys\n"
        "for descriptor in sys.argv[1:]:\n"
        "    print(descriptor if os.path.exists(f'/proc/self/fd/{descriptor}') else 'closed')\n"
    )
    program = (
        "import socket, subprocess, sys\n"
        "left, local = socket.socket(), socket.socketpair()[0]\n"
        "names = [str(left.fileno()), str(local.fileno())]\n"
        f"command = [sys.executable, '-c', {look!r}, *names]\n"
        "ended = subprocess.run(command, pass_fds=[*map(int, names)], capture_output=True, text=True)\n"
        "print(ended.stdout.split() == ['closed', names[1]], ended.stderr)\n"
    )
    assert answer_of(program) == "True"


def test_it_is_closed_once_however_often_it_is_asked():
    program = (
        "close_network()\nprint(*[s for s in open('/proc/self/status') if s.startswith('Seccomp_filters')])"
    )
    assert answer_of(CLOSE + program).split()[-1] == "1"


def test_it_says_what_holds():
    before = "from dlcodegen_local.guard import close_network, find_wall\nprint(find_wall())\n"
    assert answer_of(before + "close_network()\nprint(find_wall())") == "none\nseccomp"


def test_without_filters_python_code_is_refused_by_name():
    prctl = {"x86_64": 157, "aarch64": 167}[MACHINE]
    without = (
        "from dlcodegen_local.verification import syscalls\n"
        "syscalls.forbid_new_privileges()\n"
        f"syscalls.load_filter({seccomp.refuse_calls(MACHINE, (prctl,))!r})\n"
    )
    program = (
        "import socket\nsocket.socketpair()[0].close()\n"
        "for attempt in (socket.socket, lambda: socket.getaddrinfo('localhost', 80)):\n"
        "    try:\n        attempt()\n    except PermissionError as error:\n        print(error)\n"
        "print(find_wall())\n"
    )
    first, second, wall = answer_of(without + CLOSE + program).splitlines()
    assert first.endswith("dlcodegen opens no network connection: socket.__new__ is refused")
    assert second.endswith("socket.getaddrinfo is refused")
    assert wall == "hook"


def test_the_command_line_closes_the_network_before_anything_else():
    program = (
        "import sys\nfrom dlcodegen_local.cli import main\nfrom dlcodegen_local.guard import find_wall\n"
        "sys.argv = ['dlcodegen', '--version']\n"
        "try:\n    main()\nexcept SystemExit:\n    print(find_wall())\n"
    )
    assert answer_of(program).endswith("seccomp")
