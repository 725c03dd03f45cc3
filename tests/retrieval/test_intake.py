import os
import sqlite3
from collections import Counter

import pytest

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.retrieval.intake import IntakeSettings, take_in
from dlcodegen_local.retrieval.intake_workers import WorkerLimits
from dlcodegen_local.retrieval.pool_changes import remove
from dlcodegen_local.retrieval.pool_status import status_of
from dlcodegen_local.retrieval.team_pool import TeamPool
from tests.retrieval.fake_examiner import examine


class Site:
    """A pool beside a folder of sources."""

    def __init__(self, folder):
        self.pool, self.source = folder / "pool", folder / "source"
        self.source.mkdir()
        self.reports = []

    def write(self, **texts):
        for name, text in texts.items():
            path = self.source / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            os.utime(path, (1_700_000_000, 1_700_000_000 + len(text)))

    def add(self, *paths, **settings):
        limits = WorkerLimits(processes=1, timeout_s=1.0)
        fixed = IntakeSettings(examine=examine, limits=limits, **settings)
        report = take_in(self.pool, [self.source / p for p in paths or ("",)], fixed, lambda *stage: None)
        return {os.path.relpath(f.path, self.source): (f.status, f.is_new) for f in report.files}

    def statuses(self, *paths, **settings):
        return {name: status for name, (status, _) in self.add(*paths, **settings).items()}

    def open(self):
        return TeamPool(self.pool)

    def ids(self):
        with self.open() as pool:
            return pool.ids()

    def fingerprint(self):
        with self.open() as pool:
            return pool.fingerprint


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def code(*words):
    return "".join(f"{word} = 1\n" for word in words)


def test_files_become_samples(site):
    site.write(one=code("a"), sub__two=code("b"), bad="# unreadable", other="# other", key="# secret\nAKIA9")
    assert Counter(site.statuses().values()) == {
        "sample": 2,
        "unreadable": 1,
        "no-deep-learning": 1,
        "quarantined": 1,
    }
    with site.open() as pool:
        assert [entry.id for entry in pool.entries()] == pool.ids()
        first = pool.sample(pool.ids()[0])
        assert (first.title, first.source, first.pool) == ("Title of one.py", code("a"), "team")
        assert first.origin == str(site.source / "one.py")
        assert first.id.startswith("one-")
        assert len(pool) == 2
    assert b"AKIA9" not in (site.pool / "pool.sqlite").read_bytes()
    assert (os.stat(site.pool).st_mode & 0o777, os.stat(site.pool / "pool.sqlite").st_mode & 0o777) == (
        0o700,
        0o600,
    )


def test_the_second_run_reads_what_changed_alone(site):
    site.write(same=code("a"), changed=code("b"), gone=code("c"))
    site.add()
    before = site.fingerprint()
    assert site.add()["same.py"] == ("sample", False)
    assert site.fingerprint() == before
    site.write(changed=code("b", "new"))
    (site.source / "gone.py").unlink()
    (site.source / "same.py").chmod(0)  # would not be read by anybody but root
    again = site.add()
    assert again == {"same.py": ("sample", False), "changed.py": ("sample", True)}
    assert site.fingerprint() != before


def test_a_moved_file_keeps_its_id(site):
    site.write(model=code("a"))
    site.add()
    before = site.ids()
    (site.source / "sub").mkdir()
    (site.source / "model.py").rename(site.source / "sub/model.py")
    assert site.statuses() == {"sub/model.py": "sample"}
    assert site.ids() == before


def test_the_same_files_make_the_same_pool_whatever_the_order(site, tmp_path):
    words = [code("shared", *(f"w{n}_{k}" for k in range(n % 4))) for n in range(12)]
    site.write(**{f"f{n}": words[n] for n in range(12)})
    site.add()
    other = Site(tmp_path / "other") if (tmp_path / "other").mkdir() is None else None
    other.write(**{f"f{n}": words[n] for n in reversed(range(12))})
    for n in (7, 3, 11, 0):
        other.add(f"f{n}.py")
    other.add()
    assert other.ids() == site.ids()
    assert other.fingerprint() == site.fingerprint()


def test_duplicates_fold_into_the_nearest_path(site):
    long = [f"line{n}" for n in range(40)]
    site.write(deep__copy=code("a"), a=code("a"), layout="# a comment\n\na  =  1\n")
    site.write(near_one=code(*long), near_two_long=code(*long, "more"), far=code("z"))
    statuses = site.statuses()
    assert statuses == {
        "a.py": "sample",
        "deep/copy.py": "duplicate",
        "layout.py": "duplicate",
        "near_one.py": "sample",
        "near_two_long.py": "near-duplicate",
        "far.py": "sample",
    }
    assert site.statuses(keep_near=True)["near_two_long.py"] == "sample"
    (site.source / "a.py").unlink()
    assert site.statuses(keep_near=True)["layout.py"] == "sample"


def test_licences_come_from_the_file_the_folder_or_the_team(site):
    site.write(own="# licence MIT\n" + code("a"), sub__near=code("b"), plain=code("c"))
    (site.source / "sub/COPYING").write_text("GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n")
    site.add(declared="LicenseRef-Ours")
    with site.open() as pool:
        licences = {entry.id.rpartition("-")[0]: pool.sample(entry.id).licence for entry in pool.entries()}
    assert licences == {"own": "MIT", "near": "GPL-3.0-only", "plain": "LicenseRef-Ours"}


