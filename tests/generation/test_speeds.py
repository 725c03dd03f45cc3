import json

import pytest

from dlcodegen_local.generation.speeds import Work, expected_speed, keep_speed, work_of

DONE = Work(1000, 10.0, 100, 20.0)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"x" * 4000)
    return path


def test_nothing_is_known_before_a_first_run(tmp_path, model):
    assert expected_speed(tmp_path / "speeds.json", model) is None


def test_the_speed_of_a_run_is_kept(tmp_path, model):
    keep_speed(tmp_path / "cache/speeds.json", model, DONE)
    speed = expected_speed(tmp_path / "cache/speeds.json", model)
    assert (speed.read_s, speed.write_s, speed.is_measured) == (0.01, 0.2, True)
    assert speed.seconds(100, 10) == pytest.approx(3.0)


def test_recent_runs_weigh_more(tmp_path, model):
    store = tmp_path / "speeds.json"
    for seconds in (20.0, 40.0):
        keep_speed(store, model, Work(1000, 10.0, 100, seconds))
    assert expected_speed(store, model).write_s == pytest.approx((0.5 * 20 + 40) / 150)


def test_a_model_that_never_ran_is_judged_by_the_nearest_in_size(tmp_path, model):
    store = tmp_path / "speeds.json"
    for name, size, seconds in (("tiny", 100, 1.0), ("near", 2000, 20.0)):
        other = tmp_path / name
        other.write_bytes(name.encode().ljust(size))
        keep_speed(store, other, Work(1000, 10.0, 100, seconds))
    speed = expected_speed(store, model)
    assert (speed.write_s, speed.is_measured) == (pytest.approx(0.4), False)
    assert "scaled" in speed.origin


@pytest.mark.parametrize("work", [Work(), Work(1000, 1.0, 3, 1.0), Work(1000, 0.0, 100, 1.0)])
def test_too_little_work_is_not_kept(work, tmp_path, model):
    keep_speed(tmp_path / "speeds.json", model, work)
    assert not (tmp_path / "speeds.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"a-1": 3}',
        '{"a-1": {"x": 1}}',
        '{"a": {"read_tokens": 1}}',
        '{"a-0": {"read_tokens": 1, "read_seconds": 1, "written_tokens": 1, "written_seconds": 1}}',
        '{"a-9": {"read_tokens": NaN, "read_seconds": 1, "written_tokens": 1, "written_seconds": 1}}',
    ],
)
def test_a_damaged_file_is_an_empty_one(text, tmp_path, model):
    store = tmp_path / "speeds.json"
    store.write_text(text)
    assert expected_speed(store, model) is None
    keep_speed(store, model, DONE)
    assert len(json.loads(store.read_text())) == 1


def test_stages_without_a_model_count_nothing():
    stage = {"tokens_read": 10, "reading_s": 1.0, "tokens_written": 5, "writing_s": 2.0}
    assert work_of([{"name": "plan", "seconds": 9.0}, stage, stage]) == Work(20, 2.0, 10, 4.0)
