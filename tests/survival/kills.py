"""Kill a run, or let its disk fail, at every call on its own files; go on with it, and compare every byte.

`python -m tests.survival.kills --kills 500 --faults 300 --moments 100` prints one JSON object: how many there
were, and what went wrong. Needs strace. A killed run is gone on with, and killed again at a later call, until
it ends; after every kill what lies on the disk is looked at, and every so often a copy of it is gone on with
to its end.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dlcodegen_local.runs.objects import ObjectStore
from dlcodegen_local.runs.schema import is_run_id, read_record
from tests.survival.stand import Answer, Site, Stand, tree

ERRORS = ("ENOSPC", "EIO", "EFBIG")
_KILLED_AT = ("openat", "write", "fsync", "rename", "mkdir", "ftruncate", "unlink")
_FAILING = ("write", "fsync", "rename", "ftruncate")
_CODES = {0, 1, 2, 3, 5}


class Proof:
    """Kill runs on a stand, and keep account of what came of them."""

    def __init__(self, stand: Stand, ended_every: int = 1) -> None:
        """Go on to the end with a copy of what every so many-th killed run left."""
        self.stand = stand
        self._ended_every = ended_every
        self._checked = 0
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        first = stand.place("first", None)
        answer = stand.run(first, stand.generate)
        assert answer.code == 0, answer.stderr
        self.project = tree(first / "out")
        self.hits = stand.run(first, self._search).stdout
        self.warm = first / "cache"
        self._cold = stand.folder / "cold"
        shutil.rmtree(self._cold, ignore_errors=True)
        (self._cold / "dlcodegen").mkdir(parents=True)
        names = self.warm / "dlcodegen" / "attributes.json"
        if names.exists():  # what frameworks have takes seconds to find out
            shutil.copy(names, self._cold / "dlcodegen")

    @property
    def _search(self) -> tuple[str, ...]:
        return ("search", "house price", "--pool", str(self.stand.folder / "pool"), "--json")

    def sites(self, calls: Sequence[str], *, cold: bool = False, late: bool = False) -> list[Site]:
        """Return the calls of a whole run on its own files; `late`: of one whose stages are finished."""
        place = self.stand.place("traced", self._cold if cold else self.warm)
        place = self.late_place("traced") if late else place
        return [site for site in self.stand.sites(place, self.stand.generate) if site.call in calls]

    def kill_at(self, sites: Iterator[Site], count: int, *, cold: bool = False) -> None:
        """Kill runs at so many calls, each run gone on with until it ends."""
        cache = self._cold if cold else self.warm
        place = self.stand.place("killed", cache)
        for _ in range(count):
            site = next(sites)
            option = f"inject={site.call}:signal=KILL:when={site.ordinal}"
            answer = self.stand.run(place, self._next(place), ("-e", f"trace={site.call}", "-e", option))
            label = f"kill at {site.call} {site.ordinal}{' (cold)' if cold else ''}"
            if answer.code == -signal.SIGKILL:
                self.counts[f"killed at {site.call}"] += 1
                self._check(place, label)
            else:
                self.counts["ended before the kill"] += 1
                self._judge(answer, place, label)
                place = self.stand.place("killed", cache)

    def fail_at(self, sites: Iterator[Site], count: int, *, late: bool = False) -> None:
        """Let the calls of runs fail, in turn with every error.

        `late`: of runs whose stages an earlier attempt has finished, so that the project is what is written.
        """
        for number in range(count):
            site, error = next(sites), ERRORS[number % len(ERRORS)]
            place = self.late_place("failed") if late else self.stand.place("failed", self.warm)
            option = f"inject={site.call}:error={error}:when={site.ordinal}"
            answer = self.stand.run(place, self.stand.generate, ("-e", f"trace={site.call}", "-e", option))
            self.counts[f"{error} at {site.call}"] += 1
            self.counts["ended in spite of a failure" if answer.code == 0 else "stopped by a failure"] += 1
            label = f"{error} at {site.call} {site.ordinal}{' (late)' if late else ''}"
            self._judge(answer, place, label)
            if answer.code:
                self._check(place, label)

    def late_place(self, name: str) -> Path:
        """Return a place where all stages are finished and no project is written."""
        place = self.stand.place(name, self.warm)
        shutil.copytree(self.stand.folder / "first/state", place / "state")
        return place

    def kill_any_time(self, count: int, rng: random.Random) -> None:
        """Kill runs at moments of no meaning."""
        place = self.stand.place("timed", self.warm)
        began = time.monotonic()
        self.stand.run(place, self.stand.generate)
        longest = time.monotonic() - began
        place = self.stand.place("timed", self.warm)
        done = 0
        while done < count:
            pid = self.stand.start(place, self._next(place))
            self.stand.let_go()
            time.sleep(rng.uniform(0, longest))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            answer = self.stand.wait(place)
            if answer.code == -signal.SIGKILL:
                done += 1
                self.counts["killed at a random moment"] += 1
                self._check(place, f"random moment {done}")
            else:
                self._judge(answer, place, "after random moments")
                place = self.stand.place("timed", self.warm)

    def _blame(self, text: str) -> None:
        self.wrong.append(text)
        print(text, file=sys.stderr, flush=True)

    def _next(self, place: Path) -> tuple[str, ...]:
        """Return the command that goes on with what lies at a place."""
        if _has_record(place):
            return ("runs", "resume", "last")
        return self.stand.generate

    def _check(self, place: Path, label: str) -> None:
        """Look at what a killed run left, then go on with a copy of it to the end."""
        if self._checked % 20 == 0:
            print(label, sum(self.counts.values()), file=sys.stderr, flush=True)
        left = tree(place / "out")
        half = {name for name in left if name.startswith("project/")}
        if half and {name: left[name] for name in half} != self.project:
            self._blame(f"{label}: a project that is not whole")
        self._check_state(place, label)
        self._checked += 1
        if self._checked % self._ended_every:
            return
        self.counts["copies gone on with to the end"] += 1
        copy = self.stand.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(place, copy)
        answer = self.stand.run(copy, self._command_at(place, copy))
        self._judge(answer, copy, f"{label}, gone on with", is_last=True)

    def _command_at(self, place: Path, copy: Path) -> tuple[str, ...]:
        """Return what goes on in a copy: the recorded output is the original's, so it is named anew."""
        command = self._next(copy)
        return (*command, "-o", "out/project") if command[0] == "runs" else command

    def _check_state(self, place: Path, label: str) -> None:
        state = place / "state/dlcodegen"
        for folder in sorted((state / "runs").glob("*")):
            if is_run_id(folder.name) and (folder / "record.json").exists():
                record = read_record(folder)
                store = ObjectStore(state)
                for entry in record.stages:
                    if store.get(entry.object) is None:
                        self._blame(f"{label}: stage {entry.name} is recorded and not stored")

    def _judge(self, answer: Answer, place: Path, label: str, *, is_last: bool = False) -> None:
        """Note what is wrong with a run that ended by itself."""
        if "Traceback" in answer.stderr or answer.code not in _CODES:
            self._blame(f"{label}: exit code {answer.code}: {answer.stderr[-600:]}")
        elif (
            answer.code and len([li for li in answer.stderr.splitlines() if li.startswith("dlcodegen:")]) != 1
        ):
            self._blame(f"{label}: exit code {answer.code} without its line")
        found = tree(place / "out")
        if answer.code == 0 or is_last:
            if answer.code or found != self.project:
                changed = sorted(n for n in {*found, *self.project} if found.get(n) != self.project.get(n))
                self._blame(f"{label}: other bytes in {changed[:3]}: {answer.stderr[-300:]}")
        elif any(name.startswith("project/") for name in found):
            self._blame(f"{label}: a failed run left a project")
        if not is_last:
            return
        places = (place / "out", place / "state")  # what is left in the cache is taken over some day
        if left := [path for folder in places for path in folder.rglob(".*") if path.name != ".dlcodegen"]:
            self._blame(f"{label}: left behind: {left[0].relative_to(place)}")
        if self.counts["searched"] * 5 <= sum(self.counts.values()):
            self.counts["searched"] += 1
            if self.stand.run(place, self._search).stdout != self.hits:
                self._blame(f"{label}: the index finds something else")