def test_a_refusal_is_remembered_until_it_is_taken_back(site):
    site.write(
        own="# licence GPL-2.0-only\n" + code("a"), free="# licence MIT\n" + code("b"), plain=code("c")
    )
    assert site.statuses(deny=("gpl-*", "unknown")) == {
        "own.py": "refused",
        "free.py": "sample",
        "plain.py": "refused",
    }
    assert site.statuses()["own.py"] == "refused"
    with site.open() as pool:
        assert status_of(pool).denied == ("gpl-*", "unknown")
    assert set(site.statuses(allow=("gpl-*", "unknown")).values()) == {"sample"}


def test_what_is_removed_stays_removed_until_it_is_given_again(site):
    site.write(a=code("a"), sub__b=code("b"), sub__c=code("c"), copy_of_a=code("a"))
    site.add()
    (a,) = [sample for sample in site.ids() if sample.startswith("a-")]
    assert remove(site.pool, [a]) == [a]
    removed = remove(site.pool, [str(site.source / "sub")])
    assert len(removed) == 2
    assert set(site.statuses().values()) == {"removed"}
    assert site.ids() == []
    assert b"a = 1" not in (site.pool / "pool.sqlite").read_bytes()
    assert site.statuses("sub/b.py") == {"sub/b.py": "sample"}
    assert site.statuses()["sub/c.py"] == "removed"
    assert site.statuses("a.py") == {"a.py": "sample"}
    with pytest.raises(ConfigError, match="neither"):
        remove(site.pool, [a, "nobody"])
    assert a in site.ids()


def test_a_file_that_fails_for_now_is_tried_again(site):
    site.write(a="# hang", b=code("b"))
    assert site.statuses() == {"a.py": "unreadable", "b.py": "sample"}
    site.write(a=code("a"))
    assert site.statuses() == {"a.py": "sample", "b.py": "sample"}


class Writer:
    """A describer that counts."""

    model = "writer"
    asked = 0

    def __call__(self, title, plan, code):
        self.asked += 1
        return f"Wanted: {title}" if title != "Title of b.py" else None


def test_requirements_are_written_once(site):
    site.write(a=code("a"), b=code("b"))
    site.add()
    writer, before = Writer(), site.fingerprint()
    site.add(describe=writer)
    site.add(describe=writer)
    assert writer.asked == 2
    with site.open() as pool:
        assert [entry.requirement for entry in pool.entries()] == [
            "Wanted: Title of a.py",
            "Build what b.py builds",
        ]
    assert site.fingerprint() != before


def test_a_damaged_sample_is_refused_with_the_command_that_mends_it(site):
    site.write(a=code("a"), b=code("b"))
    site.add()
    a, b = site.ids()
    with sqlite3.connect(site.pool / "pool.sqlite") as database:
        database.execute("UPDATE samples SET requirement = 'Build anything' WHERE id = ?", (a,))
        database.execute("UPDATE examinations SET code = 'import os' WHERE name = 'b.py'")
    database.close()
    with site.open() as pool:
        for sample in (a, b):
            with pytest.raises(ArtifactError, match=sample) as caught:
                pool.sample(sample)
            assert "dlcodegen pool add --again" in caught.value.hint
    site.add(again=True)
    with site.open() as pool:
        assert [pool.sample(sample).source for sample in (a, b)] == [code("a"), code("b")]


def test_a_damaged_database_is_refused_with_the_commands_that_build_it_anew(site):
    site.write(a=code("a"))
    site.add()
    database = site.pool / "pool.sqlite"
    content = bytearray(database.read_bytes())
    content[100:600] = b"\xff" * 500
    database.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        site.ids()
    assert f"pool add --pool '{site.pool}' '{site.source}'" in caught.value.hint


def test_a_newer_database_is_refused(site):
    site.write(a=code("a"))
    site.add()
    with sqlite3.connect(site.pool / "pool.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ArtifactError, match="newer dlcodegen"):
        site.open()
    with pytest.raises(ArtifactError, match="newer dlcodegen"):
        site.add()


def test_another_program_s_database_is_left_alone(site):
    site.pool.mkdir()
    with sqlite3.connect(site.pool / "pool.sqlite") as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    before = (site.pool / "pool.sqlite").read_bytes()
    with pytest.raises(ArtifactError, match="another program"):
        site.add()
    assert (site.pool / "pool.sqlite").read_bytes() == before


def test_an_ignored_folder_that_is_added_by_name_stays(site):
    site.write(a=code("a"), out__b=code("b"))
    (site.source / ".gitignore").write_text("out/\n")
    site.add("out")
    site.add()
    assert len(site.ids()) == 2


def test_a_pool_without_folders_has_nothing_to_bring_up_to_date(site):
    with pytest.raises(ConfigError, match="knows no folder"):
        take_in(site.pool, [], IntakeSettings(examine=examine), lambda *stage: None)


def test_a_source_that_changed_or_is_gone_is_stale(site):
    site.write(a=code("a"), b=code("b"), c=code("c"))
    site.add()
    site.write(a=code("a", "more"))
    (site.source / "b.py").unlink()
    with site.open() as pool:
        reasons = [state.reason for state in status_of(pool).stale]
    assert reasons == ["its source has changed", "its source is gone"]
