"""A few of what `python -m tests.survival.kills` does by the hundred."""

import random
import shutil
import subprocess

import pytest

from tests.survival.kills import around


def can_trace():
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="strace is missing, or may not trace here")


@needs_strace
def test_killed_runs_resume_to_the_same_bytes(proof):
    sites = proof.sites(("write", "fsync", "rename"))
    assert len(sites) > 60
    proof.kill_at(around(sites[2::13], random.Random(1)), 6)
    assert proof.wrong == []
    assert sum(count for name, count in proof.counts.items() if name.startswith("killed at")) >= 4


@needs_strace
def test_runs_on_a_failing_disk_resume_to_the_same_bytes(proof):
    sites = proof.sites(("write", "fsync", "rename"), late=True)
    moved = next(i for i, site in enumerate(sites) if site.call == "rename" and "out/project" in site.text)
    synced = sites[moved + 1]  # the folder above the project
    assert synced.call == "fsync"
    proof.fail_at(around((synced, *sites[3::9]), random.Random(2)), 4, late=True)
    assert proof.wrong == []
    assert proof.counts["stopped by a failure"] >= 1


def test_runs_killed_at_any_moment_resume_to_the_same_bytes(proof):
    proof.kill_any_time(2, random.Random(3))
    assert proof.wrong == []
