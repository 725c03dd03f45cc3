"""Plans in any number, mixed from the bundled samples' plans with a seed: what the search benchmark indexes.

Categories are skewed as in public collections (35% image classification), words follow Zipf's law, sizes
and hyperparameters vary as people vary them.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from dlcodegen_local.plan.categories import CATEGORIES, NEIGHBOURS
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.pools import Entry
from dlcodegen_local.retrieval.samples import load_samples

BUNDLED = Path(__file__).parents[2] / "index" / "samples"
_SHARES = (35, 6, 4, 4, 4, 2, 2, 12, 4, 2, 3, 2, 2, 5, 4, 5, 2, 2, 1, 1, 1, 1, 1, 1)
WORDS = json.loads((Path(__file__).parent / "mixed_words.json").read_text(encoding="utf-8"))
_WIDTHS = (8, 16, 24, 32, 48, 64, 96, 100, 128, 160, 192, 200, 256, 300, 384, 512, 1024)
_NUMBER = re.compile(r"\b\d{2,4}\b")


def mixed_entries(count: int, seed: int = 0) -> Iterator[Entry]:
    """Yield entries with ids in ascending order; the same seed gives the same ones."""
    rng = random.Random(seed)
    plans = _plans_by_category()
    for number in range(count):
        category = rng.choices(CATEGORIES, _SHARES)[0]
        plan = _mixed(rng, category, plans)
        subject = _subject(rng)
        requirement = (
            f"{rng.choice(WORDS['verbs'])} {subject} of {_subject(rng)} with {plan.layers[1].split('(')[0]}"
        )
        framework = rng.choices(("keras", "torch"), (6, 4))[0]
        yield Entry(
            f"mixed-{number:07}", f"{category}: {subject}", requirement, plan, framework, f"{number:064x}"
        )


def _plans_by_category() -> dict[str, list[Plan]]:
    found: dict[str, list[Plan]] = {category: [] for category in CATEGORIES}
    for sample in load_samples(BUNDLED):
        found[sample.plan.category].append(sample.plan)
    every = [plan for category in CATEGORIES for plan in found[category]]
    near = {
        category: [plan for neighbour in NEIGHBOURS[category] for plan in found[neighbour]]
        for category in CATEGORIES
    }
    return {category: found[category] * 3 + near[category] or every for category in CATEGORIES}


def _mixed(rng: random.Random, category: str, plans: dict[str, list[Plan]]) -> Plan:
    first, second = rng.choices(plans[category], k=2)
    cut, join = rng.randrange(len(first.layers)), rng.randrange(len(second.layers))
    layers = (first.layers[: cut + 1] + second.layers[join:])[:40]
    size = rng.choice((28, 32, 48, 64, 96, 100, 128, 150, 160, 180, 224, 256, 299, 512))
    steps = ", ".join(rng.sample(WORDS["steps"], rng.randint(1, 4)))
    return Plan(
        category,
        _renumbered(rng, first.dataset_input, 0.5) + f", {_subject(rng)}",
        f"(batch_size, {rng.choice((1, 2, 3, 5, 10, 20, 100, size))})",
        f"{_renumbered(rng, second.preprocess, 0.3)} {steps}.",
        (*(_renumbered(rng, layer, 0.4) for layer in layers), f"Dense({rng.choice((1, 2, 5, 10, 100))})"),
        rng.choices((first.optimizer, "adam", "sgd", "rmsprop", "adamw"), (6, 4, 2, 1, 1))[0],
        rng.choice((first.loss, second.loss)),
        rng.choice((0.1, 0.01, 0.001, 0.0001, 0.0005, 0.003, 2e-5)),
        rng.choice((8, 16, 32, 64, 128, 256)),
        rng.choice((1, 3, 5, 10, 15, 20, 25, 30, 40, 50, 80, 100, 200)),
        rng.choice((first.metric, second.metric)),
    )


def _renumbered(rng: random.Random, text: str, share: float) -> str:
    def change(match: re.Match[str]) -> str:
        return str(rng.choice(_WIDTHS)) if rng.random() < share else match.group()

    return _NUMBER.sub(change, text)


def _subject(rng: random.Random) -> str:
    """Draw two words; the first of a list are the commonest, as in a language."""
    adjective = WORDS["adjectives"][int(len(WORDS["adjectives"]) * rng.random() ** 2)]
    return f"{adjective} {WORDS['subjects'][int(len(WORDS['subjects']) * rng.random() ** 2)]}"
