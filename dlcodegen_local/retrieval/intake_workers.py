"""Worker processes that examine files, each file under a limit of time and of memory.

Guarantees that a worker which crashes or hangs costs the file it was at and nothing else, and that no
worker outlives the pool. Answers come in the order in which they are ready.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.examination import Examination, unreadable
from dlcodegen_local.retrieval.ingest.examine import Examined
from dlcodegen_local.retrieval.intake_worker import MAX_ANSWER_BYTES, serve

_START_TIMEOUT_S = 60.0
_MAX_PROCESSES = 8


@dataclass(frozen=True)
class WorkerLimits:
    """Bound a worker: `timeout_s` of wall time for a file, `memory_bytes` of address space."""

    processes: int = field(default_factory=lambda: min(len(os.sched_getaffinity(0)), _MAX_PROCESSES))
    timeout_s: float = 60.0
    memory_bytes: int = 2 << 30


@dataclass(frozen=True)
class Task:
    """Hold one file to be examined; `key` comes back with the answer."""

    key: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Answer:
    """Hold what came of a task. `is_final` is False where another try may end otherwise."""

    key: str
    examination: Examination
    is_final: bool = True


class Workers:
    """Examine files in processes of their own."""

    def __init__(self, examine: Callable[[bytes, str], Examined], limits: WorkerLimits) -> None:
        """Take a function that a new process can import; processes start with the first task."""
        self._examine = examine
        self._limits = limits
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exc_info: object) -> None:
        for worker in self._workers:
            worker.end()

    def answers(self, tasks: Iterator[Task]) -> Iterator[Answer]:
        """Yield the answer to every task as it comes; a task is asked for when a worker is free."""
        exhausted = False
        while True:
            while not exhausted and (worker := self._free()) is not None:
                if (task := next(tasks, None)) is None:
                    exhausted = True
                elif not worker.give(task):
                    yield self._lost(worker, "a worker could not be started")
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy:
                return
            nearest = min(worker.deadline for worker in busy)
            ready = wait([worker.answers for worker in busy], max(0.0, nearest - time.monotonic()))
            for worker in busy:
                if worker.answers in ready:
                    yield self._received(worker)
                elif time.monotonic() >= worker.deadline:
                    yield self._lost(worker, f"took longer than {self._limits.timeout_s:.0f} s to examine")

    def _free(self) -> "_Worker | None":
        for worker in self._workers:
            if worker.task is None:
                return worker
        if len(self._workers) >= self._limits.processes:
            return None
        self._workers.append(_Worker(self._examine, self._limits))
        return self._workers[-1]

    def _received(self, worker: "_Worker") -> Answer:
        try:
            text = worker.answers.recv_bytes(MAX_ANSWER_BYTES)
            examination = Examination.from_json(text)
        except (EOFError, OSError):
            return self._lost(worker, worker.epitaph())
        except ConfigError as exc:
            return self._lost(worker, exc.message)
        task = worker.done()
        return Answer(task.key, examination)

    def _lost(self, worker: "_Worker", reason: str) -> Answer:
        task = worker.done()
        worker.end()
        self._workers.remove(worker)
        return Answer(task.key, unreadable(reason), is_final=False)


class _Worker:
    """One process and the pipes to it. The first task's deadline leaves time to start."""

    def __init__(self, examine: Callable[[bytes, str], Examined], limits: WorkerLimits) -> None:
        context = multiprocessing.get_context("spawn")
        inbox, self._requests = context.Pipe(duplex=False)
        self.answers, outbox = context.Pipe(duplex=False)
        self.task: Task | None = None
        self.deadline = 0.0
        self._limits = limits
        self._extra_s = _START_TIMEOUT_S
        arguments = (inbox, outbox, examine, (limits.timeout_s, limits.memory_bytes))
        self._process: BaseProcess = context.Process(target=serve, args=arguments, daemon=True)
        with _ctrl_c_held():  # a worker inherits that: Ctrl-C is the parent's alone
            self._process.start()
        inbox.close()
        outbox.close()

    def give(self, task: Task) -> bool:
        """Send a task; False where the process is gone already."""
        self.task = task
        self.deadline = time.monotonic() + self._limits.timeout_s + self._extra_s
        self._extra_s = 0.0
        try:
            self._requests.send_bytes(task.name.encode("utf-8"))
            self._requests.send_bytes(task.content)
        except OSError:
            return False
        return True

    def done(self) -> Task:
        """Take the task away."""
        task, self.task = self.task, None
        assert task is not None
        return task

    def epitaph(self) -> str:
        """Say how a process ended that ended by itself."""
        self._process.join(1.0)
        if self._process.exitcode == -signal.SIGALRM:
            return f"took longer than {self._limits.timeout_s:.0f} s to examine"
        return "its examination ended in a crash"

    def end(self) -> None:
        """Kill the process and close the pipes."""
        self._process.kill()
        self._process.join()
        self._process.close()
        for connection in (self._requests, self.answers):
            _close(connection)


def _close(connection: Connection) -> None:
    with contextlib.suppress(OSError):
        connection.close()


@contextlib.contextmanager
def _ctrl_c_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
