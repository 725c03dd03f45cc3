"""Two runs at once, a pool that changes under a run, a clock that jumps, a batch that dies."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from dlcodegen_local.runs.store import RunStore
from tests.survival.stand import REPOSITORY, SAMPLES, tree, wait_until


@pytest.fixture
def place(proof):
    """Return a place with a warm cache, where nothing was made yet."""
    return proof.stand.place("side-by-side", proof.warm)


def start(place, *arguments, **changes):
    folders = {f"XDG_{name.upper()}_HOME": str(place / name) for name in ("state", "cache", "data")}
    fresh = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), **folders}
    return subprocess.Popen(
        [sys.executable, "-m", "dlcodegen_local", *arguments],
        cwd=place,
        env={**fresh, "PYTHONPATH": str(REPOSITORY), **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*processes):
    answers = [process.communicate(timeout=300) for process in processes]
    for process, (_, stderr) in zip(processes, answers, strict=True):
        assert process.returncode == 0, stderr
    return [stderr for _, stderr in answers]


def to(command, folder, *more):
    """Return a command line with another output folder."""
    return (*command[:-1], folder, *more)


def state_of(place):
    return place / "state/dlcodegen"


def test_two_runs_of_the_same_inputs_share_their_work(proof, place):
    command = proof.stand.generate
    notes = ended(*(start(place, *to(command, f"out/{name}")) for name in ("one", "two")))
    one, two = (tree(place / "out" / name) for name in ("one", "two"))
    assert one == two == {name.removeprefix("project/"): text for name, text in proof.project.items()}
    assert sum("from the record" in note for note in notes) == 1
    assert [row.status for row in RunStore(state_of(place)).rows()] == ["done"]


def test_two_runs_into_one_folder_make_one_project(proof, place):
    first, second = (start(place, *proof.stand.generate) for _ in range(2))
    codes = []
    for process in (first, second):
        _, stderr = process.communicate(timeout=300)
        assert "Traceback" not in stderr
        codes.append(process.returncode)
    assert set(codes) <= {0, 2} and 0 in codes
    assert tree(place / "out") == proof.project


def test_two_runs_of_other_inputs_do_not_meet(proof, place):
    command = proof.stand.generate
    ended(
        start(place, *command), start(place, *to(command, "out/two", "--seed", "1", "--temperature", "0.5"))
    )
    assert {n: t for n, t in tree(place / "out").items() if n.startswith("project/")} == proof.project
    store = RunStore(state_of(place))
    rows = store.rows()
    assert [row.status for row in rows] == ["done", "done"]
    assert {row.record.number for row in rows} == {1, 2}
    assert all(stage.value is not None for row in rows for stage in store.load(row.id).stages)


def test_a_run_goes_on_while_its_pool_is_rebuilt(proof, place):
    pool = place / "pool"
    shutil.copytree(proof.stand.folder / "pool", pool)
    command = tuple(str(pool) if part.endswith("/pool") else part for part in proof.stand.generate)
    run = start(place, *command)
    wait_until(lambda: any(state_of(place).glob("objects/*.json")), 120)
    for suffix in ("py", "json"):
        shutil.copy(REPOSITORY / f"index/samples/grain_variety_dense.{suffix}", pool)
    search = ("search", "house price", "--pool", str(pool), "--json")
    builders = [start(place, *search) for _ in range(2)]
    ended(run)
    found = [json.loads(process.communicate(timeout=120)[0]) for process in builders]
    assert found[0] == found[1] and len(found[0]) > 1
    assert {name for name in tree(place / "out") if name.endswith("train.py")}


def test_a_run_whose_pool_has_changed_does_not_go_on(proof, place):
    pool = place / "pool"
    shutil.copytree(proof.stand.folder / "pool", pool)
    command = tuple(str(pool) if part.endswith("/pool") else part for part in proof.stand.generate)
    run = start(place, *command)
    wait_until(lambda: any(state_of(place).glob("objects/*.json")), 120)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    (pool / f"{SAMPLES[0]}.py").unlink()
    (pool / f"{SAMPLES[0]}.json").unlink()
    again = start(place, "runs", "resume", "last")
    _, stderr = again.communicate(timeout=120)
    assert again.returncode == 3
    assert "cannot go on: the pool of samples changed since" in stderr.splitlines()[-1]


@pytest.mark.parametrize("jump_s", [-40 * 365 * 86_400, 70 * 365 * 86_400], ids=["back", "ahead"])
def test_a_clock_that_jumps_changes_nothing(proof, place, jump_s):
    """Every file has the time of a clock that was wrong when it was written."""
    shutil.copytree(proof.stand.folder / "first/state", place / "state")
    (record,) = state_of(place).glob("runs/*/record.json")
    for path in [*place.joinpath("state").rglob("*"), *place.joinpath("cache").rglob("*")]:
        when = path.stat().st_mtime + jump_s
        os.utime(path, (when, when))
    answer = proof.stand.run(place, proof.stand.generate)
    assert answer.code == 0, answer.stderr
    assert tree(place / "out") == proof.project
    assert answer.stderr.count("(from the record)") >= 5
    assert record.is_file()
    listed = proof.stand.run(place, ("runs", "list", "--json"))
    assert [row["status"] for row in json.loads(listed.stdout)] == ["done"]


def test_a_batch_that_dies_does_no_finished_item_again(proof, place):
    rows = [{"id": name, "requirement": f"Predict the price of a {name}"} for name in ("house", "car")]
    (place / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model, pool = str(proof.stand.model), str(proof.stand.folder / "pool")
    settings = ("--model", model, "--pool", pool, "--no-run", "--repairs", "0", "--beams", "1")
    command = ("generate", "--batch", "in.jsonl", *settings, "-o", "out/batch")
    dying = start(place, *command)
    results = place / "out/batch/results.jsonl"
    wait_until(results.exists, 120)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    before = results.read_text()
    (stderr,) = ended(start(place, *command))
    assert "1 of 2: house: finished before" in stderr
    assert results.read_text().startswith(before.splitlines()[0])
    assert [json.loads(line)["id"] for line in results.read_text().splitlines()] == ["house", "car"]
    (undisturbed,) = [proof.stand.place("whole-batch", proof.warm)]
    shutil.copy(place / "in.jsonl", undisturbed)
    ended(start(undisturbed, *command))
    for name in ("house", "car"):
        assert tree(place / "out/batch" / name) == tree(undisturbed / "out/batch" / name)
    changed = start(place, *command[:-2], "--seed", "5", *command[-2:])
    assert "was made from other inputs" in changed.communicate(timeout=120)[1]
    assert changed.returncode == 2
