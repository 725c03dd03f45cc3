"""Score a planner on published plans: the measures of the data's own README, field by field.

`python -m export.score_planner PLANNER ROWS.jsonl` prints one JSON object. For choosing, ROWS is the
validation file. Closed values are compared after lower-casing and dropping everything but
letters and digits, against the published text; a published value that is missing is left out.
"""

import argparse
import json
import math
import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import DEFAULT_LENGTH_PENALTY, Planner
from export.planner_rows import Row, read_jsonl, read_rows

EXACT = ("category", "loss", "optimizer", "metric")
NUMBERS = ("learning_rate", "batch_size", "epochs")


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
    categories = {str(table["id"]): _published_category(table) for table in read_jsonl(options.rows)}
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
    scores = score([result.plan for result in results], rows, categories)
    scores["seconds_median"] = round(statistics.median(result.seconds for result in results), 3)
    scores["steps_median"] = statistics.median(result.steps for result in results)
    print(json.dumps(scores))


def score(plans: Sequence[Plan], rows: Sequence[Row], categories: dict[str, str]) -> dict[str, Any]:
    """Return every measure with the half width of its 95% interval under `name_ci95`."""
    parts: dict[str, list[float]] = {}
    for plan, row in zip(plans, rows, strict=True):
        for name in EXACT:
            reference = categories[row.row_id] if name == "category" else getattr(row.plan, name)
            if _plain(reference):
                parts.setdefault(name, []).append(100.0 * (_plain(getattr(plan, name)) == _plain(reference)))
        for name in ("dataset_input", "dataset_output"):
            parts.setdefault(f"{name}_bleu", []).append(
                100 * sentence_bleu(_words(getattr(plan, name)), _words(getattr(row.plan, name)))
            )
        parts.setdefault("layer_similarity", []).append(layer_similarity(plan.layers, row.plan.layers))
        for name in NUMBERS:
            reference = getattr(row.plan, name)
            if reference is not None:
                predicted = getattr(plan, name)
                parts.setdefault(name, []).append(
                    1.0 if predicted is None else min(1.0, abs(math.log10(predicted / reference)))
                )
    scores: dict[str, Any] = {"rows": len(rows), "valid_percent": 100.0}
    for name, values in parts.items():
        scores[name] = round(statistics.fmean(values), 3)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        scores[f"{name}_ci95"] = round(1.96 * spread / math.sqrt(len(values)), 3)
    return scores


def layer_similarity(layers: Sequence[str], reference: Sequence[str]) -> float:
    """Return 100 x (1 - edit distance / longer length) over layers.

    Inserting or deleting costs 1, substituting the normalised Levenshtein distance of the texts.
    """
    if not layers and not reference:
        return 100.0
    previous = [float(place) for place in range(len(reference) + 1)]
    for place, layer in enumerate(layers, start=1):
        current = [float(place)]
        for other_place, other in enumerate(reference, start=1):
            substitution = previous[other_place - 1] + _normalised_distance(layer.lower(), other.lower())
            current.append(min(previous[other_place] + 1, current[-1] + 1, substitution))
        previous = current
    return 100 * (1 - previous[-1] / max(len(layers), len(reference)))


def sentence_bleu(prediction: Sequence[str], reference: Sequence[str]) -> float:
    """Return sentence BLEU-4 with smoothing method 1 (0.1 for a count of nothing)."""
    if not prediction:
        return 0.0
    total = 0.0
    for size in range(1, 5):
        grams = Counter(zip(*(prediction[start:] for start in range(size)), strict=False))
        others = Counter(zip(*(reference[start:] for start in range(size)), strict=False))
        matched = sum(min(count, others[gram]) for gram, count in grams.items())
        if size == 1 and not matched:
            return 0.0
        total += math.log((matched or 0.1) / max(1, sum(grams.values()))) / 4
    brevity = min(0.0, 1 - len(reference) / len(prediction))
    return math.exp(total + brevity)


def _normalised_distance(text: str, other: str) -> float:
    if text == other:
        return 0.0
    previous = list(range(len(other) + 1))
    for place, char in enumerate(text, start=1):
        current = [place]
        for other_place, other_char in enumerate(other, start=1):
            change = previous[other_place - 1] + (char != other_char)
            current.append(min(previous[other_place] + 1, current[-1] + 1, change))
        previous = current
    return previous[-1] / max(len(text), len(other))


def _published_category(table: dict[str, Any]) -> str:
    plan = table["plan"]
    return str(plan.get("Task Category") or "") if isinstance(plan, dict) else ""


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


if __name__ == "__main__":
    main()
