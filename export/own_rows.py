"""Training rows of our own, fresh in every epoch: all categories, a stranger's words, facts to copy."""

import random
from collections.abc import Iterator

from export.own_sketches import in_words
from export.own_sketches_other import OTHER
from export.own_sketches_text import TEXT
from export.own_sketches_vision import VISION, image_classification
from export.planner_rows import Row

DRAWN_FROM = (*VISION, image_classification, image_classification, *TEXT, *OTHER)


def own_rows(count: int, seed: int) -> Iterator[Row]:
    """Yield `count` rows, the kinds of task in turn; the same seed gives the same rows."""
    rng = random.Random(seed)
    for place in range(count):
        requirement, dataset, plan = in_words(DRAWN_FROM[place % len(DRAWN_FROM)](rng), rng)
        yield Row(f"own-{seed}-{place}", requirement, dataset, plan)
