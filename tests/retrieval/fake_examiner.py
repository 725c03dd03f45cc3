"""An examiner that does what a file's content says; worker processes import it."""

import hashlib
import os
import socket
import time
from dataclasses import replace

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.ingest.examine import Examined
from dlcodegen_local.retrieval.ingest.secrets import Secret

PLAN = Plan(
    "Image Classification", "(batch_size, 8, 8, 3)", "(batch_size, 2)", "", ("Dense(2)",), "adam", "mse"
)


def examine(content: bytes, name: str) -> Examined:
    """Take every file, but for those whose first word asks for something else."""
    word, _, rest = content.decode("utf-8", "replace").partition("\n")
    if word == "# crash":
        os.kill(os.getpid(), 9)
    if word == "# hang":
        time.sleep(600)
    if word == "# hog":
        bytearray(64 << 30)
    if word == "# mistake":
        raise ValueError("a mistake of ours")
    if word == "# socket":
        socket.socket()
    if word == "# slow":
        time.sleep(0.05)
    if word == "# unreadable":
        return Examined(status="unreadable", reason="line 1: invalid syntax", notes=())
    if word == "# other":
        return Examined(status="no-deep-learning", reason="imports no framework", notes=())
    if word == "# secret":
        return Examined(
            status="quarantined",
            reason="a secret",
            notes=(),
            code=rest,
            secrets=(Secret("AWS key", 3, None),),
        )
    licence = word.removeprefix("# licence ") if word.startswith("# licence ") else ""
    code = rest if word.startswith("#") else f"{word}\n{rest}"
    return Examined(
        status="taken",
        reason="",
        notes=(),
        code=code or "pass\n",
        title=f"Title of {name}",
        requirement=f"Build what {name} builds",
        plan=replace(PLAN, epochs=1 + len(code)),
        framework="keras",
        licence=licence,
        signature=_signature(code),
    )


def _signature(code: str) -> tuple[int, ...]:
    """Return 128 numbers of which every line of the code rules a few."""
    lines = sorted(set(code.split("\n")))
    return tuple(
        min(int(hashlib.sha256(f"{place} {line}".encode()).hexdigest()[:8], 16) for line in lines)
        for place in range(128)
    )
