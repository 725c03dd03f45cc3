"""A few kills; `python -m tests.model_store.kills` makes as many as one likes."""

import shutil
import subprocess

import pytest

from tests.model_store.kills import fail_at_calls, kill_imports


def can_inject():
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-qq", "-o", "/dev/null", "true"]).returncode == 0


def test_a_killed_import_is_never_half_listed():
    assert kill_imports(count=3, size_bytes=20_000_000).total() == 3


@pytest.mark.skipif(not can_inject(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC"])
def test_a_fault_at_a_rename_lists_nothing_or_all(fault):
    found = fail_at_calls(["rename"], fault)
    assert found.total() >= 3
