"""The index on the disk: damage, two processes at once, kills, changes while it is built, cleaning."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcodegen_local.retrieval.index import SampleIndex
from tests.retrieval.memory_pool import MemoryPool, make_sample

BUILD = """
import sys
from pathlib import Path
from dlcodegen_local.retrieval.index import SampleIndex
from tests.retrieval.memory_pool import MemoryPool, make_sample
words = ["cats", "dogs", "ships", "cars", "birds"]
many = [make_sample(f"n{n:05}", "Translation", f"{words[n % 5]} {n}") for n in range(int(sys.argv[2]))]
index = SampleIndex([MemoryPool(many)], Path(sys.argv[1]), print)
print([(hit.sample.id, hit.score) for hit in index.search("ships 7", 3, "Translation")])
"""


@pytest.fixture
def samples():
    words = ("cats", "dogs", "ships", "cars")
    return [make_sample(f"s{n:02}", "Translation", f"{words[n % 4]} {words[n % 3]} {n}") for n in range(40)]


def answers(samples, cache, notes=None):
    index = SampleIndex(
        [MemoryPool(samples)], cache, notes.append if notes is not None else lambda text: None
    )
    return [(hit.sample.id, hit.score) for hit in index.search("ships 7 cats", 5, "Translation")]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    fresh = path.with_name("fresh")
    fresh.write_bytes(content)
    fresh.replace(path)  # a new file: an index that is open maps the old one


def test_a_flipped_bit_in_any_file_is_noticed_and_mended(samples, tmp_path):
    cache, pristine = tmp_path / "cache", tmp_path / "pristine"
    before = answers(samples, cache)
    (folder,) = cache.glob("index-*-*")
    folder.rename(pristine)
    rng = random.Random(5)
    names = [path.relative_to(pristine) for path in sorted(pristine.rglob("*")) if path.is_file()]
    names = [name for name in names if not name.name.startswith(".")]
    assert len(names) > 5
    for name in names:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(pristine, folder)
        flip(folder / name, rng.randrange((pristine / name).stat().st_size * 8))
        notes: list[str] = []
        assert answers(samples, cache, notes) == before, name
        assert len(notes) == 1 and "built anew" in notes[0], name
        assert answers(samples, cache, notes) == before and len(notes) == 1


def test_a_missing_file_is_noticed_and_mended(samples, tmp_path):
    before = answers(samples, tmp_path)
    for name in ("manifest.json", "meta.json"):
        next(tmp_path.rglob(name)).unlink()
        notes: list[str] = []
        assert answers(samples, tmp_path, notes) == before
        assert len(notes) == 1


def start(cache, count=2000):
    argv = [sys.executable, "-c", BUILD, str(cache), str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_build_at_once_agree(tmp_path):
    builders = [start(tmp_path) for _ in range(3)]
    outputs = [builder.communicate(timeout=120) for builder in builders]
    assert len({out for out, _ in outputs}) == 1, outputs
    assert "n00007" in outputs[0][0]
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(folders) == 1


def test_a_killed_build_leaves_nothing_that_misleads(tmp_path):
    right = start(tmp_path / "whole").communicate(timeout=120)[0]
    cache = tmp_path / "killed"
    cache.mkdir()
    builder = start(cache)
    while not list(cache.glob(".index-*")) and builder.poll() is None:
        time.sleep(0.002)
    os.kill(builder.pid, signal.SIGKILL)
    builder.communicate()
    assert start(cache).communicate(timeout=120)[0] == right
    assert not list(cache.glob(".index-*"))


def test_a_pool_that_changes_while_it_is_read_is_not_recorded(samples, tmp_path):
    class Growing(MemoryPool):
        def entries(self):
            yield from list(super().entries())
            self.samples["late"] = make_sample("late", "Translation", "late words")

    pool = Growing(samples)
    assert SampleIndex([pool], tmp_path).search("ships", 1, "Translation")
    assert not list(tmp_path.glob("index-*-*"))
    (hit,) = SampleIndex([MemoryPool(pool.samples.values())], tmp_path).search("late", 1, "Translation")
    assert hit.sample.id == "late"


def test_old_indexes_are_cleaned_away_but_none_in_use(samples, tmp_path):
    used = SampleIndex([MemoryPool(samples[:1])], tmp_path)
    used.search("ships", 1, "Translation")
    (kept,) = tmp_path.glob("index-*-*")
    os.utime(kept, (1, 1))
    for count in range(2, 14):
        answers(samples[:count], tmp_path)
    folders = list(tmp_path.glob("index-*-*"))
    assert kept in folders and len(folders) <= 8
    assert used.search("cats", 1)[0].sample.id == "s00"


def test_a_search_without_a_category_builds_its_own_partition(samples, tmp_path):
    index = SampleIndex([MemoryPool(samples)], tmp_path)
    assert not list(tmp_path.iterdir())
    assert index.search("ships", 1)[0].partition == "everything"
    assert [path.name[-6:] for path in tmp_path.glob("index-*-*")] == ["-whole"]
