"""`python -m tests.fuzz`: damaged models, manifests, archives and run records, as long as one likes.

Prints one JSON object a kind; exit code 1 where anything failed. The files of a failure are kept.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.campaign import Plan, fuzz
from tests.fuzz.kinds import NAMES, known_kinds

_ENDLESS = 10**9


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, take the cases, print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--seconds", type=float, help="so many seconds for all kinds together")
    amount.add_argument("--count", type=int, help="so many cases of each kind (default: 1000)")
    parser.add_argument("--only", default=",".join(NAMES), help="kinds, with commas between them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--native", type=int, default=200, help="accepted cases that the parser gets, too")
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"), help="where failures are kept")
    options = parser.parse_args(argv)
    wanted = options.only.split(",")
    if unknown := sorted(set(wanted) - set(NAMES)):
        parser.error(f"unknown kind: {', '.join(unknown)}; one of {', '.join(NAMES)}")
    kinds = [name for name in known_kinds() if name in wanted]
    count = _ENDLESS if options.seconds else options.count or 1000
    seconds = options.seconds / len(kinds) if options.seconds and kinds else None
    failed = False
    for kind in kinds:
        plan = Plan(options.seed, options.first, count, seconds, options.native, options.failures)
        tally = fuzz(kind, plan)
        print(json.dumps(tally.row()), flush=True)
        for answer in tally.failures[:20]:
            print(f"{kind} {answer.number}: {answer.detail.strip()[-600:]}", file=sys.stderr, flush=True)
        failed = failed or bool(tally.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
