import sqlite3

from dlcodegen_local.pool_check import check_samples
from dlcodegen_local.retrieval.intake import IntakeSettings, take_in
from dlcodegen_local.retrieval.team_pool import TeamPool
from dlcodegen_local.verification.environment import Target
from tests.retrieval.fake_examiner import examine


def test_every_defect_of_a_team_s_sample_is_named_and_hides_no_other(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.py").write_text("import theirs\nprint(nowhere)\n")
    (source / "b.py").write_text("import os\nos.system('rm')\n")
    (source / "c.py").write_text("x = 1\n")
    (source / "d.py").write_text("y = 1\n")
    take_in(tmp_path / "pool", [source], IntakeSettings(examine=examine), lambda *stage: None)
    (source / "c.py").unlink()
    with sqlite3.connect(tmp_path / "pool/pool.sqlite") as database:
        database.execute("UPDATE samples SET title = 'another' WHERE name = 'd.py'")
    database.close()
    with TeamPool(tmp_path / "pool") as pool:
        found = list(check_samples(pool, pool.ids(), Target(resolve=False)))
    rules = [(finding.sample[0], finding.line, finding.rule) for finding in found]
    assert rules == [("a", 2, "undefined-name"), ("b", 2, "shell"), ("c", 0, "origin"), ("d", 0, "damaged")]
