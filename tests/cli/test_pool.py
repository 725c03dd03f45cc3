"""The `pool` command as a team uses it: add, look, remove, check, export; and what it is given wrongly."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcodegen_local.retrieval.team_pool import TeamPool
from export.planner_rows import read_rows
from tests.cli.conftest import REPOSITORY

DIGITS = '''"""Sort pictures of digits into classes."""
import keras
from keras import layers

model = keras.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10)])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
data = keras.utils.image_dataset_from_directory("photos", image_size=(28, 28), batch_size=32)
model.fit(data, epochs=3)
'''
LETTERS = '''"""Tell pictures of letters apart."""
import torch
from torch import nn


class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(16, 26)

    def forward(self, images):
        return self.head(self.body(images).flatten(1))


def train(loader, epochs=5):
    network, criterion = Letters(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.001)
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(network(images), labels).backward()
            optimizer.step()
'''
SECRET = 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzExamQ1xy"\n'


def write_sources(work):
    folder = work / "team"
    folder.mkdir()
    (folder / "digits.py").write_text(DIGITS)
    (folder / "letters.py").write_text(LETTERS)
    (folder / "plain.py").write_text("import os\n")
    return folder


@pytest.fixture
def team(run, tmp_path):
    folder = write_sources(tmp_path / "work")
    answer = run("pool", "add", "team")
    assert answer.returncode == 0, answer.stderr.decode()
    return folder


def ids(run, *arguments):
    return [row["id"] for row in json.loads(run("pool", "list", "--json", *arguments).stdout)]


def test_a_folder_is_taken_in_and_shown(run, team):
    digits, letters = sorted(ids(run))
    assert digits.startswith("digits-")
    facts = json.loads(run("pool", "show", digits, "--json", "--code").stdout)
    assert facts["origin"] == str(team / "digits.py")
    assert facts["plan"]["Task Category"] == "Image Classification"
    assert "layers.Conv2D(8, 3)" in facts["code"]
    assert digits in run("pool", "list", "--category", "image classification").stdout.decode()
    assert ids(run, "--category", "translation") == []
    assert letters in run("search", "letters", "--pool", "team", "-k", "1").stdout.decode()


def test_the_report_counts_and_names(run, team):
    (team / "bad.py").write_text("import keras\nmodel = (\n")
    (team / "key.py").write_text(SECRET + DIGITS)
    answer = run("pool", "add")
    assert answer.returncode == 1
    text = answer.stdout.decode()
    assert "2 unchanged" in text
    assert "1 quarantined" in text
    assert f"{team / 'bad.py'}: line 2" in text
    assert "wJalr" not in text
    assert answer.stderr.decode().splitlines()[0] == "look for files ..."
    report = json.loads(run("pool", "add", "--json").stdout)
    assert report["counts"]["quarantined"] == report["counts"]["unreadable"] == 1
    status = json.loads(run("pool", "status", "--json").stdout)
    (quarantined,) = status["files"]["quarantined"]
    assert quarantined["path"] == str(team / "key.py")
    assert quarantined["secrets"][0]["line"] == 1


def test_status_and_check_see_what_changed(run, team):
    assert run("pool", "check").returncode == 0
    (team / "digits.py").write_text("import os\n")
    (team / "letters.py").unlink()
    stale = json.loads(run("pool", "status", "--json").stdout)["stale"]
    assert [state["reason"] for state in stale] == ["its source has changed", "its source is gone"]
    answer = run("pool", "check", "--json")
    assert answer.returncode == 1
    assert {finding["rule"] for finding in json.loads(answer.stdout)["findings"]} == {"origin"}


def test_what_is_removed_stays_removed(run, team):
    digits, letters = sorted(ids(run))
    assert run("pool", "remove", digits).stdout.decode().split() == [digits]
    assert b"1 removed earlier" in run("pool", "add", "team").stdout
    assert ids(run) == [letters]
    assert b"1 taken" in run("pool", "add", "team/digits.py").stdout
    assert sorted(ids(run)) == [digits, letters]
    assert json.loads(run("pool", "remove", "team", "--json").stdout)["removed"] == [digits, letters]


def test_pairs_are_what_training_reads(run, team, tmp_path):
    answer = run("pool", "export", "--pairs", "pairs.jsonl")
    assert answer.returncode == 0, answer.stderr.decode()
    rows, unreadable = read_rows(tmp_path / "work/pairs.jsonl")
    assert (sorted(row.row_id for row in rows), unreadable) == (sorted(ids(run)), 0)
    assert rows[0].requirement
    assert run("pool", "export", "--pairs", "pairs.jsonl").returncode == 2


def test_the_bundled_pool_can_be_looked_at(run):
    assert len(ids(run, "--pool", "bundled")) > 20
    assert b"frameworks:" in run("pool", "status", "--pool", "bundled").stdout
    shown = run("pool", "show", "sound_mel_cnn", "--pool", "bundled")
    assert b"Audio Classification" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("add",), 2, "the pool knows no folder yet (dlcodegen pool add PATH...)"),
        (("add", "nowhere"), 2, "nowhere cannot be taken in: No such file or directory (check the path)"),
        (("add", "notes.txt"), 2, "notes.txt is no Python file, notebook or folder"),
        (("add", "team", "--pool", "bundled"), 2, "the bundled pool cannot be changed"),
        (("add", "team", "--pool", "notes.txt"), 2, "notes.txt is not a folder"),
        (("add", "team", "--pool", "hand"), 2, "hand is a folder of hand-made samples"),
        (("add", "team", "--licence", "our own!"), 2, "'our own!' is no SPDX identifier"),
        (("add", "team", "--deny-license", "<x>"), 2, "'<x>' can match no licence"),
        (("add", "team", "--pool", "notes.txt/x"), 2, "notes.txt/x cannot be written: Not a directory"),
        (("list",), 3, "there is no team pool at"),
        (("remove", "digits-00000000"), 3, "is no team pool"),
        (
            ("status", "--pool", "broken"),
            3,
            "the pool broken is damaged: file is not a database (build it anew",
        ),
        (("list", "--category", "cooking"), 2, "unknown category: cooking"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_input_is_one_line_and_changes_nothing(run, tmp_path, arguments, code, message):
    work = tmp_path / "work"
    write_sources(work)
    (work / "notes.txt").write_text("x")
    for folder in ("hand", "broken"):
        (work / folder).mkdir()
    (work / "hand/a.json").write_text("{}")
    (work / "broken/pool.sqlite").write_text("no database at all")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    answer = run("pool", *arguments)
    assert answer.returncode == code, answer.stderr.decode()
    lines = [line for line in answer.stderr.decode().splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1
    assert message in lines[0]
    after = {path for path in map(str, tmp_path.rglob("*")) if "/home/" not in path}
    assert after == {path for path in before if "/home/" not in path}


def test_an_unknown_id_comes_with_its_neighbours(run, team):
    digits = sorted(ids(run))[0]
    answer = run("pool", "show", digits[:-2])
    assert answer.returncode == 2
    assert f"did you mean {digits}?" in answer.stderr.decode()
    assert run("pool", "remove", digits[:-1]).returncode == 2
    assert digits in ids(run)


class Adds:
    """Start `pool add` processes on many files."""

    def __init__(self, folder, count):
        self.folder = folder
        (folder / "home").mkdir()
        source = folder / "source"
        source.mkdir()
        samples = sorted((REPOSITORY / "index/samples").glob("*.py"))
        for number in range(count):
            text = samples[number % len(samples)].read_text().replace("Config", f"Settings{number}")
            (source / f"file{number}.py").write_text(text)

    def start(self, pool, *arguments):
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dlcodegen_local",
                *(arguments or ("pool", "add", "source")),
                "--pool",
                pool,
            ],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder / "home"),
                "PYTHONPATH": str(REPOSITORY),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def finish(self, pool, *arguments):
        process = self.start(pool, *arguments)
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        return stdout

    def state(self, pool):
        with TeamPool(self.folder / pool) as opened:
            files = opened.rows("SELECT path, status, reason, folded_into FROM files ORDER BY path")
            return opened.fingerprint, opened.ids(), [tuple(row) for row in files]


def wait_for(adds, pool, *, files=0, samples=0):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (adds.folder / pool / "pool.sqlite").exists():
            _, ids, rows = adds.state(pool)
            if len(rows) >= files and len(ids) >= samples:
                return
        time.sleep(0.02)
    raise AssertionError("nothing was taken in")


def test_a_killed_add_goes_on_where_it_was(tmp_path):
    adds = Adds(tmp_path, 24)
    adds.finish("calm")
    chance = random.Random(7)
    for count in (0, chance.randrange(1, 20)):
        process = adds.start("killed")
        if count:
            wait_for(adds, "killed", files=count)
        else:
            time.sleep(chance.uniform(0.1, 0.6))
        process.kill()
        process.communicate()
        if (tmp_path / "killed/pool.sqlite").exists():
            adds.finish("killed", "pool", "status")
    adds.finish("killed")
    assert adds.state("killed") == adds.state("calm")


def test_ctrl_c_keeps_what_is_in(tmp_path):
    adds = Adds(tmp_path, 40)
    process = adds.start("pool")
    wait_for(adds, "pool", files=1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "dlcodegen: interrupted; nothing half-written is left"
    assert "Traceback" not in stderr
    assert adds.state("pool")[1]


def test_two_processes_at_once(tmp_path):
    adds = Adds(tmp_path, 12)
    adds.finish("calm")
    first, second = adds.start("shared"), adds.start("shared")
    wait_for(adds, "shared", files=3, samples=1)
    adds.finish("shared", "search", "images of cats")
    remover = adds.start("shared", "pool", "remove", "source/file0.py")
    for process in (first, second):
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    remover.communicate(timeout=60)
    adds.finish("shared", "pool", "add", "source/file0.py")
    adds.finish("shared")
    assert adds.state("shared") == adds.state("calm")
    adds.finish("shared", "pool", "check")


def test_a_full_disk_is_one_line(tmp_path):
    adds = Adds(tmp_path, 8)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "from dlcodegen_local.cli import main\n"
        "sys.argv = ['dlcodegen', 'pool', 'add', 'source', '--pool', 'pool']\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    script = tmp_path / "full.py"
    script.write_text(code)
    answer = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "free space on its disk" in answer.stderr.splitlines()[-1]
    adds.finish("pool")
    assert Path(tmp_path / "pool/pool.sqlite").exists()
