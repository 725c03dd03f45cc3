import json

import pytest

from dlcodegen_local.generation.speeds import Work, expected_speed, keep_speed, work_of

DONE = Work(1000, 10.0, 100, 20.0)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"x" * 4000)
    return path


def test_before_a_first_run_the_arithmetic_of_the_machine_is_measured_once(tmp_path, model):
    small, large = (expected_speed(tmp_path / "speeds.json", model, n) for n in (10**6, 10**9))
    assert large.read_s > 100 * (small.read_s - 0.0003) > 0
    assert large.write_s > large.read_s
    assert "estimated" in large.origin
    (tmp_path / "machine.json").write_text("1e12\n")
    assert expected_speed(tmp_path / "speeds.json", model, 10**9).read_s == pytest.approx(0.00744, rel=0.01)


@pytest.mark.parametrize("text", ["", "{", "[]", "-1", "NaN", "1e400", "[" * 100_000])
def test_a_damaged_measurement_is_taken_anew(text, tmp_path, model):
    (tmp_path / "machine.json").write_text(text)
    assert 0 < expected_speed(tmp_path / "speeds.json", model, 10**9).read_s < 1000


def test_the_speed_of_a_run_is_kept(tmp_path, model):
    keep_speed(tmp_path / "cache/speeds.json", model, DONE)
    speed = expected_speed(tmp_path / "cache/speeds.json", model, 10**9)
    assert (speed.read_s, speed.write_s) == (0.01, 0.2)
    assert "measured" in speed.origin
    assert speed.seconds(100, 10) == pytest.approx(3.0)


def test_recent_runs_weigh_more(tmp_path, model):
    store = tmp_path / "speeds.json"
    for seconds in (20.0, 40.0):
        keep_speed(store, model, Work(1000, 10.0, 100, seconds))
    assert expected_speed(store, model, 10**9).write_s == pytest.approx((0.5 * 20 + 40) / 150)


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
        '{"a-1": {"read_tokens": 1' + "0" * 400 + "}}",
        '{"a-9": {"read_tokens": NaN, "read_seconds": 1, "written_tokens": 1, "written_seconds": 1}}',
    ],
)
def test_a_damaged_file_is_an_empty_one(text, tmp_path, model):
    store = tmp_path / "speeds.json"
    store.write_text(text)
    assert "estimated" in expected_speed(store, model, 10**9).origin
    keep_speed(store, model, DONE)
    assert len(json.loads(store.read_text())) == 1


def test_stages_without_a_model_count_nothing():
    stage = {"tokens_read": 10, "reading_s": 1.0, "tokens_written": 5, "writing_s": 2.0}
    assert work_of([{"name": "plan", "seconds": 9.0}, stage, stage]) == Work(20, 2.0, 10, 4.0)
