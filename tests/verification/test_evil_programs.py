"""No evil program reaches anything outside, under any backend that works here, as root or as a user."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from dlcodegen_local.verification import isolation
from dlcodegen_local.verification.sandbox import BACKENDS, LauncherSandbox, probe

HARNESS = Path(__file__).with_name("evil_harness.py")
PROGRAMS = HARNESS.parents[1] / "evil_programs"
NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"
# What Landlock cannot hide, as `dlcodegen_local/verification/README.md` says. Elsewhere nothing is.
GAPS = {"landlock": {"files.see_size_of_secret", "kernel.see_name_of_machine", "processes.notice_victim"}}
ENDED_BY_A_LIMIT = {
    "breed_daemons": {"time", "processes"},
    "endless_errors": {"time"},
    "endless_output": {"time"},
    "fork_bomb": {"time", "processes"},
    "ignore_every_signal": {"time"},
    "spin": {"time"},
    "stop_oneself": {"time"},
    "take_every_inode": {"time", "disk"},
    "take_shared_memory": {"time", "memory"},
    "wait_for_socket": {"time"},
    "watch_every_file": {"time"},
    "write_many_files": {"time", "disk"},
}
# bubblewrap under both users, the others under one: the whole takes under a minute
COMBINATIONS = (("bubblewrap", "root"), ("bubblewrap", "user"), ("namespaces", "user"), ("landlock", "user"))


def functions(module: str) -> list[str]:
    lines = (PROGRAMS / f"{module}.py").read_text(encoding="utf-8").splitlines()
    return [line[4:].split("(")[0] for line in lines if line.startswith("def ") and line[4] != "_"]


QUICK = [
    f"{module}.{name}" for module in ("files", "kernel", "network", "processes") for name in functions(module)
]
GREEDY = functions("exhaustion")


@cache
def works(backend: str) -> str:
    if backend == "bubblewrap" and not shutil.which("bwrap"):
        return "bwrap is not installed"
    return probe(LauncherSandbox(backend, shutil.which("bwrap") or ""))


@cache
def attacked(backend: str, who: str) -> dict:
    """Run every program once. A user other than root runs the system's Python: root's may be closed to it."""
    if reason := works(backend):
        pytest.skip(f"{backend} does not work here: {reason}")
    is_root = os.geteuid() == 0
    if who == "root" and not is_root:
        pytest.skip("needs root")
    python, user = sys.executable, None
    if who == "user" and is_root:
        python, user = SYSTEM_PYTHON, NOBODY
        checked = subprocess.run(
            [python, "-c", f"import sys; open({str(HARNESS)!r}); sys.exit(sys.version_info < (3, 11))"],
            user=user, group=user, extra_groups=[], capture_output=True,
        )  # fmt: skip
        if checked.returncode:
            pytest.skip("an ordinary user finds no Python 3.11 and no repository here")
    ran = subprocess.run(
        [python, "-B", HARNESS, backend],
        user=user, group=user, extra_groups=[] if user else None,
        capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout) | {"gaps": GAPS.get(backend, set())}


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def outcome(request: pytest.FixtureRequest) -> dict:
    return attacked(*request.param)


def test_one_backend_works_on_this_machine() -> None:
    if os.environ.get("DLCODEGEN_TEST_NO_SANDBOX"):
        pytest.skip("no sandbox expected here")
    reasons = {backend: works(backend) for backend in BACKENDS}
    assert "" in reasons.values(), reasons


@pytest.mark.parametrize("program", QUICK)
def test_program_reaches_nothing(outcome: dict, program: str) -> None:
    answer = outcome["reached"].get(program, "not run")
    assert answer.startswith("ESCAPED" if program in outcome["gaps"] else "held"), answer


@pytest.mark.parametrize("program", GREEDY)
def test_greedy_program_is_ended_in_time(outcome: dict, program: str) -> None:
    ending = outcome["endings"][program]
    assert ending["stopped_by"] in ENDED_BY_A_LIMIT.get(program, {"", "time", "memory", "disk"})
    assert ending["output_bytes"] <= 100_000
    assert ending["seconds"] < 60


def test_nothing_outside_was_touched(outcome: dict) -> None:
    assert outcome["damage"] == []


def test_nothing_runs_or_lies_there_afterwards(outcome: dict) -> None:
    assert outcome["left"] == []


def test_a_sleeping_grandchild_does_not_hold_up_the_run(outcome: dict) -> None:
    assert outcome["endings"]["sleeping_grandchild"]["exit_code"] == 0


def test_only_honest_files_come_back(outcome: dict) -> None:
    returned = outcome["endings"]["leave_traps"]["returned"]
    assert "plain.json" in returned
    assert not {
        "link.json",
        "folder",
        "pipe.json",
        "honest.json",
        "again.json",
        "line\nbreak.json",
        "loop",
    } & {*returned}


def test_there_are_enough_programs() -> None:
    assert len(QUICK) + len(GREEDY) >= 140


def test_every_gap_is_written_down() -> None:
    page = Path(isolation.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(GAPS["landlock"]) if f"`{name}`" not in page] == []


def test_the_page_counts_every_program() -> None:
    page = Path(isolation.__file__).with_name("README.md").read_text(encoding="utf-8")
    kinds = ("files", "kernel", "network", "processes", "exhaustion")
    assert [kind for kind in kinds if f"| {kind} | {len(functions(kind))} |" not in page] == []
    assert f"0 of {len(QUICK) + len(GREEDY)}, as root and as a user" in page
