"""What a command of `export` needs, said before it starts and compared with this machine.

The figures are measured ones of GPT-2-large (774 million parameters), see `README.md`, taken as
proportional to the parameters; time depends on the machine and is a rough one on two cores.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

# Of Python, torch and transformers themselves.
BASE_BYTES = 600_000_000


@dataclass(frozen=True)
class Needs:
    """Hold the memory and disk that a step needs, in bytes, and the minutes it takes, roughly."""

    step: str
    memory_bytes: int
    disk_bytes: int
    minutes: float

    @classmethod
    def of(cls, step: str, parameters: int, per_parameter: tuple[float, float, float]) -> "Needs":
        """Scale bytes of memory, bytes of disk and nanoseconds a parameter."""
        memory, disk, nanoseconds = (parameters * figure for figure in per_parameter)
        return cls(step, BASE_BYTES + int(memory), int(disk), nanoseconds / 60e9)

    def text(self) -> str:
        """Return one line for a person."""
        minutes = "less than a minute" if self.minutes < 1 else f"about {self.minutes:.0f} minutes"
        return (
            f"{self.step} needs about {self.memory_bytes / 1e9:.1f} GB of memory and "
            f"{self.disk_bytes / 1e9:.1f} GB of disk, and takes {minutes} on two cores"
        )


def announce(needs: Needs, output: Path, *, force: bool = False) -> None:
    """Say what a step needs; stop where this machine has less, unless `force`.

    Raises:
        SystemExit: names what is short, and by how much.
    """
    print(needs.text(), file=sys.stderr, flush=True)
    short = []
    memory = available_memory()
    if memory is not None and memory < needs.memory_bytes:
        short.append(f"{memory / 1e9:.1f} GB of memory")
    if (disk := free_disk(output)) < needs.disk_bytes:
        short.append(f"{disk / 1e9:.1f} GB of disk")
    if short and not force:
        raise SystemExit(f"this machine has only {' and '.join(short)} free: --force tries all the same")


def available_memory() -> int | None:
    """Return the bytes that a process can get without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    free = 1024 * kilobytes["MemAvailable"] if "MemAvailable" in kilobytes else None
    limit = _cgroup_room()
    return limit if free is None else free if limit is None else min(free, limit)


def free_disk(folder: Path) -> int:
    """Return the free bytes where `folder` is or will be."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _cgroup_room() -> int | None:
    """Return what the container's memory limit leaves, None where there is none."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = int((root / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - used


def folder_bytes(folder: Path, pattern: str) -> int:
    """Return the size of the files of a folder that match."""
    return sum(os.stat(path).st_size for path in folder.glob(pattern))
