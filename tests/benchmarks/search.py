"""Search over many samples with a whole plan as query, against bm25s and against a plain Tantivy call.

`python -m tests.benchmarks.search --json`: 100,000 samples mixed from the bundled plans, 100 of them as
queries, five hits each, all engines in one process, one after the other, query by query. Prints one object a
line with `name`, `ours`, `peer`, `ratio` (above 1: ours is better) and `unit`. A peer that is not
installed is left out, and the run says so.
"""

import argparse
import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index import SampleIndex, plan_text
from dlcodegen_local.retrieval.index_files import IndexFiles, content_hash
from dlcodegen_local.retrieval.pools import Entry
from dlcodegen_local.retrieval.samples import Sample
from tests.benchmarks import search_peers
from tests.benchmarks.mixed_plans import mixed_entries

K = 5
BUILD_RATE = 20_000
MEMORY_ALLOWED_MIB = 400
Search = Callable[[Plan], list[str]]


class Row(NamedTuple):
    """Hold one line; `more_is_better` turns the ratio round."""

    name: str
    ours: float
    peer: float
    unit: str
    more_is_better: bool = False

    def text(self, *, as_json: bool) -> str:
        """Return the line as an object or as a row of a table."""
        above, below = (self.ours, self.peer) if self.more_is_better else (self.peer, self.ours)
        ratio = round(above / below, 2) if below else 0.0
        if as_json:
            name, ours, peer, unit = self[:4]
            return json.dumps({"name": name, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit})
        return f"| {self.name} | {self.ours} | {self.peer} | {ratio} | {self.unit} |"


class MixedPool:
    """Serve mixed entries, from a list or made anew on every pass; their code is empty."""

    name = "mixed"

    def __init__(self, count: int, entries: Sequence[Entry] = ()) -> None:
        self.fingerprint = f"mixed {count}"
        self._count = count
        self._entries = entries

    def __len__(self) -> int:
        return self._count

    def entries(self) -> Iterable[Entry]:
        """Yield every entry, sorted by id."""
        return iter(self._entries or mixed_entries(self._count))

    def sample(self, sample_id: str) -> Sample:
        """Return a sample without code."""
        entry = self._entries[int(sample_id.removeprefix("mixed-"))]
        return Sample(**vars(entry), licence="MIT", origin="mixed", source="", smoke={}, pool=self.name)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, build, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--peak-of-build", action="store_true", help="build only, print the peak in MiB")
    options = parser.parse_args(argv)
    if options.peak_of_build:
        print(peak_of_build(options.samples))
        return
    if not options.json:
        print("| | ours | peer | ratio | unit |\n| --- | --- | --- | --- | --- |")
    for row in measured(options.samples, options.queries):
        print(row.text(as_json=options.json), flush=True)


def measured(count: int, query_count: int) -> Iterator[Row]:
    """Yield every figure; peak memory is that of processes of their own."""
    print(f"mixing {count:,} plans", file=sys.stderr, flush=True)
    entries = list(mixed_entries(count))
    with tempfile.TemporaryDirectory() as cache:
        pool = MixedPool(count, entries)
        index = SampleIndex([pool], Path(cache))
        for name, query in (("by category", entries[0].plan), ("as a whole", "cats")):
            started, worked = time.perf_counter(), time.process_time()
            index.search(query, 1)
            rate = round(count / (time.perf_counter() - started))
            yield Row(f"search, samples indexed a second {name}", rate, BUILD_RATE, "samples/s", True)
            rate = round(count / (time.process_time() - worked))
            unit = "samples/s of processor time"
            yield Row(f"search, samples indexed a second {name}, processor", rate, BUILD_RATE, unit, True)
        for plan in {entry.plan.category: entry.plan for entry in entries}.values():
            index.search(plan, 1)  # opens the partition
        plans = [entry.plan for entry in random.Random(1).sample(entries, query_count)]
        ours: dict[str, Search] = {
            "a category": lambda plan: [hit.sample.id for hit in index.search(plan, K) if not hit.topped_up],
            "everything": lambda plan: [hit.sample.id for hit in index.search(plan_text(plan), K)],
        }
        peers = dict(_peers(entries))
        yield from _latencies(plans, ours, peers)
    small, whole = (_peak_of_child(number) for number in (max(1, count // 5), count))
    yield Row("search, peak memory of the build", whole, MEMORY_ALLOWED_MIB, "MiB")
    yield Row("search, the same with a fifth of the samples", small, whole, "MiB")


def _latencies(plans: list[Plan], ours: dict[str, Search], peers: dict[str, Search]) -> Iterator[Row]:
    seconds: dict[str, list[float]] = {name: [] for name in (*ours, *peers)}
    found: dict[str, list[list[str]]] = {name: [] for name in (*ours, *peers)}
    engines = [*ours.items(), *peers.items()]
    for number, plan in enumerate(plans):  # in turn, so that what else the machine does meets all engines
        first = number % len(engines)  # and each is the first to cut a plan's new lines into terms
        for name, search in (*engines[first:], *engines[:first]):
            started = time.perf_counter()
            hits = search(plan)
            seconds[name].append(time.perf_counter() - started)
            found[name].append(hits)
    medians = {name: round(statistics.median(times) * 1e3, 3) for name, times in seconds.items()}
    yield Row("search by plan, median against 8 ms", medians["a category"], 8.0, "ms")
    for name in peers:
        within = "a category" if "a category" in name else "everything"
        yield Row(f"search, {name}", medians[within], medians[name], "ms")
    for within in ours:
        reference = found[f"plain Tantivy call in {within}"]
        same = sum(one == other for one, other in zip(found[within], reference, strict=True))
        yield Row(f"search, same top {K} as unabridged in {within}", same, len(plans), "queries", True)


def _peers(entries: list[Entry]) -> Iterator[tuple[str, Search]]:
    yield from search_peers.plain_tantivy(entries, K)
    if importlib.util.find_spec("bm25s") is None:
        print("bm25s is left out: not installed", file=sys.stderr)
        return
    yield from search_peers.bm25s_searches(entries, K)


def peak_of_build(count: int) -> int:
    """Build from a stream of entries and return the peak memory of this process in MiB."""
    with tempfile.TemporaryDirectory() as cache:
        pool = MixedPool(count)
        IndexFiles([pool], content_hash([pool]), Path(cache), "categories", print_to_stderr).partition(
            CATEGORIES[0]
        )
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def print_to_stderr(text: str) -> None:
    """Say what happens."""
    print(text, file=sys.stderr, flush=True)


def _peak_of_child(count: int) -> int:
    command = [sys.executable, "-m", "tests.benchmarks.search", "--peak-of-build", "--samples", str(count)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
