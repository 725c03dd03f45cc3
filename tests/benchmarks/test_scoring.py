"""The scoring benchmark runs, and both sides of it find the same; nothing here is timed."""

import json

from tests.benchmarks import scoring


def test_both_sides_find_the_same_score(capsys):
    scoring.main(["--json", "--pairs", "3", "--lines", "12"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(row) == {"name", "ours", "peer", "ratio", "unit"} for row in rows) and len(rows) == 2
    assert rows[1]["ours"] == rows[1]["peer"] > 0


def test_a_program_has_its_length_and_is_the_same_for_the_same_seed():
    assert scoring.program(50, 1) == scoring.program(50, 1) != scoring.program(50, 2)
    assert 50 <= scoring.program(50, 1).count("\n") <= 54
