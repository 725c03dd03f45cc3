"""Run records: damaged bytes, and records and objects that are signed as ours and say what ours never say."""

import hashlib
import json
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from dlcodegen_local.cli.run_printing import comparison_lines, list_lines, row_table, run_table, show_lines
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.run_order import read_order
from dlcodegen_local.run_page import page_of_record
from dlcodegen_local.runs.comparing import compare_runs
from dlcodegen_local.runs.objects import digest_of
from dlcodegen_local.runs.store import RunStore
from tests.fuzz.kinds import Case, write_case
from tests.fuzz.mutations import damage_bytes, damage_json, damage_value
from tests.runs.recorded import record_run


def make(rng: random.Random) -> Case:
    """Return a state folder of two runs, one record or object of which is damaged."""
    case = dict(_valid())
    name = rng.choice([name for name in case if name.endswith("record.json")])
    way = rng.randrange(4)
    if way == 0:
        case[name] = damage_json(case[name], rng)
    elif way == 1:
        name = rng.choice([name for name in case if name.startswith("objects/")])
        case[name] = damage_bytes(case[name], rng)
    elif way == 2:
        table = json.loads(case[name])
        damage_value(table, rng)
        case[name] = _signed(table)
    else:
        table = json.loads(case[name])
        stage = rng.choice(table["stages"])
        value = json.loads(case[f"objects/{stage['object']}.json"])
        damage_value(value, rng)
        content = json.dumps(value).encode()
        stage["object"] = hashlib.sha256(content).hexdigest()
        case[f"objects/{stage['object']}.json"] = content
        case[name] = _signed(table)
    return case


def run(case: Case, folder: Path) -> None:
    """List the runs, show each with its page, compare them, and look at how they would go on."""
    write_case(case, folder)
    store, loaded, refused = RunStore(folder), [], None
    rows = store.rows()
    _look(list_lines(rows))
    for row in rows:
        row_table(row)
        try:
            found = store.load(row.id)
        except ArtifactError as exc:
            refused = exc
            continue
        loaded.append(found)
        _look(show_lines(found, row.status))
        json.dumps(run_table(found, row.status))
        values = {stage.object: stage.value for stage in found.stages}
        page_of_record({**vars(found.record), "stages": [vars(s) for s in found.record.stages]}, values.get)
        try:
            read_order(row.id, found.record.order, folder)
        except ArtifactError:
            continue
    if len(loaded) == 2:
        _look(comparison_lines(compare_runs(*loaded), "one", "two"))
    if refused is not None:
        raise refused


def _look(lines: list[str]) -> None:
    """A terminal takes none of what is printed for a command."""
    for line in lines:
        assert find_unplain(line, "") is None, line


def _signed(table: Any) -> bytes:
    given = {key: value for key, value in table.items() if key != "sha256"} if isinstance(table, dict) else {}
    return json.dumps({"sha256": digest_of(given), **given}).encode()


@cache
def _valid() -> Case:
    with tempfile.TemporaryDirectory() as folder:
        for seed in (1, 2):
            record_run(Path(folder), seed)
        paths = [path for path in sorted(Path(folder).rglob("*.json")) if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
