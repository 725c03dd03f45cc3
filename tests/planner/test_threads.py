import os

import pytest

from dlcodegen_local.planner.threads import cores_are_idle


@pytest.mark.parametrize(("others", "idle"), [(0, True), (1, False), (7, False)])
def test_threads_spin_on_idle_cores_only(tmp_path, others, idle):
    load = tmp_path / "loadavg"
    load.write_text(f"0.10 0.20 0.30 {1 + others}/99 1234\n", encoding="ascii")
    assert cores_are_idle(None, load) is idle
    assert cores_are_idle(os.cpu_count(), load) is idle


@pytest.mark.parametrize("text", [None, "", "0.1 0.2", "0.1 0.2 0.3 many 5"])
def test_a_system_that_does_not_say_counts_as_idle(tmp_path, text):
    load = tmp_path / "loadavg"
    if text is not None:
        load.write_text(text, encoding="ascii")
    assert cores_are_idle(1, load)
