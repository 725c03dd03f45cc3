"""What the launcher is told: one value, sent as JSON through a pipe."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Orders:
    """Say what to run and how to confine it.

    `work` is the one writable folder, seen as `inside` where the backend has a root of its own;
    `seccomp` is the filter in base64; the numbers hold for each process, sums are watched outside.
    """

    backend: str
    argv: tuple[str, ...]
    work: str
    inside: str
    readable: tuple[str, ...]
    environment: dict[str, str]
    seccomp: str
    memory_bytes: int
    cpu_s: int
    file_size_bytes: int
    processes: int
    bwrap: str = ""

    def to_json(self) -> bytes:
        """Return what `confine.main` reads."""
        return json.dumps(asdict(self)).encode()
