"""The benchmarks run and print what they promise; nothing here is timed."""

import json

import pytest

from tests.benchmarks import constrained, lookup, search, stages
from tests.benchmarks.mixed_plans import mixed_entries
from tests.benchmarks.random_gguf import Shape, random_gguf

KEYS = {"name", "ours", "peer", "ratio", "unit"}


def test_constrained_plans_need_fewer_steps(capsys):
    constrained.main(["--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(row) == KEYS for row in rows) and len(rows) == 13
    assert rows[-1]["name"] == "constrained, all" and rows[-1]["ratio"] >= 1.3


def test_the_search_benchmark_measures_and_finds_what_an_unabridged_query_finds(capsys):
    search.main(["--json", "--samples", "300", "--queries", "10"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(row) == KEYS for row in rows)
    same = [row["ours"] for row in rows if "same top 5" in row["name"]]
    assert same == [10, 10]


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "random.gguf"
    return random_gguf(path, Shape(1, 256, 256, 4, 16_000, 3072))


@pytest.mark.parametrize(("benchmark", "count"), [(lookup, 3), (stages, 7)])
def test_the_benchmarks_of_the_code_model_measure(benchmark, count, random_model, tmp_path, capsys):
    options = ["--model", str(random_model), "--cache", str(tmp_path), "--tokens", "40", "--processor"]
    benchmark.main(["--json", *options])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == count and all(set(row) == KEYS for row in rows)
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in rows)


def test_mixed_plans_are_the_same_for_the_same_seed():
    assert list(mixed_entries(20)) == list(mixed_entries(20)) != list(mixed_entries(20, seed=1))


@pytest.mark.train
def test_the_planner_benchmark_builds_and_measures(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("onnx")
    from tests.benchmarks import planner

    small = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-positions", "260"]
    argv = ["--engines", "ours", "--model-dir", str(tmp_path), "--threads", "1", *small]
    argv += ["--vocab-size", "300"]
    planner.main(["--json", *argv])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(row) == KEYS for row in rows) and rows[-1]["peer"] == 300
    planner.main(argv)  # from the cache
    assert "| ours | int8 |" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.part"))
