"""Model steps of a constrained plan against those of the same plan as plain text.

`python -m tests.benchmarks.constrained --json`: for every sentence the planner's steps, and the tokens
that the plan's whole JSON text has by the same tokenizer, each of which costs an unconstrained
decoder one step. One object a line with `name`, `ours`, `peer`, `ratio` and `unit`; the last is the sum.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from dlcodegen_local.planner.files import TOKENIZER_FILE
from dlcodegen_local.planner.planner import Planner

FOLDER = Path(__file__).parents[2] / "models" / "planner"
REQUIREMENTS = Path(__file__).parent / "requirements.jsonl"


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, plan, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.constrained", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    parser.add_argument("--planner", type=Path, default=FOLDER, help="the bundled one without it")
    options = parser.parse_args(argv)
    if not options.json:
        print("| requirement | steps | tokens of the text | ratio |\n| --- | --- | --- | --- |")
    total = [0, 0]
    for name, steps, tokens in measured(options.planner):
        total = [total[0] + steps, total[1] + tokens]
        print(line(name, steps, tokens, as_json=options.json), flush=True)
    print(line("all", *total, as_json=options.json))


def measured(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield id, our steps and the tokens of the plan's text for each requirement."""
    planner = Planner(folder)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    for text in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        item = json.loads(text)
        dataset = item.get("dataset_attributes", "")
        result = planner.plan(
            item["requirement"], dataset if isinstance(dataset, str) else json.dumps(dataset)
        )
        plan_text = json.dumps(result.plan.to_dict(), ensure_ascii=False)
        yield item["id"], result.steps, len(tokenizer.encode(plan_text).ids)


def line(name: str, steps: int, tokens: int, *, as_json: bool) -> str:
    """Return one result as an object or a row of the table."""
    ratio = round(tokens / steps, 2)
    if not as_json:
        return f"| {name} | {steps} | {tokens} | {ratio} |"
    row = {"name": f"constrained, {name}", "ours": steps, "peer": tokens, "ratio": ratio, "unit": "steps"}
    return json.dumps(row)


if __name__ == "__main__":
    main()
