"""Whether threads should spin between the short operators of a step.

A thread that spins while it waits for the next operator saves a tenth of a step on idle cores. On
cores that others want too it takes their time and, by the system's fairness, loses its own: a step
then takes half as long again. Only the state at loading is looked at.
"""

import os
import time
from pathlib import Path

_SAMPLES = 5
_INTERVAL_S = 0.002


def cores_are_idle(threads: int | None, running: Path = Path("/proc/loadavg")) -> bool:
    """Return whether as many cores as `threads` (None: all) have nothing else to do now.

    True where the system does not say.
    """
    cores = os.cpu_count() or 1
    others = []
    for _ in range(_SAMPLES):
        try:
            runnable = int(running.read_text(encoding="ascii").split()[3].split("/")[0])
        except (OSError, ValueError, IndexError):
            return True
        others.append(runnable - 1)  # this process itself
        time.sleep(_INTERVAL_S)
    return sorted(others)[_SAMPLES // 2] + (threads or cores) <= cores
