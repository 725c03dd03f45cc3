"""The most memory that this process held at once, item by item, where the kernel tells.

Does not count children: a smoke run has limits and a process of its own.
"""

import re
from pathlib import Path

SIGNATURE = "MiB|most resident memory of the process while the item was made, the mapped model included"

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def reset_peak() -> None:
    """Begin to count anew, where the kernel lets a process do so."""
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return


def peak_bytes() -> int | None:
    """Return the peak since the last reset in bytes; None where the kernel does not say."""
    try:
        found = _PEAK.search(_STATUS.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return int(found.group(1)) << 10 if found else None
