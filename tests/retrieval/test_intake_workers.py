import os
import signal
import time
from pathlib import Path

import pytest

from dlcodegen_local.retrieval.intake_workers import Task, WorkerLimits, Workers
from tests.retrieval.fake_examiner import examine

LIMITS = WorkerLimits(processes=2, timeout_s=1.0, memory_bytes=2 << 30)


def answers(*contents, limits=LIMITS):
    tasks = (Task(str(place), "a.py", text.encode()) for place, text in enumerate(contents))
    with Workers(examine, limits) as workers:
        return {int(answer.key): answer for answer in workers.answers(tasks)}


def test_a_fault_costs_the_file_it_is_in_alone():
    found = answers("# crash", "a = 1", "# hang", "b = 2", "# hog", "c = 3", "# mistake", "# socket", "d = 4")
    assert [found[place].examination.status for place in (1, 3, 5, 8)] == ["taken"] * 4
    reasons = {place: found[place].examination.reason for place in (0, 2, 4, 6, 7)}
    assert reasons == {
        0: "its examination ended in a crash",
        2: "took longer than 1 s to examine",
        4: "needs more than 2 GB of memory",
        6: "could not be examined: ValueError: a mistake of ours",
        7: "could not be examined: PermissionError: socket.__new__ is refused here",
    }
    assert [found[place].is_final for place in (0, 2, 4)] == [False, False, True]


def test_nothing_of_a_secret_comes_back():
    (answer,) = answers("# secret\nkey = 'AKIA'").values()
    assert answer.examination.code == ""
    assert [(secret.kind, secret.line) for secret in answer.examination.secrets] == [("AWS key", 3)]


def test_ctrl_c_is_the_parent_s_alone():
    with Workers(examine, LIMITS) as workers:
        tasks = iter([Task("0", "a.py", b"a = 1"), Task("1", "a.py", b"# slow\nb = 1")])
        found = workers.answers(tasks)
        next(found)
        for worker in workers._workers:
            os.kill(worker._process.pid, signal.SIGINT)
        assert next(found).examination.status == "taken"


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_ends_with_its_parent():
    reader, writer = os.pipe()
    if (parent := os.fork()) == 0:
        with Workers(examine, LIMITS) as workers:
            next(workers.answers(iter([Task("0", "a.py", b"a = 1")])))
            os.write(writer, str(workers._workers[0]._process.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)
    worker = int(os.read(reader, 20))
    os.waitpid(parent, 0)
    deadline = time.monotonic() + 10
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("processes", [1, 3])
def test_every_task_is_answered(processes):
    texts = [f"x = {number}" for number in range(20)]
    assert len(answers(*texts, limits=WorkerLimits(processes=processes))) == 20
