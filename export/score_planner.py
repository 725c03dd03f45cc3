"""Score a planner on published plans, in the measures of `dlcodegen evaluate plans`.

`python -m export.score_planner PLANNER ROWS.jsonl` plans every row and prints one JSON object. For choosing,
ROWS is the validation file.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcodegen_local.evaluation.plan_fields import PlanFields, read_fields
from dlcodegen_local.evaluation.plan_scores import score_systems
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import DEFAULT_LENGTH_PENALTY, Planner
from export.planner_rows import read_jsonl, read_rows


def main(argv: list[str] | None = None) -> None:
    """Read the command line, plan every row and print the scores."""
    parser = argparse.ArgumentParser(prog="python -m export.score_planner", description=__doc__)
    parser.add_argument("planner", type=Path, help="planner folder")
    parser.add_argument("rows", type=Path, help="plans file, one JSON object a line")
    parser.add_argument("--num-beams", type=int, default=3)
    parser.add_argument("--length-penalty", type=float, default=DEFAULT_LENGTH_PENALTY)
    parser.add_argument("--limit", type=int, default=None, help="score the first rows only")
    options = parser.parse_args(argv)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    planner = Planner(options.planner)
    rows, _ = read_rows(options.rows)
    rows = rows[: options.limit]
    references = {str(table["id"]): read_fields(table["plan"]) for table in read_jsonl(options.rows)}
    results = []
    for place, row in enumerate(rows, start=1):
        results.append(
            planner.plan(
                row.requirement,
                row.dataset,
                num_beams=options.num_beams,
                length_penalty=options.length_penalty,
            )
        )
        if place % 10 == 0:
            print(f"planned {place} of {len(rows)}", file=sys.stderr)
    plans = {row.row_id: result.plan for row, result in zip(rows, results, strict=True)}
    scores = score(plans, references)
    scores["seconds_median"] = round(statistics.median(result.seconds for result in results), 3)
    scores["steps_median"] = statistics.median(result.steps for result in results)
    print(json.dumps(scores))


def score(plans: Mapping[str, Plan], references: Mapping[str, PlanFields]) -> dict[str, Any]:
    """Return every measure of the plans, by id, with its 95% interval `[low, high]` under `name_ci95`."""
    predictions = {item: read_fields(plan.to_dict()) for item, plan in plans.items()}
    [system] = score_systems({"planner": predictions}, {item: references[item] for item in plans})
    scores: dict[str, Any] = {"rows": len(plans)}
    for name, estimate in system.scores.items():
        if estimate is not None:
            scores[name] = round(estimate.mean, 4)
            scores[f"{name}_ci95"] = [round(estimate.low, 4), round(estimate.high, 4)]
    return scores


if __name__ == "__main__":
    main()
