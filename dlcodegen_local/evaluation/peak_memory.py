"""The most memory that this process and the code model's held, item by item, where the kernel tells.

Each counts with its own peak. Counted are the children that still run when it is asked: a smoke run, which
has limits of its own, has ended by then.
"""

import contextlib
import re
from pathlib import Path

SIGNATURE = "MiB|most resident memory of the process and the model's, summed, the mapped model included"

_RESET_PEAK = "5"
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def reset_peak() -> None:
    """Begin to count anew, where the kernel lets a process do so."""
    for place in _counted():
        with contextlib.suppress(OSError):
            (place / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def peak_bytes() -> int | None:
    """Return the peak since the last reset in bytes; None where the kernel does not say."""
    peaks = [_peak_of(place) for place in _counted()]
    return sum(peak or 0 for peak in peaks) if peaks[0] is not None else None


def _peak_of(place: Path) -> int | None:
    try:
        found = _PEAK.search((place / "status").read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return int(found.group(1)) << 10 if found else None


def _counted() -> list[Path]:
    """Return the places of this process and of its children, this one first."""
    children: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            children |= {int(pid) for pid in task.read_text(encoding="ascii").split()}
    return [Path("/proc/self"), *(Path(f"/proc/{pid}") for pid in sorted(children))]
