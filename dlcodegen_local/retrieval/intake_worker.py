"""The process that examines files: it reads content, answers with JSON, and can do little else.

Guarantees limits on memory and time for each file, also where the parent is gone, and that no socket
is opened and no program started by what it loads. It reads no file of the user's itself.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from dlcodegen_local.retrieval.examination import keep, unreadable
from dlcodegen_local.retrieval.ingest.examine import Examined

MAX_ANSWER_BYTES = 64_000_000
_REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn")


def serve(
    requests: Connection,
    answers: Connection,
    examine: Callable[[bytes, str], Examined],
    limits: tuple[float, int],
) -> None:
    """Answer every request, a name and then the file's content, with an `Examination`'s JSON.

    `limits` are seconds of wall time for a file and bytes of memory for the process.
    """
    timeout_s, memory_bytes = limits
    _confine(memory_bytes)
    try:
        while True:
            name = requests.recv_bytes().decode("utf-8")
            content = requests.recv_bytes()
            signal.setitimer(signal.ITIMER_REAL, timeout_s + 1)  # its default action ends the process
            answers.send_bytes(_examine(examine, content, name, memory_bytes))
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone


def _examine(
    examine: Callable[[bytes, str], Examined], content: bytes, name: str, memory_bytes: int
) -> bytes:
    try:
        answer = keep(examine(content, name)).to_json()
    except MemoryError:
        return unreadable(f"needs more than {memory_bytes / 1e9:.0f} GB of memory").to_json()
    except RecursionError:
        return unreadable("is nested too deeply").to_json()
    except Exception as exc:  # a mistake of ours costs this file only, and is named in the report
        return unreadable(f"could not be examined: {type(exc).__name__}: {exc}").to_json()
    return answer if len(answer) <= MAX_ANSWER_BYTES else unreadable("its code is too large").to_json()


def _confine(memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} is refused here")
