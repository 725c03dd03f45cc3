"""Compare code in processes of their own, one a core.

Guarantees the same numbers on every machine and with any number of workers: the processes have a fixed hash
seed, and the answers come in the tasks' order. A pair that ends its process costs that pair alone.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from dlcodegen_local.evaluation.code_worker import CodeMeasurement, CodeTask

MAX_PROCESSES = 8

Measured = Sequence[CodeMeasurement | None]


def measure_tasks(
    tasks: Sequence[CodeTask], on_measured: Callable[[], None] = lambda: None
) -> list[Measured]:
    """Return the measurements of every task's predictions; None where comparing them crashed.

    `on_measured` is called as each task is done, from any thread.
    """
    processes = min(len(os.sched_getaffinity(0)), MAX_PROCESSES, max(1, len(tasks)))
    workers: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    started = [_Worker() for _ in range(processes)]
    for worker in started:
        workers.put(worker)

    def measure(task: CodeTask) -> Measured:
        worker = workers.get()
        try:
            return worker.measure(task)
        finally:
            workers.put(worker)
            on_measured()

    threads = ThreadPoolExecutor(processes)
    try:
        return list(threads.map(measure, tasks))
    finally:
        for worker in started:
            worker.end()
        threads.shutdown(cancel_futures=True)
        for worker in started:
            worker.close()


class _Worker:
    """One process, started anew when it has crashed, until it is ended."""

    def __init__(self) -> None:
        self._process = self._started()
        self._is_ended = False

    def measure(self, task: CodeTask) -> Measured:
        answer = self._answer(task)
        if answer is not None:
            return answer
        if len(task.predictions) == 1:
            return [None]
        return [self.measure(replace(task, predictions=(code,)))[0] for code in task.predictions]

    def end(self) -> None:
        """Kill the process, whatever another thread waits for."""
        self._is_ended = True
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes; no thread may be reading."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was written to a process that is gone
                assert pipe is not None
                pipe.close()

    def _answer(self, task: CodeTask) -> Measured | None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(task.to_json() + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if line.endswith("\n"):
            return [CodeMeasurement.from_dict(row) for row in json.loads(line)]
        if self._is_ended:
            return [None] * len(task.predictions)
        self._process.kill()
        self._process.wait()
        self.close()
        self._process = self._started()
        return None

    @staticmethod
    def _started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dlcodegen_local.evaluation.code_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is the parent's alone
        )
