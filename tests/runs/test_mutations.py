"""Records that somebody or something has changed: refused in one error, or read; never a crash."""

import json
import random
from pathlib import Path

from dlcodegen_local.cli.run_printing import comparison_lines, list_lines, row_table, run_table, show_lines
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.run_order import read_order
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.runs.comparing import compare_runs
from dlcodegen_local.runs.objects import digest_of
from dlcodegen_local.runs.store import RunStore
from tests.runs.recorded import nobody, record_run

_ODD = (
    None,
    True,
    -1,
    1e400,
    10**30,
    "",
    "x" * 9999,
    "\x1b[2J\u202e",
    [],
    {},
    [[]],
    {"a": None},
    "/etc/passwd",
)


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Change, cut or double a few bytes."""
    mutated = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(mutated))
        match rng.randrange(3):
            case 0:
                mutated[at] ^= 1 << rng.randrange(8)
            case 1:
                del mutated[at : at + rng.randrange(1, 40)]
            case _:
                mutated[at:at] = mutated[at : at + rng.randrange(1, 40)]
        mutated = mutated or bytearray(b" ")
    return bytes(mutated)


def odd_somewhere(value, rng: random.Random):
    """Return a JSON value, one of its values another."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        return {**value, key: odd_somewhere(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], odd_somewhere(value[at], rng), *value[at + 1 :]]
    return rng.choice(_ODD)


def test_bytes_that_changed_are_refused(tmp_path):
    record = record_run(tmp_path)
    path = tmp_path / "runs" / record.run_id / "record.json"
    content, rng = path.read_bytes(), random.Random(0)
    store, refused = RunStore(tmp_path), 0
    for _ in range(500):
        path.write_bytes(flipped(content, rng))
        try:
            store.load(record.run_id)
        except ArtifactError:
            refused += 1
        assert len(store.rows()) == 1
    assert refused >= 490  # what is left changed a blank


def test_values_that_changed_with_their_hash_do_no_harm(tmp_path):
    record, other = record_run(tmp_path, 1), record_run(tmp_path, 2)
    path = tmp_path / "runs" / record.run_id / "record.json"
    table, rng = json.loads(path.read_bytes()), random.Random(0)
    del table["sha256"]
    store = RunStore(tmp_path)
    for number in range(500):
        changed = odd_somewhere(table, rng)
        if isinstance(changed, dict):
            changed = {"sha256": digest_of(changed), **changed}
        path.write_text(json.dumps(changed))
        assert len(list_lines(store.rows())) == 2
        assert [row_table(row)["id"] for row in store.rows()]
        if number % 20 == 0:  # it is synced to the disk again and again
            RunRecord(tmp_path, record.inputs, on_wait=nobody).finish("failed")
            path.write_text(json.dumps(changed))
        try:
            run = store.load(record.run_id)
            assert json.dumps(run_table(run, "done"))
            assert all("\x1b" not in line for line in show_lines(run, "done"))
            assert comparison_lines(compare_runs(run, store.load(other.run_id)), "a", "b")
            read_order(record.run_id, run.record.order, Path())
        except ArtifactError:
            continue
