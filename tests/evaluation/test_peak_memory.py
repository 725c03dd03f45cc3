import subprocess
import sys

import pytest

from dlcodegen_local.evaluation.peak_memory import peak_bytes, reset_peak

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count")
def test_the_peak_is_that_since_the_reset():
    held = bytearray(64 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    high = peak_bytes()
    del held
    reset_peak()
    assert high is not None and peak_bytes() <= high - 32 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count")
def test_a_child_that_still_runs_counts():
    alone = peak_bytes()
    program = f"held = b'x' * {64 * MIB}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as child:
        child.stdout.readline()
        assert peak_bytes() >= alone + 64 * MIB
