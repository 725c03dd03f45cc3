import hashlib
import json
import shutil
from pathlib import Path

import pytest

from dlcodegen_local.config import Paths, find_pools
from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.pools import FolderPool, open_pool

PLAN = Plan("Tabular Regression", "(batch_size, 4)", "(batch_size, 1)", "", ("Dense(1)",))


def write_sample(folder: Path, name: str, code: str = "x = 1\n") -> None:
    folder.mkdir(exist_ok=True)
    table = {
        "title": name,
        "requirement": "rents",
        "framework": "keras",
        "licence": "MIT",
        "source": "ours",
        "plan": PLAN.to_dict(),
        "sha256": hashlib.sha256(code.encode()).hexdigest(),
    }
    (folder / f"{name}.json").write_text(json.dumps(table))
    (folder / f"{name}.py").write_text(code)


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a"):
        write_sample(tmp_path / "pool", name)
    return tmp_path / "pool"


def test_entries_are_sorted_and_samples_know_their_pool(folder):
    pool = FolderPool(folder, "ours")
    assert [entry.id for entry in pool.entries()] == ["a", "b"] and len(pool) == 2
    assert pool.sample("a").pool == "ours" and pool.sample("a").source == "x = 1\n"


@pytest.mark.parametrize("name", ["a.py", "a.json"])
def test_half_a_sample_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=r"pool/a\.(py|json) has no \.(py|json) beside it"):
        FolderPool(folder, "ours")


def test_the_fingerprint_changes_with_what_is_indexed(folder):
    pool = FolderPool(folder, "ours")
    before = pool.fingerprint
    assert pool.fingerprint == before
    write_sample(folder, "a", "x = 2\n")
    assert pool.fingerprint != before


def test_damaged_code_is_an_error_of_its_sample_alone(folder):
    (folder / "a.py").write_text("x = 3\n")
    pool = FolderPool(folder, "ours")
    assert len(list(pool.entries())) == 2 and pool.sample("b")
    with pytest.raises(ArtifactError, match=r"a\.py is damaged"):
        pool.sample("a")


def test_a_missing_pool_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="holds no samples"):
        open_pool(tmp_path / "absent", "absent")
    with pytest.raises(ArtifactError, match="no team pool") as caught:
        open_pool(tmp_path / "absent", "team")
    assert "pool add" in caught.value.hint


def test_the_team_s_pool_is_searched_where_there_is_one_and_wins_ties(tmp_path):
    paths = Paths(*(tmp_path / name for name in ("config", "state", "cache", "data", "models", "index")))
    assert [place.name for place in find_pools((), paths)] == ["bundled"]
    (tmp_path / "data/pool").mkdir(parents=True)
    (tmp_path / "data/pool/pool.sqlite").touch()
    assert [place.name for place in find_pools((), paths)] == ["team", "bundled"]
    chosen = find_pools(("bundled", "ours", "team", "ours"), paths)
    assert [place.name for place in chosen] == ["ours", "team", "bundled"]
    assert chosen[0].folder == Path("ours") and chosen[2].folder == tmp_path / "index/samples"


def test_a_team_s_pool_that_a_bundle_has_brought_stands_in_for_the_user_s_own(tmp_path):
    share = tmp_path / "share"
    paths = Paths(
        *(tmp_path / name for name in ("config", "state", "cache", "data")), share / "models", share / "index"
    )
    for folder in (share / "pool", paths.data / "pool"):
        folder.mkdir(parents=True)
        (folder / "pool.sqlite").touch()
        assert find_pools(("team",), paths)[0].folder == folder


def test_a_pool_that_vanishes_is_an_error(folder):
    pool = FolderPool(folder, "ours")
    shutil.rmtree(folder)
    with pytest.raises(ArtifactError):
        list(pool.entries())