def _has_record(place: Path) -> bool:
    return any((place / "state/dlcodegen/runs").glob("*/record.json"))


def around(sites: Sequence[Site], rng: random.Random) -> Iterator[Site]:
    """Yield every site in its order, then again and again; each round begins at another one."""
    start = 0
    while True:
        yield from (*sites[start:], *sites[:start])
        start = rng.randrange(len(sites))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the proofs; exit code 1 where anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.survival.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--model", type=Path, help="a GGUF file in place of the small one made for this")
    parser.add_argument("--ended-every", type=int, default=10, help="after how many kills a copy is ended")
    parser.add_argument("--seed", type=int, default=0, help="0 begins with the first call, others elsewhere")
    options = parser.parse_args(argv)
    rng = random.Random(options.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dlcodegen-survival-") as folder:
        proof = Proof(Stand(Path(folder), options.model), options.ended_every)
        try:
            _prove(proof, options, rng)
        finally:
            print(json.dumps(dict(proof.counts)), file=sys.stderr)
            proof.stand.close()
    seconds = round(time.monotonic() - began)
    print(json.dumps({"counts": dict(proof.counts), "wrong": proof.wrong, "seconds": seconds}, indent=1))
    return 1 if proof.wrong else 0


def _prove(proof: Proof, options: argparse.Namespace, rng: random.Random) -> None:
    if options.kills:
        cold_kills = options.kills // 4
        sites = proof.sites(_KILLED_AT)
        proof.counts["calls of a run on its own files"] = len(sites)
        first = rng.randrange(len(sites)) if options.seed else 0
        proof.kill_at(around((*sites[first:], *sites[:first]), rng), options.kills - cold_kills)
        proof.kill_at(around(proof.sites(_KILLED_AT, cold=True), rng), cold_kills, cold=True)
    if options.faults:
        early = options.faults // 3
        proof.fail_at(around(proof.sites(_FAILING), rng), early)
        proof.fail_at(around(proof.sites(_FAILING, late=True), rng), options.faults - early, late=True)
    if options.moments:
        proof.kill_any_time(options.moments, rng)


if __name__ == "__main__":
    sys.exit(main())
