"""A few seconds of every kind, and that the frame sees what it is there to see."""

import os
import time

import pytest

from dlcodegen_local.errors import ArtifactError, PlanningError
from tests.fuzz import kinds
from tests.fuzz.campaign import Plan, answers_of, fuzz
from tests.fuzz.worker import Watch, _judged


@pytest.mark.parametrize("kind", kinds.known_kinds())
def test_damaged_input_is_answered_in_one_line(kind, tmp_path):
    tally = fuzz(kind, Plan(seed=7, count=60, native=10, failures=tmp_path))
    assert tally.failures == []
    assert tally.cases == 60 and tally.answers["refused"] > 10
    assert tally.slowest < 10


def test_a_seed_and_a_number_give_the_same_bytes():
    for name in kinds.known_kinds():
        kind = kinds.load_kind(name)
        assert kind.case(3, 5) == kind.case(3, 5) != kind.case(3, 6)


def test_time_is_kept():
    began = time.monotonic()
    tally = fuzz("manifest", Plan(count=10**9, seconds=2.0))
    assert tally.cases > 0 and time.monotonic() - began < 30


def test_no_case_begins_after_the_end():
    assert list(answers_of("manifest", 0, range(5), "checks", until=time.monotonic() - 1)) == []


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ArtifactError("damaged"), "refused"),
        (ArtifactError("two\nlines"), "failed"),
        (ArtifactError("\x1b[2J"), "failed"),
        (ArtifactError("x" * 5000), "failed"),
        (ArtifactError(""), "failed"),
        (PlanningError("a wrong exit code"), "failed"),
    ],
)
def test_an_answer_is_one_plain_line_with_exit_code_2_or_3(error, word):
    assert _judged(error)[0] == word


def test_what_happens_outside_is_seen(tmp_path):
    root = tmp_path / "root"
    (root / "outside").mkdir(parents=True)
    (root / "outside/canary").write_text("untouched")
    watch = Watch(root)
    (root / "case").mkdir()
    (root / "case/inside").write_text("may be")
    assert watch.findings() == []
    (root / "outside/canary").write_text("touched")
    assert watch.findings() == ["the folder beside the case has changed"]
    (root / "case/link").symlink_to(tmp_path)
    os.close(os.open(root / "case/link/elsewhere", os.O_CREAT | os.O_WRONLY))
    assert f"open {tmp_path}/elsewhere" in watch.findings()
    watch.close()
